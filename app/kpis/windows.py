"""The days of a query: the window, the previous one, and its parts."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from app.kit import days
from app.kpis.contract import DAY

LONGEST_DAILY: Final = 731
"""The maximum length of a window that is given by day, in days."""


class Granularity(StrEnum):
    """The length of a part of a series. Weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Days(NamedTuple):
    """From one local day to another, both included."""

    first: date
    last: date

    @property
    def before(self) -> "Days":
        """The previous window: as many days, directly before these."""
        return Days(self.first - (self.last - self.first) - DAY, self.first - DAY)

    def parts(self, granularity: Granularity) -> Iterator["Days"]:
        """The days, weeks or months of the range; the first and the last are cut to the range."""
        first = self.first
        while first <= self.last:
            last = min(_end(first, granularity), self.last)
            yield Days(first, last)
            first = last + DAY


def _end(day: date, granularity: Granularity) -> date:
    if granularity is Granularity.DAY:
        return day
    if granularity is Granularity.WEEK:
        return day + timedelta(days=6 - day.weekday())
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - DAY


def requested_days(first: date | None, last: date | None, granularity: Granularity, today: date) -> Days:
    """The requested window (`app.kit.days`). Raises `Invalid` also for one that is too long to be given by day."""
    window = Days(*days.requested_days(first, last, today))
    length = (window.last - window.first).days + 1
    if granularity is Granularity.DAY and length > LONGEST_DAILY:
        raise days.refused("granularity", f"More than {LONGEST_DAILY} days are given by week or month.")
    return window


def days_to_load(
    first: date | None, last: date | None, granularity: Granularity, now: datetime, *, previous: bool = True
) -> Days:
    """The days from the start of the previous window to the end of the window, widened to fit any time zone.

    Without `previous`, from the start of the window itself. Raises `Invalid` as `requested_days` does, for a window
    that is invalid in some zone.
    """
    today = now.astimezone(UTC).date()
    windows = [requested_days(first, last, granularity, day) for day in (today - DAY, today, today + DAY)]
    begins = (window.before.first if previous else window.first for window in windows)
    return Days(min(begins), max(window.last for window in windows))
