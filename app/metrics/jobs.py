"""Jobs of metrics: recounts, on request and nightly."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import select

from app.access.service import workspaces
from app.kit.jobs import Run, enqueue, job
from app.metrics import service
from app.projects.models import Project

log = structlog.get_logger()

DIFFERENCES = Counter(
    "instep_metrics_differences", "Stored rollup rows that a recount found wrong and rebuilt.", ["table"]
)
MAX_LOGGED: Final = 20
"""How many differences of a project are logged in full."""


@job("metrics.recount", timeout=timedelta(minutes=10))
async def recount(run: Run, project_id: UUID) -> None:
    """Rebuild a project's rollups: its time zone has changed."""
    async with run.step() as session:
        await service.recount_project(session, run.actor, project_id)
        await run.finish(session)


@job("metrics.reconcile", every=timedelta(hours=24))
async def reconcile(run: Run) -> None:
    """Enqueue the comparison of every workspace's rollups with a recount."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, "metrics.reconcile_workspace", workspace_id=workspace_id, key="nightly")


@job("metrics.reconcile_workspace")
async def reconcile_workspace(run: Run) -> None:
    """Enqueue the comparison of each project of a workspace with a recount."""
    assert run.workspace_id is not None
    async with run.step() as session:
        for project_id in await session.scalars(
            select(Project.id).where(Project.workspace_id == run.workspace_id).order_by(Project.id)
        ):
            await enqueue(
                session,
                "metrics.reconcile_project",
                workspace_id=run.workspace_id,
                key=str(project_id),
                project_id=project_id,
            )
        await run.finish(session)


@job("metrics.reconcile_project", timeout=timedelta(minutes=10))
async def reconcile_project(run: Run, project_id: UUID) -> None:
    """Compare a project's rollups with a recount; rebuild, count and log what differs."""
    async with run.step() as session:
        differences = await service.reconcile(session, project_id)
        if differences:
            await service.recount_project(session, run.actor, project_id, wrong_rows=len(differences))
        await run.finish(session)
    for difference in differences:
        DIFFERENCES.labels(difference.table).inc()
    for difference in differences[:MAX_LOGGED]:
        log.error(
            "metrics.difference",
            table=difference.table,
            key={name: str(value) for name, value in difference.key.items()},
            stored=difference.stored,
            counted=difference.counted,
        )
    if differences:
        log.error("metrics.rollups_rebuilt", project_id=str(project_id), differences=len(differences))
