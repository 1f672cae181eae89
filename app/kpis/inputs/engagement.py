"""The gains of each day in the counters of the communities' posts."""

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
from app.kpis.contract import Community, EvidenceQuery, Loaded, LoadRequest, Missing, Project, Section, Span, Window
from app.kpis.inputs.parameters import FIRST, LAST, PROJECTS, WORKSPACE, polled
from app.kpis.statement import Statement
from app.metrics.contributions import COLUMNS, OF_PROJECT, contributions
from app.metrics.models import DifferenceSource, PostLast, RollupDay
from app.metrics.sql import statement
from app.platforms.contract import Metric

Metrics = tuple[Metric, ...]
VIEWED: Final[Metrics] = (Metric.VIEWS,)
ENGAGED: Final[Metrics] = (Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES, Metric.SAVES)
"""What people do with a post, apart from viewing it."""


NOT_GIVEN: Final = "not-given"
"""The platform supports this metric, and did not give it."""


class GainDay(NamedTuple):
    """The gains of one day. A sum is None where none of its metrics was known."""

    project_id: UUID
    community_id: UUID
    day: date
    snapshots: int
    unknown: int
    """The metrics of which nothing was known, as bits (see `METRIC_BITS`)."""
    views: int | None
    engagement: int | None
    pre_tracking_views: int | None
    """The part gained before the first poll."""
    pre_tracking_engagement: int | None


AMOUNT: Final[Mapping[Metrics, Callable[[GainDay], int]]] = {
    VIEWED: lambda row: row.views or 0,
    ENGAGED: lambda row: row.engagement or 0,
}
"""The gain of a day. Callers must first check that None may count as 0 (see `Gains.withheld`)."""
METRIC_BITS: Final = {metric: 1 << number for number, metric in enumerate((*VIEWED, *ENGAGED))}


class Gains(Loaded[GainDay]):
    """Gains by day, with the metrics that the platforms support."""

    def __init__(
        self, project: Project, rows: Sequence[GainDay], reasons: Mapping[tuple[UUID | None, str], str]
    ) -> None:
        super().__init__(rows, {community: span(project, community) for community in project.communities})
        self._reasons = reasons
        self._supported = {community: _supported(community) for community in project.communities}
        self._bits = {
            community.id: sum(METRIC_BITS[metric] for metric in supported if metric in METRIC_BITS)
            for community, supported in self._supported.items()
        }
        self._delays = {community: _delay(community) for community in project.communities}
        self._none_withheld: dict[Metrics, bool] = {}
        self._any_withheld = any(row.unknown & self._bits.get(row.community_id, 0) for row in rows)
        self.has_pre_tracking = any(row.pre_tracking_views or row.pre_tracking_engagement for row in rows)
        """Whether anything was gained before the first poll."""
        self.connected = max((community.connected for community in project.communities), default=date.max)
        """The day on which the last community was connected."""

    def none_withheld(self, metrics: Metrics) -> bool:
        """Whether every platform supports some of these metrics, and none was ever withheld."""
        if metrics not in self._none_withheld:
            self._none_withheld[metrics] = not self._any_withheld and all(
                self.supported_metrics(one, metrics) for one in self.communities
            )
        return self._none_withheld[metrics]

    def supported_metrics(self, community: Community, metrics: Metrics) -> Metrics:
        """Those of the metrics that the community's platform supports."""
        return tuple(metric for metric in metrics if metric in self._supported[community])

    def withheld(self, community: Community, rows: Sequence[GainDay], supported: Metrics) -> Metrics:
        """Those of the metrics that no poll behind these rows brought, though there were polls."""
        if not self._any_withheld or not any(row.snapshots for row in rows):
            return ()
        return tuple(metric for metric in supported if all(row.unknown & METRIC_BITS[metric] for row in rows))

    def pending_from(self, community: Community, metrics: Metrics, today: date) -> date | None:
        """The first day of which some of these metrics may still come; None where they are never delayed."""
        delayed, days = self._delays[community]
        return today - timedelta(days=days - 1) if delayed & frozenset(metrics) else None

    def withheld_reason(self, community: Community, metric: Metric) -> str:
        """Why a metric is withheld."""
        return self._reasons.get((community.id, metric.value), NOT_GIVEN)

    @property
    def communities_with_withheld(self) -> list[UUID]:
        """The communities of which a metric was withheld."""
        return sorted({row.community_id for row in self._all if row.unknown & self._bits.get(row.community_id, 0)})


