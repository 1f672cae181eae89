"""The sizes of communities: the first and last size polled on each day."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    and_,
    bindparam,
    func,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.models import Community as CommunityRow
from app.kit.db import in_workspace
from app.kpis.contract import (
    DAY,
    CommunityData,
    Dataset,
    EvidenceQuery,
    LoadRequest,
    Measure,
    Project,
    Section,
    Source,
    Span,
    Window,
)
from app.kpis.inputs.columns import Columns, running_sums
from app.kpis.inputs.parameters import (
    AS_OF,
    FIRST,
    LAST,
    PROJECT,
    PROJECTS,
    WORKSPACE,
    columns_by_community,
    local_day,
    lost_days,
    polled,
    position,
)
from app.kpis.values import Community, Missing, Reason
from app.metrics.models import CommunityDay, CommunitySnapshot

SIZE_STALE_AFTER: Final = timedelta(days=3)
"""A size changes slowly, so one of up to three days ago still counts as current."""


class SizeDays(CommunityData):
    """The first and last size of one community on each loaded polled day, and on the last polled day before them."""

    __slots__ = ("_before", "_positions", "days", "firsts", "lasts", "sums")

    def __init__(self, community: Community, span: Span, columns: Columns, request: LoadRequest) -> None:
        super().__init__(community, span, request)
        self._positions, self.firsts, self.lasts = columns or ((), (), ())
        positions, origin = self._positions, request.first.toordinal()
        self.days = [date.fromordinal(origin + at) for at in positions]
        earlier = bisect_left(positions, 0)
        polls = [1] * (len(positions) - earlier)
        self._before = running_sums(self.length, positions[earlier:], polls, initial=earlier)
        """For each position, how many of `days` lie before it."""
        self.sums = list(accumulate(self.lasts, initial=0))
        """The running sums of `lasts`."""

    def polled_days(self, window: Window) -> tuple[int, int]:
        """The slice of `days` in the window: the index of its first day, and that of the first day after it."""
        return self._before[window.start], self._before[window.stop]

    @property
    def unbroken(self) -> tuple[date, date]:
        """The latest run of consecutive polled days, without its first day: first and last."""
        if not self.days:
            return date.max, date.min
        positions, last = self._positions, len(self.days) - 1
        first = last
        while first and positions[first - 1] + 1 == positions[first]:
            first -= 1
        return self.days[first] + DAY, self.days[last]

    def no_size(self, window: Window) -> list[Missing]:
        """Why no size is known up to the window's end."""
        if window.last < self.community.connected:
            return [self.missing_whole(Reason.BEFORE_CONNECTION, window)]
        until_today = min(max((window.today - self.first).days + 1, 0), self.length)
        if self.community.size_seen_at is not None and not self._before[until_today]:
            return [self.missing_whole(Reason.UNSUPPORTED, window)]
        return self.missing(window)[1] or [self.missing_whole(Reason.NOT_MEASURED_YET, window)]


_LAST_DAY: Final = (
    select(
        CommunitySnapshot.community_id,
        func.array_agg(aggregate_order_by(CommunitySnapshot.size, CommunitySnapshot.at), type_=ARRAY(BigInteger))[1],
        func.array_agg(
            aggregate_order_by(CommunitySnapshot.size, CommunitySnapshot.at.desc()), type_=ARRAY(BigInteger)
        )[1],
    )
    .join(
        CommunityRow,
        and_(
            CommunityRow.workspace_id == CommunitySnapshot.workspace_id,
            CommunityRow.id == CommunitySnapshot.community_id,
        ),
    )
    .where(
        CommunitySnapshot.workspace_id == WORKSPACE,
        in_workspace(CommunityRow, WORKSPACE),
        CommunityRow.project_id == PROJECTS,
        CommunitySnapshot.at >= bindparam("midnight", type_=DateTime(timezone=True)),
        CommunitySnapshot.at <= AS_OF,
    )
    .group_by(CommunitySnapshot.community_id)
)
"""For a past instant: the first and the last size of its local day, up to that instant."""


