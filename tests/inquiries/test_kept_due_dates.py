"""The deadline that an inquiry has is the one that follows from its waits, whatever happens, and in whatever order."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from importlib import import_module
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs

from app.inquiries import due_dates, service
from app.kit.clock import SetClock
from app.platforms.contract import RemotePerson
from app.projects.hours import WorkingHours, after_working_seconds
from tests.conftest import Agency
from tests.inquiries.conftest import OLGA, OURS, InquirySetup, Post, connect_community
from tests.servers import Servers

MINUTE: Final = timedelta(minutes=1)
WEEK: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS: Final[Sequence[dict[str, Any]]] = (
    {"week": {day: [{"opens": "00:00", "closes": "24:00"}] for day in WEEK}},
    {"week": {day: [{"opens": "09:00", "closes": "17:00"}] for day in WEEK[:5]}, "holidays": ["2026-10-19"]},
    {
        "week": {"thursday": [{"opens": "10:00", "closes": "12:00"}, {"opens": "13:00", "closes": "15:30"}]},
        "special_days": [{"day": "2026-10-17", "hours": [{"opens": "08:00", "closes": "23:00"}]}],
    },
    {"week": {}},
)
TARGETS: Final = ((60, None), (30, 240), (600, 60), (45, 3000))
THREADS: Final = ("a", "b")

Operation = tuple[Any, ...]
OPERATIONS: Final[st.SearchStrategy[Operation]] = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(THREADS), st.booleans(), st.integers(0, 200)),
    st.tuples(st.just("write"), st.sampled_from(THREADS), st.booleans(), st.integers(0, 3)),
    st.tuples(st.just("delete"), st.integers(0, 20)),
    st.tuples(st.sampled_from(("resolve", "reopen")), st.integers(0, 1)),
    st.tuples(st.just("wait"), st.sampled_from((1, 30, 90, 700, 3000))),
    st.tuples(st.just("hours"), st.integers(0, len(HOURS) - 1)),
    st.tuples(st.just("zone"), st.sampled_from(("Europe/Minsk", "America/New_York", "Asia/Kolkata"))),
    st.tuples(st.just("targets"), st.integers(0, len(TARGETS) - 1)),
    st.tuples(st.just("join")),
)


class History:
    """An inquiry's life, and beside it what each of its waits is due by: computed here, from rows and rules alone."""

    def __init__(self, setup: InquirySetup, clock: SetClock) -> None:
        self.setup, self.clock = setup, clock
        self.path = f"/v1/projects/{setup.ref.project_id}"
        self.messages: list[tuple[str, datetime, str, RemotePerson]] = []
        self.joined = False
        self.targets: dict[date, tuple[int, int | None]] = {}
        self.hours, self.zone = WorkingHours.parse({"week": {day: [] for day in WEEK}, **_empty()}), "Europe/Minsk"
        self.expected: dict[tuple[str, datetime], dict[str, datetime | None]] = {}

    async def perform(self, operation: Operation) -> None:
        """Do it, and compare."""
        await getattr(self, f"_{operation[0]}")(*operation[1:])
        await self._compare(operation)

    async def _write(self, thread: str, ours: bool, ago: int) -> None:
        thread = "a" if self.joined else thread
        number, at = str(len(self.messages)), self.clock.now() - ago * MINUTE
        by = OURS if ours else RemotePerson("Olga", "Olga") if thread == "b" else OLGA
        self.messages.append((number, at, thread, by))
        await self.setup.store_messages(self.setup.message(number, at, thread_id=thread, by=by))

    async def _delete(self, number: int) -> None:
        if number < len(self.messages):
            external_id, at, thread, by = self.messages[number]
            gone = self.setup.message(external_id, at, thread_id=thread, by=by, deleted=True)
            await self.setup.store_messages(gone)

    async def _act(self, verb: str, number: int) -> None:
        inquiries = await self.setup.inquiries()
        if number < len(inquiries):
            body = {"reason": "Done."}
            await self.setup.agency.http.post(f"/v1/inquiries/{inquiries[number]['id']}/{verb}", json=body)

    async def _resolve(self, number: int) -> None:
        await self._act("resolve", number)

    async def _reopen(self, number: int) -> None:
        await self._act("reopen", number)

    async def _wait(self, minutes: int) -> None:
        self.clock.advance(minutes * MINUTE)

    async def _hours(self, number: int) -> None:
        await self.setup.agency.put(f"{self.path}/working-hours", HOURS[number])
        week = {day: HOURS[number]["week"].get(day, []) for day in WEEK}
        hours = WorkingHours.parse({**_empty(), **HOURS[number], "week": week})
        if hours != self.hours:
            self.hours = hours
            await self._move()

    async def _zone(self, zone: str) -> None:
        await self.setup.agency.patch(self.path, {"timezone": zone})
        if zone != self.zone:
            self.zone = zone
            await self._move()

    async def _targets(self, number: int) -> None:
        first, resolution = TARGETS[number]
        body = {"first_response_minutes": first, "resolution_minutes": resolution}
        today = self.clock.now().astimezone(ZoneInfo(self.zone)).date()
        changes = self.targets.get(today) != TARGETS[number]
        await self.setup.agency.put(f"{self.path}/response-targets", body)
        self.targets[today] = TARGETS[number]
        midnight = datetime(today.year, today.month, today.day, tzinfo=ZoneInfo(self.zone))
        for (_, start), dues in self.expected.items():
            if changes and start >= midnight:
                dues.update(self._dues(start))

    async def _join(self) -> None:
        """The thread `b` was the customer of `a`, known by a name alone."""
        first = next(((number, at) for number, at, thread, by in self.messages if thread == "b" and by != OURS), None)
        if first is None or self.joined:
            return
        self.joined = True
        self.messages = [(number, at, "a", by) for number, at, _, by in self.messages]
        await self.setup.store_messages(self.setup.message(first[0], first[1], thread_id="a", renames_thread=True))

    def _dues(self, start: datetime) -> dict[str, datetime | None]:
        zone = ZoneInfo(self.zone)
        days = [day for day in self.targets if day <= start.astimezone(zone).date()]
        minutes = self.targets[max(days)] if days else (None, None)
        return {
            name: None if each is None else after_working_seconds(start, 60 * each, self.hours, zone)
            for name, each in zip(("due_at", "resolution_due_at"), minutes, strict=True)
        }

    async def _move(self) -> None:
        """What lasts and was not due is due by the hours that hold now, but not in the past."""
        for row in await self._rows():
            dues, computed = self.expected[row["id"], row["started_at"]], self._dues(row["started_at"])
            lasts = {"due_at": row["ended_at"] is None, "resolution_due_at": row["is_latest"]}
            for name, due in computed.items():
                if lasts[name] and (dues[name] or self.clock.now() + MINUTE) > self.clock.now():
                    dues[name] = None if due is None else max(due, self.clock.now())

    async def _rows(self) -> list[dict[str, Any]]:
        """The waits of all inquiries, each with whether what began with it is not resolved."""
        query = text(
            """
SELECT i.id::text, w.started_at, w.ended_at, w.opening, w.due_at, w.resolution_due_at, i.status
FROM inquiry i JOIN response_wait w ON w.inquiry_id = i.id WHERE i.community_id = :community_id
"""
        )
        async with self.setup.agency.resources.transaction(self.setup.ref.workspace_id) as session:
            rows = [
                dict(row._mapping)
                for row in await session.execute(query, {"community_id": self.setup.ref.community_id})
            ]
        for row in rows:
            openings = [other["started_at"] for other in rows if other["id"] == row["id"] and other["opening"]]
            row["is_latest"] = bool(
                row["status"] != "resolved" and row["opening"] and row["started_at"] == max(openings)
            )
        return rows

    async def _compare(self, operation: Operation) -> None:
        rows = await self._rows()
        present = {(row["id"], row["started_at"]): row for row in rows}
        self.expected = {key: dues for key, dues in self.expected.items() if key in present}
        for (inquiry_id, start), row in present.items():
            dues = self.expected.get((inquiry_id, start))
            if dues is None:
                dues = self.expected[inquiry_id, start] = self._dues(start)
            if not row["opening"]:
                dues["resolution_due_at"] = None
            elif dues["resolution_due_at"] is None and row["resolution_due_at"] is not None:
                dues["resolution_due_at"] = self._dues(start)["resolution_due_at"]  # it is an opening one since now
            assert row["due_at"] == dues["due_at"], operation
            assert row["resolution_due_at"] == dues["resolution_due_at"], operation
        owed: dict[str, list[tuple[datetime, str]]] = {}
        for row in rows:
            if row["ended_at"] is None and row["due_at"] is not None:
                owed.setdefault(row["id"], []).append((row["due_at"], "first_response"))
            if row["is_latest"] and row["resolution_due_at"] is not None:
                owed.setdefault(row["id"], []).append((row["resolution_due_at"], "resolution"))
        at = self.clock.now()
        for inquiry in await self.setup.inquiries():
            due_at, target = min(owed.get(inquiry["id"], []), default=(None, None))
            visible = inquiry["due_at"] and datetime.fromisoformat(inquiry["due_at"])
            assert (visible, inquiry["due_target"]) == (due_at, target), operation
            assert inquiry["overdue"] == (due_at is not None and due_at < at), operation


