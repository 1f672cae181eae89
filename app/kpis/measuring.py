"""Values of one KPI over many windows, for rooms above: of all communities of a project, or of some of them."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kpis import arithmetic, comparing, projects
from app.kpis.arithmetic import Datasets
from app.kpis.contract import Dataset, Kpi, LoadRequest, Project
from app.kpis.values import Community, Value
from app.kpis.windows import Days

log = structlog.get_logger()


class Measured(NamedTuple):
    """The values of a KPI, in the order of the windows."""

    project: Project
    values: list[Value]
    ended: frozenset[date]
    """Days after which communities do not count any more: see `comparing`."""
    by_community: dict[Community, list[Value]]
    """The same of each community by itself, where they were asked for."""


async def measure(
    connection: AsyncConnection,
    *,
    workspace_id: UUID,
    project_id: UUID,
    kpi: Kpi,
    windows: Sequence[Days],
    now: datetime,
    community_ids: Collection[UUID] = (),
    by_community: bool = False,
) -> Measured:
    """The KPI's values over these windows, as of `now`; of these communities only, or of all where none is named.

    With `by_community` those of each community by itself, too. The inputs of all windows are read by one statement.
    Raises `NotFound` without the project.
    """
    first, last = min(one.first for one in windows), max(one.last for one in windows)
    request = LoadRequest(workspace_id, (project_id,), first, last, now)
    project, datasets = await projects.one(connection, request, [kpi])
    if community_ids:
        datasets = _restricted(datasets, community_ids)

    def report(error: Exception) -> None:
        log.error("kpis.not_computed", kpi=kpi.key, project_id=str(project_id), exc_info=error)

    def values(of: Datasets) -> list[Value]:
        made = arithmetic.values(kpi, of, request.windows(windows, project.today), report=report)
        return [made.whole, *made.others]

    each = arithmetic.communities(kpi, datasets) if by_community else ()
    own = {one: values(_restricted(datasets, {one.id})) for one in each}
    return Measured(project, values(datasets), comparing.ends(kpi, datasets), own)


def _restricted(datasets: Datasets, community_ids: Collection[UUID | None]) -> Datasets:
    """The data of these communities alone."""
    return {
        source: Dataset(
            (data for community, data in dataset.parts.items() if community.id in community_ids),
            dataset.reason,
            failed=dataset.failed,
        )
        for source, dataset in datasets.items()
    }
