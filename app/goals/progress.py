"""How far a goal is, and where it will end. Pure: from the KPI's values by day, and what was promised.

Only whole days count. What is summed, read at the end or computed anew follows from how the KPI adds up, and from
nothing else: a flow's value so far is the KPI over the days of the period that are over, a stock's is its level at the
end of the last of them, a ratio's is computed from the inputs of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import isclose
from statistics import fmean
from typing import Any, Final

from app.goals.forecast import (
    LEAST_HISTORY,
    SEASON_HISTORY,
    Forecast,
    NoForecast,
    expected_path,
    forecast,
    weekly_season,
)
from app.goals.history import counts_elsewhere, is_whole
from app.goals.models import Pace
from app.kpis.contract import DAY, Kpi
from app.kpis.values import AddsUp, Direction, Reason, Value
from app.kpis.windows import Days

HISTORY_DAYS: Final = 120
"""Days up to now from which is forecast."""
SEASON_DAYS: Final = 56
"""Days before the period from which its weekly season is read."""
LEAST_FOR_SEASON: Final = 70
"""What these days have to add up to: of fewer events the shares of the days of the week are chance."""
TOLERANCE: Final = 0.1
"""Without a forecast a goal that is behind its path by this share of the way at most is at risk, not off it."""
AHEAD: Final = 7
"""Days ahead for which a forecast is kept besides the one for the end, so that some are judged soon."""


class PathForm(StrEnum):
    """The form of the expected path."""

    LINEAR = "linear"
    WEEKLY_SEASON = "weekly_season"


class ProgressReason(StrEnum):
    """Why a value or a forecast is missing, besides the reasons of KPIs and of forecasts."""

    NOT_BEGUN = "not-begun"
    PERIOD_OVER = "period-over"
    VALUE_UNKNOWN = "value-unknown"
    ANOTHER_CURRENCY = "another-currency"
    DAYS_DO_NOT_ADD_UP = "days-do-not-add-up"
    """It counts different people: those who come again are none of those to come."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """A forecast of the value at the end of a day, with an 80 % interval; without one, why there is none."""

    for_day: date
    value: float | None = None
    low: float | None = None
    high: float | None = None
    method: str | None = None
    history_days: int | None = None
    reason: str | None = None

    @property
    def as_json(self) -> dict[str, Any]:
        """The outlook, as the database and the API have it."""
        return {
            "for": self.for_day.isoformat(),
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "method": self.method,
            "history_days": self.history_days,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Promise:
    """The terms that are measured."""

    target: float
    level: float
    """The baseline's."""
    period: Days
    currency: str | None = None
    """Of an amount of money; values in another one are not compared with it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a goal is at the end of a day."""

    day: date
    value: float | None
    status: str
    reason: str | None
    expected: float | None
    path: PathForm
    pace: Pace
    outlook: Outlook
    """For the end of the period."""
    ahead: Outlook | None
    """For `AHEAD` days later, where the period lasts longer."""


def history_window(period: Days, today: date) -> Days:
    """The days whose values `progress` needs, each by itself."""
    last = min(period.last, today - DAY)
    return Days(min(period.first - SEASON_DAYS * DAY, last - (HISTORY_DAYS - 1) * DAY), last)