def _empty() -> dict[str, Any]:
    return {"holidays": [], "special_days": []}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(operations=st.lists(OPERATIONS, min_size=4, max_size=14))
async def test_a_deadline_is_that_of_the_waits(
    agency: Agency, clock: SetClock, post: Post, operations: list[Operation]
) -> None:
    history = History(await connect_community(agency), clock)
    for operation in (("hours", 0), ("targets", 1), *operations):
        await history.perform(operation)


BY_HOURS: Final[Sequence[Operation]] = (
    *(("hours", 0), ("targets", 1), ("write", "a", False, 0), ("write", "b", False, 10), ("write", "b", True, 5)),
    ("hours", 1),
)


async def test_the_comparison_finds_a_change_that_inquiries_do_not_follow(
    setup: InquirySetup, clock: SetClock, monkeypatch: pytest.MonkeyPatch, post: Post
) -> None:
    """The control: other hours move the waits, and the inquiries keep what they had."""

    async def forget(*_: object) -> int:
        return 0

    history = History(setup, clock)
    for operation in BY_HOURS[:-1]:
        await history.perform(operation)
    monkeypatch.setattr(due_dates, "refresh", forget)
    with pytest.raises(AssertionError, match="hours"):
        await history.perform(BY_HOURS[-1])


async def test_what_differs_is_repaired_at_night(
    setup: InquirySetup, agency: Agency, clock: SetClock, post: Post
) -> None:
    history = History(setup, clock)
    for operation in BY_HOURS:
        await history.perform(operation)
    before = {one["id"]: (one["due_at"], one["due_target"]) for one in await setup.inquiries()}
    assert len(set(before.values())) == 2
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(text("UPDATE inquiry SET due_at = NULL, due_target = NULL WHERE status = 'open'"))
        # As an older release stores it, while it is replaced.
        await session.execute(text("UPDATE response_wait SET resolution_due_at = NULL WHERE ended_at IS NOT NULL"))
    jobs = ("inquiries.reconcile-due-dates", "inquiries.reconcile-due-dates-of-workspace")
    for expected in ([1], []):
        with capture_logs() as logs:
            await agency.recur(jobs[0])
            await agency.work(jobs[1])
        assert [one["inquiries"] for one in logs if one["event"] == "due_dates.repaired"] == expected
    assert {one["id"]: (one["due_at"], one["due_target"]) for one in await setup.inquiries()} == before


