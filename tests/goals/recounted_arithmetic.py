"""What the story promised and did, and the arithmetic on it: forecasts, and growth above the expected path.

Computed once more, without the code under test, as docs/forecast.md and docs/attribution.md have it in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Deed:
    """Something that a colleague did through the service."""

    day: date
    direction: str
    action: str


@dataclass(frozen=True)
class Click:
    """Somebody followed the campaign's link."""

    day: date
    visitor: int
    bot: bool


@dataclass(frozen=True)
class Terms:
    """What was promised and planned."""

    community_key: str
    community_id: str
    zone: ZoneInfo
    known_since: date
    """The first day of which customers' messages are known: 90 days before the connection."""
    connected: date
    """On this day the project was made, the community connected and the link made."""
    first: date
    last: date
    target: float
    baseline: float
    changed_on: date
    review_on: date
    campaign: tuple[date, date]
    budget: float


@dataclass(frozen=True)
class Forecast:
    """A forecast with its interval."""

    value: float
    low: float
    high: float


def days(first: date, last: date) -> list[date]:
    """All days from one to another."""
    return [first + number * DAY for number in range((last - first).days + 1)]


# ── forecasts ─────────────────────────────────────────────────────────────────────────────────────


def to_come(values: Sequence[float], horizon: int) -> float:
    """The sum of the days to come: as in the median of the last four weeks."""
    weeks = [sum(values[len(values) - 7 * number : len(values) - 7 * (number - 1)]) for number in range(1, 5)]
    weeks = [one for number, one in enumerate(weeks, 1) if 7 * number <= len(values)]
    whole, rest = divmod(horizon, 7)
    return median(weeks) * (whole + sum(shares_of_week(values)[:rest]))


def shares_of_week(values: Sequence[float]) -> list[float]:
    """The share of each of the next seven days in its week, by up to eight weeks, drawn to equal ones by one week."""
    if len(values) < 28:
        return [1 / 7] * 7
    weeks = min(len(values) // 7, 8)
    recent = values[-7 * weeks :]
    of_day = [sum(recent[number::7]) for number in range(7)]
    if sum(of_day) <= 0:
        return [1 / 7] * 7
    return [(one / sum(of_day) * weeks + 1 / 7) / (weeks + 1) for one in of_day]


def with_interval(values: Sequence[float], horizon: int) -> Forecast:
    """The days to come, between what the ranked errors of past forecasts would leave in 80 of 100 cases."""
    assert len(values) >= 14 + 8 + horizon, "long enough for errors of the whole horizon"
    last, least = len(values) - horizon, 14
    step = ceil((last - least + 1) / 60)
    errors = [
        sum(values[end : end + horizon]) - to_come(values[:end], horizon) for end in range(last, least - 1, -step)
    ]
    apart = max((last - least + 1) / horizon, 1)
    rank = ceil(len(errors) * min(0.9 * (1 + 0.5 / apart), 1)) - 1
    above, below = max(sorted(errors)[rank], 0), max(sorted(-one for one in errors)[rank], 0)
    value = to_come(values, horizon)
    return Forecast(value, max(value - below, 0), max(value + above, 0))


# ── growth above the expected path ────────────────────────────────────────────────────────────────


def above_expected(growth: dict[date, int], before: Sequence[date], of: Sequence[date]) -> Forecast | None:
    """The growth of these days above the medians of the same weekdays before, with its interval."""
    past, counted = [day for day in before if day in growth], [day for day in of if day in growth]
    same = {day: [growth[one] for one in past if one.weekday() == day.weekday()] for day in counted}
    if not counted or len(past) < 14 or not all(same.values()):
        return None
    errors = []
    for day in past:
        others = [growth[one] for one in past if one.weekday() == day.weekday() and one != day]
        if others:
            errors.append(growth[day] - median(others))
    run = min(len(counted), 7, len(errors))
    sums = sorted(abs(sum(errors[start : start + run])) for start in range(len(errors) - run + 1))
    radius = sums[min(ceil((len(sums) + 1) * 0.8), len(sums)) - 1] * len(counted) / run
    value = sum(growth[day] - median(same[day]) for day in counted)
    return Forecast(value, value - radius, value + radius)
