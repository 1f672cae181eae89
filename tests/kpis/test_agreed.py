"""KPIs against what was agreed: unknown without agreement or case; the past keeps the agreement of its time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.kit.clock import SetClock
from tests.kpis.conftest import BACKFILL, Client

NOW = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK: dict[str, Any] = {"from": "2026-10-09", "to": "2026-10-15"}
EMPTY: dict[str, str] = {
    "resolution_time": "nothing-resolved",
    "within_target_rate": "nothing-due",
    "thanks_share": "no-inquiries",
    "mix_deviation": "no-categorised-posts",
    "published_on_time": "no-planned-posts",
}


@pytest.mark.parametrize("key", EMPTY)
async def test_without_a_case_there_is_no_figure(client: Client, key: str) -> None:
    place = await client.connect("vk")
    await client.agree(BACKFILL.date())
    await client.mark_polled(place)
    answer = await client.kpi(key, **WEEK)
    assert (answer["value"], answer["status"], answer["reason"]) == (None, "unknown", EMPTY[key])
    assert await client.evidence(key, **WEEK) == []


async def test_without_a_target_nothing_is_overdue_or_in_time(client: Client) -> None:
    place = await client.connect("vk")
    await client.ask(place, NOW - 2 * DAY)
    await client.mark_polled(place)
    for key in ("overdue", "within_target_rate"):
        answer = await client.kpi(key, **WEEK)
        assert (answer["value"], answer["reason"]) == (None, "no-target")
        assert answer["breakdown"][0]["reason"] == "no-target"
    await client.agree((NOW - DAY).date())
    answer = await client.kpi("overdue", **WEEK)
    assert (answer["value"], answer["status"], answer["reason"]) == (0, "partial", "no-target")
    by_day = {point["from"]: point["value"] for point in answer["series"]}
    assert (by_day["2026-10-13"], by_day["2026-10-14"]) == (None, 0)


async def test_a_past_window_keeps_the_policy_of_its_time(client: Client, clock: SetClock) -> None:
    place = await client.connect("vk")
    for number in range(4):
        await client.plan(place, NOW - number * DAY, NOW - number * DAY, "engaging")
    await client.plan(place, NOW - 5 * DAY, NOW - 5 * DAY, None)
    await client.mark_polled(place)
    first = await client.kpi("mix_deviation", **WEEK)
    assert (first["value"], first["excluded"]) == (
        0.6,
        [{"amount": 1, "reason": "no-category", "finding_id": None}],
    )
    clock.advance(timedelta(minutes=5))
    shares = {"engaging": 90, "user_generated": 10, "educational": 0, "promotional": 0}
    await client.agency.put(f"/v1/projects/{client.project_id}/mix-policy", {"shares": shares})
    assert (await client.kpi("mix_deviation", **WEEK))["value"] == pytest.approx(0.1), "of a day not over: at once"
    explained = (await client.agency.http.get(first["links"]["explain"])).json()
    assert explained["value"] == 0.6, "as of its instant"
    past = await client.kpi("mix_deviation", **{"from": "2026-10-09", "to": "2026-10-14"})
    assert past["value"] == 0.6
    explained = await client.agency.get(f"{client.path}/mix_deviation/explain", **WEEK)
    inputs = {term["symbol"]: term["amount"] for term in explained["inputs"] if term["scope"] == "total"}
    assert (inputs["n_1"], inputs["n"], inputs["p_1"], inputs["p_2"]) == (4, 4, 90, 10)


@pytest.mark.parametrize(("minutes", "value"), [(-16, 0), (-15, 1), (0, 1), (15, 1), (16, 0)])
async def test_a_quarter_of_an_hour_is_on_time(client: Client, minutes: int, value: int) -> None:
    place = await client.connect("vk")
    await client.plan(place, NOW - DAY, NOW - DAY + timedelta(minutes=minutes))
    await client.mark_polled(place)
    assert (await client.kpi("published_on_time", **WEEK))["value"] == value
    (row,) = await client.evidence("published_on_time", **WEEK)
    assert (row["on_time"], row["late_by_seconds"]) == (bool(value), 60 * minutes)


async def test_a_post_that_never_appeared_is_late_once_its_time_is_over(client: Client, clock: SetClock) -> None:
    place = await client.connect("vk")
    await client.plan(place, NOW)
    await client.mark_polled(place)
    assert (await client.kpi("published_on_time", **WEEK))["reason"] == "no-planned-posts"
    clock.advance(timedelta(minutes=15, seconds=1))
    answer = await client.kpi("published_on_time", **WEEK)
    assert (answer["value"], answer["status"]) == (0, "ok")
