"""How often we look: young posts often, old ones seldom, quiet things less and less. Pure.

69 looks a post and year: a million posts are 189,000 looks a day, 127 times fewer than hourly ones.
Where a platform allows fewer calls than that would take, every interval is stretched alike
(`planner`), so that what it allows is spread over the day instead of being used up by noon.
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
FOR_EVER: Final = timedelta(days=30)

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """Something of a community that is looked at again and again."""

    every: timedelta
    quiet: timedelta
    """The interval once nothing new has been found for long."""
    told: timedelta
    """The interval where the platform tells us by itself: to find what it left out."""

    def interval(self, factor: float, *, idle: int = 0, told: bool = False) -> timedelta:
        """The time to the next look after `idle` looks in a row that found nothing new."""
        if told:
            return self.told * factor
        return min(self.every * SLOWER ** min(idle, 50), self.quiet) * factor


SLOWER: Final = 1.25
"""Each look that finds nothing new makes the next interval so much longer."""
SIZE: Final = PollSchedule(every=timedelta(hours=1), quiet=timedelta(hours=1), told=timedelta(hours=1))
POSTS: Final = PollSchedule(every=timedelta(minutes=5), quiet=timedelta(hours=1), told=timedelta(hours=1))
CONVERSATIONS: Final = PollSchedule(every=timedelta(minutes=1), quiet=timedelta(minutes=15), told=timedelta(minutes=15))
TOKENS: Final = PollSchedule(every=DAY, quiet=DAY, told=DAY)


def next_look(published_at: datetime, at: datetime, factor: float = 1.0, *, unchanged_polls: int = 0) -> datetime:
    """When a post's counters are due after a look at `at`.

    `factor` multiplies the interval; `still` counts the looks in a row at which no counter had
    moved: after the first day such a post is looked at half as often, then a quarter.
    """
    age = at - published_at
    rest = 2 ** min(unchanged_polls, 2) if age >= DAY else 1
    return at + min(_interval(age) * rest, FOR_EVER) * factor


def looks_a_day(ages: Sequence[tuple[timedelta, int]]) -> float:
    """How many looks a day so many posts of such ages take, before any stretching."""
    return sum(count * (DAY / _interval(age)) for age, count in ages)


def _interval(age: timedelta) -> timedelta:
    return next((every for limit, every in BY_AGE if age < limit), FOR_EVER)


def back_off(failures: int) -> timedelta:
    """How long a community is left alone after this many failed polls in a row: 30 s doubling to an hour."""
    return min(timedelta(seconds=30 * 2.0 ** min(failures - 1, 10)), timedelta(hours=1))
