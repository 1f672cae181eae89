"""How often we look: young posts often, old ones seldom. Pure.

69 looks a post and year: a million posts are 189,000 looks a day, 127 times fewer than hourly ones,
and every platform's quota allows them.
"""

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

SIZE: Final = timedelta(minutes=15)
POSTS: Final = timedelta(minutes=5)
CONVERSATIONS: Final = timedelta(minutes=1)


def next_look(published_at: datetime, at: datetime, pace: float = 1.0) -> datetime:
    """When a post's counters are due after a look at `at`. `pace` multiplies the interval."""
    age = at - published_at
    interval = next((every for limit, every in BY_AGE if age < limit), FOR_EVER)
    return at + interval * pace


def back_off(failures: int) -> timedelta:
    """How long a community is left alone after this many failed polls in a row: 30 s doubling to an hour."""
    return min(timedelta(seconds=30 * 2.0 ** min(failures - 1, 10)), timedelta(hours=1))
