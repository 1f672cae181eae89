"""What a KPI is: a record with a pure function, and the words to explain it.

A KPI's file declares one `Kpi`. Its `compute` is asked about a `Window` (some days, some
communities, and what the sources know of them) and answers with a `Value`. It is asked again for
the window before, for every stretch of a series and for every community, always in the same way;
it knows no database, no clock and no project.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

DAY: Final = timedelta(days=1)
Query: TypeAlias = Select[*tuple[Any, ...]]


class Unit(StrEnum):
    """What an amount counts."""

    COUNT = "count"
    RATIO = "ratio"
    """0.25 is 25 %."""
    SECONDS = "seconds"


class GoalType(StrEnum):
    """The goal agreed with the client that a KPI serves."""

    AWARENESS = "awareness"
    SUPPORT = "support"
    TRAFFIC = "traffic"
    PROCESS = "process"


class Direction(StrEnum):
    """Which way is good."""

    HIGHER = "higher_is_better"
    LOWER = "lower_is_better"
    NEUTRAL = "neutral"


class Status(StrEnum):
    """How far a value can be trusted."""

    OK = "ok"
    PARTIAL = "partial"
    """Some inputs are missing; coverage names them."""
    UNKNOWN = "unknown"
    """There is no value; `reason` says why."""


class Reason(StrEnum):
    """Why a value is missing, or is only a part. A KPI may have reasons of its own beside these."""

    NO_COMMUNITIES = "no-communities"
    NOT_MEASURED_YET = "not-measured-yet"
    NOT_YET = "not-yet"
    """The days have not come."""
    BEFORE_CONNECTION = "before-connection"
    GATHERED_BEFORE_CONNECTION = "gathered-before-connection"
    """Known as a sum at the first look, and counted for the day of publication."""
    PENDING = "pending"
    """The platform gives it some days late."""
    CAME_LATE = "came-late"
    """Given late by the platform, as a sum, and counted for the day of publication."""
    STALE = "stale"
    """The last look is too long ago."""
    NO_SNAPSHOT = "no-snapshot"
    UNSUPPORTED = "unsupported"
    """The platform does not give this metric."""
    NO_PERMISSION = "no-permission"
    HOOK_MISSED = "hook-missed"
    """The platform did not tell of something at once, as it does by its hook; a poll found it later."""
    ZONE_NOT_KNOWN = "zone-not-known"
    """PostgreSQL, or Python, does not know the project's time zone (any more): its days are not known."""
    NOT_COMPUTED = "not-computed"
    """Computing it failed, by a fault of ours; the log has it."""
    REAUTH_REQUIRED = "reauth-required"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, eq=False)
class Community:
    """A community as KPIs see it. Without an id: what belongs to the project but to no community.

    One is the same as another only if it is the same object: it is looked up often.
    """

    id: UUID | None
    platform: str | None
    title: str | None = None
    connected: date = date.min
    """The local day it was connected on."""
    backfill: date = date.min
    """The local day its posts and messages are known from, where it was connected later."""
    state: str = "healthy"
    size_seen_at: datetime | None = None
    posts_seen_at: datetime | None = None
    conversations_seen_at: datetime | None = None
    unheard: bool = False
    """Its hook has missed something, at some time."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project as KPIs see it."""

    id: UUID
    name: str
    zone: ZoneInfo
    today: date
    """Its local day now."""
    now: datetime
    created_at: datetime
    communities: tuple[Community, ...]
    timezone: str
    """As it is stored: of one that Python does not know, `zone` is UTC."""

    @property
    def trouble(self) -> str | None:
        """Why nothing of it can be known; None for a sound one."""
        return None if self.zone.key == self.timezone else Reason.ZONE_NOT_KNOWN

    def day_of(self, at: datetime) -> date:
        """The project's local day of an instant."""
        return at.astimezone(self.zone).date()

    def start_of(self, day: date) -> datetime:
        """The instant a local day begins."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What the sources are asked to load: some days of some projects of one workspace."""

    workspace_id: UUID
    projects: tuple[Project, ...]
    first: date
    last: date

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """Instants that enclose these days in every project's zone."""
        return (
            min(project.start_of(self.first) for project in self.projects),
            max(project.start_of(self.last + DAY) for project in self.projects),
        )

    @property
    def values(self) -> dict[str, Any]:
        """The parameters that every source's statement takes."""
        start, end = self.bounds
        return {
            "workspace_id": self.workspace_id,
            "project_ids": [project.id for project in self.projects],
            "first": self.first,
            "last": self.last,
            "start": start,
            "end": end,
        }


