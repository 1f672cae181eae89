"""The change since the window before: only windows of which the same is known are compared."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from app.kit.clock import SetClock
from tests.kpis.conftest import Client

DAY = timedelta(days=1)
NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)
WEEK: dict[str, Any] = {"from": "2026-10-08", "to": "2026-10-14"}


@pytest.fixture(autouse=True)
def noon(clock: SetClock) -> None:
    clock.at = NOW


async def changed(client: Client, key: str, **params: Any) -> Any:
    """The value, and what is said of the one before."""
    answer = await client.kpi(key, **(params or WEEK))
    before = answer["previous"]
    return answer["value"], before["value"], before["change"], before["change_reason"]


async def test_a_backfill_that_begins_in_the_window_before_is_no_growth(client: Client) -> None:
    """One question a day, and in the week before the last day alone is known: nothing has grown by 600 %."""
    place = await client.connect("vk", created_at=NOW - 2 * DAY, backfill_since=NOW - 8 * DAY)
    for days in range(1, 9):
        await client.ask(place, NOW - days * DAY)
    await client.mark_polled(place)
    assert await changed(client, "inquiries_received") == (7, 1, None, "before-connection")
    (row,) = (await client.agency.get("/v1/portfolio/kpis", keys="inquiries_received", **WEEK))["data"]
    (of_row,) = row["kpis"]
    assert (of_row["previous"]["change"], of_row["previous"]["change_reason"]) == (None, "before-connection")


async def test_another_community_is_no_growth(client: Client) -> None:
    first = await client.connect("mastodon", created_at=NOW - 40 * DAY)
    second = await client.connect("vk", created_at=NOW - 3 * DAY)
    for days in range(40):
        await client.size(first, NOW - days * DAY, 1000)
    for days in range(4):
        await client.size(second, NOW - days * DAY, 9000)
    for place in (first, second):
        await client.mark_polled(place)
    assert await changed(client, "community_size") == (10_000, 1000, None, "before-connection")


async def test_a_community_that_was_disconnected_is_no_fall(client: Client) -> None:
    first = await client.connect("mastodon", created_at=NOW - 40 * DAY)
    second = await client.connect("vk", created_at=NOW - 40 * DAY)
    for days in range(1, 30):
        for place in (first, second):
            await client.ask(place, NOW - days * DAY)
    await client.mark_polled(first)
    gone = NOW - 8 * DAY
    await client.mark_polled(second, gone, status="disconnected", disconnected_at=gone)
    window = {"from": "2026-10-09", "to": "2026-10-14"}
    value, before, change, reason = await changed(client, "inquiries_received", **window)
    assert (value, change, reason) == (6, None, "disconnected")
    assert before > 6


async def test_what_is_never_known_is_missing_of_both(client: Client) -> None:
    """A platform without views takes no comparison of the others away, nor does a day that has not come."""
    place = await client.connect("mastodon", created_at=NOW - 40 * DAY)
    other = await client.connect("telegram", created_at=NOW - 40 * DAY)
    for one in (place, other):
        for days in range(1, 30):
            await client.ask(one, NOW - days * DAY)
        await client.mark_polled(one)
    assert await changed(client, "inquiries_received") == (14, 14, 0, None)
    window = {"from": str(date(2026, 10, 9)), "to": str(date(2026, 10, 15))}
    assert (await changed(client, "inquiries_received", **window))[3] is None


async def test_half_a_month_is_no_fall_by_half(client: Client) -> None:
    """What grows with the days is not compared before they are over; a level is, and so is a wait."""
    place = await client.connect("mastodon", created_at=NOW - 70 * DAY)
    for days in range(1, 65):
        await client.ask(place, NOW - days * DAY, NOW - days * DAY + timedelta(minutes=10), seconds=600)
        await client.size(place, NOW - days * DAY, 1000)
    await client.mark_polled(place)
    month = {"from": "2026-10-01", "to": "2026-10-31"}
    assert await changed(client, "inquiries_received", **month) == (14, 31, None, "not-yet")
    assert await changed(client, "growth_rate", **month) == (0, 0, None, None), "of nothing there is no share"
    assert await changed(client, "community_size", **month) == (1000, 1000, 0, None)
    assert await changed(client, "first_response_time", **month) == (600, 600, 0, None)
    over = {"from": "2026-10-01", "to": "2026-10-14"}
    assert await changed(client, "inquiries_received", **over) == (14, 14, 0, None)