async def test_the_migration_finds_the_deadlines(
    setup: InquirySetup, agency: Agency, clock: SetClock, post: Post, servers: Servers, database: str
) -> None:
    """What it fills in for stored inquiries is what is computed for them now."""
    history = History(setup, clock)
    for operation in (("hours", 2), ("targets", 3)):
        await history.perform(operation)
    for number in range(60):
        clock.advance(97 * MINUTE)
        thread = f"t{number % 9}"
        by = OURS if number % 4 == 3 else OLGA
        await setup.store_messages(setup.message(str(number), clock.now(), thread_id=thread, by=by))
        if number % 11 == 10:
            await history._act("resolve", number % 2)
    migration = import_module("migrations.versions.1105_due_inquiries")
    own = {"workspace_id": agency.workspace_id}
    queries = (
        "SELECT id, due_at, due_target FROM inquiry WHERE workspace_id = :workspace_id ORDER BY id",
        """
SELECT w.id, w.resolution_due_at FROM response_wait w JOIN inquiry i ON i.id = w.inquiry_id
WHERE w.workspace_id = :workspace_id AND i.status <> 'resolved'
  AND w.started_at = (SELECT max(started_at) FROM response_wait o WHERE o.inquiry_id = i.id AND o.opening)
ORDER BY w.id
""",
    )
    engine = create_async_engine(servers.superuser_url(database))
    async with engine.connect() as connection:  # never committed: other tests' rows are there too
        computed = [(await connection.execute(text(query), own)).all() for query in queries]
        await connection.execute(text("UPDATE inquiry SET due_at = NULL, due_target = NULL"))
        await connection.execute(text("UPDATE response_wait SET resolution_due_at = NULL"))
        everything = f"ARRAY(SELECT id FROM inquiry WHERE workspace_id = '{uuid.UUID(str(agency.workspace_id))}')"
        for fill in (migration.FILL_WAITS, migration.FILL_INQUIRIES):
            await connection.exec_driver_sql(fill.format(ids=everything))
        filled = [(await connection.execute(text(query), own)).all() for query in queries]
    await engine.dispose()
    assert {row.due_target for row in computed[0]} == {None, "first_response", "resolution"}
    assert filled == computed


@pytest.mark.parametrize("in_order", [True, False], ids=["project first", "the control: inquiry first"])
async def test_other_hours_while_an_inquiry_is_resolved(
    setup: InquirySetup, agency: Agency, clock: SetClock, post: Post, monkeypatch: pytest.MonkeyPatch, in_order: bool
) -> None:
    """Who resolves has the inquiry's row, who changes the hours is to move its deadline: one waits, none dies of it."""
    history = History(setup, clock)
    for operation in BY_HOURS[:-1]:
        await history.perform(operation)
    recount, changes = service._recount, []

    async def meanwhile(*arguments: Any) -> None:
        changes.append(asyncio.create_task(agency.http.put(f"{history.path}/working-hours", json=HOURS[1])))
        await asyncio.wait(changes, timeout=0.3)
        await recount(*arguments)

    async def nothing(*_: object) -> None:
        """Lock no project."""

    monkeypatch.setattr(service, "_recount", meanwhile)
    if not in_order:
        monkeypatch.setattr(service, "lock_calendars", nothing)
    waiting = next(one for one in await setup.inquiries() if one["status"] == "open")
    resolved = await agency.http.post(f"/v1/inquiries/{waiting['id']}/resolve", json={"reason": "By phone."})
    statuses = resolved.status_code, (await changes[0]).status_code
    assert (statuses == (200, 200)) is in_order, statuses
