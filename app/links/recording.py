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
from app.kit.group_commit import GroupWriter, QueueFull
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
    target_version: int = 1


class ClickRecorder:
    """Stores one process' clicks."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._writer: Final = GroupWriter[UUID, Visit](self._store, _next_batch, max_queued=MAX_PENDING)

    async def record(self, visit: Visit) -> None:
        """Store a visit; returns when it is committed, lost, or after `WAIT_TIMEOUT`. Never raises."""
        try:
            done = self._writer.submit(visit.workspace_id, visit)
        except QueueFull:
            CLICKS.labels("lost").inc()
            return
        done.add_done_callback(_count)
        _, pending = await asyncio.wait([done], timeout=WAIT_TIMEOUT.total_seconds())
        if pending:
            CLICKS.labels("late").inc()

    async def _store(self, workspace_id: UUID, visits: Sequence[Visit]) -> None:
        try:
            await store(self._db, workspace_id, visits)
        except CommitOutcomeUnknown:
            log.warning("clicks.outcome_unknown", clicks=len(visits))
            raise
        except Exception as error:
            log.warning("clicks.not_stored", clicks=len(visits), error=type(error).__name__, detail=str(error)[:200])
            raise


def _count(done: asyncio.Future[None]) -> None:
    """Count a click by the outcome of storing it; a visitor is redirected whatever that is."""
    error = None if done.cancelled() else done.exception()
    if done.cancelled() or isinstance(error, CommitOutcomeUnknown):
        CLICKS.labels("unknown").inc()
    else:
        CLICKS.labels("stored" if error is None else "lost").inc()


def _next_batch(pending: Sequence[Visit]) -> list[int]:
    """The positions of the visits to store next: of each visitor no more than is counted once.

    A click of theirs `REPEAT_WINDOW` or more after the first is left to the next batch, where it counts again.
    """
    batch: list[int] = []
    counted: dict[tuple[UUID, bytes], datetime] = {}
    for position, visit in enumerate(pending):
        if visit.bot is None:
            counted_at = counted.setdefault((visit.link_id, visit.visitor), visit.at)
            if abs(visit.at - counted_at) >= REPEAT_WINDOW:
                continue
        batch.append(position)
        if len(batch) == BATCH_SIZE:
            break
    return batch


def _repeats(visits: Sequence[Visit]) -> list[bool]:
    """Whether each visit repeats an earlier one of the same batch."""
    counted: set[tuple[UUID, bytes]] = set()
    repeats: list[bool] = []
    for visit in visits:
        key = (visit.link_id, visit.visitor)
        repeats.append(visit.bot is None and key in counted)
        if visit.bot is None:
            counted.add(key)
    return repeats


VISITOR: Final = Actor(ActorKind.ANONYMOUS, "visitor")


async def store(db: Database, workspace_id: UUID, visits: Sequence[Visit]) -> None:
    """Store a batch of visits and count their days, in one statement and one commit."""
    values = {
        "id": [uuid7() for _ in visits],
        "link_id": [visit.link_id for visit in visits],
        "at": [visit.at for visit in visits],
        "day": [visit.day for visit in visits],
        "visitor": [visit.visitor for visit in visits],
        "bot": [visit.bot for visit in visits],
        "is_repeat": _repeats(visits),
        "referrer": [visit.referrer for visit in visits],
        "target_version": [visit.target_version for visit in visits],
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
        CAST(:visitor AS bytea[]), CAST(:bot AS text[]), CAST(:is_repeat AS boolean[]), CAST(:referrer AS text[]),
        CAST(:target_version AS bigint[])
    ) AS incoming (id, link_id, at, day, visitor, bot, is_repeat, referrer, target_version)
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
        (workspace_id, id, link_id, project_id, community_id, at, day, visitor, bot, referrer, target_version, repeat)
    SELECT :workspace_id, id, link_id, project_id, community_id, at, day, visitor, bot, referrer, target_version,
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
