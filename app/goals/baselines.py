"""Where a goal starts from: measured from history when it is proposed, or stated with a reason."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from app.campaigns import attribution
from app.goals.history import counts_elsewhere
from app.kit.errors import Conflict
from app.kpis.contract import DAY, Kpi
from app.kpis.inputs.clicks import NO_LINKS
from app.kpis.measuring import measure
from app.kpis.values import AddsUp, Community, Reason, Value
from app.kpis.windows import Days

WINDOW_DAYS: Final = 28
"""The days that are measured: whole weeks, so that no weekday counts more than another.

A ratio that grows with the days it is of is measured over as many days as the period has, as often as these days have
room for it.
"""


_NEVER_SUPPORTED: Final = frozenset({Reason.UNSUPPORTED.value, attribution.NOT_COUNTED, attribution.NOT_ATTRIBUTED})
"""Reasons that never pass: the platform does not say it."""


class BaselineSource(StrEnum):
    """Where a baseline comes from."""

    MEASURED = "measured"
    STATED = "stated"


@dataclass(frozen=True, slots=True)
class StatedBaseline:
    """A baseline that people know and the service does not, with the reason why it is to be believed."""

    value: float
    """Of a period as long as the goal's, in the KPI's unit."""
    reason: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """Where a goal starts from."""

    source: BaselineSource
    level: float
    """What the target is compared with: of a flow the amount in as many days as the goal's period has."""
    value: float | None = None
    """The KPI's value over the measured days; None for a stated one, like all that follows but `reason`."""
    first_day: date | None = None
    last_day: date | None = None
    known_days: int | None = None
    """How many of these days the value is of."""
    status: str | None = None
    """The value's: `ok` or `partial`."""
    as_of: datetime | None = None
    reason: str | None = None
    """Why a stated one is to be believed, in somebody's words."""
    community_ids: tuple[UUID, ...] | None = None
    """Of a level: the communities whose part is in it. None: it is no level, or was stated."""

    @property
    def as_stated(self) -> StatedBaseline | None:
        """What people have stated; None for a measured one."""
        return None if self.source is BaselineSource.MEASURED else StatedBaseline(self.level, self.reason or "")

    @property
    def as_json(self) -> dict[str, Any]:
        """The baseline, as the database has it."""
        return {
            "source": self.source.value,
            "level": self.level,
            "value": self.value,
            "from": self.first_day and self.first_day.isoformat(),
            "to": self.last_day and self.last_day.isoformat(),
            "known_days": self.known_days,
            "status": self.status,
            "as_of": self.as_of and self.as_of.isoformat().replace("+00:00", "Z"),
            "reason": self.reason,
            "community_ids": None if self.community_ids is None else [str(one) for one in self.community_ids],
        }


