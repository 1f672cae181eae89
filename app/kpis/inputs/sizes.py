"""The sizes of communities: the first and last size polled on each day."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, literal, select, true, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.models import Community as CommunityRow
from app.kit.db import in_workspace
from app.kpis.contract import (
    DAY,
    Community,
    EvidenceQuery,
    Loaded,
    LoadRequest,
    Missing,
    Project,
    Reason,
    Section,
    Window,
)
from app.kpis.inputs.parameters import FIRST, LAST, PROJECTS, WORKSPACE, local_day, lost_days, polled
from app.kpis.statement import Statement
from app.metrics.models import CommunityDay, CommunitySnapshot

SIZE_STALE_AFTER: Final = timedelta(days=3)
"""A size changes slowly: one of three days ago still says something."""


class SizeDay(NamedTuple):
    """A community's size over one day, in members."""

    project_id: UUID
    community_id: UUID
    day: date
    first: int
    last: int


def _statement() -> Any:
    days = select(
        CommunityDay.project_id, CommunityDay.community_id, CommunityDay.day, CommunityDay.first, CommunityDay.last
    ).where(
        CommunityDay.workspace_id == WORKSPACE,
        CommunityDay.project_id == PROJECTS,
        CommunityDay.day.between(FIRST, LAST),
    )
    # The size at the start of the window is the last one before it, however long ago.
    earlier = (
        select(CommunityDay.day, CommunityDay.first, CommunityDay.last)
        .where(
            CommunityDay.workspace_id == WORKSPACE,
            CommunityDay.community_id == CommunityRow.id,
            CommunityDay.day < FIRST,
        )
        .order_by(CommunityDay.day.desc())
        .limit(1)
        .correlate(CommunityRow)
        .lateral("earlier")
    )
    before = (
        select(CommunityRow.project_id, CommunityRow.id, earlier.c.day, earlier.c.first, earlier.c.last)
        .join_from(CommunityRow, earlier, true())
        .where(in_workspace(CommunityRow, WORKSPACE), CommunityRow.project_id == PROJECTS)
    )
    return union_all(days, before)


_STATEMENT: Final = Statement(_statement())


class Sizes:
    """Sizes of communities."""

    key = "sizes"
    title = "Sizes of communities, as polled"

    async def load(self, connection: AsyncConnection, request: LoadRequest) -> dict[UUID, Loaded[SizeDay]]:
        """The requested days, and each community's last day before them."""
        rows: dict[UUID, list[SizeDay]] = {project.id: [] for project in request.projects}
        for row in await _STATEMENT.rows(connection, request.parameters):
            rows[row[0]].append(SizeDay._make(row))
        return {project.id: Loaded(rows[project.id], _spans(project)) for project in request.projects}

    def gaps(self, loaded: Loaded[SizeDay], community: Community, window: Window) -> Iterator[Missing]:
        """Days without any snapshot."""
        seen = (row.day for row in loaded.between(community, window.first, window.last))
        yield from lost_days(community, window, loaded.spans.get(community), seen, Reason.NO_SNAPSHOT)


def _spans(project: Project) -> dict[Community, Any]:
    return {
        community: polled(
            project, community, since=community.connected, seen_at=community.size_seen_at, stale_after=SIZE_STALE_AFTER
        )
        for community in project.communities
    }


SIZES: Final = Sizes()


def _snapshots(workspace_id: UUID, project: Project) -> Any:
    """Each snapshot of the project's communities with its local day."""
    return (
        select(
            CommunitySnapshot.community_id,
            CommunitySnapshot.at,
            local_day(CommunitySnapshot.at, project.zone.key).label("day"),
            CommunitySnapshot.size,
        )
        .join(
            CommunityRow,
            and_(
                CommunityRow.workspace_id == CommunitySnapshot.workspace_id,
                CommunityRow.id == CommunitySnapshot.community_id,
            ),
        )
        .where(CommunitySnapshot.workspace_id == workspace_id, in_workspace(CommunityRow, workspace_id))
        .where(CommunityRow.project_id == project.id)
    )


def _at_end(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    query = _snapshots(workspace_id, project).where(CommunitySnapshot.at < project.start_of(last + DAY))
    newest = query.order_by(CommunitySnapshot.community_id, CommunitySnapshot.at.desc())
    return select(newest.ext(distinct_on(CommunitySnapshot.community_id)).subquery())


AT_END: Final = Section(
    "size_at_end",
    "The last size seen of a community up to the end of the window: `community_id`, `at`, `day`, `size`.",
    _at_end,
    {"community_id": UUID},
)


def _of_growth(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    """First and last size of each community that was seen within the window."""
    start, end = project.start_of(first), project.start_of(last + DAY)
    within = _snapshots(workspace_id, project).where(CommunitySnapshot.at >= start, CommunitySnapshot.at < end)
    one = CommunitySnapshot.community_id
    seen = within.with_only_columns(one).distinct().scalar_subquery()
    until = _snapshots(workspace_id, project).where(CommunitySnapshot.at < start, one.in_(seen))
    newest = within.ext(distinct_on(one)).order_by(one, CommunitySnapshot.at.desc()).subquery()
    carried = until.ext(distinct_on(one)).order_by(one, CommunitySnapshot.at.desc()).subquery()
    oldest = within.ext(distinct_on(one)).order_by(one, CommunitySnapshot.at).subquery()
    return select(
        union_all(
            select(newest, literal("end").label("role")),
            select(carried, literal("start").label("role")),
            select(oldest, literal("start").label("role")).where(
                oldest.c.community_id.not_in(select(carried.c.community_id))
            ),
        ).subquery()
    )


GROWTH: Final = Section(
    "size",
    "A community's size at the start (`role` start: the last one before the window, else the first one in it) and at "
    "the end of the window (`role` end): `community_id`, `at`, `day`, `size`, `role`. Communities that were not seen "
    "within the window have none.",
    _of_growth,
    {"community_id": UUID, "role": str},
)


def _last_of_days(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    start, end = project.start_of(first), project.start_of(last + DAY)
    query = _snapshots(workspace_id, project).where(CommunitySnapshot.at >= start, CommunitySnapshot.at < end)
    day = local_day(CommunitySnapshot.at, project.zone.key)
    one = CommunitySnapshot.community_id
    return select(query.ext(distinct_on(one, day)).order_by(one, day, CommunitySnapshot.at.desc()).subquery())


OF_DAYS: Final = Section(
    "size_of_day",
    "The last size seen of a community on a day: `community_id`, `at`, `day`, `size`.",
    _last_of_days,
    {"community_id": UUID, "day": date},
)
