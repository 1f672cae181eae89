"""When a post is planned: a wall-clock time and a zone, of which UTC follows.

People plan by the clock on their wall. Stored are that time and the IANA zone; the instant is
computed, so that a change of daylight saving cannot move a post from 9:00 to 10:00. Where clocks
are put forward, some times do not exist: they are refused. Where they are put back, some come
twice: the first is meant (PEP 495, `fold=0`).
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.kit.errors import Invalid


def instant(local: datetime, zone: str) -> datetime:
    """The instant, in UTC, of a naive wall-clock time in a zone.

    Raises `Invalid` (`nonexistent-local-time`) where the clocks of the zone pass over that time.
    """
    here = ZoneInfo(zone)
    at = local.replace(tzinfo=here, fold=0).astimezone(UTC)
    shown = _shown(at, here)
    if shown != local:
        detail = (
            f"{local.isoformat()} does not exist in {zone}: the clocks are put forward then. "
            f"Perhaps {shown.isoformat()} is meant."
        )
        raise Invalid(
            detail,
            code="nonexistent-local-time",
            errors=[{"in": "body", "field": "planned_for", "code": "nonexistent-local-time", "detail": detail}],
        )
    return at


def bounds(first: date, last: date, zone: str) -> tuple[datetime, datetime]:
    """The instants at which the local day `first` begins and the local day `last` ends.

    A day whose midnight does not exist begins when the clocks have been put forward.
    """
    here = ZoneInfo(zone)
    return _midnight(first, here), _midnight(last + timedelta(days=1), here)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a local day begins: where midnight is passed over, when the clocks jump."""
    midnight = datetime.combine(day, time(0))
    at = midnight.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _shown(at, zone) == midnight:
        return at
    # Passed over: fold 0 counts by the offset before the jump and so lies at or behind it, fold 1 before it.
    before = midnight.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while at - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(at - before) // timedelta(seconds=2))
        before, at = (before, middle) if _shown(middle, zone) >= midnight else (middle, at)
    return at


def _shown(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def month_of(at: datetime, zone: str) -> tuple[date, date]:
    """The first and the last day of the local month that an instant falls in."""
    today = at.astimezone(ZoneInfo(zone)).date()
    first = today.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
