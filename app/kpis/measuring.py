"""Values of one KPI over many windows, for rooms above: of all communities of a project, or of some of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kpis import arithmetic, projects
from app.kpis.arithmetic import Datasets
from app.kpis.contract import Dataset, Kpi, LoadRequest, Project
from app.kpis.values import Value
from app.kpis.windows import Days

log = structlog.get_logger()


class Measured(NamedTuple):
    """The values of a KPI, in the order of the windows."""

    project: Project
    values: list[Value]


async def measure(
    connection: AsyncConnection,
    *,
    workspace_id: UUID,
    project_id: UUID,
    kpi: Kpi,
    windows: Sequence[Days],
    now: datetime,
    community_ids: Collection[UUID] = (),
) -> Measured:
    """The KPI's values over these windows, as of `now`; of these communities only, or of all where none is named.

    The inputs of all windows are read by one statement. Raises `NotFound` without the project.
    """
    first, last = min(one.first for one in windows), max(one.last for one in windows)
    request = LoadRequest(workspace_id, (project_id,), first, last, now)
    project, datasets = await projects.one(connection, request, [kpi])
    if community_ids:
        datasets = _restricted(datasets, community_ids)

    def report(error: Exception) -> None:
        log.error("kpis.not_computed", kpi=kpi.key, project_id=str(project_id), exc_info=error)

    made = arithmetic.values(kpi, datasets, request.windows(windows, project.today), report=report)
    return Measured(project, [made.whole, *made.others])


def _restricted(datasets: Datasets, community_ids: Collection[UUID]) -> Datasets:
    """The data of these communities alone."""
    return {
        source: Dataset(
            (data for community, data in dataset.parts.items() if community.id in community_ids),
            dataset.reason,
            failed=dataset.failed,
        )
        for source, dataset in datasets.items()
    }
