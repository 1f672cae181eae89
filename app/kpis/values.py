"""A KPI's value for one window, and what describes it: unit, direction, status, reasons, and what is missing of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID


class Unit(StrEnum):
    """The unit of an amount."""

    COUNT = "count"
    RATIO = "ratio"
    """A fraction: 0.25 is 25 %."""
    SECONDS = "seconds"
    MONEY = "money"
    """Whole units of the currency that stands beside the value."""


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


class AddsUp(StrEnum):
    """How the values of the parts of a window combine into the value of the whole window."""

    FLOW = "flow"
    """Their sum; the values of communities add up, too."""
    STOCK = "stock"
    """The value of the last part: it is a level, measured at the end."""
    RATIO = "ratio"
    """They do not: it is computed from the inputs of the whole window (a quotient, a median, a distinct count)."""


class ValueStatus(StrEnum):
    """Whether a value is known, partly known or unknown."""

    OK = "ok"
    PARTIAL = "partial"
    """Some inputs are missing; coverage names them."""
    UNKNOWN = "unknown"
    """There is no value; `reason` says why."""


class Reason(StrEnum):
    """Why a value is unknown or partial. A KPI may add reasons of its own."""

    NO_COMMUNITIES = "no-communities"
    NOT_MEASURED_YET = "not-measured-yet"
    NOT_YET = "not-yet"
    """The days are in the future."""
    BEFORE_CONNECTION = "before-connection"
    GATHERED_BEFORE_CONNECTION = "gathered-before-connection"
    """Known only as a total at the first poll, which counts for the day of publication."""
    PENDING = "pending"
    """The platform reports it with a delay of some days, which is not over."""
    CAME_LATE = "came-late"
    """First reported by the platform late, as a total, which counts for the day of publication."""
    STALE = "stale"
    """The last poll is too long ago."""
    NO_SNAPSHOT = "no-snapshot"
    UNSUPPORTED = "unsupported"
    """The platform does not report this metric."""
    NO_PERMISSION = "no-permission"
    INBOUND_GAP = "inbound-gap"
    """The platform did not push something in time; a poll found it later."""
    ZONE_NOT_KNOWN = "zone-not-known"
    """PostgreSQL or Python does not know the project's time zone (any more), so its days are undefined."""
    NOT_COMPUTED = "not-computed"
    """The computation failed because of a bug; the log has the exception."""
    REAUTH_REQUIRED = "reauth-required"
    PAUSED = "paused"
    DISCONNECTED = "disconnected"
    """A person disconnected the community: it does not count any more, and nothing of these days is expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Community:
    """A community, as input of KPIs. Without an id: a stand-in for what belongs to the project but to no community.

    Compared by identity, because it is a dictionary key that is looked up often.
    """

    id: UUID | None
    platform: str | None
    title: str | None = None
    connected: date = date.min
    """The local day on which it was connected."""
    backfill: date = date.min
    """The first local day of which its posts and messages are known; at the latest the day of connection."""
    status: str = "healthy"
    size_seen_at: datetime | None = None
    posts_seen_at: datetime | None = None
    conversations_seen_at: datetime | None = None
    disconnected: date | None = None
    """The local day on which it was disconnected; None: it is connected."""
    has_inbound_gaps: bool = False
    """Whether a poll has ever found something that the platform had not pushed in time."""


class Missing(NamedTuple):
    """An input that is missing for some days of one community."""

    community: Community
    reason: str
    first: date
    last: date


class Term(NamedTuple):
    """An amount that went into a value, for the explanation."""

    symbol: str
    title: str
    amount: float | None
    reason: str | None = None
    """Why the amount is not known."""


class Excluded(NamedTuple):
    """An amount left out of a value on purpose (or, in `Value.included`, part of it by convention)."""

    amount: float
    reason: str
    finding_id: UUID | None = None


_NO_VARIANTS: Final[Mapping[str, float]] = MappingProxyType({})


class Value(NamedTuple):
    """A KPI's value for one window. An unknown amount is None, with a reason."""

    amount: float | None
    reason: str | None = None
    missing: Sequence[Missing] = ()
    """Missing inputs; with an amount, the amount is partial."""
    excluded: Sequence[Excluded] = ()
    included: Sequence[Excluded] = ()
    """What the amount contains by convention, although it might as well be left out."""
    evidence: Sequence[Term] = ()
    variants: Mapping[str, float] = _NO_VARIANTS
    """The same figure by the other definitions of `Kpi.variants`, by their keys; what is left out is unknown."""
    currency: str | None = None
    """Of an amount of money, ISO 4217."""

    @property
    def status(self) -> ValueStatus:
        """Known, known in part, or unknown."""
        if self.amount is None:
            return ValueStatus.UNKNOWN
        return ValueStatus.PARTIAL if self.missing else ValueStatus.OK

    @property
    def status_reason(self) -> str | None:
        """The reason of a status that is not `ok`; None for `ok`."""
        if self.amount is not None and not self.missing:
            return None
        return self.reason or (self.missing[0].reason if self.missing else Reason.NOT_MEASURED_YET)
