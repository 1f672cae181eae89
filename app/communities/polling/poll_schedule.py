"""Intervals of polls: short for young posts, long for old ones, longer while nothing changes. Pure.

69 metrics polls a post and year: for a million posts 189,000 a day, 127 times fewer than hourly ones.
Where a platform allows fewer calls than that takes, all intervals are multiplied alike (`fair_share`),
so that what it allows is spread over the day instead of being used up by noon.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

BY_AGE: Final = (
    (timedelta(hours=2), timedelta(minutes=15)),
    (timedelta(hours=24), timedelta(hours=1)),
    (timedelta(days=3), timedelta(hours=6)),
    (timedelta(days=14), timedelta(days=1)),
    (timedelta(days=90), timedelta(days=7)),
)
"""Up to this age of a post, its counters are read at this interval."""
OLDEST_INTERVAL: Final = timedelta(days=30)

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """The intervals of one part of a community that is polled."""

    every: timedelta
    quiet: timedelta
    """The longest interval, once nothing new has been found for long."""
    with_push: timedelta
    """The interval while the platform pushes events: polls then only find what it left out."""

    def interval(self, factor: float, *, idle: int = 0, push_is_active: bool = False) -> timedelta:
        """The time to the next poll after `idle` polls in a row that found nothing new."""
        if push_is_active:
            return self.with_push * factor
        return min(self.every * IDLE_FACTOR ** min(idle, 50), self.quiet) * factor


IDLE_FACTOR: Final = 1.25
"""By this factor each poll that finds nothing new makes the next interval longer."""
SIZE: Final = PollSchedule(every=timedelta(hours=1), quiet=timedelta(hours=1), with_push=timedelta(hours=1))
POSTS: Final = PollSchedule(every=timedelta(minutes=5), quiet=timedelta(hours=1), with_push=timedelta(hours=1))
CONVERSATIONS: Final = PollSchedule(
    every=timedelta(minutes=1), quiet=timedelta(minutes=15), with_push=timedelta(minutes=15)
)
THREADS: Final = PollSchedule(every=timedelta(minutes=15), quiet=timedelta(minutes=15), with_push=timedelta(hours=1))
"""Open threads are looked at again: answers in the platform's own app, edits and deletions come with no counter."""
OWN_REPLIES: Final = THREADS
"""The community's own replies are looked for: one to a mention or a message shows nowhere else."""
REVISIONS: Final = PollSchedule(every=timedelta(hours=6), quiet=timedelta(hours=6), with_push=DAY)
"""Recent posts and their comments are read again."""
OPEN_RECENTLY: Final = timedelta(days=2)
"""Open threads in which somebody wrote within this time are looked at as often as `THREADS`, older ones with
`REVISIONS`.
"""
RECENT: Final = timedelta(days=14)
"""Posts up to this age are read again."""
TOKENS: Final = PollSchedule(every=DAY, quiet=DAY, with_push=DAY)


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
