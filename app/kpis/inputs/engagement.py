"""What the days added to the counters of the communities' posts."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, any_, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from app import platforms
from app.communities.models import Publication
from app.kit.db import mine
from app.kpis.contract import Asked, Community, Loaded, Missing, Project, Query, Reason, Section, Span, Window
from app.kpis.inputs.parameters import FIRST, LAST, PROJECTS, WORKSPACE, polled
from app.metrics.contributions import PUBLICATION, contributions
from app.metrics.models import PostLast, RollupDay, Source
from app.platforms.contract import Metric

ENGAGED: Final = (Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES, Metric.SAVES)
"""What people do with a post, beside seeing it."""


class GainDay(NamedTuple):
    """What one day added. A sum is None where nothing was known."""

    project_id: UUID
    community_id: UUID
    day: date
    snapshots: int
    views: int | None
    reactions: int | None
    comments: int | None
    shares: int | None
    quotes: int | None
    saves: int | None
    baseline_views: int | None
    """The part gathered before our first look."""
    baseline_engagement: int | None


def _sum(*columns: ColumnElement[Any], baseline: bool = False) -> ColumnElement[Any]:
    # sum() of bigint is numeric, which would come back as Decimal.
    of = columns[0] if len(columns) == 1 else sum((func.coalesce(column, 0) for column in columns[1:]), columns[0])
    total = func.sum(of)
    return cast(total.filter(RollupDay.source == Source.BASELINE.value) if baseline else total, BigInteger)


_STATEMENT: Final = (
    select(
        RollupDay.project_id,
        RollupDay.community_id,
        RollupDay.day,
        cast(func.sum(RollupDay.snapshots), BigInteger),
        _sum(RollupDay.__table__.c.views),
        *(_sum(RollupDay.__table__.c[metric.value]) for metric in ENGAGED),
        _sum(RollupDay.__table__.c.views, baseline=True),
        _sum(*(func.coalesce(RollupDay.__table__.c[metric.value], 0) for metric in ENGAGED), baseline=True),
    )
    .where(
        RollupDay.workspace_id == WORKSPACE,
        RollupDay.project_id == PROJECTS,
        RollupDay.day.between(FIRST, LAST),
    )
    .group_by(RollupDay.project_id, RollupDay.day, RollupDay.community_id)
)

_WHY: Final = (
    select(Publication.community_id, PostLast.missing)
    .join(
        PostLast,
        (PostLast.workspace_id == Publication.workspace_id) & (PostLast.publication_id == Publication.id),
    )
    .where(
        mine(Publication, WORKSPACE),
        Publication.community_id == any_(bindparam("community_ids", type_=ARRAY(PG_UUID(as_uuid=True)))),
    )
    .distinct()
)


class Engagement:
    """Views, reactions, comments, shares, quotes and saves gained."""

    key = "engagement"
    title = "Counters of posts, as polled: what each day added"

    async def load(self, connection: AsyncConnection, asked: Asked) -> dict[UUID, Loaded[GainDay]]:
        """The days asked for, and why a metric is not given."""
        rows: dict[UUID, list[GainDay]] = {project.id: [] for project in asked.projects}
        for row in (await connection.execute(_STATEMENT, asked.values)).all():
            rows[row[0]].append(GainDay._make(row))
        unavailable = await _unavailable(connection, asked, rows)
        return {
            project.id: Loaded(
                rows[project.id],
                {community: span(project, community) for community in project.communities},
                unavailable,
            )
            for project in asked.projects
        }

    def gaps(self, loaded: Loaded[GainDay], community: Community, window: Window) -> Iterator[Missing]:
        """None beyond the span: old posts are not looked at every day, and no look means no loss."""
        yield from ()


def span(project: Project, community: Community) -> Span:
    """Posts are known from where the backfill began."""
    return polled(project, community, since=community.backfill, seen_at=community.posts_seen_at)


async def _unavailable(
    connection: AsyncConnection, asked: Asked, rows: dict[UUID, list[GainDay]]
) -> dict[tuple[UUID | None, str], str]:
    """Community and metric → why the platform does not give it."""
    found: dict[tuple[UUID | None, str], str] = {}
    unclear: set[UUID] = set()
    for project in asked.projects:
        for community in project.communities:
            given = _given(community)
            found.update({(community.id, metric): Reason.UNSUPPORTED for metric in Metric if metric not in given})
            if community.id is not None and _withheld(
                (row for row in rows[project.id] if row.community_id == community.id), given
            ):
                unclear.add(community.id)
    if unclear:
        values = {**asked.values, "community_ids": sorted(unclear)}
        for community_id, missing in (await connection.execute(_WHY, values)).all():
            for metric, why in missing.items():
                found.setdefault((community_id, metric), why.replace("_", "-"))
    return found


def _given(community: Community) -> frozenset[Metric]:
    if community.platform is None or community.platform not in platforms.adapters():
        return frozenset(Metric)
    return platforms.adapter(community.platform).spec.metrics


def _withheld(rows: Iterable[GainDay], given: frozenset[Metric]) -> bool:
    """Whether posts were looked at, and yet one of the given metrics has no value at all."""
    seen = [row for row in rows if row.snapshots]
    wanted = [metric.value for metric in (Metric.VIEWS, *ENGAGED) if metric in given]
    return bool(seen) and any(all(getattr(row, name) is None for row in seen) for name in wanted)


ENGAGEMENT: Final = Engagement()


def gains(*metrics: Metric) -> Section:
    """What single snapshots added to these counters."""

    def rows(workspace_id: UUID, project: Project, first: date, last: date) -> Query:
        every = contributions(
            PUBLICATION.c.workspace_id == workspace_id, PUBLICATION.c.project_id == project.id
        ).subquery("every")
        names: Sequence[str] = [metric.value for metric in metrics]
        return select(
            every.c.community_id,
            every.c.publication_id,
            every.c.at,
            every.c.metric,
            every.c.previous,
            every.c.value,
            every.c.difference,
            every.c.day,
            every.c.source,
        ).where(every.c.day.between(first, last), every.c.metric.in_(names))

    return Section(
        "gain",
        "What one snapshot of a publication added to a counter: `community_id`, `publication_id`, `metric`, `at`, "
        "`previous` (null: the first known value), `value`, `difference`, `day` (the one it counts for), `source` "
        "(`baseline`: gathered before the first look, counted for the day of publication).",
        rows,
        {"publication_id": UUID, "at": datetime, "metric": str},
    )