def progress(
    kpi: Kpi, promise: Promise, *, so_far: Value | None, history: Days, whole: Value, daily: Sequence[Value]
) -> Progress:
    """How far a goal is at the end of the last day of `history`.

    `so_far`: the KPI's value over the days of the period up to then; None: it has not begun. `whole`: its value over
    all days of `history`; `daily`: on each of them.
    """
    amounts = [_amount(promise, one) for one in daily]
    if kpi.grows_with_days:
        amounts = _with_counted_elsewhere(history, whole, daily, amounts)
    season = _season(kpi, promise.period, history, amounts)
    path = PathForm.LINEAR if season is None else PathForm.WEEKLY_SEASON
    if so_far is None:
        outlook = Outlook(promise.period.last, reason=ProgressReason.NOT_BEGUN)
        return Progress(
            history.last, None, "unknown", ProgressReason.NOT_BEGUN, None, path, Pace.UNKNOWN, outlook, None
        )
    length = (promise.period.last - promise.period.first).days + 1
    elapsed = (history.last - promise.period.first).days + 1
    form = AddsUp.FLOW if kpi.grows_with_days else kpi.adds_up
    line = expected_path(form, promise.target, length, baseline=promise.level, season=season)
    expected = line[elapsed - 1]
    value = _amount(promise, so_far)
    if value is None and so_far.amount is not None:
        so_far = Value(None, ProgressReason.ANOTHER_CURRENCY)
    recent = amounts[-HISTORY_DAYS:]
    if kpi.adds_up is AddsUp.FLOW:
        recent = _of_the_same_communities(history, whole, recent)
    late = min(_late_days(daily), elapsed) if kpi.grows_with_days else 0
    outlook = _outlook(kpi, value, recent, elapsed, promise.period.last, length - elapsed, late)
    ahead = (
        _outlook(kpi, value, recent, elapsed, history.last + AHEAD * DAY, AHEAD, late)
        if length - elapsed > AHEAD
        else None
    )
    pace = _pace(
        kpi, promise, value, expected, outlook, is_over=elapsed == length, is_sound=value is None or is_whole(so_far)
    )
    return Progress(
        history.last, value, so_far.status.value, so_far.status_reason, expected, path, pace, outlook, ahead
    )


def _amount(promise: Promise, value: Value) -> float | None:
    """The amount, where it is in the promise's currency."""
    return None if value.amount is None or value.currency != promise.currency else float(value.amount)


def _with_counted_elsewhere(
    history: Days, whole: Value, daily: Sequence[Value], amounts: Sequence[float | None]
) -> list[float | None]:
    """The amounts, with 0 on the days whose part is counted on another one: so the weeks are complete.

    Before the first amount nothing is known. What was gathered before the connection is; a growth that is to be
    counted later is not known before it is.
    """
    known_days = [number for number, amount in enumerate(amounts) if amount is not None]
    if not known_days:
        return list(amounts)
    pre_tracking = [one for one in whole.missing if one.reason == Reason.GATHERED_BEFORE_CONNECTION]
    last = max(known_days[-1], *((one.last - history.first).days for one in pre_tracking), 0)
    return [
        0.0
        if value.amount is None
        and known_days[0] < number <= last
        and counts_elsewhere(whole, history.first + number * DAY)
        else amount
        for number, (amount, value) in enumerate(zip(amounts, daily, strict=True))
    ]


def _of_the_same_communities(history: Days, whole: Value, amounts: Sequence[float | None]) -> list[float | None]:
    """The amounts of the last days of `history`, without those from before some of the communities were known.

    One that is not known yet on the last day is in no amount.
    """
    before = [one.last for one in whole.missing if one.reason == Reason.BEFORE_CONNECTION and one.last < history.last]
    unlike = len(amounts) - (history.last - max(before, default=date.min)).days
    return [None if number < unlike else amount for number, amount in enumerate(amounts)]


def _season(kpi: Kpi, period: Days, history: Days, amounts: Sequence[float | None]) -> list[float] | None:
    """The shares of a week's days, that of the period's first day first; None where there is no season to go by."""
    if kpi.adds_up is not AddsUp.FLOW:
        return None
    before = _unbroken(amounts[: max((period.first - history.first).days, 0)][-SEASON_DAYS:])
    if len(before) < SEASON_HISTORY or sum(before) < LEAST_FOR_SEASON:
        return None
    season = weekly_season(before)
    return None if len(set(season)) == 1 else season


def _unbroken(amounts: Sequence[float | None]) -> list[float]:
    """What follows the last unknown amount."""
    first = next((number for number in range(len(amounts), 0, -1) if amounts[number - 1] is None), 0)
    return [amount for amount in amounts[first:] if amount is not None]


def _late_days(daily: Sequence[Value]) -> int:
    """How many of the last days a part is still to come of, from platforms that tell it late."""
    for number, value in enumerate(reversed(daily)):
        if not any(one.reason == Reason.PENDING for one in value.missing):
            return number
    return len(daily)