class Missing(NamedTuple):
    """An input that is not there, for some days of one community."""

    community: Community
    reason: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Span:
    """The days a source can know of one community, and why no others."""

    first: date
    last: date | None
    """The day of the last look; None before the first one."""
    as_of: datetime | None
    reason: str | None = None
    """Why there is nothing after `last`; None while looks come regularly."""
    before: str = Reason.BEFORE_CONNECTION
    """Why there is nothing before `first`."""

    def missing(self, window: "Window", community: Community) -> tuple[bool, list[Missing]]:
        """Whether the source knows anything of the window, and the days it does not know."""
        first, last = window.first, window.last
        if last < self.first:
            return False, [Missing(community, self.before, first, last)]
        if first > window.today:
            return False, [Missing(community, Reason.NOT_YET, first, last)]
        if self.last is None or first > self.last:
            return False, [Missing(community, self.reason or Reason.NOT_MEASURED_YET, first, min(last, window.today))]
        gaps = []
        if first < self.first:
            gaps.append(Missing(community, self.before, first, self.first - DAY))
        if self.reason is not None and min(last, window.today) > self.last:
            gaps.append(Missing(community, self.reason, self.last + DAY, min(last, window.today)))
        return True, gaps


class Row(Protocol):
    """What a source loads: something of one day and one community."""

    @property
    def project_id(self) -> UUID: ...
    @property
    def community_id(self) -> UUID | None: ...
    @property
    def day(self) -> date: ...


R = TypeVar("R", bound=Row)


_day: Final = attrgetter("day")


class Loaded(Generic[R]):
    """What a source knows of one project: rows by community and day, and how far its knowledge goes."""

    def __init__(
        self,
        rows: Iterable[R],
        spans: Mapping[Community, Span],
        reason: str = Reason.NO_COMMUNITIES,
        unheard: Mapping[UUID | None, Sequence[tuple[date, date]]] | None = None,
        *,
        failed: bool = False,
    ) -> None:
        self.failed = failed
        """It could not be loaded, for `reason`: nothing may be computed from it."""
        self.spans = spans
        self.unheard = unheard or {}
        """By community: days on which something was sent that its hook missed, and those on which it was found."""
        self.communities = tuple(spans)
        self.reason = reason
        """Why there is nothing to know, where there are no spans."""
        self.since = max((span.first for span in spans.values()), default=date.max)
        self.until = min((span.last or date.min for span in spans.values()), default=date.min)
        """From `since` to `until` everything is known of all communities: what most windows ask for."""
        self._all = sorted(rows, key=_day)
        self._all_days = [row.day for row in self._all]
        self._rows: dict[UUID | None, list[R]] = {community.id: [] for community in spans}
        for row in self._all:
            self._rows.setdefault(row.community_id, []).append(row)
        self._days = {community_id: [row.day for row in found] for community_id, found in self._rows.items()}

    def of_all(self, first: date, last: date) -> list[R]:
        """The rows of all communities from one day to another, both included, in the order of days."""
        return self._all[bisect_left(self._all_days, first) : bisect_right(self._all_days, last)]

    def between(self, community: Community, first: date, last: date) -> list[R]:
        """The rows of one community from one day to another, both included, in the order of days."""
        days = self._days.get(community.id)
        if not days:
            return []
        return self._rows[community.id][bisect_left(days, first) : bisect_right(days, last)]

    def missed(self, community: Community, window: "Window") -> Iterator[Missing]:
        """Stretches of a window in which something was sent, and not found yet."""
        for sent, found in self.unheard.get(community.id, ()):
            if sent <= window.last and window.first <= found:
                yield Missing(community, Reason.HOOK_MISSED, max(sent, window.first), min(found, window.last))

    def before(self, community: Community, day: date) -> R | None:
        """The last row of one community before a day."""
        days = self._days.get(community.id)
        at = bisect_left(days, day) if days else 0
        return self._rows[community.id][at - 1] if at else None


