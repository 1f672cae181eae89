"""What of the installation needs its owners.

A worker finds this out, so it knows of jobs that are late, and of workers that were away and are back; that none runs,
or that the database is away, only a monitor outside of the installation can say, which asks `/ready`.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts.contract import AlertKind, Concern, ConcernQuery
from app.kit.jobs import Job, WorkerHeartbeat, due
from app.kit.scheduler import Health
from app.operations.readiness import fault


async def not_ready(session: AsyncSession, query: ConcernQuery) -> Sequence[Concern]:
    """That the installation is not ready, as `/ready` says it: of each workspace one concern."""
    heartbeat_at, oldest_due_at = (
        await session.execute(
            select(
                select(func.max(WorkerHeartbeat.at)).scalar_subquery(),
                select(func.min(Job.run_at)).where(Job.state == "waiting", due(query.at)).scalar_subquery(),
            )
        )
    ).one()
    wrong = fault(Health(heartbeat_at, oldest_due_at, 0), query.at)
    if wrong is None or wrong.since is None or query.after is not None:
        return ()
    since, workspace_id = literal(wrong.since), literal(query.workspace_id, UUID(as_uuid=True))
    statement = select(since.label("since"), workspace_id.label("id"))
    rows = await session.execute(query.page(statement, since=since, subject=workspace_id))
    return [Concern(row.id, None, row.since, {"detail": wrong.detail}) for row in rows]


KINDS: Final = (
    AlertKind(
        key="installation-not-ready",
        title="Instep does not keep up",
        text="{detail} GET /ready says whether that is over; instep doctor says more.",
        seats=(),
        threshold=timedelta(minutes=5),
        find=not_ready,
        ongoing=True,
        is_urgent=True,
    ),
)
