"""How often each part of a community is read, before any multiplier. Pure.

Here rather than with the polls, because the capability matrix says how late changes are seen (`changes`).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

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
REVISIONS: Final = PollSchedule(every=timedelta(hours=6), quiet=timedelta(hours=6), with_push=DAY)
"""Recent posts and their comments are read again."""
OPEN_RECENTLY: Final = timedelta(days=2)
"""Open threads in which somebody wrote within this time are looked at as often as `THREADS`, older ones with
`REVISIONS`.
"""
RECENT: Final = timedelta(days=14)
"""Posts up to this age are read again."""
TOKENS: Final = PollSchedule(every=DAY, quiet=DAY, with_push=DAY)
