"""The posts published on the platforms, by day."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.models import Publication
from app.kit.db import in_workspace
from app.kpis.contract import DAY, Dataset, EvidenceQuery, LoadRequest, Project, Section, Source
from app.kpis.inputs.columns import Counted, DailyCounts
from app.kpis.inputs.engagement import by_posts
from app.kpis.inputs.inbound_gaps import add_inbound_gaps
from app.kpis.inputs.parameters import (
    AS_OF,
    END,
    FIRST,
    LAST,
    PROJECT,
    START,
    WORKSPACE,
    columns_by_community,
    local_day,
    position,
)


def _rows_by_day() -> Any:
    # `OFFSET 0` has the local day of each row looked up once, and not wherever it is used.
    row = (
        select(
            Publication.community_id, local_day(Publication.__table__.c.published_at, PROJECT.c.timezone).label("day")
        )
        .where(
            in_workspace(Publication, WORKSPACE),
            Publication.project_id == PROJECT.c.id,
            Publication.published_at >= START,
            Publication.published_at < END,
            Publication.published_at <= AS_OF,
        )
        .correlate(PROJECT)
        .offset(literal_column("0"))
        .subquery("published")
    )
    by_day = row.c.day.between(FIRST, LAST)
    return select(row.c.community_id, position(row.c.day), func.count()).where(by_day).group_by(*row.c)


class Publications(Source[DailyCounts]):
    """Posts as found on the platforms, those deleted since included."""

    key = "publications"
    title = "Posts found on the platforms"
    rows = columns_by_community(_rows_by_day())

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[DailyCounts]:
        """The requested days, by community."""
        return by_posts(project, rows, DailyCounts, request)

    async def supplement(
        self, connection: AsyncConnection, request: LoadRequest, datasets: Mapping[Project, Dataset[DailyCounts]]
    ) -> None:
        """Add inbound gaps. Posts polled late keep their own time, so no other days have to be corrected."""
        await add_inbound_gaps(connection, request, datasets, posts=True)


PUBLICATIONS: Final = Publications()
POSTS: Final = Counted(PUBLICATIONS, 1)


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
        Publication.published_at <= project.now,
    )


PUBLISHED: Final = Section(
    "publication",
    "A post that appeared: `id`, `published_at`, `community_id`, `url`, `category`, `gone_at`.",
    _rows,
    {"published_at": datetime, "id": UUID},
)
