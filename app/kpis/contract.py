"""What a KPI is: a record with a pure function, and its documentation.

A KPI's file declares one `Kpi`. Its `compute` takes a `Window` (days, communities, and the loaded
inputs) and returns a `Value`. It is called for the whole window, for the previous one, for every part
of the series and for every community; it knows no database, no clock and no project.
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
EvidenceQuery: TypeAlias = Select[*tuple[Any, ...]]


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
    """Whether a higher or a lower value is better."""

    HIGHER = "higher_is_better"
    LOWER = "lower_is_better"
    NEUTRAL = "neutral"


class ValueStatus(StrEnum):
    """Whether a value is known, partly known or unknown."""

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
    """Known as a sum at the first poll, and counted for the day of publication."""
    PENDING = "pending"
    """The platform gives it some days late."""
    CAME_LATE = "came-late"
    """Given late by the platform, as a sum, and counted for the day of publication."""
    STALE = "stale"
    """The last poll is too long ago."""
    NO_SNAPSHOT = "no-snapshot"
    UNSUPPORTED = "unsupported"
    """The platform does not give this metric."""
    NO_PERMISSION = "no-permission"
    INBOUND_GAP = "inbound-gap"
    """The platform did not push something in time; a poll found it later."""
    ZONE_NOT_KNOWN = "zone-not-known"
    """PostgreSQL or Python does not know the project's time zone (any more), so its days are undefined."""
    NOT_COMPUTED = "not-computed"
    """Computing it failed, by a fault of ours; see the log."""
    REAUTH_REQUIRED = "reauth-required"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, eq=False)
class Community:
    """A community as KPIs see it. Without an id: what belongs to the project but to no community.

    Compared by identity, because it is a dictionary key that is looked up often.
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
    has_inbound_gaps: bool = False
    """Whether the platform has ever failed to push something in time that a poll then found."""


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
    """As stored; where Python does not know it, `zone` is UTC."""

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


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What the sources load: days of projects of one workspace."""

    workspace_id: UUID
    projects: tuple[Project, ...]
    first: date
    last: date

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """The instants from the first day's start to the last day's end, in whatever project's zone."""
        return (
            min(project.start_of(self.first) for project in self.projects),
            max(project.start_of(self.last + DAY) for project in self.projects),
        )

    @property
    def parameters(self) -> dict[str, Any]:
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
    """An input that is missing for some days of one community."""

    community: Community
    reason: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Span:
    """The days for which a source can have data of one community, and why for no others."""

    first: date
    last: date | None
    """The day of the last poll; None before the first one."""
    as_of: datetime | None
    reason: str | None = None
    """Why there is nothing after `last`; None while polls are regular."""
    before: str = Reason.BEFORE_CONNECTION
    """Why there is nothing before `first`."""

    def missing(self, window: "Window", community: Community) -> tuple[bool, list[Missing]]:
        """Whether the source has any data of the window, and the days without."""
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
    """A row that a source loads, of one day and one community."""

    @property
    def project_id(self) -> UUID: ...
    @property
    def community_id(self) -> UUID | None: ...
    @property
    def day(self) -> date: ...


R = TypeVar("R", bound=Row)


_day: Final = attrgetter("day")


class Loaded(Generic[R]):
    """A source's data of one project: rows by community and day, and the span of known days."""

    def __init__(
        self,
        rows: Iterable[R],
        spans: Mapping[Community, Span],
        reason: str = Reason.NO_COMMUNITIES,
        inbound_gaps: Mapping[UUID | None, Sequence[tuple[date, date]]] | None = None,
        *,
        failed: bool = False,
    ) -> None:
        self.failed = failed
        """It could not be loaded, for `reason`: nothing may be computed from it."""
        self.spans = spans
        self.inbound_gaps = inbound_gaps or {}
        """By community: the day something was sent that was not pushed, and the day a poll found it."""
        self.communities = tuple(spans)
        self.reason = reason
        """Why there is no data, where there are no spans."""
        self.since = max((span.first for span in spans.values()), default=date.max)
        self.until = min((span.last or date.min for span in spans.values()), default=date.min)
        """From `since` to `until` everything is known of all communities: the fast path of most windows."""
        self._all = sorted(rows, key=_day)
        self._all_days = [row.day for row in self._all]
        self._rows: dict[UUID | None, list[R]] = {community.id: [] for community in spans}
        for row in self._all:
            self._rows.setdefault(row.community_id, []).append(row)
        self._days = {
            community_id: [row.day for row in rows_of_one] for community_id, rows_of_one in self._rows.items()
        }

    def of_all(self, first: date, last: date) -> list[R]:
        """The rows of all communities from one day to another, both included, in the order of days."""
        return self._all[bisect_left(self._all_days, first) : bisect_right(self._all_days, last)]

    def between(self, community: Community, first: date, last: date) -> list[R]:
        """The rows of one community from one day to another, both included, in the order of days."""
        days = self._days.get(community.id)
        if not days:
            return []
        return self._rows[community.id][bisect_left(days, first) : bisect_right(days, last)]

    def inbound_gaps_in(self, community: Community, window: "Window") -> Iterator[Missing]:
        """Days of a window on which something was sent that a poll had not found yet."""
        for sent, found in self.inbound_gaps.get(community.id, ()):
            if sent <= window.last and window.first <= found:
                yield Missing(community, Reason.INBOUND_GAP, max(sent, window.first), min(found, window.last))

    def before(self, community: Community, day: date) -> R | None:
        """The last row of one community before a day."""
        days = self._days.get(community.id)
        at = bisect_left(days, day) if days else 0
        return self._rows[community.id][at - 1] if at else None


