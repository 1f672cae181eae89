"""The posts that appeared on the platforms, by day."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.models import Publication
from app.kit.db import in_workspace
from app.kpis.contract import DAY, Community, EvidenceQuery, Loaded, LoadRequest, Missing, Project, Section, Window
from app.kpis.inputs.engagement import span
from app.kpis.inputs.inbound_gaps import inbound_gaps
from app.kpis.inputs.parameters import END, FIRST, LAST, PROJECTS, START, WORKSPACE, local_day
from app.kpis.statement import Statement
from app.projects.models import Project as ProjectRow


class PublishedDay(NamedTuple):
    """How many posts appeared on one day, those deleted since included."""

    project_id: UUID
    community_id: UUID
    day: date
    posts: int


_DAY: Final = local_day(Publication.__table__.c.published_at, ProjectRow.timezone)
_STATEMENT: Final = Statement(
    select(Publication.project_id, Publication.community_id, _DAY, func.count())
    .join(
        ProjectRow,
        (ProjectRow.workspace_id == Publication.workspace_id) & (ProjectRow.id == Publication.project_id),
    )
    .where(
        in_workspace(Publication, WORKSPACE),
        Publication.project_id == PROJECTS,
        Publication.published_at >= START,
        Publication.published_at < END,
        _DAY.between(FIRST, LAST),
    )
    .group_by(Publication.project_id, Publication.community_id, _DAY)
)


class Publications:
    """Posts as found on the platforms."""

    key = "publications"
    title = "Posts found on the platforms"

    async def load(self, connection: AsyncConnection, request: LoadRequest) -> dict[UUID, Loaded[PublishedDay]]:
        """The requested days, by community."""
        rows: dict[UUID, list[PublishedDay]] = {project.id: [] for project in request.projects}
        for row in await _STATEMENT.rows(connection, request.parameters):
            rows[row[0]].append(PublishedDay._make(row))
        gaps = await inbound_gaps(connection, request, posts=True)
        return {
            project.id: Loaded(
                rows[project.id],
                {community: span(project, community) for community in project.communities},
                inbound_gaps=gaps,
            )
            for project in request.projects
        }

    def gaps(self, loaded: Loaded[PublishedDay], community: Community, window: Window) -> Iterator[Missing]:
        """Posts are polled later with their own time: only inbound gaps are days not known yet."""
        yield from loaded.inbound_gaps_in(community, window)


PUBLICATIONS: Final = Publications()


def _rows(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    return select(
        Publication.id,
        Publication.published_at,
        Publication.community_id,
        Publication.url,
        Publication.category,
        Publication.gone_at,
    ).where(
        in_workspace(Publication, workspace_id),
        Publication.project_id == project.id,
        Publication.published_at >= project.start_of(first),
        Publication.published_at < project.start_of(last + DAY),
    )


PUBLISHED: Final = Section(
    "publication",
    "A post that appeared: `id`, `published_at`, `community_id`, `url`, `category`, `gone_at`.",
    _rows,
    {"published_at": datetime, "id": UUID},
)
