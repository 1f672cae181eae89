"""The days of a query: the window, the previous one, and its parts."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from app.kit.errors import Invalid
from app.kpis.contract import DAY

DEFAULT_DAYS: Final = 30
LONGEST: Final = 3660
"""The maximum length of a window in days: ten years."""
LONGEST_DAILY: Final = 731
EARLIEST: Final = date(2000, 1, 1)
LATEST: Final = date(2100, 1, 1)


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
    """The requested window; by default the last 30 days, today included.

    Raises `Invalid` for one that ends before it begins, is too long, or lies outside 2000 to 2100.
    """
    last = last or max(today, first or today)
    first = first or last - (DEFAULT_DAYS - 1) * DAY
    if first > last:
        raise _refused("from", "The window ends before it begins.")
    if first < EARLIEST or last > LATEST:
        raise _refused("from" if first < EARLIEST else "to", f"Days lie between {EARLIEST} and {LATEST}.")
    length = (last - first).days + 1
    if length > LONGEST:
        raise _refused("from", f"A window has at most {LONGEST} days.")
    if granularity is Granularity.DAY and length > LONGEST_DAILY:
        raise _refused("granularity", f"More than {LONGEST_DAILY} days are given by week or month.")
    return Days(first, last)


def _refused(field: str, detail: str) -> Invalid:
    return Invalid(
        detail,
        code="invalid-window",
        errors=[{"in": "query", "field": field, "code": "invalid-window", "detail": detail}],
    )


def days_to_load(first: date | None, last: date | None, granularity: Granularity, now: datetime) -> Days:
    """The days from the start of the previous window to the end of the window, widened to fit any time zone.

    Raises `Invalid` as `requested_days` does, for a window that is invalid in some zone.
    """
    today = now.astimezone(UTC).date()
    windows = [requested_days(first, last, granularity, day) for day in (today - DAY, today, today + DAY)]
    return Days(min(days.before.first for days in windows), max(days.last for days in windows))
