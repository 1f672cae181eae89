"""The local days of a query: `from` and `to`, both included; the 30 days up to today without them.

One window for all operations, so that figures of two screens which name no days are of the same ones.
"""

from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel, Field

from app.kit.errors import Invalid
from app.kit.schemas import Day

DEFAULT_DAYS: Final = 30
LONGEST: Final = 3660
"""The maximum length of any window in days: ten years."""
EARLIEST: Final = date(2000, 1, 1)
LATEST: Final = date(2100, 1, 1)

FirstDay = Annotated[
    Day | None,
    Query(alias="from", description="The first day, in the project's time zone; 30 days up to `to` without it."),
]
LastDay = Annotated[
    Day | None, Query(alias="to", description="The last day, included, in the project's time zone; today without it.")
]


class DayRangeRead(BaseModel):
    """A range of local days, both ends included."""

    first: date = Field(serialization_alias="from", description="The first day.", examples=["2026-10-01"])
    last: date = Field(serialization_alias="to", description="The last day, included.", examples=["2026-10-30"])
    timezone: str = Field(description="The project's time zone, in which these are days.", examples=["Europe/Minsk"])


def requested_days(first: date | None, last: date | None, today: date, *, longest: int = LONGEST) -> tuple[date, date]:
    """The first and the last day of the requested window; by default the last 30 days, today included.

    Raises `Invalid` for one that ends before it begins, has more than `longest` days, or lies outside 2000 to 2100.
    """
    last = last or max(today, first or today)
    first = first or last - timedelta(days=DEFAULT_DAYS - 1)
    if first > last:
        raise refused("from", "The window ends before it begins.")
    if first < EARLIEST or last > LATEST:
        raise refused("from" if first < EARLIEST else "to", f"Days lie between {EARLIEST} and {LATEST}.")
    if (last - first).days >= longest:
        raise refused("from", f"A window has at most {longest} days.")
    return first, last


def refused(field: str, detail: str) -> Invalid:
    """The error for a window that is invalid by this parameter."""
    return Invalid(
        detail,
        code="invalid-window",
        errors=[{"in": "query", "field": field, "code": "invalid-window", "detail": detail}],
    )
