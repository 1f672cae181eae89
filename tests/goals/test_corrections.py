"""Corrections: opened, shown on the KPI, reviewed by a job, and what became of them recounted."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from app.goals import effects
from app.goals.effects import LEAST_MOVES, MAX_MOVES, EffectVerdict, effect, is_early, windows
from app.kit.clock import SetClock
from app.kpis import all_kpis
from app.kpis.values import Community, Missing, Value
from tests.conftest import Agency
from tests.goals.conftest import DAY, NOON, Setup, grow


def body(setup: Setup, **more: Any) -> dict[str, Any]:
    """The body of a correction on the growth of the community."""
    return {
        "project_id": setup.project_id,
        "kpi": "net_growth",
        "hypothesis": "Nobody asks the readers.",
        "change": "Every post ends with a question.",
        "review_on": "2026-10-22",
    } | more


async def test_a_correction_is_shown_on_its_kpi_and_reviewed(agency: Agency, setup: Setup, clock: SetClock) -> None:
    made = await agency.post("/v1/corrections", body(setup))
    path = f"/v1/corrections/{made['id']}"
    assert (made["status"], made["changed_on"], made["opened_by"]) == ("open", "2026-10-15", "Anna")
    assert await agency.get(path) == made
    assert (await agency.get(f"{path}/effect"))["effect"] is None
    noted = {
        "kind": "correction",
        "id": made["id"],
        "from": "2026-10-15",
        "to": "2026-10-22",
        "text": "Every post ends with a question.",
    }
    growth = f"/v1/projects/{setup.project_id}/kpis/net_growth"
    assert (await agency.get(growth))["annotations"] == [noted]
    assert (await agency.get(f"{growth}/explain"))["annotations"] == [noted]
    assert (await agency.get(f"{growth}?from=2026-09-01&to=2026-10-14"))["annotations"] == []
    assert (await agency.get(growth.replace("net_growth", "community_size")))["annotations"] == []
    await grow(setup.client, setup.place, NOON + timedelta(hours=8), NOON + 8 * DAY, 1460, 20)
    clock.advance(7 * DAY - timedelta(hours=16))
    assert await agency.due("corrections.measure") == [], "the day of the review has not begun"
    clock.advance(timedelta(hours=1, minutes=15))
    await agency.work("corrections.measure")
    effect = (await agency.get(f"{path}/effect"))["effect"]
    assert (effect["before"]["from"], effect["before"]["to"]) == ("2026-10-08", "2026-10-14")
    assert (effect["after"]["from"], effect["after"]["to"]) == ("2026-10-15", "2026-10-21")
    # 10 a day until 14 October, 1,430; on the 21st it was 1,460 + 6 · 20.
    assert (effect["before"]["value"], effect["after"]["value"], effect["difference"]) == (70, 150, 80)
    assert (effect["usual_difference"], effect["low"], effect["high"]) == (0, 80, 80)
    assert effect["verdict"] == "better"
    assert "no experiment" in effect["caveat"]
    assert (await agency.get(path))["status"] == "measured"
    assert (await agency.post(f"{path}/withdraw", None, 409))["code"] == "correction-measured"


async def test_a_goals_correction_is_about_the_goals_kpi_and_communities(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal(community_ids=[str(setup.place.community_id)])
    made = await agency.post("/v1/corrections", body(setup, kpi=None, goal_id=goal["id"]))
    assert (made["kpi"], made["community_ids"]) == ("community_size", [str(setup.place.community_id)])
    assert (await agency.get("/v1/corrections", goal_id=goal["id"]))["data"] == [made]
    assert (await agency.get("/v1/corrections", kpi="clicks"))["data"] == []
    withdrawn = await agency.post(f"/v1/corrections/{made['id']}/withdraw", status=200)
    assert withdrawn["status"] == "withdrawn"
    size = await agency.get(f"/v1/projects/{setup.project_id}/kpis/community_size")
    assert size["annotations"] == []


BAD: dict[str, dict[str, Any]] = {
    "review-in-the-past": {"review_on": "2026-10-14", "changed_on": "2026-10-01"},
    "review-too-early": {"review_on": "2026-10-17"},
    "review-too-late": {"review_on": "2027-12-01"},
    "kpi-needed": {"kpi": None},
    "unknown-kpi": {"kpi": "fame"},
}


@pytest.mark.parametrize("code", BAD)
async def test_each_mistake_has_its_own_answer(agency: Agency, setup: Setup, code: str) -> None:
    problem = await agency.post("/v1/corrections", body(setup, **BAD[code]), 422)
    assert problem["code"] == code
    assert (await agency.get("/v1/corrections"))["data"] == []


async def test_a_goal_of_another_project_is_refused(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal()
    other = await agency.post("/v1/projects", {"title": "Tea", "timezone": "Europe/Minsk"})
    wrong = body(setup, project_id=other["id"], goal_id=goal["id"])
    assert (await agency.post("/v1/corrections", wrong, 422))["code"] == "goal-of-another-project"


async def test_a_closed_goal_takes_no_correction(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal()
    await agency.post(f"/v1/goals/{goal['id']}/withdraw", status=200)
    wrong = body(setup, kpi=None, goal_id=goal["id"])
    assert (await agency.post("/v1/corrections", wrong, 409))["code"] == "goal-closed"
    assert (await agency.get("/v1/corrections"))["data"] == []


async def test_with_a_goal_nothing_else_is_named(agency: Agency, setup: Setup) -> None:
    """What is silently ignored makes people wait weeks for the review of something else."""
    goal = await setup.goal()
    wrong = body(setup, goal_id=goal["id"])
    assert (await agency.post("/v1/corrections", wrong, 422))["code"] == "kpi-of-another-goal"
    wrong = body(setup, goal_id=goal["id"], kpi=None, community_ids=[str(setup.place.community_id)])
    assert (await agency.post("/v1/corrections", wrong, 422))["code"] == "communities-of-the-goal"
    made = await agency.post("/v1/corrections", body(setup, goal_id=goal["id"], kpi=goal["kpi"]))
    assert made["kpi"] == goal["kpi"]


async def test_two_corrections_at_once_are_both_shown_and_a_withdrawn_one_is_not_reviewed(
    agency: Agency, setup: Setup, clock: SetClock
) -> None:
    first = await agency.post("/v1/corrections", body(setup))
    second = await agency.post("/v1/corrections", body(setup, changed_on="2026-10-17", review_on="2026-10-24"))
    growth = f"/v1/projects/{setup.project_id}/kpis/net_growth"
    assert [one["id"] for one in (await agency.get(growth))["annotations"]] == [first["id"]]
    clock.advance(2 * DAY)
    assert [one["id"] for one in (await agency.get(growth))["annotations"]] == [first["id"], second["id"]]
    await agency.post(f"/v1/corrections/{second['id']}/withdraw", status=200)
    for path in (growth, f"{growth}/explain"):
        assert [one["id"] for one in (await agency.get(path))["annotations"]] == [first["id"]]
    clock.advance(10 * DAY)
    await agency.work("corrections.measure", passes=3)
    statuses = {one["id"]: one["status"] for one in (await agency.get("/v1/corrections"))["data"]}
    assert statuses == {first["id"]: "measured", second["id"]: "withdrawn"}
    assert (await agency.get(f"/v1/corrections/{second['id']}/effect"))["effect"] is None


async def test_a_review_waits_three_days_at_most(
    agency: Agency, setup: Setup, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await agency.post("/v1/corrections", body(setup))
    monkeypatch.setattr(effects, "is_early", lambda _: True)
    clock.at = datetime(2026, 10, 21, 21, 15, tzinfo=UTC)
    for hours in (0, 6, 65):
        clock.advance(timedelta(hours=hours))
        await agency.work("corrections.measure")
        assert (await agency.get(f"/v1/corrections/{made['id']}"))["status"] == "open"
    clock.advance(timedelta(hours=6))
    await agency.work("corrections.measure")
    assert (await agency.get(f"/v1/corrections/{made['id']}"))["status"] == "measured"


CHANGED, REVIEW = date(2026, 10, 15), date(2026, 10, 22)


def values(daily: Sequence[float], first: date) -> list[Value]:
    """The sums of a flow over the windows, from its days."""
    made = []
    for window in windows(CHANGED, REVIEW):
        start = (window.first - first).days
        days = daily[max(start, 0) : max((window.last - first).days + 1, 0)]
        gap = [Missing(Community(None, None), "before-connection", window.first, window.last)] if start < 0 else []
        made.append(Value(sum(days) if days else None, None, gap))
    return made


def test_the_interval_is_what_the_past_would_leave_in_80_of_100() -> None:
    """Without a change the interval holds 0 about as often, recounted over 300 random histories."""
    held, kpi, choice = 0, all_kpis()["clicks"], random.Random(7)
    for _ in range(300):
        daily = [choice.gauss(100, 20) for _ in range(200)]
        made = effect(kpi, CHANGED, REVIEW, values(daily, REVIEW - timedelta(days=200)))
        assert made.low is not None
        assert made.high is not None
        assert made.moves == MAX_MOVES
        held += made.low <= 0 <= made.high
    assert 210 <= held <= 270, held


def test_a_change_is_told_from_chance() -> None:
    choice = random.Random(11)
    daily = [choice.gauss(100, 10) for _ in range(193)] + [choice.gauss(160, 10) for _ in range(7)]
    made = effect(all_kpis()["clicks"], CHANGED, REVIEW, values(daily, REVIEW - timedelta(days=200)))
    assert made.verdict is EffectVerdict.BETTER
    lower = effect(all_kpis()["first_response_time"], CHANGED, REVIEW, values(daily, REVIEW - timedelta(days=200)))
    assert lower.verdict is EffectVerdict.WORSE


SIBLING = Community(None, None)


def missing(one: Value, reason: str) -> Value:
    """The value, of which something of another community is missing."""
    return one._replace(missing=[*one.missing, Missing(SIBLING, reason, date.min, date.max)])


def test_what_a_platform_never_tells_takes_no_interval_away() -> None:
    choice = random.Random(5)
    daily = [choice.gauss(100, 20) for _ in range(200)]
    partial = [missing(one, "unsupported") for one in values(daily, REVIEW - timedelta(days=200))]
    made = effect(all_kpis()["engagement"], CHANGED, REVIEW, partial)
    assert (made.moves, made.reason) == (MAX_MOVES, None)
    assert made.low is not None


@pytest.mark.parametrize("side", [0, 1])
def test_sides_of_which_not_the_same_is_missing_are_not_compared(side: int) -> None:
    """A community that was connected in between is no effect of the change."""
    daily = [100.0] * 193 + [300.0] * 7
    both = values(daily, REVIEW - timedelta(days=200))
    assert effect(all_kpis()["clicks"], CHANGED, REVIEW, both).verdict is EffectVerdict.BETTER
    both[side] = missing(both[side], "before-connection")
    made = effect(all_kpis()["clicks"], CHANGED, REVIEW, both)
    assert (made.verdict, made.reason, made.low) == (EffectVerdict.UNCLEAR, "before-connection", None)
    assert made.as_json[("before", "after")[side]]["status"] == "partial"


def test_a_review_waits_for_what_a_platform_tells_late() -> None:
    both = values([100.0] * 200, REVIEW - timedelta(days=200))
    assert not is_early(both)
    both[1] = missing(both[1], "pending")
    assert is_early(both)


def test_without_enough_past_there_is_no_interval() -> None:
    made = effect(all_kpis()["clicks"], CHANGED, REVIEW, values([10.0] * 30, REVIEW - timedelta(days=30)))
    assert made.moves < LEAST_MOVES
    assert (made.difference, made.low, made.high, made.reason) == (0, None, None, "too-little-history")


@pytest.mark.parametrize("way", ["connected", "disconnected"])
async def test_a_community_that_comes_or_goes_is_no_effect(
    agency: Agency, setup: Setup, clock: SetClock, way: str
) -> None:
    """Half of the questions come from another community, which is there for some days of the comparison alone."""
    start, middle = datetime(2026, 9, 1, 9, tzinfo=UTC), NOON + 3 * DAY
    is_new = way == "connected"
    other = await setup.client.connect(
        "mastodon", created_at=middle if is_new else start, backfill_since=middle if is_new else start
    )
    places = [setup.place, other]
    for number in range(80):
        at = NOON + (7 - number) * DAY
        for place in places if (at >= middle) == is_new else places[:1]:
            await setup.client.ask(place, at)
    made = await agency.post("/v1/corrections", body(setup, kpi="inquiries_received", review_on="2026-10-22"))
    clock.at = NOON + 7 * DAY
    for place in places:
        await setup.client.mark_polled(place, clock.at)
    if not is_new:
        gone = {"status": "disconnected", "disconnected_at": middle}
        await setup.client.mark_polled(other, middle, **gone)
    await agency.work("corrections.measure")
    effect = (await agency.get(f"/v1/corrections/{made['id']}/effect"))["effect"]
    assert effect["difference"] != 0
    reason = "before-connection" if is_new else "disconnected"
    assert (effect["verdict"], effect["reason"]) == ("unclear", reason)
