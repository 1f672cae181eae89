"""The gains of each day in the counters of the communities' posts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Integer, case, cast, column, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from app import platforms
from app.kpis.contract import (
    DAY,
    CommunityData,
    D,
    Dataset,
    LoadRequest,
    Measure,
    Project,
    Section,
    Source,
    Span,
    Window,
)
from app.kpis.inputs.columns import Columns, MakeData, running_sums, sums_of, taken_off
from app.kpis.inputs.gains import GAIN_KEY, GainReader
from app.kpis.inputs.parameters import (
    AS_OF,
    FIRST,
    LAST,
    PROJECT,
    WORKSPACE,
    columns_by_community,
    polled,
    position,
)
from app.kpis.values import Community, Excluded, Missing, Reason
from app.metrics.contributions import COLUMNS, changed_later, contributions
from app.metrics.models import DifferenceSource, RollupDay
from app.metrics.sql import statement
from app.platforms.contract import Metric

Metrics = tuple[Metric, ...]
VIEWED: Final[Metrics] = (Metric.VIEWS,)
ENGAGED: Final[Metrics] = (Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES, Metric.SAVES)
"""What people do with a post, apart from viewing it."""


EXPLAINED_POSTS: Final = 100
"""How many of a community's latest posts are searched for the reason why a metric is withheld."""
NOT_DELIVERED: Final = "not-given"
"""The platform supports this metric, but has not reported it."""
_SNAPSHOTS, _UNKNOWN, _GAIN, _PRE_TRACKING = 1, 2, 3, 4
"""Indexes of the columns of the rows; 0 holds the positions."""


class Support(NamedTuple):
    """Which of the requested metrics a platform supports."""

    metrics: Metrics
    bits: int
    delay: timedelta | None
    """The maximum delay, in whole days, with which some of them are reported; None where none is delayed."""


