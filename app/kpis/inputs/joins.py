"""Who joined, by community and day: first joins, those of them that campaigns prove to be theirs, and what was missed.

Events of joins can be lost: a hook is switched off, a server is down for longer than the platform repeats them. So the
joins less the leaves that were received are compared with the growth of the polled size (`CommunityDay.unexplained`):
where it has grown by more, joins are missing.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncConnection

from app.campaigns import attribution
from app.communities.models import Community as CommunityRow
from app.kpis.contract import Dataset, LoadRequest, Measure, Project, Section, Source, Span, Window
from app.kpis.inputs import join_statements
from app.kpis.inputs.campaigns import JOIN_FIELDS, JOIN_KEY, join_rows
from app.kpis.inputs.columns import Columns, DailyCounts, running_sums, sums_of
from app.kpis.inputs.parameters import polled
from app.kpis.values import Community, Missing, Reason
from app.platforms import adapters
from app.platforms.capabilities import Receives, Streams

JOINS_MISSED: Final = "joins-missed"
"""The size grew by more than the joins and leaves that were received explain."""
NO_HOOK: Final = "no-hook"
"""The platform sends joins to a hook, and the community has none (any more)."""
HOOK_FAILS: Final = "hook-not-delivering"
"""The platform says that it does not send events to the community's hook."""

TOLERATED: Final = 3
"""Members by which the size may have grown without a join being missed: the poll and the events are not of the same
second."""
TOLERATED_OF_JOINS: Final = 0.05
"""The same, as a share of the joins received: a count that misses fewer is still of use."""
TOLERATED_OF_SIZE: Final = 0.0001
"""The same, as a share of the size: platforms give accounts back that were blocked, without an event."""


def tolerance(joins: int, size: int) -> float:
    """By how much a size may grow without an explanation before joins count as missed."""
    return max(TOLERATED, TOLERATED_OF_JOINS * joins, TOLERATED_OF_SIZE * size)


class Comparison(NamedTuple):
    """The growth from the last poll of a day to that of a later one, against joins and leaves."""

    first: date
    """The day after the poll before."""
    last: date
    unexplained: int
    """Members by which the size grew more than by joins less leaves."""
    is_lost: bool
    """By itself that is more than is tolerated."""


class JoinDays(DailyCounts):
    """First joins of one community by day, which of them are attributed, and where joins are missing."""

    def __init__(
        self, community: Community, span: Span, columns: Columns, request: LoadRequest, beside: "Beside"
    ) -> None:
        super().__init__(community, span, columns, request)
        self.beside = beside
        self._positions, self._since, unexplained, self._sizes = beside.compared or ((), (), (), ())
        self._compared = running_sums(self.length, self._positions, [1] * len(self._positions))
        self._unexplained = running_sums(self.length, self._positions, unexplained)
        self.may_have_lost = any(one > 0 for one in unexplained)
        """Whether any growth is not explained."""

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """In order of their days."""
        origin, joins, unexplained = self.first.toordinal(), self.sums(2), self._unexplained
        made = []
        for at, since, size in zip(self._positions, self._since, self._sizes, strict=True):
            more = unexplained[at + 1] - unexplained[at]
            is_lost = more > tolerance(joins[at + 1] - joins[max(since + 1, 0)], size)
            made.append(Comparison(date.fromordinal(origin + since + 1), date.fromordinal(origin + at), more, is_lost))
        return made

    def unexplained(self, window: Window) -> int | None:
        """The growth that the joins and leaves do not explain; None where nothing is compared."""
        (compared,) = sums_of(self._compared, [window])
        return sums_of(self._unexplained, [window])[0] if compared else None

    def lost(self, window: Window) -> Iterator[Missing]:
        """Days on which joins were missed; all compared ones, where only together they miss too many."""
        rest = self.unexplained(window) or 0
        begin = bisect_left(self._positions, window.start)
        for one in self.comparisons[begin:]:
            if one.first > window.last:
                break
            if one.is_lost:
                rest -= one.unexplained if one.last <= window.last else 0
                yield Missing(self.community, JOINS_MISSED, max(one.first, window.first), min(one.last, window.last))
        end = bisect_right(self._positions, window.stop - 1)
        if begin < end and rest > tolerance(sums_of(self.sums(2), [window])[0], self._sizes[end - 1]):
            first = max(self.comparisons[begin].first, window.first)
            yield Missing(self.community, JOINS_MISSED, first, self.comparisons[end - 1].last)


