"""Where a figure should be on its way to a target, and where it will be at the end of a period.

Pure: no clock, no database. A figure's past is a list of values, one for each day in order. How they combine follows
from how the KPI adds up:

- flow: the days' values are added; what is forecast is the total of the period, of which a part is there already
- stock: a value is a level; what is forecast is the last one, and its days' changes are what adds up
- ratio: nothing adds up; what is forecast is the value over the period, as the mean of its days' values and those to
  come, each by its weight (the number of cases behind it)

A forecast comes with an interval that should hold the truth in 80 of 100 cases. It is made of the errors that the same
method has made on this very figure: the past is forecast from earlier days, again and again, and the errors are ranked
(split conformal prediction over rolling origins). Nothing is assumed of their distribution. docs/forecast.md has the
coverage as it was measured, and why `DEFAULT_METHOD` is the default.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise
from math import ceil
from statistics import fmean, median
from typing import Final

from app.kpis.values import AddsUp

WEEK: Final = 7
LEAST_HISTORY: Final = 14
"""Days without which there is no forecast."""
COVERAGE: Final = 0.8
"""The share of truths that intervals should hold."""
WEEKS: Final = 4
"""Weeks of which the median is taken."""
TREND_WEEKS: Final = 8
"""Weeks through which a line is laid."""
SEASON_HISTORY: Final = 28
"""Days from which the days of the week have shares of their own."""
ORIGINS: Final = 60
"""The most days of the past from which the past is forecast."""
LEAST_ORIGINS: Final = 8
GROWTH_OF_ERRORS: Final = 0.75
"""Where the past is too short for the whole horizon, errors of a shorter one are multiplied by the quotient of both to
this power: between 0.5 (days err independently) and 1 (they all err alike)."""


OVERLAP: Final = 0.5
"""How much further out the rank of an error is taken where past forecasts overlap: their errors are alike, and say less
than as many independent ones. Found with other series than those of docs/forecast.md."""


class Method(StrEnum):
    """How the days to come are forecast."""

    MEDIAN_WEEK = "median_week"
    """As in the median of the last four weeks."""
    THEIL_SEN = "theil_sen"
    """Along the line through the last eight weeks whose slope is the median of all slopes between two of them."""
    SEASONAL_NAIVE = "seasonal_naive"
    """As in the last week, day by day."""


class NoForecast(StrEnum):
    """Why there is no forecast."""

    TOO_LITTLE_HISTORY = "too-little-history"
    UNKNOWN_DAYS = "unknown-days"
    """Days among the last 14 are not known."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The value at the end of the period. `low` to `high` should hold it in `COVERAGE` of all cases."""

    amount: float
    low: float
    high: float
    method: Method
    history: int
    """The number of days that it follows from."""
    origins: int
    """The number of past forecasts whose errors made the interval."""


def weekly_season(values: Sequence[float]) -> list[float]:
    """The share that each day of a week has in its week: of the day after the last one first. They add up to 1.

    All days have the same share where there are less than `SEASON_HISTORY` days, or where nothing happened.
    """
    equal = [1 / WEEK] * WEEK
    weeks = len(values) // WEEK
    if len(values) < SEASON_HISTORY:
        return equal
    recent = values[len(values) - min(weeks, TREND_WEEKS) * WEEK :]
    means = [fmean(recent[day::WEEK]) for day in range(WEEK)]
    total = sum(means)
    if total <= 0 or min(means) < 0:
        return equal
    # A little towards equal shares: of four weeks the means are not sure.
    trust = len(recent) / (len(recent) + WEEK)
    return [trust * mean / total + (1 - trust) / WEEK for mean in means]


def expected_path(
    adds_up: AddsUp, target: float, days: int, *, baseline: float = 0, season: Sequence[float] | None = None
) -> list[float]:
    """Where the figure should be at the end of each day of a period in which it is to reach the target.

    A flow grows from 0 to the target, by `season` (shares of the days of a week, that of the first day first) or else
    evenly; a stock from `baseline`; a ratio should be at the target all the time.
    """
    if adds_up is AddsUp.RATIO:
        return [target] * days
    shares = [season[day % WEEK] if season is not None else 1 / WEEK for day in range(days)]
    start = baseline if adds_up is AddsUp.STOCK else 0.0
    whole, done, path = sum(shares), 0.0, []
    for share in shares:
        done += share
        path.append(start + (target - start) * done / whole)
    path[-1:] = [target] if path else []
    return path


def forecast(
    adds_up: AddsUp,
    history: Sequence[float | None],
    elapsed: int,
    days: int,
    *,
    weights: Sequence[float] | None = None,
    method: Method | None = None,
) -> Forecast | NoForecast:
    """The value at the end of a period of `days`, of which `elapsed` are over and are the last ones of the history.

    `history`: a value for each day up to now, those before the period too; None: not known. Only what follows the last
    unknown day counts. `weights`, of a ratio: the number of cases behind each day's value.
    """
    if not 0 <= elapsed <= days:
        raise ValueError("a period cannot be longer over than it is long")
    first = next((number for number in range(len(history), 0, -1) if history[number - 1] is None), 0)
    values = [value for value in history[first:] if value is not None]
    if len(values) < LEAST_HISTORY:
        is_short = len(history) < LEAST_HISTORY
        return NoForecast.TOO_LITTLE_HISTORY if is_short else NoForecast.UNKNOWN_DAYS
    if elapsed > len(values):
        return NoForecast.UNKNOWN_DAYS
    horizon, method = days - elapsed, method or DEFAULT_METHOD
    if adds_up is AddsUp.RATIO:
        return _ratio(values, list(weights[first:]) if weights is not None else None, elapsed, horizon, method)
    if adds_up is AddsUp.STOCK:
        changes = [after - before for before, after in pairwise(values)]
        made = _sum_to_come(changes, horizon, method)
        return _moved(made, values[-1], len(values), method)
    done = sum(values[len(values) - elapsed :])
    made = _sum_to_come(values, horizon, method)
    if min(values) >= 0:
        made = _Interval(max(made.amount, 0), max(made.low, 0), max(made.high, 0), made.origins)
    return _moved(made, done, len(values), method)