@lru_cache(maxsize=256)
def _support(platform: str | None, metrics: Metrics) -> Support:
    spec = platforms.adapter(platform).spec if platform is not None and platform in platforms.adapters() else None
    supported = tuple(metric for metric in metrics if spec is None or metric in spec.metrics)
    delay = (
        -(-spec.metrics_delay // DAY) * DAY
        if spec is not None and spec.delayed_metrics.intersection(supported)
        else None
    )
    return Support(supported, sum(1 << metrics.index(metric) for metric in supported), delay)


class GainDays(CommunityData):
    """The daily gains of one community in the requested metrics."""

    __slots__ = ("_metrics", "_sums", "_withheld", "columns", "has_pre_tracking", "reasons", "support")

    def __init__(
        self, community: Community, span: Span, columns: Columns, request: LoadRequest, metrics: Metrics
    ) -> None:
        super().__init__(community, span, request)
        self.columns = columns or ((),) * 5
        self._metrics = metrics
        self._sums: dict[object, list[int]] = {}
        self.support = _support(community.platform, metrics)
        self._withheld = 0
        """Bit mask of the supported metrics that were unknown on some day."""
        for unknown in set(self.columns[_UNKNOWN]):
            self._withheld |= unknown & self.support.bits
        self.has_pre_tracking = any(self.columns[_PRE_TRACKING])
        self.reasons: dict[str, str] = {}
        """Why a metric is withheld, where that is known."""

    @property
    def is_withheld(self) -> bool:
        """Whether a supported metric was unknown on some day."""
        return bool(self._withheld)

    @property
    def gains(self) -> list[int]:
        """The running sums of the gains; an unknown gain counts as 0 (see `withheld`)."""
        return self._sums_of(_GAIN)

    def _sums_of(self, column: int) -> list[int]:
        if column not in self._sums:
            self._sums[column] = running_sums(self.length, self.columns[0], self.columns[column])
        return self._sums[column]

    def has_rows(self, window: Window) -> bool:
        """Whether anything is stored for the days of the window."""
        return any(window.start <= at < window.stop for at in self.columns[0])

    def pre_tracking(self, windows: Sequence[Window]) -> list[list[int]]:
        """The parts of the gains that count for the day of publication, by window: before the connection, and late."""
        if not self.has_pre_tracking:
            return [[0] * len(windows), [0] * len(windows)]
        sums, late = self._sums_of(_PRE_TRACKING), (self.community.connected - self.first).days + 1
        between = [sums[min(max(late, start), stop)] for _, _, _, start, stop in windows]
        return [
            [middle - sums[window.start] for middle, window in zip(between, windows, strict=True)],
            [sums[window.stop] - middle for middle, window in zip(between, windows, strict=True)],
        ]

    def withheld(self, window: Window) -> Metrics:
        """The supported metrics that no poll in the window reported; none where there was no poll."""
        snapshots = self._sums_of(_SNAPSHOTS) if self._withheld else ()
        if not self._withheld or snapshots[window.stop] == snapshots[window.start]:
            return ()
        return tuple(metric for metric in self.support.metrics if not self._known_days(metric, window))

    def _known_days(self, metric: Metric, window: Window) -> int:
        """The number of days in the window on which the metric was known."""
        if metric not in self._sums:
            bit = 1 << self._metrics.index(metric)
            is_known = [not unknown & bit for unknown in self.columns[_UNKNOWN]]
            self._sums[metric] = running_sums(self.length, self.columns[0], is_known)
        return self._sums[metric][window.stop] - self._sums[metric][window.start]


class Gained(Measure[GainDays]):
    """Three sums: what some counters of a community's posts gained in the window, and the parts of it that count for
    the day of publication because they were gained before the connection or reported late.

    Metrics that the platform does not support are left out; where it supports none of them, the
    sums are not known.
    """

    nothing = (0, 0, 0)

    def __init__(self, *metrics: Metric) -> None:
        self.source = _engagement(metrics)

    def amounts(self, data: GainDays, windows: Sequence[Window]) -> list[list[int]]:
        """The three sums."""
        return [sums_of(data.gains, windows), *data.pre_tracking(windows)]

    def complete(self, data: GainDays, today: date) -> tuple[date, date]:
        """From the connection to the last poll or the delay of metrics; no days where a metric was not reported."""
        metrics, _, delay = data.support
        if not metrics or data.is_withheld:
            return date.max, date.min
        first, last = super().complete(data, today)
        return max(first, data.community.connected), last if delay is None else min(last, today - delay - DAY)

    def missing(self, data: GainDays, window: Window) -> tuple[bool, Sequence[Missing]]:
        """Whether the sums are known, and what of them is not."""
        supported, _, delay = data.support
        if not supported:
            return False, [data.missing_whole(Reason.UNSUPPORTED, window)]
        has_data, missing = data.missing(window)
        if not has_data:
            return False, missing
        community, last_day = data.community, min(window.last, window.today)
        if window.first < community.connected:
            # Of the days before the connection only the sums at the first poll are known.
            if window.last < community.connected and not data.has_rows(window):
                return False, [data.missing_whole(Reason.BEFORE_CONNECTION, window)]
            since, until = max(window.first, community.backfill), min(window.last, community.connected - DAY)
            missing.append(Missing(community, Reason.GATHERED_BEFORE_CONNECTION, since, until))
        if delay is not None and window.today - delay <= last_day:
            since = max(window.today - delay, window.first)
            missing.append(Missing(community, Reason.PENDING, since, last_day))
        withheld = data.withheld(window)
        if withheld:
            missing.append(data.missing_whole(data.reasons.get(withheld[0].value, NOT_DELIVERED), window))
        return len(withheld) < len(supported), missing


def included(before_connection: int, late: int) -> tuple[Excluded, ...]:
    """The parts of a value that count for the day of publication, those of 0 left out."""
    if not before_connection and not late:
        return ()
    amounts = {Reason.GATHERED_BEFORE_CONNECTION: before_connection, Reason.CAME_LATE: late}
    return tuple(Excluded(amount, reason) for reason, amount in amounts.items() if amount)


_columns: Final = RollupDay.__table__.c


def _sum(of: ColumnElement[Any], *, pre_tracking: bool = False) -> ColumnElement[Any]:
    total = func.sum(of)
    return cast(
        total.filter(RollupDay.source == DifferenceSource.PRE_TRACKING.value) if pre_tracking else total, BigInteger
    )


def _rows(metrics: Metrics) -> ColumnElement[Any]:
    """By day: the number of snapshots, a bit mask of unknown metrics, the gain, and its `pre_tracking` part."""
    unknown = (
        case((func.count(_columns[metric.value]) == 0, 1 << number), else_=0) for number, metric in enumerate(metrics)
    )
    first, *others = (func.coalesce(_columns[metric.value], 0) for metric in metrics)
    gained = sum(others, first)
    return columns_by_community(
        select(
            RollupDay.community_id,
            position(RollupDay.__table__.c.day),
            cast(func.sum(RollupDay.snapshots), BigInteger),
            sum(unknown, literal(0, Integer)),
            _sum(gained),
            _sum(gained, pre_tracking=True),
        )
        .where(
            RollupDay.workspace_id == WORKSPACE,
            RollupDay.project_id == PROJECT.c.id,
            RollupDay.day.between(FIRST, LAST),
        )
        .group_by(RollupDay.day, RollupDay.community_id)
    )


_REASONS_STATEMENT: Final = statement("""
SELECT DISTINCT latest.community_id, last.missing
FROM unnest(:community_ids) AS community (id)
CROSS JOIN LATERAL (
    SELECT p.community_id, p.id FROM publication AS p
    WHERE p.workspace_id = :workspace_id AND p.community_id = community.id
    ORDER BY p.published_at DESC LIMIT :most
) AS latest
CROSS JOIN LATERAL (
    -- By the key, each: of some ten thousand PostgreSQL would join the whole table.
    SELECT l.missing FROM post_last AS l WHERE l.workspace_id = :workspace_id AND l.publication_id = latest.id OFFSET 0
) AS last
""").columns(column("community_id", PG_UUID(as_uuid=True)), column("missing", JSONB))


class Engagement(Source[GainDays]):
    """The gains in some of the counters: views, reactions, comments, shares, quotes, saves."""

    key = "engagement"
    title = "Counters of posts, as polled: what each day added"

    def __init__(self, metrics: Metrics) -> None:
        self.rows = _rows(metrics)
        self._metrics = metrics

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[GainDays]:
        """The requested days, by community."""
        return by_posts(project, rows, partial(GainDays, metrics=self._metrics), request)

    async def supplement(
        self, connection: AsyncConnection, request: LoadRequest, datasets: Mapping[Project, Dataset[GainDays]]
    ) -> None:
        """Add why metrics are withheld: where the latest posts differ, the alphabetically first reason.

        For a past instant, the gains of later polls are subtracted before.
        """
        if request.is_past:
            await self._take_off_later(connection, request, datasets)
        withheld = {
            data.community.id: data
            for dataset in datasets.values()
            for data in dataset.parts.values()
            if data.is_withheld
        }
        if withheld:
            values = {**request.parameters, "community_ids": list(withheld), "most": EXPLAINED_POSTS}
            for community_id, missing in (await connection.execute(_REASONS_STATEMENT, values)).all():
                reasons = withheld[community_id].reasons
                for metric, reason in missing.items():
                    reasons[metric] = min(reasons.get(metric, "~"), reason.replace("_", "-"))

    async def _take_off_later(
        self, connection: AsyncConnection, request: LoadRequest, datasets: Mapping[Project, Dataset[GainDays]]
    ) -> None:
        every = _OF_PROJECTS.subquery("every")
        amount = func.sum(every.c.difference)
        before = func.coalesce(amount.filter(every.c.source == DifferenceSource.PRE_TRACKING.value), 0)
        query = (
            select(every.c.community_id, every.c.day, cast(amount, BigInteger), cast(before, BigInteger))
            .where(
                every.c.at > AS_OF,
                every.c.day.between(FIRST, LAST),
                every.c.metric.in_([metric.value for metric in self._metrics]),
            )
            .group_by(every.c.community_id, every.c.day)
        )
        later: defaultdict[UUID | None, list[tuple[date, Sequence[int]]]] = defaultdict(list)
        nothing_known = (1 << len(self._metrics)) - 1
        for community_id, day, gained, gained_before in (await connection.execute(query, request.parameters)).all():
            later[community_id].append((day, (0, -nothing_known, gained, gained_before)))
        for dataset in datasets.values():
            for one, data in dataset.parts.items():
                if one.id in later:
                    columns = taken_off(data.columns, request, later[one.id])
                    dataset.parts[one] = GainDays(one, data.span, columns, request, self._metrics)

    def gaps(self, data: GainDays, window: Window) -> Iterable[Missing]:
        """No gaps: old posts are not polled every day, and the next poll brings what a missed one would have."""
        return ()


def by_posts(project: Project, rows: Any, make: MakeData[D], request: LoadRequest) -> Dataset[D]:
    """The dataset of a source about posts, which are known from the start of the backfill."""
    return Dataset(
        make(
            community,
            polled(project, community, since=community.backfill, seen_at=community.posts_seen_at),
            (rows or {}).get(str(community.id), ()),
            request,
        )
        for community in project.communities
    )


@lru_cache(maxsize=64)
def _engagement(metrics: Metrics) -> Engagement:
    """One source for each set of metrics, so that KPIs of the same metrics load it once."""
    return Engagement(metrics)


_OF_PROJECTS: Final = statement(
    contributions(
        "p.workspace_id = :workspace_id AND p.project_id = ANY (:project_ids) AND "
        + changed_later(":workspace_id", "p.project_id = ANY (:project_ids)")
    )
).columns(*COLUMNS)
"""The contributions of publications of which a snapshot after `as_of` may count for the requested days."""


def gains(*metrics: Metric) -> Section:
    """The evidence section of the gains in these counters: a row for each snapshot and metric."""

    return Section(
        "gain",
        "What one snapshot of a publication added to a counter, the latest publication first: `community_id`, "
        "`publication_id`, `published_at`, `metric`, `at`, `previous` (null: the first known value), `value`, "
        "`difference`, `day` (the one it counts for), `source` (`pre_tracking`: gained before the first poll, counted "
        "for the day of publication). A page may have fewer rows than `limit` although `next_cursor` is not null.",
        None,
        GAIN_KEY,
        "difference",
        GainReader([metric.value for metric in metrics]),
    )
