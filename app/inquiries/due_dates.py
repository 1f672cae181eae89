"""Deadlines that change without a message: by other working hours, another zone, other targets.

A deadline is a column of its wait; an inquiry has the earliest one of its own (`Inquiry.due_at`). Nobody writes that
something is overdue: it is where the deadline is over.

Whoever changes a project's hours or targets has its row locked, and locks inquiries after it. So does `recount`, which
reads the calendar first: in that order, to avoid deadlocks.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import bindparam, or_, select, text, true, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as UUID_TYPE
from sqlalchemy.ext.asyncio import AsyncSession

from app.inquiries.models import Inquiry, InquiryStatus, ResolvedEpisode, ResponseWait
from app.inquiries.waits import due_at, resolution_due_at
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.projects.models import Project
from app.projects.service import WorkCalendar, calendar

_OWED: Final = """
SELECT inquiry.id,
       least(wait.due_at, episode.resolution_due_at) AS due_at,
       CASE WHEN wait.due_at <= coalesce(episode.resolution_due_at, 'infinity') THEN 'first_response'
            WHEN episode.resolution_due_at IS NOT NULL THEN 'resolution' END AS due_target
FROM inquiry
LEFT JOIN response_wait AS wait ON wait.workspace_id = inquiry.workspace_id AND wait.inquiry_id = inquiry.id
    AND wait.ended_at IS NULL
LEFT JOIN LATERAL (
    SELECT opening.resolution_due_at FROM response_wait AS opening
    WHERE opening.workspace_id = inquiry.workspace_id AND opening.inquiry_id = inquiry.id AND opening.opening
    ORDER BY opening.started_at DESC LIMIT 1
) AS episode ON inquiry.status <> 'resolved'
WHERE inquiry.workspace_id = :workspace_id
"""
"""What is owed by the stored waits, for each inquiry: `waits.compute` gives the same."""
_STORE: Final = text(
    f"""
UPDATE inquiry SET due_at = owed.due_at, due_target = owed.due_target, version = version + 1
FROM ({_OWED} AND inquiry.id = ANY(:ids)) AS owed
WHERE inquiry.workspace_id = :workspace_id AND inquiry.id = owed.id
  AND (inquiry.due_at, inquiry.due_target) IS DISTINCT FROM (owed.due_at, owed.due_target)
"""  # noqa: S608 - a constant
).bindparams(
    bindparam("workspace_id", type_=UUID_TYPE(as_uuid=True)),
    bindparam("ids", type_=ARRAY(UUID_TYPE(as_uuid=True))),
)
_MAY_DIFFER: Final = text(
    """
SELECT id FROM inquiry WHERE workspace_id = :workspace_id AND project_id = :project_id
  AND (status <> 'resolved' OR due_at IS NOT NULL)