class Source(Protocol[R]):
    """One kind of input: how it is loaded, for many projects in one round trip."""

    key: str
    title: str

    async def load(self, connection: AsyncConnection, asked: LoadRequest) -> dict[UUID, Loaded[R]]:
        """What is known of each project from `asked.first` to `asked.last`."""
        ...

    def gaps(self, loaded: Loaded[R], community: Community, window: "Window") -> Iterator[Missing]:
        """Days within the source's span on which it nevertheless has nothing, where that means a loss."""
        ...


class Window(NamedTuple):
    """What a KPI is computed from: days, communities, and what the sources know of them."""

    first: date
    last: date
    today: date
    loaded: Mapping[str, Loaded[Any]]
    only: Community | None = None
    """One community for a line of the breakdown; None: all of them."""

    def of(self, source: Source[R]) -> Loaded[R]:
        """What a source knows."""
        return cast("Loaded[R]", self.loaded[source.key])

    def complete(self, source: Source[Any]) -> bool:
        """Whether it is about all communities, and the source knows all of it."""
        loaded = self.loaded[source.key]
        return self.only is None and loaded.since <= self.first and self.last <= loaded.until

    def communities(self, *sources: Source[Any]) -> tuple[Community, ...]:
        """Of whom all these sources speak, within this window's question."""
        first, *others = (self.of(source) for source in sources)
        asked = first.communities if self.only is None else (self.only,)
        if not others:
            return asked
        return tuple(one for one in asked if all(one in other.spans for other in others))

    def rows(self, source: Source[R], community: Community) -> list[R]:
        """What the source has of one community in these days."""
        return self.of(source).between(community, self.first, self.last)

    def missing(self, source: Source[R], community: Community) -> tuple[bool, list[Missing]]:
        """Whether the source knows anything of one community here, and the days it does not know."""
        span = self.of(source).spans.get(community)
        if span is None:
            return False, [Missing(community, Reason.NOT_MEASURED_YET, self.first, self.last)]
        return span.missing(self, community)


class Term(NamedTuple):
    """An amount that went into a value, for the explanation."""

    symbol: str
    title: str
    amount: float | None


class Excluded(NamedTuple):
    """What was left out of a value on purpose (or is in it by convention, among `included`)."""

    amount: float
    reason: str
    finding_id: UUID | None = None


class Value(NamedTuple):
    """A KPI's answer for one window. An amount that is not known is None, with its reason."""

    amount: float | None
    reason: str | None = None
    missing: Sequence[Missing] = ()
    """Inputs that are not there: with an amount, it is a part of the whole."""
    excluded: Sequence[Excluded] = ()
    included: Sequence[Excluded] = ()
    """What is in the amount by convention, and could have been left out."""
    evidence: Sequence[Term] = ()

    @property
    def status(self) -> Status:
        """Known, known in part, or unknown."""
        if self.amount is None:
            return Status.UNKNOWN
        return Status.PARTIAL if self.missing else Status.OK

    @property
    def why(self) -> str | None:
        """The reason of a status that is not ok."""
        if self.amount is not None and not self.missing:
            return None
        return self.reason or (self.missing[0].reason if self.missing else Reason.NOT_MEASURED_YET)


@dataclass(frozen=True, slots=True)
class Section:
    """Evidence rows of one kind, sorted by columns that together are unique.

    `rows` gives the rows behind the value of `project`'s days; each has the columns of `key`.
    """

    kind: str
    doc: str
    """What a row is, and its fields."""
    rows: Callable[[UUID, Project, date, date], Query]
    key: Mapping[str, type]
    """The sort key: names of columns with the types they have in a cursor."""


@dataclass(frozen=True, slots=True)
class Doc:
    """A KPI for its readers."""

    formula: str
    """In words."""
    symbols: str
    """In symbols, each in braces: `{E} / {S}`; `Value.evidence` says what they stand for."""
    source: str
    """Where the inputs come from."""
    recount: str
    """How to get the value from the evidence rows by hand."""
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kpi:
    """One key performance indicator."""

    key: str
    title: str
    unit: Unit
    goal: GoalType
    version: int
    """Goes up when the formula changes."""
    direction: Direction
    needs: tuple[Source[Any], ...]
    compute: Callable[[Window], Value]
    evidence: tuple[Section, ...]
    doc: Doc
    additive: bool = False
    """The values of parts of the time, and of the communities, add up to the whole."""