def _outlook(
    kpi: Kpi, value: float | None, amounts: Sequence[float | None], elapsed: int, for_day: date, horizon: int, late: int
) -> Outlook:
    """`late`: so many of the last days have had more than is known of them, and are forecast like those to come."""
    if horizon == 0:
        return Outlook(for_day, reason=ProgressReason.PERIOD_OVER)
    if value is None:
        return Outlook(for_day, reason=ProgressReason.VALUE_UNKNOWN)
    if kpi.accrues and kpi.is_distinct_count:
        return Outlook(for_day, reason=ProgressReason.DAYS_DO_NOT_ADD_UP)
    if kpi.grows_with_days:
        settled = amounts[: len(amounts) - late]
        value -= sum(amount or 0 for amount in amounts[len(settled) :])
        made = forecast(AddsUp.FLOW, settled, 0, horizon + late)
    elif kpi.adds_up is AddsUp.RATIO:
        made = _ratio_to_come(value, amounts, elapsed, horizon)
    else:
        made = forecast(kpi.adds_up, amounts, 0, horizon)
    if isinstance(made, NoForecast):
        return Outlook(for_day, reason=made)
    done = value if kpi.grows_with_days else 0.0
    value, low, high = (_possible(kpi, done + amount) for amount in (made.amount, made.low, made.high))
    return Outlook(for_day, value, low, high, made.method.value, made.history)


def _possible(kpi: Kpi, amount: float) -> float:
    """The nearest amount that the KPI can have."""
    if kpi.least is not None:
        amount = max(amount, kpi.least)
    return amount if kpi.most is None else min(amount, kpi.most)


def _ratio_to_come(value: float, amounts: Sequence[float | None], elapsed: int, horizon: int) -> Forecast | NoForecast:
    """A ratio's value so far with its days to come, each day that has a value counted alike.

    A day without a value had no case, and counts for nothing.
    """
    first = next((number for number, amount in enumerate(amounts) if amount is not None), len(amounts))
    filled: list[float] = []
    for amount in amounts[first:]:
        filled.append(amount if amount is not None else filled[-1])
    weights = [float(amount is not None) for amount in amounts[first:]]
    if sum(weights) < LEAST_HISTORY:
        return NoForecast.TOO_LITTLE_HISTORY
    made = forecast(AddsUp.RATIO, filled, 0, horizon, weights=weights)
    if isinstance(made, NoForecast):
        return made
    done, to_come = sum(weights[-elapsed:]), fmean(weights[-28:]) * horizon
    if not done + to_come:
        return made
    share = to_come / (done + to_come)
    amount, low, high = (value + share * (one - value) for one in (made.amount, made.low, made.high))
    return Forecast(amount, low, high, made.method, made.history, made.origins)


def _pace(
    kpi: Kpi,
    promise: Promise,
    value: float | None,
    expected: float,
    outlook: Outlook,
    *,
    is_over: bool,
    is_sound: bool,
) -> Pace:
    """By the forecast, where there is one; or else by the path. `is_sound`: nothing is missing of the value."""
    if value is None:
        return Pace.UNKNOWN
    sign = -1 if kpi.direction is Direction.LOWER else 1

    def reaches(amount: float, goal: float) -> bool:
        # A path's sums of parts are a rounding error off what is exactly on it.
        return sign * amount >= sign * goal or isclose(amount, goal, rel_tol=1e-9)

    # What is missing would make a count larger, and a quotient anything.
    is_certain = kpi.adds_up is not AddsUp.RATIO and value >= promise.target
    if not is_sound and not is_certain and (is_over or kpi.adds_up is AddsUp.STOCK):
        return Pace.UNKNOWN
    if is_over:
        return Pace.MET if reaches(value, promise.target) else Pace.MISSED
    if kpi.adds_up is AddsUp.FLOW and kpi.direction is Direction.HIGHER and reaches(value, promise.target):
        return Pace.MET
    if outlook.value is not None and outlook.low is not None and outlook.high is not None:
        if reaches(outlook.value, promise.target):
            return Pace.ON_TRACK
        best = outlook.high if sign > 0 else outlook.low
        return Pace.AT_RISK if reaches(best, promise.target) else Pace.OFF_TRACK
    if reaches(value, expected):
        return Pace.ON_TRACK
    if not is_sound and kpi.grows_with_days:
        return Pace.UNKNOWN
    start = 0.0 if kpi.grows_with_days else promise.level
    return Pace.AT_RISK if abs(expected - value) <= TOLERANCE * abs(expected - start) else Pace.OFF_TRACK
