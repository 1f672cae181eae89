"""Goals on what campaigns cost: the currency is a part of the promise, and nothing is compared with another one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.kit.clock import SetClock
from tests.conftest import Agency
from tests.goals.conftest import DAY, NOON, Setup, answer
from tests.goals.test_bad_input import rows

STATED = {"value": 50, "reason": "What the last agency charged."}


def cost(setup: Setup, **more: Any) -> dict[str, Any]:
    """The body of a goal on the cost of a click."""
    return setup.body(type="traffic", kpi="cost_per_click", target=10, stated_baseline=STATED, currency="RUB", **more)


async def spend(setup: Setup, amounts: dict[str, tuple[str, str]]) -> str:
    """A campaign with a link that ten people follow each day, and what is spent on it by day; its path."""
    days = {"from": "2026-09-20", "to": "2026-11-08"}
    body = {"project_id": setup.project_id, "type": "ad", "title": "Beans", **days}
    path = f"/v1/campaigns/{(await setup.agency.post('/v1/campaigns', body))['id']}"
    link_id = await setup.client.link()
    await setup.agency.post(f"{path}/links", {"link_id": str(link_id)}, 200)
    for day, (amount, currency) in amounts.items():
        await setup.agency.post(f"{path}/spend", {"day": day, "amount": amount, "currency": currency})
        at = datetime.fromisoformat(day).replace(hour=10, tzinfo=UTC)
        await setup.client.click(link_id, [(at, number, None) for number in range(10)])
    return path


async def measured(setup: Setup, goal: Any) -> Any:
    """The goal's progress after the jobs that are due."""
    await setup.agency.work("goals.measure", passes=3)
    return await setup.agency.get(f"/v1/goals/{goal['id']}/progress")


async def test_money_has_a_currency_and_nothing_else_has_one(agency: Agency, setup: Setup) -> None:
    without = await agency.post("/v1/goals", cost(setup) | {"currency": None}, 422)
    assert (without["code"], without["errors"][0]["field"]) == ("currency-needed", "currency")
    plain = await setup.goal(422, currency="RUB")
    assert (plain["code"], plain["errors"][0]["field"]) == ("currency-without-money", "currency")
    unknown = await agency.post("/v1/goals", cost(setup) | {"currency": "XXX"}, 422)
    assert unknown["errors"][0]["code"] == "unknown-currency"
    assert set((await rows(agency)).values()) == {0}
    goal = await agency.post("/v1/goals", cost(setup))
    assert goal["currency"] == "RUB"
    assert (await agency.patch(f"/v1/goals/{goal['id']}", {"currency": "EUR"}, 422))["code"] == "invalid-input"
    changed = await agency.patch(f"/v1/goals/{goal['id']}", {"target": 9})
    assert (changed["currency"], changed["revision"]) == ("RUB", 2)


async def test_the_client_agrees_to_an_amount_with_its_currency(
    agency: Agency, setup: Setup, program: httpx.AsyncClient
) -> None:
    roubles = await agency.post("/v1/goals", cost(setup))
    link = await setup.link(roubles["id"])
    assert (await program.get(link)).json()["subject"]["content"]["kpi"]["currency"] == "RUB"
    page = (await program.get(link, headers={"Accept": "text/html"})).text
    assert "10 RUB" in page
    assert "50 RUB" in page
    assert (await answer(program, link)).status_code == 201


async def test_a_baseline_is_not_taken_from_another_currency(agency: Agency, setup: Setup) -> None:
    await spend(setup, {"2026-10-01": ("200", "RUB"), "2026-10-02": ("300", "RUB")})
    measured_here = cost(setup) | {"stated_baseline": None}
    goal = await agency.post("/v1/goals", measured_here)
    assert goal["baseline"]["level"] == 25, "500 roubles for 20 clicks"
    refused = await agency.post("/v1/goals", measured_here | {"currency": "USD"}, 409)
    assert refused["code"] == "another-currency"
    assert "stated_baseline" in refused["detail"]


async def test_a_cost_in_another_currency_is_no_progress(agency: Agency, setup: Setup, clock: SetClock) -> None:
    path = await spend(setup, {"2026-10-12": ("60", "RUB")})
    goal = await agency.post("/v1/goals", cost(setup))
    made = await measured(setup, goal)
    assert (made["value"], made["currency"], made["pace"]) == (6, "RUB", "on_track")
    wrong = (await agency.get(f"{path}/spend"))["data"][0]
    await agency.post(f"{path}/spend/{wrong['id']}/void", {"reason": "It was dollars"}, 200)
    await agency.post(f"{path}/spend", {"day": "2026-10-12", "amount": "60", "currency": "USD"})
    clock.advance(timedelta(hours=2))
    made = await measured(setup, goal)
    assert (made["value"], made["value_status"], made["reason"]) == (None, "unknown", "another-currency")
    assert (made["pace"], made["forecast"]["reason"]) == ("unknown", "value-unknown")


async def test_a_change_is_not_judged_across_currencies(agency: Agency, setup: Setup, clock: SetClock) -> None:
    before = {f"2026-10-{day:02}": ("900", "RUB") for day in (12, 13, 14)}
    await spend(setup, {**before, "2026-10-15": ("10", "USD")})
    body = {
        "project_id": setup.project_id,
        "kpi": "cost_per_click",
        "hypothesis": "The audience is too wide.",
        "change": "Only neighbours see it.",
        "review_on": "2026-10-18",
    }
    made = await agency.post("/v1/corrections", body)
    clock.at = NOON + 3 * DAY
    await agency.work("corrections.measure")
    effect = (await agency.get(f"/v1/corrections/{made['id']}/effect"))["effect"]
    assert [(effect[side]["value"], effect[side]["currency"]) for side in ("before", "after")] == [
        (90, "RUB"),
        (1, "USD"),
    ]
    assert (effect["difference"], effect["verdict"], effect["reason"]) == (None, "unclear", "several-currencies")


@pytest.mark.parametrize("kpi", ["cost_per_click", "cost_per_attracted_user"])
async def test_a_cost_is_of_no_single_community(agency: Agency, setup: Setup, kpi: str) -> None:
    of_community = {"community_ids": [str(setup.place.community_id)]}
    kind = "traffic" if kpi == "cost_per_click" else "awareness"
    refused = await agency.post("/v1/goals", cost(setup) | {"kpi": kpi, "type": kind} | of_community, 422)
    assert (refused["code"], refused["errors"][0]["field"]) == ("kpi-of-whole-project", "community_ids")
    body = {"project_id": setup.project_id, "kpi": kpi, "hypothesis": "…", "change": "…", "review_on": "2026-10-22"}
    assert (await agency.post("/v1/corrections", body | of_community, 422))["code"] == "kpi-of-whole-project"
