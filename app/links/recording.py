"""Storing clicks: durable before the redirect, many in one commit.

Clicks that arrive during a commit are batched into the next one, so that a busy link costs one
commit for many clicks and a quiet one does not wait at all.

*Repeats*: a person who follows the same link again within `REPEAT_WINDOW` of the click that was counted (a
double click, a reload) is not counted again; the row is kept and marked as a repeat.

What may be lost: when PostgreSQL does not store a click within `WAIT_TIMEOUT`, the visitor is redirected
all the same. `instep_clicks{outcome="lost"}` counts clicks not stored, `"unknown"` those whose connection
broke during COMMIT, and `"late"` those still being written when their visitor was redirected.
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

from app.kit.actors import Actor, ActorKind
from app.kit.db import Database
from app.kit.errors import CommitOutcomeUnknown
from app.kit.ids import uuid7

log = structlog.get_logger()

REPEAT_WINDOW: Final = timedelta(seconds=5)
VISITOR_RETENTION: Final = timedelta(hours=1)
"""How long it is kept when a visitor was last counted; far longer than `REPEAT_WINDOW` and any delay in storing."""
WAIT_TIMEOUT: Final = timedelta(seconds=2)
BATCH_SIZE: Final = 500
MAX_PENDING: Final = 20_000
"""Clicks pending in one process' memory; further ones are lost."""

CLICKS: Final = Counter("instep_clicks", "Clicks on tracked links, by outcome of storing them.", ["outcome"])


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a link, to be stored as a click."""

    workspace_id: UUID
    link_id: UUID
    at: datetime
    day: date
    visitor: bytes
    bot: str | None
    referrer: str | None


PendingVisits = list[tuple[Visit, asyncio.Future[None]]]


class ClickRecorder:
    """Stores one process' clicks."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._pending: defaultdict[UUID, PendingVisits] = defaultdict(list)
        self._writers: dict[UUID, asyncio.Task[None]] = {}
        self._pending_count = 0

    async def record(self, visit: Visit) -> None:
        """Store a visit; returns when it is committed, lost, or after `WAIT_TIMEOUT`. Never raises."""
        if self._pending_count >= MAX_PENDING:
            CLICKS.labels("lost").inc()
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending_count += 1
        self._pending[visit.workspace_id].append((visit, done))
        if visit.workspace_id not in self._writers:
            self._writers[visit.workspace_id] = asyncio.create_task(self._write(visit.workspace_id))
        try:
            async with asyncio.timeout(WAIT_TIMEOUT.total_seconds()):
                await asyncio.shield(done)
        except TimeoutError:
            CLICKS.labels("late").inc()

    async def _write(self, workspace_id: UUID) -> None:
        """Write a workspace's visits until none is pending."""
        try:
            while self._pending[workspace_id]:
                batch, rest = _split_batch(self._pending[workspace_id])
                self._pending[workspace_id] = rest
                try:
                    await store(self._db, workspace_id, [(visit, is_repeat) for visit, is_repeat, _ in batch])
                except CommitOutcomeUnknown:
                    log.warning("clicks.outcome_unknown", clicks=len(batch))
                    CLICKS.labels("unknown").inc(len(batch))
                except Exception as error:  # the visitors are redirected, whatever it is
                    log.warning("clicks.lost", clicks=len(batch), error=type(error).__name__, detail=str(error)[:200])
                    CLICKS.labels("lost").inc(len(batch))
                else:
                    CLICKS.labels("stored").inc(len(batch))
                self._pending_count -= len(batch)
                for _, _, done in batch:
                    if not done.done():
                        done.set_result(None)
        finally:
            del self._pending[workspace_id]
            del self._writers[workspace_id]