class Sizes(Source[SizeDays]):
    """Sizes of communities."""

    key = "sizes"
    title = "Sizes of communities, as polled"

    @staticmethod
    def _rows() -> Any:
        """The requested days, and each community's last day before them, however long ago."""
        days = select(
            CommunityDay.community_id, position(CommunityDay.__table__.c.day), CommunityDay.first, CommunityDay.last
        ).where(
            CommunityDay.workspace_id == WORKSPACE,
            CommunityDay.project_id == PROJECT.c.id,
            CommunityDay.day.between(FIRST, LAST),
        )
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
            select(CommunityRow.id, position(earlier.c.day), earlier.c.first, earlier.c.last)
            .join_from(CommunityRow, earlier, true())
            .where(in_workspace(CommunityRow, WORKSPACE), CommunityRow.project_id == PROJECT.c.id)
        )
        both = union_all(days.correlate(PROJECT), before.correlate(PROJECT)).subquery("size_days")
        return select(*both.c)

    rows = columns_by_community(_rows())

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[SizeDays]:
        """The requested days, by community."""
        return Dataset(
            SizeDays(
                community,
                polled(
                    project,
                    community,
                    since=community.connected,
                    seen_at=community.size_seen_at,
                    stale_after=SIZE_STALE_AFTER,
                ),
                (rows or {}).get(str(community.id), ()),
                request,
            )
            for community in project.communities
        )

    async def supplement(
        self, connection: AsyncConnection, request: LoadRequest, datasets: Mapping[Project, Dataset[SizeDays]]
    ) -> None:
        """For a past instant, leave out later polls."""
        if not request.is_past:
            return
        for project, dataset in datasets.items():
            values = {**request.parameters, "midnight": project.start_of(project.today)}
            of_day = {row[0]: row[1:] for row in (await connection.execute(_LAST_DAY, values)).all()}
            for one, data in dataset.parts.items():
                polled = zip(data.days, data.firsts, data.lasts, strict=True)
                kept = [sizes for sizes in polled if sizes[0] < project.today]
                if one.id in of_day and project.today <= request.last:
                    kept.append((project.today, *of_day[one.id]))
                columns = [[(day - request.first).days for day, _, _ in kept], *zip(*kept, strict=True)]
                dataset.parts[one] = SizeDays(one, data.span, (columns[0], *columns[2:]) if kept else (), request)

    def gaps(self, data: SizeDays, window: Window) -> Iterable[Missing]:
        """Days without any snapshot."""
        first, stop = data.polled_days(window)
        if data.span.first <= window.first and stop - first == (window.last - window.first).days + 1:
            return ()
        return lost_days(data, window, data.days[first:stop], Reason.NO_SNAPSHOT)


SIZES: Final = Sizes()


class SizeMeasure(Measure[SizeDays]):
    """Base of measures of size, in members."""

    source = SIZES

    def complete(self, data: SizeDays, today: date) -> tuple[date, date]:
        """The latest run of consecutive days on which the size was polled."""
        first, last = data.unbroken
        return first, min(last, today)


class SizeAtEnd(SizeMeasure):
    """The last size known at the end of the window."""

    def amounts(self, data: SizeDays, windows: Sequence[Window]) -> list[list[int]]:
        """The size, by window."""
        latest = (data.polled_days(window)[1] - 1 for window in windows)
        return [[data.lasts[index] if index >= 0 else 0 for index in latest]]

    def missing(self, data: SizeDays, window: Window) -> tuple[bool, Sequence[Missing]]:
        """Whether the size is known, and the days without a poll where it is an older one."""
        if window.first > window.today:
            return False, [data.missing_whole(Reason.NOT_YET, window)]
        if data.ended_within(window):
            return False, [data.missing_whole(Reason.DISCONNECTED, window)]
        latest = data.polled_days(window)[1] - 1
        if latest < 0:
            return False, data.no_size(window)
        day, last = data.days[latest], min(window.last, window.today)
        if day < last - SIZE_STALE_AFTER:
            return True, [Missing(data.community, Reason.STALE, max(day + DAY, window.first), last)]
        if day < window.first and window.last < window.today:
            return True, [Missing(data.community, Reason.NO_SNAPSHOT, window.first, last)]
        return True, ()


class SizesOfGrowth(SizeMeasure):
    """The sizes at the start and at the end of the window.

    The start is the last size before the window. Where there is none, it is the first one in the window, and the
    days before that are missing. A window without a poll has no growth: the growth counts in the window of the
    next poll.
    """

    nothing = (0, 0)

    def __init__(self, *, empty: str | None = None) -> None:
        self.empty = empty

    def amounts(self, data: SizeDays, windows: Sequence[Window]) -> list[list[int]]:
        """The sizes at the start and at the end, by window."""
        starts, ends = [], []
        for window in windows:
            first, stop = data.polled_days(window)
            is_known = first < stop
            starts.append((data.lasts[first - 1] if first else data.firsts[0]) if is_known else 0)
            ends.append(data.lasts[stop - 1] if is_known else 0)
        return [starts, ends]

    def missing(self, data: SizeDays, window: Window) -> tuple[bool, Sequence[Missing]]:
        """Whether both sizes are known, and the days without a poll."""
        first, stop = data.polled_days(window)
        if first == stop:
            if data.span.end is not None and data.span.end < window.first:
                return False, [data.missing_whole(Reason.DISCONNECTED, window)]
            if not first:
                return False, data.no_size(window)
            reason = Reason.NOT_YET if window.first > window.today else Reason.NO_SNAPSHOT
            return False, [data.missing_whole(reason, window)]
        missing: list[Missing] = []
        last, day = min(window.last, window.today, data.span.end or window.last), data.days[stop - 1]
        if day < last - SIZE_STALE_AFTER:
            missing.append(Missing(data.community, Reason.STALE, day + DAY, last))
        day = data.days[first - 1] if first else data.days[0]
        if first and day < window.first - DAY - SIZE_STALE_AFTER:
            missing.append(Missing(data.community, Reason.NO_SNAPSHOT, day + DAY, window.first - DAY))
        elif not first and day > window.first:
            reason = Reason.BEFORE_CONNECTION if window.first < data.community.connected else Reason.NO_SNAPSHOT
            missing.append(Missing(data.community, reason, window.first, day - DAY))
        return True, missing


