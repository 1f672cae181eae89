"""Stores the waits and the resolved episodes of conversations, with their working time, targets and deadlines."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Row, Table, any_, delete, literal, select
from sqlalchemy.dialects.postgresql import UUID as UUID_TYPE
from sqlalchemy.ext.asyncio import AsyncSession

from app.inquiries.conversation import ConversationState, Episode, Wait
from app.inquiries.models import DueTarget, ResolvedEpisode, ResponseWait
from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import Base, workspace_of
from app.kit.ids import uuid7
from app.projects.hours import after_working_seconds, working_seconds
from app.projects.service import WorkCalendar

_WAIT: Final = Base.metadata.tables[ResponseWait.__tablename__]
_EPISODE: Final = Base.metadata.tables[ResolvedEpisode.__tablename__]

_OF_INQUIRY: Final = ("workspace_id", "id", "inquiry_id", "project_id", "community_id", "started_at")
_ENDS: Final = {
    _WAIT: ("due_at", "resolution_due_at", "ended_at", "ended_by", "opening", "working_seconds"),
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


def due_at(start: datetime, work: WorkCalendar) -> datetime | None:
    """Until when a wait that starts then may last; None where there is no target, or nobody works."""
    return _after(start, work.targets.first_response_seconds(start, work.zone), work)


def resolution_due_at(start: datetime, work: WorkCalendar) -> datetime | None:
    """Until when what begins then is to be resolved; None where there is no target, or nobody works."""
    return _after(start, work.targets.resolution_seconds(start, work.zone), work)


def _after(start: datetime, seconds: int | None, work: WorkCalendar) -> datetime | None:
    return after_working_seconds(start, seconds, work.hours, work.zone) if seconds is not None else None


class Due(NamedTuple):
    """A deadline, and the target it follows from."""

    at: datetime
    target: DueTarget


def earliest(response: datetime | None, resolution: datetime | None) -> Due | None:
    """The earlier one of an inquiry's deadlines, of two at one instant the answer's; None where it has none."""
    both = ((response, DueTarget.FIRST_RESPONSE), (resolution, DueTarget.RESOLUTION))
    return min((Due(at, target) for at, target in both if at is not None), key=lambda due: due.at, default=None)


@dataclass(slots=True)
class ComputedWaits:
    """The waits and episodes of inquiries as they are to be stored, and the deadlines that follow."""

    due: Mapping[UUID, Due | None]
    """By inquiry."""
    _changed: Mapping[Table, Sequence[Mapping[str, Any]]]
    _obsolete: Mapping[Table, Collection[Row[Any]]]

    async def store(self, session: AsyncSession) -> None:
        """Store them in place of those that are stored; their inquiries are stored already."""
        for table, changed in self._changed.items():
            await _replace(session, table, changed, self._obsolete[table])


async def compute(
    session: AsyncSession,
    work: WorkCalendar,
    *,
    project_id: UUID,
    community_id: UUID,
    conversations: Mapping[UUID, ConversationState],
) -> ComputedWaits:
    """The waits and the episodes of inquiries.

    What has ended as it had before keeps the working time and the target that it had when it ended, and what is stored
    keeps its deadlines.
    """
    common = {"workspace_id": workspace_of(session), "project_id": project_id, "community_id": community_id}
    stored_waits = await _stored(session, _WAIT, conversations)
    waits: list[dict[str, Any]] = []
    deadlines: dict[UUID, Due | None] = {}
    for inquiry_id, conversation in conversations.items():
        response: datetime | None = None
        resolution: datetime | None = None
        for wait in conversation.waits:
            row = stored_waits.pop((inquiry_id, wait.started_at), None)
            if row is None or not _is_same_wait(row, wait):
                values = _wait(row, wait, work)
                waits.append({**common, **_identity(row, inquiry_id, wait), **values})
            else:
                values = {name: getattr(row, name) for name in ("due_at", "resolution_due_at")}
            if wait.ended_at is None:
                response = values["due_at"]
            if wait.started_at == conversation.episode_started_at:
                resolution = values["resolution_due_at"]
        deadlines[inquiry_id] = earliest(response, resolution)
    stored_episodes = await _stored(session, _EPISODE, conversations)
    episodes: list[dict[str, Any]] = []
    for inquiry_id, conversation in conversations.items():
        for episode in conversation.episodes:
            row = stored_episodes.pop((inquiry_id, episode.started_at), None)
            if row is None or (row.resolved_at, row.automatic) != (episode.resolved_at, episode.automatic):
                episodes.append({**common, **_identity(row, inquiry_id, episode), **_episode(episode, work)})
    return ComputedWaits(
        deadlines,
        {_WAIT: waits, _EPISODE: episodes},
        {_WAIT: stored_waits.values(), _EPISODE: stored_episodes.values()},
    )


def _identity(row: Row[Any] | None, inquiry_id: UUID, of: Wait | Episode) -> dict[str, Any]:
    return {"id": row.id if row is not None else uuid7(), "inquiry_id": inquiry_id, "started_at": of.started_at}


def _is_same_wait(row: Row[Any], wait: Wait) -> bool:
    ended_by = wait.ended_by.value if wait.ended_by is not None else None
    return (row.ended_at, row.ended_by, row.opening) == (wait.ended_at, ended_by, wait.opening)


def _wait(row: Row[Any] | None, wait: Wait, work: WorkCalendar) -> dict[str, Any]:
    if row is not None and row.ended_at == wait.ended_at:
        seconds = row.working_seconds
    elif wait.ended_at is not None:
        seconds = working_seconds(wait.started_at, wait.ended_at, work.hours, work.zone)
    else:
        seconds = None
    if not wait.opening:
        resolution = None
    elif row is not None and row.opening:
        resolution = row.resolution_due_at
    else:
        resolution = resolution_due_at(wait.started_at, work)
    return {
        "due_at": row.due_at if row is not None else due_at(wait.started_at, work),
        "resolution_due_at": resolution,
        "ended_at": wait.ended_at,
        "ended_by": wait.ended_by.value if wait.ended_by is not None else None,
        "opening": wait.opening,
        "working_seconds": seconds,
    }


def _episode(episode: Episode, work: WorkCalendar) -> dict[str, Any]:
    return {
        "resolved_at": episode.resolved_at,
        "automatic": episode.automatic,
        "working_seconds": working_seconds(episode.started_at, episode.resolved_at, work.hours, work.zone),
        "target_seconds": work.targets.resolution_seconds(episode.started_at, work.zone),
    }


async def _stored(
    session: AsyncSession, table: Table, inquiry_ids: Iterable[UUID]
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
