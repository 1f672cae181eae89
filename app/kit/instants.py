"""The bounds of valid instants and days, for request bodies and platforms' responses alike.

PostgreSQL, its driver and Python disagree at the ends of the calendar: the driver writes Python's last instant as
`infinity` and reads it back as one without a zone, and an instant near either end overflows Python's calendar when
it is converted to another zone. One such row breaks every list that contains it. So nothing outside the bounds is
stored, and the bounds are far enough from those ends for any arithmetic with an instant.

Pure: no clock, no database. Adapters use it too.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Included. No platform is older, and it is what a clock shows that was never set."""
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Not included. Later than anything that is planned."""
LONGEST: Final = timedelta(days=36_525)
"""A hundred years: added to the current time, it stays before `LATEST`."""


class OutOfBounds(ValueError):
    """An instant or a day outside of the bounds; the message is for people."""

    def __init__(self) -> None:
        super().__init__(f"must lie from {EARLIEST.date()} up to, not including, {LATEST.date()}")


def bounded(at: datetime) -> datetime:
    """The same aware instant in UTC; `OutOfBounds` where it does not lie within the bounds."""
    try:
        in_utc = at.astimezone(UTC)
    except OverflowError:  # its offset puts it before year 1 or after year 9999
        raise OutOfBounds from None
    if not EARLIEST <= in_utc < LATEST:
        raise OutOfBounds
    return in_utc


def bounded_day(day: date) -> date:
    """The same local day; `OutOfBounds` where it does not lie within the bounds."""
    if not EARLIEST.date() <= day < LATEST.date():
        raise OutOfBounds
    return day


def after(at: datetime, wait: timedelta) -> datetime:
    """`at` plus `wait`, which is cut to `LONGEST`."""
    return at + min(wait, LONGEST)


def span(seconds: float) -> timedelta:
    """So many seconds, cut to between 0 and `LONGEST`: a platform may send any number."""
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST.total_seconds()))
