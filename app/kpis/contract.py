"""What a KPI is: a record with its measures, a pure function, and its documentation.

A KPI's file declares one `Kpi`. Its measures give amounts of one community over any days, from the data
that a source has loaded; its `value` makes a `Value` of these amounts, of one community or of several. How
both are applied to the whole window, the previous one, the series and the breakdown is in `arithmetic`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kpis.values import AddsUp, Community, Direction, GoalType, Missing, Reason, Unit, Value

DAY: Final = timedelta(days=1)
EvidenceQuery: TypeAlias = Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a room above has to say about days of a KPI; it changes no figure. See `annotations`."""

    kind: str
    id: UUID
    kpi: str
    """The KPI's key."""
    first: date
    last: date
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Project:
    """A project, as input of KPIs. Compared by identity, like `Community`."""

    id: UUID
    title: str
    zone: ZoneInfo
    today: date
    """Its local day at `now`."""
    now: datetime
    created_at: datetime
    communities: tuple[Community, ...]
    timezone: str
    """As stored; where Python does not know it, `zone` is UTC."""
    annotations: tuple[Annotation, ...] = ()
    """Of all KPIs."""

    @property
    def unusable_reason(self) -> str | None:
        """Why nothing of this project can be computed; None where it can."""
        return None if self.zone.key == self.timezone else Reason.ZONE_NOT_KNOWN

    def day_of(self, at: datetime) -> date:
        """The project's local day of an instant."""
        return at.astimezone(self.zone).date()

    def start_of(self, day: date) -> datetime:
        """The instant a local day begins."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)


class Window(NamedTuple):
    """The days of one value; in loaded data they are at the positions from `start` (included) to `stop` (not)."""

    first: date
    last: date
    today: date
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What the sources load: days of projects of one workspace, as of `now`."""

    workspace_id: UUID
    project_ids: tuple[UUID, ...]
    first: date
    last: date
    now: datetime
    is_past: bool = False
    """Whether `now` is in the past: stored sums then have to be reduced by what came later."""

    @property
    def length(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that every source's statement takes.

        `start` and `end` enclose the days in every zone; the statements also compare the local day.
        """
        return {
            "workspace_id": self.workspace_id,
            "project_ids": list(self.project_ids),
            "first": self.first,
            "last": self.last,
            "as_of": self.now,
            "start": datetime.combine(self.first, time(), UTC) - DAY,
            "end": datetime.combine(self.last, time(), UTC) + 2 * DAY,
        }

    def windows(self, ranges: Iterable[tuple[date, date]], today: date) -> list[Window]:
        """These ranges of days, both ends included, as windows of the loaded data."""
        origin = self.first.toordinal()
        return [
            Window(first, last, today, first.toordinal() - origin, last.toordinal() - origin + 1)
            for first, last in ranges
        ]


@dataclass(frozen=True, slots=True)
class Span:
    """The days for which a source can have data of one community, and why it has none for other days."""

    first: date
    last: date | None
    """The day of the last poll; None before the first one."""
    as_of: datetime | None
    reason: str | None = None
    """Why there is nothing after `last`; None while polls are regular."""
    before: str = Reason.BEFORE_CONNECTION
    """Why there is nothing before `first`."""
    end: date | None = None
    """The day on which the community was disconnected: nothing is expected of later ones. None: it is connected."""

    def missing(self, community: Community, window: Window) -> tuple[bool, list[Missing]]:
        """Whether the source has any data of the window, and the days for which it has none."""
        first, last, today = window[:3]
        if last < self.first:
            return False, [Missing(community, self.before, first, last)]
        if first > today:
            return False, [Missing(community, Reason.NOT_YET, first, last)]
        if self.end is not None:
            if first > self.end:
                return False, [Missing(community, Reason.DISCONNECTED, first, last)]
            last = min(last, self.end)
        if self.last is None or first > self.last:
            return False, [Missing(community, self.reason or Reason.NOT_MEASURED_YET, first, min(last, today))]
        gaps = []
        if first < self.first:
            gaps.append(Missing(community, self.before, first, self.first - DAY))
        if self.reason is not None and min(last, today) > self.last:
            gaps.append(Missing(community, self.reason, self.last + DAY, min(last, today)))
        return True, gaps


class CommunityData:
    """A source's data of one community, by day; the position of a day is its distance from the first loaded one."""

    __slots__ = ("community", "first", "inbound_gaps", "length", "span")

    def __init__(self, community: Community, span: Span, request: LoadRequest) -> None:
        self.community = community
        self.span = span
        self.first = request.first
        """The first loaded day."""
        self.length = request.length
        """The number of loaded days."""
        self.inbound_gaps: Sequence[tuple[date, date]] = ()
        """For each: the day on which something was sent that was not pushed, and the day on which a poll found it."""

    def missing(self, window: Window) -> tuple[bool, list[Missing]]:
        """Whether there is any data of the window, and the days for which there is none."""
        return self.span.missing(self.community, window)

    def ended_within(self, window: Window) -> bool:
        """Whether the community was disconnected before the window's end: a level at its end has no part of it."""
        end = self.span.end
        return end is not None and end < min(window.last, window.today)

    def missing_whole(self, reason: str, window: Window) -> Missing:
        """A `Missing` for the whole window."""
        return Missing(self.community, reason, window.first, window.last)

    def inbound_gaps_in(self, window: Window) -> Iterator[Missing]:
        """The days of the window during which something had been sent, but neither pushed nor polled yet."""
        for sent, found_on in self.inbound_gaps:
            if sent <= window.last and window.first <= found_on:
                first, last = max(sent, window.first), min(found_on, window.last)
                yield Missing(self.community, Reason.INBOUND_GAP, first, last)


D = TypeVar("D", bound=CommunityData)


class Dataset(Generic[D]):
    """A source's data of one project: each community's, in the order in which they were connected."""

    def __init__(self, parts: Iterable[D], reason: str = Reason.NO_COMMUNITIES, *, failed: bool = False) -> None:
        self.parts: dict[Community, D] = {one.community: one for one in parts}
        self.reason = reason
        """Why there is no data where `parts` is empty."""
        self.failed = failed
        """Whether loading failed, for `reason`: nothing may be computed from it then."""


class Source(Generic[D]):
    """One kind of input: how it is loaded, for many projects in one round trip."""

    key: ClassVar[str]
    title: ClassVar[str]
    of_project: ClassVar[bool] = False
    """Whether its data is of the project as a whole, and of no single community."""
    rows: ColumnElement[Any]
    """Expression for the rows of the enclosing statement's project, as JSON; takes `LoadRequest.parameters`."""

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[D]:
        """The data of a project, made from its rows (None: it has none)."""
        raise NotImplementedError

    async def supplement(
        self, connection: AsyncConnection, request: LoadRequest, datasets: Mapping[Project, Dataset[D]]
    ) -> None:
        """Complete `datasets` with what only some projects need; by default with nothing."""

    def gaps(self, data: D, window: Window) -> Iterable[Missing]:
        """The days within the span on which data was lost."""
        return data.inbound_gaps_in(window)


class Measure(Generic[D]):
    """One or more amounts of a community over a window, and how those of several communities are added up."""

    source: Source[D]
    nothing: tuple[Any, ...] = (0,)
    """The neutral value of each amount, for a community that does not contribute to a total."""
    empty: str | None = None
    """The reason for leaving out a community whose first amount is 0; None: it is not left out."""
    is_empty_first: ClassVar[bool] = False
    """Whether that reason is also reported where another amount of the community is not known."""

    def amounts(self, data: D, windows: Sequence[Window]) -> list[list[Any]]:
        """For each amount its values by window; whether they are known is returned by `missing`."""
        raise NotImplementedError

    def complete(self, data: D, today: date) -> tuple[date, date]:
        """First and last of the days without gaps: for windows within them `missing` need not be called."""
        return data.span.first, min(data.span.last or date.min, today)

    def missing(self, data: D, window: Window) -> tuple[bool, Sequence[Missing]]:
        """Whether the amounts are known, and what is missing of them."""
        return data.missing(window)

    def totals(self, columns: Iterable[Sequence[Any]]) -> list[Any]:
        """One of the amounts added up over communities, by window."""
        return list(map(sum, zip(*columns, strict=True)))


@dataclass(frozen=True, slots=True)
class EvidenceRequest:
    """Whose rows are shown: of a project's days, as far as they came up to `project.now`."""

    workspace_id: UUID
    project: Project
    first: date
    last: date
    community_ids: Sequence[UUID | None]
    """Only rows of these; None: rows that belong to no community."""


class SectionTotal(NamedTuple):
    """The totals of a section, over all pages."""

    rows: int
    sum: int | None
    """Of `Section.amount`; None where it has none."""
    digest: str
    """Differs where any of the rows does."""


class SectionReader(Protocol):
    """Reads the rows of a section whose number may be too large to read them all for a page."""

    async def total(self, connection: AsyncConnection, request: EvidenceRequest) -> SectionTotal:
        """The totals over all pages."""
        ...

    async def page(
        self, connection: AsyncConnection, request: EvidenceRequest, after: Sequence[Any] | None, limit: int
    ) -> tuple[list[dict[str, Any]], Sequence[Any] | None]:
        """At most `limit` rows after a sort key, and the key after which the next page begins; None: it is the last.

        A page may have fewer rows, even none, although another one follows.
        """
        ...


@dataclass(frozen=True, slots=True)
class Section:
    """Evidence rows of one kind, sorted by a unique key.

    `rows` returns the rows behind the value of `project`'s days, as far as they came up to `project.now`; each has the
    columns of `key`, and `community_id`.
    """

    kind: str
    doc: str
    """What a row is, and its fields."""
    rows: Callable[[UUID, Project, date, date], EvidenceQuery] | None
    key: Mapping[str, type]
    """The sort key: names of columns with the types they have in a cursor."""
    amount: str | None = None
    """The column whose sum is returned beside the number of rows."""
    reader: SectionReader | None = None
    """Reads the rows in place of `rows`."""


@dataclass(frozen=True, slots=True)
class Doc:
    """A KPI's documentation."""

    formula: str
    """In words."""
    symbols: str
    """In symbols, each in braces: `{E} / {S}`; `Value.evidence` defines them."""
    source: str
    """Where the inputs come from."""
    recount: str
    """How to recompute the value from the evidence rows by hand."""
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """The KPI's figure by another definition, shown beside its value, in the same unit.

    The value alone has a status, a previous value's change and goals; a variant is null where it is unknown.
    """

    key: str
    """Its name in answers, in snake_case: `wall_clock`, `p90`."""
    title: str
    """Its name for people."""
    independent: bool = False
    """It may be known where the value is not: it is of other inputs."""


@dataclass(frozen=True, slots=True)
class Kpi:
    """One key performance indicator."""

    key: str
    title: str
    unit: Unit
    goal: GoalType
    version: int
    """Increased when the formula changes."""
    direction: Direction
    adds_up: AddsUp
    measures: tuple[Measure[Any], ...]
    value: Callable[..., Value]
    """Computes the value of one or more communities from the amounts of all measures, in their order."""
    evidence: tuple[Section, ...]
    doc: Doc
    variants: tuple[Variant, ...] = ()
    """What `value` gives beside the amount, in the order of the answers."""
    least: float | None = 0
    """No value is below it; None: one can be, as what platforms count is taken back too."""
    most: float | None = None
    """No value is above it; None: there is no such limit."""
    accrues: bool = False
    """Of a ratio: its value grows with the days that it is of, like that of a flow, although it is no sum of theirs."""

    @property
    def is_distinct_count(self) -> bool:
        """Whether it counts different ones: who comes on several days is one of them all."""
        return self.adds_up is AddsUp.RATIO and self.unit is Unit.COUNT

    @property
    def grows_with_days(self) -> bool:
        """Whether a window of more days has more of it: values of windows of unlike lengths do not compare."""
        return self.adds_up is AddsUp.FLOW or self.accrues

    @property
    def is_of_project(self) -> bool:
        """Whether its values are of the project as a whole, and of no single community."""
        return all(source.of_project for source in self.needs)

    @property
    def needs(self) -> tuple[Source[Any], ...]:
        """The sources of its measures."""
        return tuple(dict.fromkeys(measure.source for measure in self.measures))
