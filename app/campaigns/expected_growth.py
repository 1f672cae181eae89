"""Growth above the expected path, with an interval. Pure: no clock, no database.

The expected growth of a day is the median of the same weekdays of the `HISTORY` days before the campaign, those of
other campaigns left out. How far such an expectation errs is taken from the same days: each of them is expected from
the other same weekdays, and the errors are summed over runs as long as the campaign, a week at most (what is decided
by weekday repeats weekly). The conformal quantile of these sums, at `LEVEL`, is the interval's half; for a campaign
of more than a week it grows in proportion to the days, because an expectation that is wrong is so in each week.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil
from statistics import median
from typing import Final

LEVEL: Final = 0.8
HISTORY: Final = 28
MIN_HISTORY: Final = 14
_WEEK: Final = 7

SHORT_HISTORY: Final = "short-history"
"""Fewer than `MIN_HISTORY` days before the campaign are known and free of campaigns, or none of some weekday."""
NO_DAYS: Final = "no-days"
"""No day of the campaign is over and known."""
OVERLAPPING: Final = "overlapping-campaign"
"""Another campaign runs in the same community on each of its days."""


@dataclass(frozen=True, slots=True)
class GrowthEstimate:
    """What a community grew by above the expected path."""

    growth: int
    expected: float
    low: float
    high: float
    days: int

    @property
    def value(self) -> float:
        """The growth above the expected."""
        return self.growth - self.expected


def estimate(growth: Mapping[date, int], before: Sequence[date], days: Sequence[date]) -> GrowthEstimate | str:
    """The estimate for `days` from the growth of the days `before`; or the reason why there is none.

    `growth` has the net growth of each known day; unknown days are absent, and left out.
    """
    counted = [day for day in days if day in growth]
    if not counted:
        return NO_DAYS
    known_before = [day for day in sorted(before) if day in growth]
    by_weekday: defaultdict[int, list[date]] = defaultdict(list)
    for day in known_before:
        by_weekday[day.weekday()].append(day)
    if len(known_before) < MIN_HISTORY or any(not by_weekday[day.weekday()] for day in counted):
        return SHORT_HISTORY
    medians = {weekday: median(growth[day] for day in same) for weekday, same in by_weekday.items() if same}
    errors = [
        growth[day] - median(growth[other] for other in same if other != day)
        for day in known_before
        if len(same := by_weekday[day.weekday()]) > 1
    ]
    if not errors:
        return SHORT_HISTORY
    actual = sum(growth[day] for day in counted)
    expected = sum(medians[day.weekday()] for day in counted)
    radius = _radius(errors, len(counted))
    value = actual - expected
    return GrowthEstimate(actual, expected, value - radius, value + radius, len(counted))


def _radius(errors: Sequence[float], days: int) -> float:
    """Half of the interval of a sum over `days` days."""
    length = min(days, _WEEK, len(errors))
    sums = sorted(abs(sum(errors[start : start + length])) for start in range(len(errors) - length + 1))
    rank = min(ceil((len(sums) + 1) * LEVEL), len(sums))
    return sums[rank - 1] * days / length
