"""Intervals at which counters are read: short for young posts, long for old ones, longer while nothing changes. Pure.

Those of lists are in `platforms.poll_intervals`.

69 metrics polls a post and year: for a million posts 189,000 a day, 127 times fewer than hourly ones.
Where a platform allows fewer calls than that takes, all intervals are multiplied alike (`fair_share`),
so that what it allows is spread over the day instead of being used up by noon.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from app.platforms.poll_intervals import DAY

BY_AGE: Final = (
    (timedelta(hours=2), timedelta(minutes=15)),
    (timedelta(hours=24), timedelta(hours=1)),
    (timedelta(days=3), timedelta(hours=6)),
    (timedelta(days=14), timedelta(days=1)),
    (timedelta(days=90), timedelta(days=7)),
)
"""Up to this age of a post, its counters are read at this interval."""
OLDEST_INTERVAL: Final = timedelta(days=30)


def next_metrics_poll(
    published_at: datetime, at: datetime, factor: float = 1.0, *, unchanged_polls: int = 0
) -> datetime:
    """When a post's counters are due after they were read at `at`.

    `factor` multiplies the interval; `unchanged_polls` counts the polls in a row at which no counter had
    changed: after the first day such a post is polled half as often, then a quarter.
    """
    age = at - published_at
    slowdown = 2 ** min(unchanged_polls, 2) if age >= DAY else 1
    return at + min(_interval(age) * slowdown, OLDEST_INTERVAL) * factor


def metrics_polls_per_day(ages: Sequence[tuple[timedelta, int]]) -> float:
    """Metrics polls a day of so many posts of such ages, before any multiplier."""
    return sum(count * (DAY / _interval(age)) for age, count in ages)


def _interval(age: timedelta) -> timedelta:
    return next((every for limit, every in BY_AGE if age < limit), OLDEST_INTERVAL)


def back_off(failures: int) -> timedelta:
    """The pause after this many failed polls in a row: 30 s, doubled each time, up to an hour."""
    return min(timedelta(seconds=30 * 2.0 ** min(failures - 1, 10)), timedelta(hours=1))