class Source(Protocol[R]):
    """One kind of input: how it is loaded, for many projects in one round trip."""

    key: str
    title: str

    async def load(self, connection: AsyncConnection, request: LoadRequest) -> dict[UUID, Loaded[R]]:
        """The data of each project from `request.first` to `request.last`."""
        ...

    def gaps(self, loaded: Loaded[R], community: Community, window: "Window") -> Iterator[Missing]:
        """Days within the span on which data was lost."""
        ...


class Window(NamedTuple):
    """What a KPI is computed from: days, communities, and the loaded inputs."""

    first: date
    last: date
    today: date
    loaded: Mapping[str, Loaded[Any]]
    only: Community | None = None
    """One community, for a row of the breakdown; None: all of them."""

    def of(self, source: Source[R]) -> Loaded[R]:
        """The data of a source."""
        return cast("Loaded[R]", self.loaded[source.key])

    def complete(self, source: Source[Any]) -> bool:
        """Whether the window covers all communities and the source has all of its days."""
        loaded = self.loaded[source.key]
        return self.only is None and loaded.since <= self.first and self.last <= loaded.until

    def communities(self, *sources: Source[Any]) -> tuple[Community, ...]:
        """The communities of this window that all these sources cover."""
        first, *others = (self.of(source) for source in sources)
        selected = first.communities if self.only is None else (self.only,)
        if not others:
            return selected
        return tuple(one for one in selected if all(one in other.spans for other in others))

    def rows(self, source: Source[R], community: Community) -> list[R]:
        """The source's rows of one community in these days."""
        return self.of(source).between(community, self.first, self.last)

    def missing(self, source: Source[R], community: Community) -> tuple[bool, list[Missing]]:
        """Whether the source has any data of one community in this window, and the days without."""
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
    """An amount left out of a value on purpose (or, in `Value.included`, part of it by convention)."""

    amount: float
    reason: str
    finding_id: UUID | None = None


class Value(NamedTuple):
    """A KPI's value for one window. An unknown amount is None, with a reason."""

    amount: float | None
    reason: str | None = None
    missing: Sequence[Missing] = ()
    """Missing inputs; with an amount, the amount is partial."""
    excluded: Sequence[Excluded] = ()
    included: Sequence[Excluded] = ()
    """What is part of the amount by convention, and could have been left out."""
    evidence: Sequence[Term] = ()

    @property
    def status(self) -> ValueStatus:
        """Known, known in part, or unknown."""
        if self.amount is None:
            return ValueStatus.UNKNOWN
        return ValueStatus.PARTIAL if self.missing else ValueStatus.OK

    @property
    def status_reason(self) -> str | None:
        """The reason of a status that is not ok."""
        if self.amount is not None and not self.missing:
            return None
        return self.reason or (self.missing[0].reason if self.missing else Reason.NOT_MEASURED_YET)


@dataclass(frozen=True, slots=True)
class Section:
    """Evidence rows of one kind, sorted by a unique key.

    `rows` returns the rows behind the value of `project`'s days; each has the columns of `key`.
    """

    kind: str
    doc: str
    """What a row is, and its fields."""
    rows: Callable[[UUID, Project, date, date], EvidenceQuery]
    key: Mapping[str, type]
    """The sort key: names of columns with the types they have in a cursor."""


@dataclass(frozen=True, slots=True)
class Doc:
    """A KPI for its readers."""

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
    """Values of parts of the window, and of communities, add up to the whole."""