def _split_batch(pending: PendingVisits) -> tuple[list[tuple[Visit, bool, asyncio.Future[None]]], PendingVisits]:
    """The next visits to store, each with whether it repeats one of the same batch; and the others.

    A visitor is counted once in a batch; a click of theirs after `REPEAT_WINDOW` is left to the next one.
    """
    batch: list[tuple[Visit, bool, asyncio.Future[None]]] = []
    rest: PendingVisits = []
    counted: dict[tuple[UUID, bytes], datetime] = {}
    for visit, done in pending:
        key = (visit.link_id, visit.visitor)
        counted_at = counted.get(key) if visit.bot is None else None
        if len(batch) == BATCH_SIZE or (counted_at is not None and abs(visit.at - counted_at) >= REPEAT_WINDOW):
            rest.append((visit, done))
            continue
        if visit.bot is None:
            counted.setdefault(key, visit.at)
        batch.append((visit, counted_at is not None, done))
    return batch, rest


VISITOR: Final = Actor(ActorKind.ANONYMOUS, "visitor")


async def store(db: Database, workspace_id: UUID, visits: Sequence[tuple[Visit, bool]]) -> None:
    """Store visits and count their days, in one statement and one commit."""
    values = {
        "id": [uuid7() for _ in visits],
        "link_id": [visit.link_id for visit, _ in visits],
        "at": [visit.at for visit, _ in visits],
        "day": [visit.day for visit, _ in visits],
        "visitor": [visit.visitor for visit, _ in visits],
        "bot": [visit.bot for visit, _ in visits],
        "is_repeat": [is_repeat for _, is_repeat in visits],
        "referrer": [visit.referrer for visit, _ in visits],
    }
    async with db.transaction(workspace_id, VISITOR) as session:
        await session.execute(_STORE, {"workspace_id": workspace_id, **values})


# Clicks of a link deleted meanwhile drop out in `visit`; the rest of the batch is stored.
# Rows are written in key order, to avoid deadlocks.
_STORE: Final = text(f"""
WITH visit AS (
    SELECT incoming.*, link.project_id, link.community_id
    FROM unnest(
        CAST(:id AS uuid[]), CAST(:link_id AS uuid[]), CAST(:at AS timestamptz[]), CAST(:day AS date[]),
        CAST(:visitor AS bytea[]), CAST(:bot AS text[]), CAST(:is_repeat AS boolean[]), CAST(:referrer AS text[])
    ) AS incoming (id, link_id, at, day, visitor, bot, is_repeat, referrer)
    JOIN link ON link.workspace_id = :workspace_id AND link.id = incoming.link_id
), counted AS (
    INSERT INTO visitor AS stored (workspace_id, link_id, visitor, counted_at, click_id)
    SELECT :workspace_id, link_id, visitor, at, id FROM visit
    WHERE bot IS NULL AND NOT is_repeat ORDER BY link_id, visitor
    ON CONFLICT (workspace_id, link_id, visitor) DO UPDATE
    SET counted_at = excluded.counted_at, click_id = excluded.click_id
    WHERE abs(extract(epoch FROM excluded.counted_at - stored.counted_at)) >= {REPEAT_WINDOW.total_seconds()}
    RETURNING click_id
), inserted AS (
    INSERT INTO click
        (workspace_id, id, link_id, project_id, community_id, at, day, visitor, bot, referrer, repeat)
    SELECT :workspace_id, id, link_id, project_id, community_id, at, day, visitor, bot, referrer,
           bot IS NULL AND id NOT IN (SELECT click_id FROM counted)
    FROM visit
    RETURNING link_id, project_id, community_id, day, bot, repeat
)
INSERT INTO click_day AS stored (workspace_id, link_id, day, project_id, community_id, people, bots, repeats)
SELECT :workspace_id, link_id, day, project_id, community_id,
       count(*) FILTER (WHERE bot IS NULL AND NOT repeat),
       count(*) FILTER (WHERE bot IS NOT NULL),
       count(*) FILTER (WHERE repeat)
FROM inserted GROUP BY link_id, day, project_id, community_id ORDER BY link_id, day
ON CONFLICT (workspace_id, link_id, day) DO UPDATE
SET people = stored.people + excluded.people, bots = stored.bots + excluded.bots,
    repeats = stored.repeats + excluded.repeats
""")  # noqa: S608 - a number of ours
