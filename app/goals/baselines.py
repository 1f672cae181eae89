"""Where a goal starts from: measured from history when it is proposed, or stated with a reason."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from app.campaigns import attribution
from app.goals.history import counts_elsewhere
from app.kit.errors import Conflict
from app.kpis.contract import DAY, Kpi
from app.kpis.measuring import measure
from app.kpis.values import AddsUp, Reason, Value
from app.kpis.windows import Days

WINDOW_DAYS: Final = 28
"""The days that are measured: whole weeks, so that no weekday counts more than another."""


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
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


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
    from, `kpi-without-data` where there is no value, `another-currency` where it is money of another one than
    `currency`, and none is stated.
    """
    last = min(period.first, today) - DAY
    window = Days(last - (WINDOW_DAYS - 1) * DAY, last)
    days = [Days(day, day) for day in (window.first + number * DAY for number in range(WINDOW_DAYS))]
    measured = await measure(
        connection,
        workspace_id=workspace_id,
        project_id=project_id,
        kpi=kpi,
        windows=[window, *days],
        now=now,
        community_ids=community_ids,
    )
    whole, *daily = measured.values
    if _is_unsupported(whole):
        raise Conflict(
            f"No platform of these communities gives what {kpi.title!r} is computed from (GET /v1/platforms says what "
            "each gives): take another KPI, or other communities.",
            code="metric-not-given",
        )
    if stated is not None:
        return Baseline(BaselineSource.STATED, stated.value, reason=stated.reason)
    known_days = sum(
        value.amount is not None or counts_elsewhere(whole, day.first) for day, value in zip(days, daily, strict=True)
    )
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
    level = float(whole.amount)
    if kpi.adds_up is AddsUp.FLOW:
        level = level / known_days * ((period.last - period.first).days + 1)
    return Baseline(
        BaselineSource.MEASURED,
        level,
        value=float(whole.amount),
        first_day=window.first,
        last_day=window.last,
        known_days=known_days,
        status=whole.status.value,
        as_of=now,
    )


def _is_unsupported(value: Value) -> bool:
    """Whether a value is unknown because no platform gives its inputs."""
    reasons: set[str | None] = {one.reason for one in value.missing}
    return value.amount is None and (reasons or {value.reason}) <= _NEVER_SUPPORTED
