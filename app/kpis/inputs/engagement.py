"""What the days added to the counters of the communities' posts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Integer, any_, bindparam, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from app import platforms
from app.communities.models import Publication
from app.kit.db import in_workspace
from app.kpis.contract import Community, Loaded, LoadRequest, Missing, Project, Query, Section, Span, Window
from app.kpis.inputs.parameters import FIRST, LAST, PROJECTS, WORKSPACE, polled
from app.kpis.statement import Statement
from app.metrics.contributions import PUBLICATION, contributions
from app.metrics.models import DifferenceSource, PostLast, RollupDay
from app.platforms.contract import Metric

Metrics = tuple[Metric, ...]
SEEN: Final[Metrics] = (Metric.VIEWS,)
ENGAGED: Final[Metrics] = (Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES, Metric.SAVES)
"""What people do with a post, beside seeing it."""


NOT_GIVEN: Final = "not-given"
"""The platform should give this metric, and did not."""


class GainDay(NamedTuple):
    """What one day added. A sum is None where none of its metrics was known."""

    project_id: UUID
    community_id: UUID
    day: date
    snapshots: int
    unknown: int
    """The metrics of which nothing was known, as bits (see `BIT`)."""
    views: int | None
    engagement: int | None
    baseline_views: int | None
    """The part gathered before our first look."""
    baseline_engagement: int | None


AMOUNT: Final[Mapping[Metrics, Callable[[GainDay], int]]] = {
    SEEN: lambda row: row.views or 0,
    ENGAGED: lambda row: row.engagement or 0,
}
"""What of a day counts. Whether 0 may stand for None is decided before (see `Gains.withheld`)."""
BIT: Final = {metric: 1 << number for number, metric in enumerate((*SEEN, *ENGAGED))}


class Gains(Loaded[GainDay]):
    """Days with what their platforms give."""

    def __init__(
        self, project: Project, rows: Sequence[GainDay], reasons: Mapping[tuple[UUID | None, str], str]
    ) -> None:
        super().__init__(rows, {community: span(project, community) for community in project.communities})
        self._reasons = reasons
        self._given = {community: _given(community) for community in project.communities}
        self._bits = {
            community.id: sum(BIT[metric] for metric in given if metric in BIT)
            for community, given in self._given.items()
        }
        self._delays = {community: _delay(community) for community in project.communities}
        self._plain: dict[Metrics, bool] = {}
        self._doubtful = any(row.unknown & self._bits.get(row.community_id, 0) for row in rows)
        self.baseline = any(row.baseline_views or row.baseline_engagement for row in rows)
        """Whether anything was gathered before the first look."""
        self.connected = max((community.connected for community in project.communities), default=date.max)
        """The day on which the last community was connected."""

    def plain(self, metrics: Metrics) -> bool:
        """Whether every platform gives some of these metrics, and none was ever withheld."""
        if metrics not in self._plain:
            self._plain[metrics] = not self._doubtful and all(self.given(one, metrics) for one in self.communities)
        return self._plain[metrics]

    def given(self, community: Community, metrics: Metrics) -> Metrics:
        """Those of the metrics that the community's platform has."""
        return tuple(metric for metric in metrics if metric in self._given[community])

    def withheld(self, community: Community, rows: Sequence[GainDay], given: Metrics) -> Metrics:
        """Those of the metrics that none of the looks behind these rows brought, though there were looks."""
        if not self._doubtful or not any(row.snapshots for row in rows):
            return ()
        return tuple(metric for metric in given if all(row.unknown & BIT[metric] for row in rows))

    def pending_from(self, community: Community, metrics: Metrics, today: date) -> date | None:
        """The first day of which the platform may still owe some of these metrics; None where it owes none."""
        late, days = self._delays[community]
        return today - timedelta(days=days - 1) if late & frozenset(metrics) else None

    def why(self, community: Community, metric: Metric) -> str:
        """Why a metric is withheld."""
        return self._reasons.get((community.id, metric.value), NOT_GIVEN)

    @property
    def doubtful(self) -> list[UUID]:
        """The communities of which a metric was withheld."""
        return sorted({row.community_id for row in self._all if row.unknown & self._bits.get(row.community_id, 0)})


def _delay(community: Community) -> tuple[frozenset[Metric], int]:
    """The metrics that come late, and on how many days, today among them, they may be missing."""
    if community.platform is None or community.platform not in platforms.adapters():
        return frozenset(), 0
    spec = platforms.adapter(community.platform).spec
    return spec.delayed, -(-spec.delay // timedelta(days=1)) + 1


def _given(community: Community) -> frozenset[Metric]:
    if community.platform is None or community.platform not in platforms.adapters():
        return frozenset(Metric)
    return platforms.adapter(community.platform).spec.metrics


_columns: Final = RollupDay.__table__.c
_engagement: Final = sum(
    (func.coalesce(_columns[metric.value], 0) for metric in ENGAGED[1:]), func.coalesce(_columns[ENGAGED[0].value], 0)
)


def _sum(of: ColumnElement[Any], *, baseline: bool = False) -> ColumnElement[Any]:
    # sum() of bigint is numeric, which would come back as Decimal.
    total = func.sum(of)
    return cast(
        total.filter(RollupDay.source == DifferenceSource.PRE_TRACKING.value) if baseline else total, BigInteger
    )


_STATEMENT: Final = Statement(
    select(
        RollupDay.project_id,
        RollupDay.community_id,
        RollupDay.day,
        cast(func.sum(RollupDay.snapshots), BigInteger),
        sum(
            (case((func.count(_columns[metric.value]) == 0, bit), else_=0) for metric, bit in BIT.items()),
            literal(0, Integer),
        ),
        _sum(_columns.views),
        _sum(_engagement),
        _sum(_columns.views, baseline=True),
        _sum(_engagement, baseline=True),
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
        in_workspace(Publication, WORKSPACE),
        Publication.community_id == any_(bindparam("community_ids", type_=ARRAY(PG_UUID(as_uuid=True)))),
    )
    .distinct()
)


class Engagement:
    """Views, reactions, comments, shares, quotes and saves gained."""

    key = "engagement"
    title = "Counters of posts, as polled: what each day added"

    async def load(self, connection: AsyncConnection, asked: LoadRequest) -> dict[UUID, Loaded[GainDay]]:
        """The days asked for, and why a metric is not given."""
        rows: dict[UUID, list[GainDay]] = {project.id: [] for project in asked.projects}
        for row in await _STATEMENT.rows(connection, asked.values):
            rows[row[0]].append(GainDay._make(row))
        reasons: dict[tuple[UUID | None, str], str] = {}
        found = {project.id: Gains(project, rows[project.id], reasons) for project in asked.projects}
        unclear = sorted({community_id for gains in found.values() for community_id in gains.doubtful})
        if unclear:
            values = {**asked.values, "community_ids": unclear}
            for community_id, missing in (await connection.execute(_WHY, values)).all():
                for metric, why in missing.items():
                    reasons.setdefault((community_id, metric), why.replace("_", "-"))
        return dict(found)

    def gaps(self, loaded: Loaded[GainDay], community: Community, window: Window) -> Iterator[Missing]:
        """None beyond the span: old posts are not looked at every day, and no look means no loss."""
        yield from ()


def span(project: Project, community: Community) -> Span:
    """Posts are known from where the backfill began."""
    return polled(project, community, since=community.backfill, seen_at=community.posts_seen_at)


ENGAGEMENT: Final = Engagement()


def gains_of(window: Window) -> Gains:
    """What the source knows, with what the platforms give."""
    found = window.of(ENGAGEMENT)
    assert isinstance(found, Gains)
    return found


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
