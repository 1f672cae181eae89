"""Storing clicks: durable before the redirect, many in one commit.

While one commit is under way, the clicks that arrive meanwhile wait and go together in the next
one, so that a busy link costs a commit for many clicks and a quiet one does not wait at all.

*Once*: a person who follows the same link again within `ONCE` of the click that was counted (a
double click, a reload) is not counted again; the row is kept and marked as a repeat.

What may be lost: when PostgreSQL does not take a click within `WAIT_TIMEOUT`, the visitor is sent on
all the same. `instep_clicks{outcome="lost"}` counts what is not stored, `"unknown"` what was under way
when the connection broke during COMMIT, and `"late"` what was still being written when its visitor
was sent on.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import text

from app.kit.db import Database
from app.kit.errors import CommitOutcomeUnknown
from app.kit.ids import uuid7

log = structlog.get_logger()

ONCE: Final = timedelta(seconds=5)
FORGOTTEN: Final = timedelta(hours=1)
"""Nobody needs to know any more when a visitor was last counted: `ONCE` is long over for every click on its way."""
WAIT_TIMEOUT: Final = timedelta(seconds=2)
BATCH: Final = 500
MOST_WAITING: Final = 20_000
"""More clicks than this in one process' memory are not waited for any more."""

CLICKS: Final = Counter("instep_clicks", "Clicks on tracked links, by what became of them.", ["outcome"])


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody, or something, follows a link."""

    workspace_id: UUID
    link_id: UUID
    at: datetime
    day: date
    visitor: bytes
    bot: str | None
    referrer: str | None


Waiting = list[tuple[Visit, asyncio.Future[None]]]


class Recorder:
    """Stores one process' clicks."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: defaultdict[UUID, Waiting] = defaultdict(list)
        self._writers: dict[UUID, asyncio.Task[None]] = {}
        self._held = 0

    async def record(self, visit: Visit) -> None:
        """Store a visit; returns when it is committed, given up, or has taken too long. Never raises."""
        if self._held >= MOST_WAITING:
            CLICKS.labels("lost").inc()
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held += 1
        self._waiting[visit.workspace_id].append((visit, done))
        if visit.workspace_id not in self._writers:
            self._writers[visit.workspace_id] = asyncio.create_task(self._write(visit.workspace_id))
        try:
            async with asyncio.timeout(WAIT_TIMEOUT.total_seconds()):
                await asyncio.shield(done)
        except TimeoutError:
            CLICKS.labels("late").inc()

    async def _write(self, workspace_id: UUID) -> None:
        """Write a workspace's visits until none is waiting."""
        try:
            while self._waiting[workspace_id]:
                batch, rest = _first_batch(self._waiting[workspace_id])
                self._waiting[workspace_id] = rest
                try:
                    await store(self._db, workspace_id, [(visit, again) for visit, again, _ in batch])
                except CommitOutcomeUnknown:
                    log.warning("clicks.outcome_unknown", clicks=len(batch))
                    CLICKS.labels("unknown").inc(len(batch))
                except Exception as error:  # the visitors are sent on, whatever it is
                    log.warning("clicks.lost", clicks=len(batch), error=type(error).__name__, detail=str(error)[:200])
                    CLICKS.labels("lost").inc(len(batch))
                else:
                    CLICKS.labels("stored").inc(len(batch))
                self._held -= len(batch)
                for _, _, done in batch:
                    if not done.done():
                        done.set_result(None)
        finally:
            del self._waiting[workspace_id]
            del self._writers[workspace_id]


def _first_batch(waiting: Waiting) -> tuple[list[tuple[Visit, bool, asyncio.Future[None]]], Waiting]:
    """The next visits to store, each with whether it repeats one of the same batch; and the others.

    A visitor is counted once in a batch; who comes again after `ONCE` is left to the next one.
    """
    batch: list[tuple[Visit, bool, asyncio.Future[None]]] = []
    rest: Waiting = []
    counted: dict[tuple[UUID, bytes], datetime] = {}
    for visit, done in waiting:
        key = (visit.link_id, visit.visitor)
        before = counted.get(key) if visit.bot is None else None
        if len(batch) == BATCH or (before is not None and abs(visit.at - before) >= ONCE):
            rest.append((visit, done))
            continue
        if visit.bot is None:
            counted.setdefault(key, visit.at)
        batch.append((visit, before is not None, done))
    return batch, rest


async def store(db: Database, workspace_id: UUID, visits: Sequence[tuple[Visit, bool]]) -> None:
    """Store visits and count their days, in one statement and one commit."""
    values = {
        "id": [uuid7() for _ in visits],
        "link_id": [visit.link_id for visit, _ in visits],
        "at": [visit.at for visit, _ in visits],
        "day": [visit.day for visit, _ in visits],
        "visitor": [visit.visitor for visit, _ in visits],
        "bot": [visit.bot for visit, _ in visits],
        "again": [again for _, again in visits],
        "referrer": [visit.referrer for visit, _ in visits],
    }
    async with db.transaction(workspace_id) as session:
        await session.execute(_STORE, {"workspace_id": workspace_id, **values})


# A link that was deleted meanwhile drops out in `visit`, and takes nobody else's clicks with it.
# Rows that others may be changing too are touched in the order of their keys: nobody waits in a circle.
_STORE: Final = text(f"""
WITH visit AS (
    SELECT came.*, link.project_id, link.community_id
    FROM unnest(
        CAST(:id AS uuid[]), CAST(:link_id AS uuid[]), CAST(:at AS timestamptz[]), CAST(:day AS date[]),
        CAST(:visitor AS bytea[]), CAST(:bot AS text[]), CAST(:again AS boolean[]), CAST(:referrer AS text[])
    ) AS came (id, link_id, at, day, visitor, bot, again, referrer)
    JOIN link ON link.workspace_id = :workspace_id AND link.id = came.link_id
), counted AS (
    INSERT INTO visitor AS known (workspace_id, link_id, visitor, counted_at, click_id)
    SELECT :workspace_id, link_id, visitor, at, id FROM visit
    WHERE bot IS NULL AND NOT again ORDER BY link_id, visitor
    ON CONFLICT (workspace_id, link_id, visitor) DO UPDATE
    SET counted_at = excluded.counted_at, click_id = excluded.click_id
    WHERE abs(extract(epoch FROM excluded.counted_at - known.counted_at)) >= {ONCE.total_seconds()}
    RETURNING click_id
), kept AS (
    INSERT INTO click
        (workspace_id, id, link_id, project_id, community_id, at, day, visitor, bot, referrer, repeat)
    SELECT :workspace_id, id, link_id, project_id, community_id, at, day, visitor, bot, referrer,
           bot IS NULL AND id NOT IN (SELECT click_id FROM counted)
    FROM visit
    RETURNING link_id, project_id, community_id, day, bot, repeat
)
INSERT INTO click_day AS known (workspace_id, link_id, day, project_id, community_id, people, bots, repeats)
SELECT :workspace_id, link_id, day, project_id, community_id,
       count(*) FILTER (WHERE bot IS NULL AND NOT repeat),
       count(*) FILTER (WHERE bot IS NOT NULL),
       count(*) FILTER (WHERE repeat)
FROM kept GROUP BY link_id, day, project_id, community_id ORDER BY link_id, day
ON CONFLICT (workspace_id, link_id, day) DO UPDATE
SET people = known.people + excluded.people, bots = known.bots + excluded.bots,
    repeats = known.repeats + excluded.repeats
""")  # noqa: S608 - a number of ours