def _delay(community: Community) -> tuple[frozenset[Metric], int]:
    """The metrics that come late, and on how many days, today among them, they may be missing."""
    if community.platform is None or community.platform not in platforms.adapters():
        return frozenset(), 0
    spec = platforms.adapter(community.platform).spec
    return spec.delayed_metrics, -(-spec.metrics_delay // timedelta(days=1)) + 1


def _supported(community: Community) -> frozenset[Metric]:
    if community.platform is None or community.platform not in platforms.adapters():
        return frozenset(Metric)
    return platforms.adapter(community.platform).spec.metrics


_columns: Final = RollupDay.__table__.c
_engagement: Final = sum(
    (func.coalesce(_columns[metric.value], 0) for metric in ENGAGED[1:]), func.coalesce(_columns[ENGAGED[0].value], 0)
)


def _sum(of: ColumnElement[Any], *, pre_tracking: bool = False) -> ColumnElement[Any]:
    # sum() of bigint is numeric, which would come back as Decimal.
    total = func.sum(of)
    return cast(
        total.filter(RollupDay.source == DifferenceSource.PRE_TRACKING.value) if pre_tracking else total, BigInteger
    )


_STATEMENT: Final = Statement(
    select(
        RollupDay.project_id,
        RollupDay.community_id,
        RollupDay.day,
        cast(func.sum(RollupDay.snapshots), BigInteger),
        sum(
            (case((func.count(_columns[metric.value]) == 0, bit), else_=0) for metric, bit in METRIC_BITS.items()),
            literal(0, Integer),
        ),
        _sum(_columns.views),
        _sum(_engagement),
        _sum(_columns.views, pre_tracking=True),
        _sum(_engagement, pre_tracking=True),
    )
    .where(
        RollupDay.workspace_id == WORKSPACE,
        RollupDay.project_id == PROJECTS,
        RollupDay.day.between(FIRST, LAST),
    )
    .group_by(RollupDay.project_id, RollupDay.day, RollupDay.community_id)
)

_REASONS_STATEMENT: Final = (
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

    async def load(self, connection: AsyncConnection, request: LoadRequest) -> dict[UUID, Loaded[GainDay]]:
        """The requested days, and why a metric is not given."""
        rows: dict[UUID, list[GainDay]] = {project.id: [] for project in request.projects}
        for row in await _STATEMENT.rows(connection, request.parameters):
            rows[row[0]].append(GainDay._make(row))
        reasons: dict[tuple[UUID | None, str], str] = {}
        gains_by_project = {project.id: Gains(project, rows[project.id], reasons) for project in request.projects}
        community_ids = sorted(
            {community_id for gains in gains_by_project.values() for community_id in gains.communities_with_withheld}
        )
        if community_ids:
            values = {**request.parameters, "community_ids": community_ids}
            for community_id, missing in (await connection.execute(_REASONS_STATEMENT, values)).all():
                for metric, reason in missing.items():
                    reasons.setdefault((community_id, metric), reason.replace("_", "-"))
        return dict(gains_by_project)

    def gaps(self, loaded: Loaded[GainDay], community: Community, window: Window) -> Iterator[Missing]:
        """None within the span: old posts are not polled every day, and a missed poll loses nothing."""
        yield from ()


def span(project: Project, community: Community) -> Span:
    """Posts are known from where the backfill began."""
    return polled(project, community, since=community.backfill, seen_at=community.posts_seen_at)


ENGAGEMENT: Final = Engagement()


def gains_of(window: Window) -> Gains:
    """The source's data, with the supported metrics."""
    loaded = window.of(ENGAGEMENT)
    assert isinstance(loaded, Gains)
    return loaded


_CONTRIBUTIONS: Final = statement(contributions(OF_PROJECT)).columns(*COLUMNS)


def gains(*metrics: Metric) -> Section:
    """What single snapshots added to these counters."""

    def rows(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
        all_contributions = _CONTRIBUTIONS.bindparams(workspace=workspace_id, project=project.id).subquery("every")
        names: Sequence[str] = [metric.value for metric in metrics]
        return select(
            all_contributions.c.community_id,
            all_contributions.c.publication_id,
            all_contributions.c.at,
            all_contributions.c.metric,
            all_contributions.c.previous,
            all_contributions.c.value,
            all_contributions.c.difference,
            all_contributions.c.day,
            all_contributions.c.source,
        ).where(all_contributions.c.day.between(first, last), all_contributions.c.metric.in_(names))

    return Section(
        "gain",
        "What one snapshot of a publication added to a counter: `community_id`, `publication_id`, `metric`, `at`, "
        "`previous` (null: the first known value), `value`, `difference`, `day` (the one it counts for), `source` "
        "(`pre_tracking`: gained before the first poll, counted for the day of publication).",
        rows,
        {"publication_id": UUID, "at": datetime, "metric": str},
    )
