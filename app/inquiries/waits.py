"""Stores the waits and the resolved episodes of conversations, with their working time and their targets."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Row, Table, any_, delete, literal, select, update
from sqlalchemy.dialects.postgresql import UUID as UUID_TYPE
from sqlalchemy.ext.asyncio import AsyncSession

from app.inquiries.conversation import ConversationState, Episode, Wait
from app.inquiries.models import ResolvedEpisode, ResponseWait
from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import Base, in_workspace, now, workspace_of
from app.kit.ids import uuid7
from app.projects.hours import after_working_seconds, working_seconds
from app.projects.service import WorkCalendar, calendar

_WAIT: Final = Base.metadata.tables[ResponseWait.__tablename__]
_EPISODE: Final = Base.metadata.tables[ResolvedEpisode.__tablename__]

_OF_INQUIRY: Final = ("workspace_id", "id", "inquiry_id", "project_id", "community_id", "started_at")
_ENDS: Final = {
    _WAIT: ("due_at", "ended_at", "ended_by", "opening", "working_seconds"),
    _EPISODE: ("resolved_at", "automatic", "working_seconds", "target_seconds"),
}
_INSERTS: Final = {table: bulk_insert(table, (*_OF_INQUIRY, *ends)) for table, ends in _ENDS.items()}
_UPSERTS: Final = {
    table: insert.on_conflict_do_update(
        index_elements=["workspace_id", "inquiry_id", "started_at"],
        set_={name: insert.excluded[name] for name in _ENDS[table]},
    )
    for table, insert in _INSERTS.items()
}


class _Calendar:
    """The project's calendar, read when it is first needed, and what is computed from it."""

    def __init__(self, session: AsyncSession, project_id: UUID) -> None:
        self._session = session
        self._project_id = project_id
        self._read: WorkCalendar | None = None

    async def read(self) -> WorkCalendar:
        """The calendar; it does not change until the transaction ends."""
        self._read = self._read or await calendar(self._session, project_id=self._project_id)
        return self._read

    async def seconds(self, start: datetime, end: datetime) -> int:
        """Working seconds of a period."""
        work = await self.read()
        return working_seconds(start, end, work.hours, work.zone)

    async def due_at(self, start: datetime) -> datetime | None:
        """Until when a wait that starts then may last."""
        return due_at(start, await self.read())


def due_at(start: datetime, work: WorkCalendar) -> datetime | None:
    """The end of the target's working time for a wait that starts then; None where there is no target."""
    seconds = work.targets.first_response_seconds(start, work.zone)
    return after_working_seconds(start, seconds, work.hours, work.zone) if seconds is not None else None


async def save(
    session: AsyncSession, *, project_id: UUID, community_id: UUID, conversations: Mapping[UUID, ConversationState]
) -> None:
    """Store the waits and the episodes of inquiries, in place of those that are stored.

    What has ended as it had before keeps the working time and the target that it had when it ended.
    """
    if not conversations:
        return
    work = _Calendar(session, project_id)
    common = {"workspace_id": workspace_of(session), "project_id": project_id, "community_id": community_id}
    stored_waits = await _stored(session, _WAIT, conversations)
    waits: list[dict[str, Any]] = []
    for inquiry_id, conversation in conversations.items():
        for wait in conversation.waits:
            row = stored_waits.pop((inquiry_id, wait.started_at), None)
            if row is None or not _is_same_wait(row, wait):
                waits.append({**common, **_identity(row, inquiry_id, wait), **await _wait(row, wait, work)})
    stored_episodes = await _stored(session, _EPISODE, conversations)
    episodes: list[dict[str, Any]] = []
    for inquiry_id, conversation in conversations.items():
        for episode in conversation.episodes:
            row = stored_episodes.pop((inquiry_id, episode.started_at), None)
            if row is None or (row.resolved_at, row.automatic) != (episode.resolved_at, episode.automatic):
                episodes.append({**common, **_identity(row, inquiry_id, episode), **await _episode(episode, work)})
    if waits or episodes or stored_waits or stored_episodes:
        # The project's row first, in every transaction that locks waits: to avoid deadlocks with a change of its hours.
        await work.read()
    await _replace(session, _WAIT, waits, stored_waits.values())
    await _replace(session, _EPISODE, episodes, stored_episodes.values())


def _identity(row: Row[Any] | None, inquiry_id: UUID, of: Wait | Episode) -> dict[str, Any]:
    return {"id": row.id if row is not None else uuid7(), "inquiry_id": inquiry_id, "started_at": of.started_at}


def _is_same_wait(row: Row[Any], wait: Wait) -> bool:
    ended_by = wait.ended_by.value if wait.ended_by is not None else None
    return (row.ended_at, row.ended_by, row.opening) == (wait.ended_at, ended_by, wait.opening)