class AverageSize(SizeMeasure):
    """The mean of the days' last sizes, over the days on which the size was polled."""

    is_empty_first = True

    def __init__(self, *, empty: str | None = None) -> None:
        self.empty = empty

    def amounts(self, data: SizeDays, windows: Sequence[Window]) -> list[list[float]]:
        """The mean, by window; 0 where the size was not polled in the window."""
        means = []
        for window in windows:
            first, stop = data.polled_days(window)
            means.append((data.sums[stop] - data.sums[first]) / (stop - first) if first < stop else 0)
        return [means]

    def missing(self, data: SizeDays, window: Window) -> tuple[bool, Sequence[Missing]]:
        """Whether there is a mean, and why there is none."""
        first, stop = data.polled_days(window)
        if first < stop:
            return True, ()
        has_data, missing = data.missing(window)
        return False, missing if not has_data else [data.missing_whole(Reason.NO_SNAPSHOT, window)]


def _snapshots(workspace_id: UUID, project: Project) -> Any:
    """Each snapshot of the project's communities up to `project.now`, with its local day."""
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
        .where(CommunityRow.project_id == project.id, CommunitySnapshot.at <= project.now)
    )


def _one(workspace_id: UUID, project: Project, name: str, *filters: ColumnElement[bool], descending: bool) -> Any:
    """A snapshot of each community, the last or the first one: a look-up of an index, however long the history is."""
    at = CommunitySnapshot.at
    return (
        select(at, CommunitySnapshot.size)
        .where(
            CommunitySnapshot.workspace_id == workspace_id,
            CommunitySnapshot.community_id == CommunityRow.id,
            at <= project.now,
            *filters,
        )
        .order_by(at.desc() if descending else at)
        .limit(1)
        .correlate(CommunityRow)
        .lateral(name)
    )


def _of_communities(workspace_id: UUID, project: Project, at: ColumnElement[datetime], size: ColumnElement[int]) -> Any:
    """The rows of an evidence section: an instant and a size of each community, with the local day."""
    day = local_day(at, project.zone.key).label("day")
    return select(CommunityRow.id.label("community_id"), at.label("at"), day, size.label("size")).where(
        in_workspace(CommunityRow, workspace_id), CommunityRow.project_id == project.id
    )


def _at_end(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    before_end = CommunitySnapshot.at < project.start_of(last + DAY)
    latest = _one(workspace_id, project, "latest", before_end, descending=True)
    rows: EvidenceQuery = _of_communities(workspace_id, project, latest.c.at, latest.c.size)
    return rows.join_from(CommunityRow, latest, true())


AT_END: Final = Section(
    "size_at_end",
    "The last size seen of a community up to the end of the window: `community_id`, `at`, `day`, `size`.",
    _at_end,
    {"community_id": UUID},
    "size",
)


def _of_growth(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    """First and last size of each community that was seen within the window."""
    at = CommunitySnapshot.at
    since, before_end = at >= project.start_of(first), at < project.start_of(last + DAY)
    latest = _one(workspace_id, project, "latest", since, before_end, descending=True)
    carried = _one(workspace_id, project, "carried", at < project.start_of(first), descending=True)
    oldest = _one(workspace_id, project, "oldest", since, before_end, descending=False)
    end = _of_communities(workspace_id, project, latest.c.at, latest.c.size)
    start = _of_communities(
        workspace_id,
        project,
        func.coalesce(carried.c.at, oldest.c.at),
        func.coalesce(carried.c.size, oldest.c.size),
    )
    return select(
        union_all(
            end.add_columns(literal("end").label("role")).join_from(CommunityRow, latest, true()),
            start.add_columns(literal("start").label("role"))
            .join_from(CommunityRow, oldest, true())
            .outerjoin(carried, true()),
        ).subquery()
    )


GROWTH: Final = Section(
    "size",
    "A community's size at the start (`role` start: the last one before the window, else the first one in it) and at "
    "the end of the window (`role` end): `community_id`, `at`, `day`, `size`, `role`. Communities that were not seen "
    "within the window have none.",
    _of_growth,
    {"community_id": UUID, "role": str},
    "size",
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
    "size",
)