def stored(row: Mapping[str, Any]) -> Baseline:
    """A baseline as the database has it."""
    return Baseline(
        BaselineSource(row["source"]),
        float(row["level"]),
        value=None if row["value"] is None else float(row["value"]),
        first_day=_day(row["from"]),
        last_day=_day(row["to"]),
        known_days=row["known_days"],
        status=row["status"],
        as_of=None if row["as_of"] is None else datetime.fromisoformat(row["as_of"]),
        reason=row["reason"],
        community_ids=None if row.get("community_ids") is None else tuple(map(UUID, row["community_ids"])),
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


class _History(NamedTuple):
    """A KPI's values over the measured days."""

    whole: Value
    periods: Sequence[Value]
    """Over each of the periods that these days have room for: their first days, as many as the goal has, and so on."""
    known_days: int

    @classmethod
    def of(cls, values: Sequence[Value], parts: int, first: date) -> "_History":
        whole, daily = values[0], values[1 + parts :]
        known_days = sum(
            value.amount is not None or counts_elsewhere(whole, first + number * DAY)
            for number, value in enumerate(daily)
        )
        return cls(whole, values[1 : 1 + parts], known_days)

    def in_days(self, length: int) -> float:
        """What there was of it in so many of the days that are known."""
        return float(sum(one.amount or 0 for one in self.periods)) / self.known_days * length


class _Measured(NamedTuple):
    """What was measured for a baseline."""

    window: Days
    of_all: _History
    by_community: Mapping[Community, _History]

    def counted(self, kpi: Kpi) -> list[_History]:
        """What the level is made of: each community's part, as not all have been known for as long; of a ratio all."""
        return [self.of_all] if kpi.adds_up is AddsUp.RATIO else list(self.parts().values())

    def parts(self) -> dict[Community, _History]:
        """What is known of each community that is connected: of one that is not, nothing more comes."""
        return {
            one: history
            for one, history in self.by_community.items()
            if history.whole.amount is not None and history.known_days and one.disconnected is None
        }


async def baseline(
    connection: AsyncConnection,
    *,
    workspace_id: UUID,
    project_id: UUID,
    kpi: Kpi,
    period: Days,
    today: date,
    now: datetime,
    community_ids: Collection[UUID] = (),
    stated: StatedBaseline | None = None,
    currency: str | None = None,
) -> Baseline:
    """The baseline of a goal with this period: the stated one, or else measured over the last days before it.

    Raises `Conflict`: `metric-not-given` where none of the communities' platforms gives what the KPI is computed
    from, `kpi-without-data` where there is no value, or no level of a named community, `another-currency` where it is
    money of another one than `currency`, and none is stated.
    """
    length = (period.last - period.first).days + 1
    parts = 1 if not kpi.accrues else max(WINDOW_DAYS // length, 1)
    number = parts * length if kpi.accrues else WINDOW_DAYS

    async def measured_until(last: date, first: date = date.min) -> _Measured:
        window = Days(max(last - (number - 1) * DAY, first), last)
        each = [Days(day, day) for day in (window.first + past * DAY for past in range((last - window.first).days + 1))]
        periods = [Days(one.first, one.first + (number // parts - 1) * DAY) for one in each[:: number // parts]]
        made = await measure(
            connection,
            workspace_id=workspace_id,
            project_id=project_id,
            kpi=kpi,
            windows=[window, *periods, *each],
            now=now,
            community_ids=community_ids,
            by_community=True,
        )
        return _Measured(
            window,
            _History.of(made.values, parts, window.first),
            {one: _History.of(values, parts, window.first) for one, values in made.by_community.items()},
        )

    measured = await measured_until(min(period.first, today) - DAY)
    late = [one.first for one in measured.of_all.whole.missing if one.reason == Reason.PENDING]
    if late:
        # What a platform tells late would make the baseline smaller than it is.
        measured = await measured_until(min(late) - DAY)
    begun = _first_with_links(measured)
    if begun is not None and not kpi.grows_with_days:
        measured = await measured_until(measured.window.last, begun)
    window, whole = measured.window, measured.of_all.whole
    if _is_unsupported(whole):
        raise Conflict(
            f"No platform of these communities gives what {kpi.title!r} is computed from (GET /v1/platforms says what "
            "each gives): take another KPI, or other communities.",
            code="metric-not-given",
        )
    if stated is not None:
        return Baseline(BaselineSource.STATED, stated.value, reason=stated.reason)
    counted = measured.counted(kpi)
    known_days = min((one.known_days for one in counted), default=0)
    if whole.amount is None or not known_days:
        raise Conflict(
            f"{kpi.title!r} has no value from {window.first} to {window.last} ({whole.status_reason}), so there is "
            "nothing to start from: give `stated_baseline`, with a value and a reason.",
            code="kpi-without-data",
        )
    if whole.currency != currency:
        raise Conflict(
            f"{kpi.title!r} from {window.first} to {window.last} is in {whole.currency}, and the goal in {currency}: "
            f"give `stated_baseline` in {currency}, with a value and a reason.",
            code="another-currency",
        )
    of, level = None, float(whole.amount)
    if kpi.adds_up is AddsUp.STOCK:
        _require_levels(kpi, measured, community_ids)
        of = tuple(one.id for one in measured.parts() if one.id is not None)
        level = float(sum(one.whole.amount or 0 for one in counted))
    elif kpi.grows_with_days:
        level = sum(one.in_days(length) for one in counted)
    return Baseline(
        BaselineSource.MEASURED,
        level,
        value=float(whole.amount),
        first_day=window.first,
        last_day=window.last,
        known_days=known_days,
        status=whole.status.value,
        as_of=now,
        community_ids=of,
    )


def _first_with_links(measured: _Measured) -> date | None:
    """The first day from which each community that has links had some; None: they had on all days.

    A quotient of clicks would be of the clicks of a few days, and of the posts of all.
    """
    window = measured.window
    begun = [
        one.last + DAY
        for one in measured.of_all.whole.missing
        if one.reason == NO_LINKS and one.first <= window.first and one.last < window.last
    ]
    return max(begun, default=None)


def _require_levels(kpi: Kpi, measured: _Measured, requested: Collection[UUID]) -> None:
    """Raise `Conflict` (`kpi-without-data`) for a community that the goal names, and that had no level yet.

    Once it has one, that would be taken for growth.
    """
    for one, history in measured.by_community.items():
        if one.id in requested and history.whole.amount is None and not _is_unsupported(history.whole):
            raise Conflict(
                f"{kpi.title!r} of {one.title or one.platform} is not known on {measured.window.last} "
                f"({history.whole.status_reason}), so there is nothing to start from: leave this community out, begin "
                "the period later, or give `stated_baseline`, with a value and a reason.",
                code="kpi-without-data",
            )


def _is_unsupported(value: Value) -> bool:
    """Whether a value is unknown because no platform gives its inputs."""
    reasons: set[str | None] = {one.reason for one in value.missing}
    return value.amount is None and (reasons or {value.reason}) <= _NEVER_SUPPORTED