@dataclass(frozen=True, slots=True)
class _Interval:
    amount: float
    low: float
    high: float
    origins: int


def _moved(made: _Interval, by: float, history: int, method: Method) -> Forecast:
    return Forecast(made.amount + by, made.low + by, made.high + by, method, history, made.origins)


def _ratio(
    values: Sequence[float], weights: Sequence[float] | None, elapsed: int, horizon: int, method: Method
) -> Forecast:
    """The mean of the days that are over and of those to come, by weight."""
    own = list(weights) if weights is not None else [1.0] * len(values)
    done, done_weight = _weighted(values[len(values) - elapsed :], own[len(own) - elapsed :])
    per_day = fmean(own[-WEEKS * WEEK :])
    to_come = per_day * horizon
    whole = done_weight + to_come
    if horizon == 0 or whole == 0:
        amount = done / done_weight if done_weight else values[-1]
        return Forecast(amount, amount, amount, method, len(values), 0)
    made = _sum_to_come(values, horizon, method)
    share = to_come / whole
    before = done / whole
    amount, low, high = (before + share * amount / horizon for amount in (made.amount, made.low, made.high))
    return Forecast(amount, low, high, method, len(values), made.origins)


def _weighted(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)), sum(weights)


def _sum_to_come(values: Sequence[float], horizon: int, method: Method) -> _Interval:
    """The sum of the next `horizon` days, with its interval."""
    if horizon == 0:
        return _Interval(0, 0, 0, 0)
    predict = _METHODS[method]
    amount = predict(values, horizon)
    past = _past_errors(values, horizon, predict)
    growth = (horizon / past.horizon) ** GROWTH_OF_ERRORS
    below, above = past.exceeded(-1), past.exceeded(1)
    return _Interval(amount, amount - growth * below, amount + growth * above, len(past.errors))


@dataclass(frozen=True, slots=True)
class _PastErrors:
    """Truths of the past less their forecasts."""

    errors: list[float]
    horizon: int
    """For how many days the past was forecast: fewer than wanted where history is short."""
    days: int
    """The number of days from which it could be forecast."""

    def exceeded(self, sign: int) -> float:
        """The error to one side, at least 0, that is exceeded in (1 - `COVERAGE`) / 2 of all cases."""
        ordered = sorted(sign * error for error in self.errors)
        apart = max(self.days / self.horizon, 1)
        share = min((1 + COVERAGE) / 2 * (1 + OVERLAP / apart), 1)
        return max(ordered[ceil(len(ordered) * share) - 1], 0)


def _past_errors(
    values: Sequence[float], horizon: int, predict: Callable[[Sequence[float], int], float]
) -> _PastErrors:
    least = max(min(LEAST_HISTORY, len(values) - LEAST_ORIGINS - 1), WEEK)
    tried = max(min(horizon, len(values) - least - LEAST_ORIGINS), 1)
    last = len(values) - tried
    step = ceil((last - least + 1) / ORIGINS)
    errors = [
        sum(values[origin : origin + tried]) - predict(values[:origin], tried)
        for origin in range(last, least - 1, -step)
    ]
    return _PastErrors(errors, tried, last - least + 1)


def _weekly_sums(values: Sequence[float], most: int) -> list[float]:
    """The sums of the last whole weeks, the oldest first."""
    weeks = min(len(values) // WEEK, most)
    start = len(values) - weeks * WEEK
    return [sum(values[start + number * WEEK : start + (number + 1) * WEEK]) for number in range(weeks)]


def _weeks(values: Sequence[float], horizon: int) -> float:
    """How many weeks the horizon is; a part of one is as much of it as its days have."""
    whole, rest = divmod(horizon, WEEK)
    return whole + sum(weekly_season(values)[:rest])


def _median_week(values: Sequence[float], horizon: int) -> float:
    return median(_weekly_sums(values, WEEKS)) * _weeks(values, horizon)


def _theil_sen(values: Sequence[float], horizon: int) -> float:
    sums = _weekly_sums(values, TREND_WEEKS)
    if len(sums) < WEEKS:
        return _median_week(values, horizon)
    slope = median((sums[b] - sums[a]) / (b - a) for a, b in combinations(range(len(sums)), 2))
    level = median(amount - slope * number for number, amount in enumerate(sums))
    # The middle of the days to come, in weeks from the middle of the first week.
    middle = len(sums) - 1 + (horizon / WEEK + 1) / 2
    return (level + slope * middle) * _weeks(values, horizon)


def _seasonal_naive(values: Sequence[float], horizon: int) -> float:
    return sum(values[len(values) - WEEK + day % WEEK] for day in range(horizon))


_METHODS: Final[dict[Method, Callable[[Sequence[float], int], float]]] = {
    Method.MEDIAN_WEEK: _median_week,
    Method.THEIL_SEN: _theil_sen,
    Method.SEASONAL_NAIVE: _seasonal_naive,
}
DEFAULT_METHOD: Final = Method.MEDIAN_WEEK