"""
).bindparams(*(bindparam(name, type_=UUID_TYPE(as_uuid=True)) for name in ("workspace_id", "project_id")))

log = structlog.get_logger()
REPAIRED: Final = Counter("instep_due_dates_repaired", "Inquiries whose deadline was other than their waits say.")


async def hours_changed(session: AsyncSession, *, project_id: UUID) -> None:
    """Compute anew until when the customers who wait now may wait, and until when what is not resolved is to be.

    What is due already stays so, and nothing becomes due in the past: figures of the past do not change.
    """
    at = now(session)
    work = await calendar(session, project_id=project_id)

    def moved(stored: datetime | None, computed: datetime | None) -> datetime | None:
        if stored is not None and stored <= at:
            return stored
        return max(computed, at) if computed is not None else None

    waits = await _locked(session, project_id, ResponseWait.ended_at.is_(None))
    changed = {
        row.id: (row, {"due_at": due})
        for row in waits
        if (due := moved(row.due_at, due_at(row.started_at, work))) != row.due_at
    }
    for row in await _unresolved(session, project_id, work, at):
        due = moved(row.resolution_due_at, resolution_due_at(row.started_at, work))
        if due != row.resolution_due_at:
            _, values = changed.get(row.id, (row, {}))
            changed[row.id] = (row, {**values, "resolution_due_at": due})
    await _store(session, changed.values())


async def _unresolved(session: AsyncSession, project_id: UUID, work: WorkCalendar, at: datetime) -> Any:
    """The opening waits of what is not resolved and was not due, or had no deadline though a target holds."""
    since = work.targets.first_resolution_day(work.zone)
    if since is None:
        return ()
    may_move = or_(
        ResponseWait.resolution_due_at > at,
        ResponseWait.resolution_due_at.is_(None) & (ResponseWait.started_at >= since),
    )
    return await _locked(session, project_id, ResponseWait.opening.is_(true()), may_move, _is_latest_opening())


def _is_latest_opening() -> Any:
    """The wait with which that began of an inquiry that is not resolved."""
    later = ResponseWait.__table__.alias("later")
    return (
        select(Inquiry.id)
        .where(
            Inquiry.workspace_id == ResponseWait.workspace_id,
            Inquiry.id == ResponseWait.inquiry_id,
            Inquiry.status != InquiryStatus.RESOLVED.value,
        )
        .exists()
        & ~select(later.c.id)
        .where(
            later.c.workspace_id == ResponseWait.workspace_id,
            later.c.inquiry_id == ResponseWait.inquiry_id,
            later.c.opening,
            later.c.started_at > ResponseWait.started_at,
        )
        .exists()
    )


async def targets_changed(session: AsyncSession, *, project_id: UUID, since: datetime) -> None:
    """Measure what began at `since` or later against the targets that hold now."""
    work = await calendar(session, project_id=project_id)
    waits = await _locked(
        session,
        project_id,
        ResponseWait.started_at >= since,
        (ResponseWait.ended_at >= since) | ResponseWait.ended_at.is_(None),
    )
    changed = []
    for row in waits:
        dues = {"due_at": due_at(row.started_at, work)}
        if row.opening:
            dues["resolution_due_at"] = resolution_due_at(row.started_at, work)
        if any(getattr(row, name) != due for name, due in dues.items()):
            changed.append((row, dues))
    await _store(session, changed)
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
        {"workspace_id": workspace_of(session), "id": row.id, "target_seconds": seconds}
        for row in episodes
        if (seconds := work.targets.resolution_seconds(row.started_at, work.zone)) != row.target_seconds
    ]
    if targets:
        await session.execute(update(ResolvedEpisode), targets)


async def _locked(session: AsyncSession, project_id: UUID, *conditions: Any) -> Any:
    return await session.execute(
        select(
            ResponseWait.id,
            ResponseWait.inquiry_id,
            ResponseWait.started_at,
            ResponseWait.opening,
            ResponseWait.due_at,
            ResponseWait.resolution_due_at,
        )
        .where(in_workspace(ResponseWait, workspace_of(session)), ResponseWait.project_id == project_id, *conditions)
        .order_by(ResponseWait.id)
        .with_for_update()
    )


async def _store(session: AsyncSession, changed: Collection[tuple[Any, dict[str, datetime | None]]]) -> None:
    """Store the deadlines of waits, and those of their inquiries that follow."""
    if not changed:
        return
    for name in ("due_at", "resolution_due_at"):
        values = [
            {"workspace_id": workspace_of(session), "id": row.id, name: dues[name]}
            for row, dues in changed
            if name in dues
        ]
        if values:
            await session.execute(update(ResponseWait), values)
    await refresh(session, {row.inquiry_id for row, _ in changed})


async def refresh(session: AsyncSession, inquiry_ids: Collection[UUID]) -> int:
    """Store the earliest deadlines of inquiries, by their stored waits; how many were other."""
    ids = sorted(inquiry_ids)
    # In key order, to avoid deadlocks.
    locked = select(Inquiry.id).where(in_workspace(Inquiry, workspace_of(session)), Inquiry.id.in_(ids))
    await session.execute(locked.order_by(Inquiry.id).with_for_update())
    result: Any = await session.execute(_STORE, {"workspace_id": workspace_of(session), "ids": ids})
    return int(result.rowcount)


async def reconcile(session: AsyncSession, project_id: UUID) -> int:
    """Compare the deadlines of a project's inquiries with their waits, and store those that differ; their number.

    Waits without a deadline that have a target get one too: a release before this one may have stored them last.
    """
    await fetch(session, Project, project_id, for_update=True)  # so that no message changes a wait meanwhile
    await hours_changed(session, project_id=project_id)
    of_project = {"workspace_id": workspace_of(session), "project_id": project_id}
    return await refresh(session, (await session.scalars(_MAY_DIFFER, of_project)).all())


def report(repaired: int, workspace_id: UUID | None) -> None:
    """Log that deadlines were other than the waits, and count them: after the commit."""
    REPAIRED.inc(repaired)
    if repaired:
        log.error("due_dates.repaired", inquiries=repaired, workspace_id=str(workspace_id))
