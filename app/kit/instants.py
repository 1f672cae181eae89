"""Which instants are taken for real: one pair of bounds, for what callers send and for what platforms tell.

PostgreSQL, its driver and Python disagree at the ends of the calendar: the driver writes Python's last instant as
`infinity` and reads it back as one without a zone, and an instant near either end falls out of Python's calendar as
soon as it is shown in another zone. One such row is enough to break every list that it stands in. So nothing
outside the bounds gets in, and the bounds are far enough from those ends for any sum that is made of an instant.

Pure: no clock, no database. Adapters use it too.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Included. No platform is older, and what clocks show that were never set lies here."""
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Not included. Further than anybody plans."""
LONGEST: Final = timedelta(days=36_525)
"""A hundred years: from now on it ends before `LATEST`."""


class OutOfBounds(ValueError):
    """An instant or a day that is not taken for real; worded for people."""

    def __init__(self) -> None:
        super().__init__(f"must lie from {EARLIEST.date()} up to, not including, {LATEST.date()}")


def bounded(at: datetime) -> datetime:
    """The same aware instant in UTC; `OutOfBounds` where it does not lie within the bounds."""
    try:
        found = at.astimezone(UTC)
    except OverflowError:  # its zone puts it before the first year, or behind the last
        raise OutOfBounds from None
    if not EARLIEST <= found < LATEST:
        raise OutOfBounds
    return found


def bounded_day(day: date) -> date:
    """The same local day; `OutOfBounds` where it does not lie within the bounds."""
    if not EARLIEST.date() <= day < LATEST.date():
        raise OutOfBounds
    return day


def after(at: datetime, wait: timedelta) -> datetime:
    """The instant that much later; a wait of more than `LONGEST` is taken for that long."""
    return at + min(wait, LONGEST)


def span(seconds: float) -> timedelta:
    """So many seconds, 0 or more; at most `LONGEST`, as numbers of seconds can be of any size."""
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST.total_seconds()))