class Beside(NamedTuple):
    """What stands beside the joins of one community."""

    attributed: Sequence[int]
    """Running sums of first joins through invite links of campaigns."""
    not_attributed: str | None
    """Why none can be attributed; None where they can."""
    compared: Columns
    """Positions of days, those of the polled days before, unexplained growth, sizes."""


class Joins(Source[JoinDays]):
    """First joins."""

    key = "joins"
    title = "Joins and leaves, as the platforms say, and the sizes polled"
    rows = func.json_build_object(
        "rows",
        join_statements.counted(),
        "attributed",
        join_statements.attributed(),
        "compared",
        join_statements.compared(),
        "since",
        join_statements.by_community(join_statements.received(last=False)),
        "until",
        join_statements.by_community(func.greatest(CommunityRow.last_event_at, join_statements.received(last=True))),
        "hooks",
        join_statements.by_community(join_statements.hook()),
        "invites",
        join_statements.with_invites(),
    )

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[JoinDays]:
        """The requested days, by community."""
        invites = frozenset(rows["invites"] or ())
        return Dataset(
            self._days(
                project,
                one,
                {key: (of or {}).get(str(one.id)) for key, of in rows.items() if key != "invites"},
                request,
                has_invites=str(one.id) in invites,
            )
            for one in project.communities
        )

    @staticmethod
    def _days(
        project: Project, community: Community, rows: Mapping[str, Any], request: LoadRequest, *, has_invites: bool
    ) -> JoinDays:
        adapter_class = adapters().get(community.platform or "")
        attributes = adapter_class is not None and adapter_class.spec.attributes_joins
        positions, amounts = rows["attributed"] or ((), ())
        compared = rows["compared"] or ()
        if request.is_past and compared:
            # Of the day of the instant a later poll may be compared.
            kept = [row for row in zip(*compared, strict=True) if row[0] < (project.today - request.first).days]
            compared = [list(column) for column in zip(*kept, strict=True)]
        beside = Beside(
            running_sums(request.length, positions, amounts),
            attribution.attributed_reason(attributes=attributes, has_invites=has_invites),
            compared,
        )
        return JoinDays(community, _span(project, community, rows), rows["rows"] or (), request, beside)

    async def supplement(
        self, connection: AsyncConnection, request: LoadRequest, datasets: Mapping[Project, Dataset[JoinDays]]
    ) -> None:
        """For a past instant, count what was known at it."""
        if not request.is_past:
            return
        until: defaultdict[UUID | None, list[tuple[int, int, int]]] = defaultdict(list)
        for community_id, day, first_joins, joins in (
            await connection.execute(join_statements.KNOWN_JOINS, request.parameters)
        ).all():
            until[community_id].append(((day - request.first).days, first_joins, joins))
        for dataset in datasets.values():
            for one, data in dataset.parts.items():
                columns = [list(column) for column in zip(*until[one.id], strict=True)]
                dataset.parts[one] = JoinDays(one, data.span, columns, request, data.beside)

    def gaps(self, data: JoinDays, window: Window) -> Iterable[Missing]:
        """None beside those that the value itself misses."""
        return ()


