"""Until when a wait meets the project's target; what has been figured out does not change in the past."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.communities.events import MessagesSeen
from app.kit.clock import SetClock
from app.kit.events import publish
from tests.conftest import Agency
from tests.inquiries.conftest import OLGA, OURS, InquirySetup, Post
from tests.servers import Servers

NOON = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
"""A Thursday, 15:00 in Minsk."""
HOUR = timedelta(hours=1)
WINDOW: dict[str, Any] = {"from": "2026-10-15"}
ALWAYS: dict[str, Any] = {
    "week": {
        day: [{"opens": "00:00", "closes": "24:00"}]
        for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    }
}


def _project(setup: InquirySetup) -> str:
    return f"/v1/projects/{setup.ref.project_id}"


async def _agree(setup: InquirySetup, minutes: int, resolution: int | None = None) -> None:
    body = {"first_response_minutes": minutes, "resolution_minutes": resolution}
    await setup.agency.put(f"{_project(setup)}/response-targets", body)


async def _open(setup: InquirySetup) -> list[Any]:
    return [one for one in await setup.inquiries() if one["status"] == "open"]


async def _due(setup: InquirySetup) -> dict[str, str | None]:
    """When the waits are due, by their start."""
    waits: list[Any] = []
    for inquiry in await setup.inquiries():
        waits += (await setup.agency.get(f"/v1/inquiries/{inquiry['id']}"))["waits"]
    return {wait["started_at"]: wait["due_at"] for wait in waits}


async def test_a_wait_is_due_in_working_time(setup: InquirySetup, post: Post) -> None:
    await _agree(setup, 240)
    await setup.store_messages(setup.message("1", NOON))
    # Three hours are left on Thursday, one is on Friday.
    assert await _due(setup) == {"2026-10-15T12:00:00Z": "2026-10-16T07:00:00Z"}


async def test_without_a_target_nothing_is_due(setup: InquirySetup, post: Post) -> None:
    await setup.store_messages(setup.message("1", NOON - timedelta(days=1)))
    await _agree(setup, 60)
    await setup.store_messages(setup.message("2", NOON - timedelta(days=2), thread_id="other"))
    assert set((await _due(setup)).values()) == {None}, "both began before anything was agreed"


async def test_targets_of_today_hold_for_what_began_today(setup: InquirySetup, agency: Agency, post: Post) -> None:
    await setup.store_messages(setup.message("1", NOON - HOUR), setup.message("2", NOON - HOUR, thread_id="b"))
    await setup.store_messages(setup.message("3", NOON, by=OURS, thread_id="b"))
    second = next(one for one in await setup.inquiries() if one["status"] == "answered")
    await agency.post(f"/v1/inquiries/{second['id']}/resolve", {"reason": "Done."}, status=200)
    await _agree(setup, 30, 120)
    assert await _due(setup) == {"2026-10-15T11:00:00Z": "2026-10-15T11:30:00Z"}
    explained = await agency.get(f"{_project(setup)}/kpis/resolution_time/evidence")
    assert explained["expected"][0]["kind"] == "episode"


async def test_other_hours_move_what_is_not_due_yet(setup: InquirySetup, clock: SetClock, post: Post) -> None:
    await _agree(setup, 60)
    await setup.store_messages(
        setup.message("late", NOON - 2 * HOUR, thread_id="late"), setup.message("soon", NOON, thread_id="soon")
    )
    assert await _due(setup) == {
        "2026-10-15T10:00:00Z": "2026-10-15T11:00:00Z",
        "2026-10-15T12:00:00Z": "2026-10-15T13:00:00Z",
    }
    thursday = {"thursday": [{"opens": "17:00", "closes": "18:00"}]}
    await setup.agency.put(f"{_project(setup)}/working-hours", {"week": thursday})
    assert await _due(setup) == {
        "2026-10-15T10:00:00Z": "2026-10-15T11:00:00Z",
        "2026-10-15T12:00:00Z": "2026-10-15T15:00:00Z",
    }, "what is due already stays so"
    clock.advance(2 * HOUR)
    await setup.agency.put(f"{_project(setup)}/working-hours", ALWAYS)
    assert (await _due(setup))["2026-10-15T12:00:00Z"] == "2026-10-15T14:00:00Z", "nobody is overdue in the past"


async def test_another_zone_moves_what_is_not_due_yet(setup: InquirySetup, agency: Agency, post: Post) -> None:
    await _agree(setup, 60)
    await setup.store_messages(setup.message("1", NOON))
    await agency.patch(_project(setup), {"timezone": "America/New_York"})
    assert await _due(setup) == {"2026-10-15T12:00:00Z": "2026-10-15T14:00:00Z"}


async def test_the_figures_follow_the_conversations(
    setup: InquirySetup, agency: Agency, clock: SetClock, post: Post
) -> None:
    """One is answered in time, one late, one not at all, one is resolved without words; one may still be answered."""
    await _agree(setup, 60, 120)
    clock.advance(timedelta(days=1))
    for thread, hours in (("in-time", 3), ("late", 3), ("never", 3), ("resolved", 3)):
        await setup.store_messages(setup.message(thread, NOON + timedelta(days=1) - hours * HOUR, thread_id=thread))
    at = NOON + timedelta(days=1)
    await setup.store_messages(
        setup.message("a1", at - 2.5 * HOUR, by=OURS, thread_id="in-time"),
        setup.message("a2", at - HOUR, by=OURS, thread_id="late"),
        setup.message("open", at - HOUR / 2, thread_id="open"),
    )
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(text("UPDATE community SET conversations_seen_at = :at"), {"at": at})
    answer = await agency.get(f"{_project(setup)}/kpis/within_target_rate", **WINDOW)
    assert answer["value"] == 1 / 4, "the fourth is missed too: nobody resolved it in time"
    assert (await agency.get(f"{_project(setup)}/kpis/overdue"))["value"] == 2
    for inquiry in await _open(setup):
        await agency.post(f"/v1/inquiries/{inquiry['id']}/resolve", {"reason": "By phone."}, status=200)
    after = await agency.get(f"{_project(setup)}/kpis/within_target_rate", **WINDOW)
    assert (after["value"], after["excluded"]) == (
        1 / 4,
        [{"amount": 1, "reason": "resolved-without-answer", "finding_id": None}],
    )
    assert (await agency.get(f"{_project(setup)}/kpis/overdue"))["value"] == 0
    took = await agency.get(f"{_project(setup)}/kpis/resolution_time/explain")
    # Three hours twice and half an hour once.
    assert took["value"] == 3 * 3600
    terms = {term["symbol"]: term["amount"] for term in took["inputs"] if term["scope"] == "total"}
    assert (terms["n"], terms["T"], terms["I"]) == (3, 3, 1)


async def test_figures_of_the_past_do_not_change(
    setup: InquirySetup, agency: Agency, clock: SetClock, post: Post
) -> None:
    """Whatever hours and targets come, and whoever answers: the days that are over keep what they had."""
    chance = random.Random(4)
    await _agree(setup, 90, 300)
    clock.advance(timedelta(days=7))
    for number in range(20):
        at = NOON + chance.random() * timedelta(days=7)
        messages = [setup.message(f"q{number}", at, thread_id=str(number))]
        if chance.random() < 0.6:
            answered = at + chance.random() * (clock.now() - at)
            messages.append(setup.message(f"a{number}", answered, by=OURS, thread_id=str(number)))
        await setup.store_messages(*messages)
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(
            text("UPDATE community SET conversations_seen_at = :at"), {"at": clock.now() + timedelta(days=5)}
        )

    async def past() -> dict[str, Any]:
        window: dict[str, Any] = {"from": "2026-10-15", "to": "2026-10-21"}
        keys = ("within_target_rate", "overdue", "first_response_time", "resolution_time")
        answers = [await agency.get(f"{_project(setup)}/kpis/{key}", **window) for key in keys]
        return {one["key"]: [point["value"] for point in one["series"]] for one in answers}

    before = await past()
    assert any(before["overdue"])
    assert any(before["within_target_rate"])
    clock.advance(HOUR)
    await agency.put(f"{_project(setup)}/working-hours", ALWAYS)
    await _agree(setup, 5, 10)
    clock.advance(timedelta(days=1))
    for inquiry in await _open(setup):
        await agency.post(f"/v1/inquiries/{inquiry['id']}/resolve", {"reason": "Done."}, status=200)
    assert await past() == before


async def test_no_wait_keeps_a_target_that_was_replaced_meanwhile(setup: InquirySetup, post: Post) -> None:
    """A message is being stored while the target changes: the change waits for it, and finds its wait."""
    await _agree(setup, 60)
    await setup.store_messages(setup.message("1", NOON - 3 * HOUR), setup.message("2", NOON - 2 * HOUR, by=OURS))
    async with setup.agency.resources.transaction(setup.ref.workspace_id) as session:
        await publish(session, MessagesSeen(setup.ref, ((setup.message("3", NOON), None),)))
        change = asyncio.create_task(_agree(setup, 100))
        await asyncio.wait({change}, timeout=0.5)
    await change
    assert (await _due(setup))["2026-10-15T12:00:00Z"] == "2026-10-15T13:40:00Z"


async def test_the_migration_finds_the_episodes(
    setup: InquirySetup, agency: Agency, clock: SetClock, post: Post, servers: Servers, database: str
) -> None:
    """What it fills in for stored inquiries is what is computed for them now."""
    chance = random.Random(11)
    hours = {**ALWAYS["week"], "friday": [], "sunday": [{"opens": "09:15", "closes": "10:00"}]}
    special = [{"day": "2026-10-16", "hours": [{"opens": "10:00", "closes": "13:30"}]}]
    working = {"week": hours, "holidays": ["2026-10-20"], "special_days": special}
    await agency.put(f"{_project(setup)}/working-hours", working)
    for number in range(120):
        clock.advance(timedelta(minutes=chance.randrange(1, 200)))
        thread = str(chance.randrange(8))
        by = OURS if chance.random() < 0.3 else OLGA
        await setup.store_messages(setup.message(str(number), clock.now(), thread_id=thread, by=by))
        clock.advance(timedelta(minutes=chance.randrange(1, 50)))
        for inquiry in await setup.inquiries():
            verb = "reopen" if inquiry["status"] == "resolved" else "resolve"
            if chance.random() < 0.12:
                body = {"reason": "Done.", **({"automatic": chance.random() < 0.4} if verb == "resolve" else {})}
                response = await agency.http.post(f"/v1/inquiries/{inquiry['id']}/{verb}", json=body)
                assert response.status_code in (200, 409), response.text
    fill = import_module("migrations.versions.1070_episodes").FILL
    columns = "inquiry_id, started_at, resolved_at, automatic, working_seconds"
    order = "ORDER BY inquiry_id, started_at"
    query = text(f"SELECT {columns} FROM resolved_episode WHERE workspace_id = :workspace_id {order}")
    own = {"workspace_id": agency.workspace_id}
    engine = create_async_engine(servers.superuser_url(database))
    async with engine.connect() as connection:  # never committed: other tests' rows are there too
        computed = (await connection.execute(query, own)).all()
        await connection.execute(text("DELETE FROM resolved_episode"))
        await connection.exec_driver_sql(fill)
        filled = (await connection.execute(query, own)).all()
    await engine.dispose()
    assert len(computed) > 40
    assert filled == computed
