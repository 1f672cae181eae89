"""When a post is planned: a local time and a zone, from which UTC is computed.

People plan by local time. That time and the IANA zone are stored and the instant is computed, so that
a change of daylight saving cannot move a post from 9:00 to 10:00. Local times that a change of the
clocks skips are refused; of those that occur twice the first is meant (PEP 495, `fold=0`).
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.kit.errors import Invalid


def instant(local: datetime, zone: str) -> datetime:
    """The instant, in UTC, of a naive wall-clock time in a zone.

    Raises `Invalid` (`nonexistent-local-time`) where a change of the clocks skips that time.
    """
    zone_info = ZoneInfo(zone)
    at = local.replace(tzinfo=zone_info, fold=0).astimezone(UTC)
    wall_clock = _wall_clock(at, zone_info)
    if wall_clock != local:
        detail = (
            f"{local.isoformat()} does not exist in {zone}: the clocks are put forward then. "
            f"Perhaps {wall_clock.isoformat()} is meant."
        )
        raise Invalid(
            detail,
            code="nonexistent-local-time",
            errors=[{"in": "body", "field": "planned_for", "code": "nonexistent-local-time", "detail": detail}],
        )
    return at


def bounds(first: date, last: date, zone: str) -> tuple[datetime, datetime]:
    """The instants at which the local day `first` begins and the local day `last` ends.

    A day whose midnight does not exist begins when the clocks change.
    """
    zone_info = ZoneInfo(zone)
    return _midnight(first, zone_info), _midnight(last + timedelta(days=1), zone_info)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a local day begins: where midnight is skipped, when the clocks change."""
    midnight = datetime.combine(day, time(0))
    at = midnight.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall_clock(at, zone) == midnight:
        return at
    # Skipped: fold 0 uses the offset before the change and so lies at or after it, fold 1 before it.
    before = midnight.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while at - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(at - before) // timedelta(seconds=2))
        before, at = (before, middle) if _wall_clock(middle, zone) >= midnight else (middle, at)
    return at


def _wall_clock(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)