def _span(project: Project, community: Community, rows: Mapping[str, Any]) -> Span:
    """From the first join or leave that was received; of other communities nothing is known."""
    adapter_class = adapters().get(community.platform or "")
    if adapter_class is None or not adapter_class.spec.counts_joins or rows["since"] is None:
        counts = adapter_class is not None and adapter_class.spec.counts_joins
        why = attribution.NONE_SEEN if counts else attribution.NOT_COUNTED
        return Span(date.max, None, None, why, before=why, end=community.disconnected)
    since = project.day_of(datetime.fromisoformat(rows["since"]))
    span = polled(project, community, since=since, seen_at=community.conversations_seen_at)
    last, as_of, reason = span.last, span.as_of, span.reason
    by_hook_alone = issubclass(adapter_class, Receives) and not issubclass(adapter_class, Streams)
    if by_hook_alone and rows["hooks"] is not False and span.end is None:
        # The hook is closed, or the platform says that it does not work: later joins are not received.
        as_of = min(datetime.fromisoformat(rows["until"]), project.now)
        last, reason = project.day_of(as_of), NO_HOOK if rows["hooks"] is None else HOOK_FAILS
    return Span(since, last, as_of, reason, before=attribution.NONE_SEEN, end=span.end)


JOINS: Final = Joins()


class JoinAmounts(NamedTuple):
    """First joins, and what stands beside them."""

    first_joins: int
    attributed: int | None
    """Of them through invite links of campaigns; None where that is not known."""
    not_attributed: str | None
    """Why it is not known."""
    unexplained: int | None
    """Growth of the polled size that joins and leaves do not explain; None where nothing was compared."""


class Joined(Measure[JoinDays]):
    """How many joined; None where it is not known, so that what stands beside it can be known all the same."""

    source = JOINS
    nothing = (None,)

    def amounts(self, data: JoinDays, windows: Sequence[Window]) -> list[list[JoinAmounts | None]]:
        """The numbers, by window."""
        beside = data.beside
        firsts, attributed = sums_of(data.sums(1), windows), sums_of(beside.attributed, windows)
        made: list[JoinAmounts | None] = []
        for first, through, window in zip(firsts, attributed, windows, strict=True):
            proven = through if beside.not_attributed is None else None
            amounts = JoinAmounts(first, proven, beside.not_attributed, data.unexplained(window))
            made.append(amounts if data.missing(window)[0] else None)
        return [made]

    def complete(self, data: JoinDays, today: date) -> tuple[date, date]:
        """No days, where joins may be missing."""
        return (date.max, date.min) if data.may_have_lost else super().complete(data, today)

    def missing(self, data: JoinDays, window: Window) -> tuple[bool, Sequence[Missing]]:
        """What is missing. Only of days that have not come, and of a disconnected community, nothing is known."""
        has_data, missing = data.missing(window)
        nothing = not has_data and any(one.reason in {Reason.NOT_YET, Reason.DISCONNECTED} for one in missing)
        return not nothing, [*missing, *data.lost(window)] if has_data else missing

    def totals(self, columns: Iterable[Sequence[JoinAmounts | None]]) -> list[JoinAmounts | None]:
        """The sums of what is known; None where nothing is."""
        made: list[JoinAmounts | None] = []
        for parts in zip(*columns, strict=True):
            amounts = [part for part in parts if part is not None]
            attributed = _sum(part.attributed for part in amounts)
            reason = next((part.not_attributed for part in amounts), None) if attributed is None else None
            total = sum(part.first_joins for part in amounts)
            unexplained = _sum(part.unexplained for part in amounts)
            made.append(JoinAmounts(total, attributed, reason, unexplained) if amounts else None)
        return made


def _sum(amounts: Iterable[int | None]) -> int | None:
    summands = [amount for amount in amounts if amount is not None]
    return sum(summands) if summands else None


def _join_rows(workspace_id: Any, project: Project, first: date, last: date) -> Any:
    return join_rows(workspace_id, project, first, last, attributed=False)


JOIN_ROWS: Final = Section(
    "join",
    f"Somebody joined for the first time that is known: `community_id`, {JOIN_FIELDS} Where `campaign_id` is null, it "
    "was through no invite link of a campaign, or the platform does not say.",
    _join_rows,
    JOIN_KEY,
)