async def _wait(row: Row[Any] | None, wait: Wait, work: _Calendar) -> dict[str, Any]:
    if row is not None and row.ended_at == wait.ended_at:
        seconds = row.working_seconds
    else:
        seconds = await work.seconds(wait.started_at, wait.ended_at) if wait.ended_at is not None else None
    return {
        "due_at": row.due_at if row is not None else await work.due_at(wait.started_at),
        "ended_at": wait.ended_at,
        "ended_by": wait.ended_by.value if wait.ended_by is not None else None,
        "opening": wait.opening,
        "working_seconds": seconds,
    }


async def _episode(episode: Episode, work: _Calendar) -> dict[str, Any]:
    zone, targets = (await work.read()).zone, (await work.read()).targets
    return {
        "resolved_at": episode.resolved_at,
        "automatic": episode.automatic,
        "working_seconds": await work.seconds(episode.started_at, episode.resolved_at),
        "target_seconds": targets.resolution_seconds(episode.started_at, zone),
    }


async def _stored(
    session: AsyncSession, table: Table, inquiry_ids: Collection[UUID]
) -> dict[tuple[UUID, datetime], Row[Any]]:
    rows = await session.execute(
        select(table).where(
            table.c.workspace_id == workspace_of(session),
            table.c.inquiry_id == any_(literal(list(inquiry_ids), ARRAY(UUID_TYPE(as_uuid=True)))),
        )
    )
    return {(row.inquiry_id, row.started_at): row for row in rows}


async def _replace(
    session: AsyncSession, table: Table, changed: Sequence[Mapping[str, Any]], obsolete: Collection[Row[Any]]
) -> None:
    if obsolete:
        ids = literal([row.id for row in obsolete], ARRAY(UUID_TYPE(as_uuid=True)))
        await session.execute(
            delete(table).where(table.c.workspace_id == workspace_of(session), table.c.id == any_(ids))
        )
    if changed:
        await session.execute(_UPSERTS[table], column_arrays(changed, (*_OF_INQUIRY, *_ENDS[table])))


async def hours_changed(session: AsyncSession, *, project_id: UUID) -> None:
    """Compute anew until when the customers who wait now may wait. What is due already stays so, and nothing becomes
    due in the past: figures of the past do not change.
    """
    at = now(session)
    rows = await session.execute(
        select(ResponseWait.id, ResponseWait.started_at, ResponseWait.due_at)
        .where(
            in_workspace(ResponseWait, workspace_of(session)),
            ResponseWait.project_id == project_id,
            ResponseWait.ended_at.is_(None),
        )
        .order_by(ResponseWait.id)
        .with_for_update()
    )
    work = await calendar(session, project_id=project_id)
    changed = []
    for row in rows:
        if row.due_at is not None and row.due_at <= at:
            continue
        due = due_at(row.started_at, work)
        due = max(due, at) if due is not None else None
        if due != row.due_at:
            changed.append({"workspace_id": workspace_of(session), "id": row.id, "due_at": due})
    if changed:
        await session.execute(update(ResponseWait), changed)


async def targets_changed(session: AsyncSession, *, project_id: UUID, since: datetime) -> None:
    """Measure what began at `since` or later against the targets that hold now."""
    work = await calendar(session, project_id=project_id)
    waits = await session.execute(
        select(ResponseWait.id, ResponseWait.started_at, ResponseWait.due_at)
        .where(
            in_workspace(ResponseWait, workspace_of(session)),
            ResponseWait.project_id == project_id,
            ResponseWait.started_at >= since,
            (ResponseWait.ended_at >= since) | ResponseWait.ended_at.is_(None),
        )
        .order_by(ResponseWait.id)
        .with_for_update()
    )
    common = {"workspace_id": workspace_of(session)}
    changed = [
        {**common, "id": row.id, "due_at": due} for row in waits if (due := due_at(row.started_at, work)) != row.due_at
    ]
    if changed:
        await session.execute(update(ResponseWait), changed)
    episodes = await session.execute(
        select(ResolvedEpisode.id, ResolvedEpisode.started_at, ResolvedEpisode.target_seconds)
        .where(
            in_workspace(ResolvedEpisode, workspace_of(session)),
            ResolvedEpisode.project_id == project_id,
            ResolvedEpisode.started_at >= since,
            ResolvedEpisode.resolved_at >= since,
        )
        .order_by(ResolvedEpisode.id)
        .with_for_update()
    )
    targets = [
        {**common, "id": row.id, "target_seconds": seconds}
        for row in episodes
        if (seconds := work.targets.resolution_seconds(row.started_at, work.zone)) != row.target_seconds
    ]
    if targets:
        await session.execute(update(ResolvedEpisode), targets)
