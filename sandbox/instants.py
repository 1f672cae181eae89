"""Instants: integer milliseconds since 1970 in memory, ISO 8601 text in the ledger and in responses."""

from datetime import UTC, datetime, timedelta

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text(at: int) -> str:
    """`2026-11-23T05:20:56.123Z`: fixed width, so that text order is time order."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse(value: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 instant. Raises `ValueError` if it has no time zone."""
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("an instant needs its zone, as in 2026-11-23T05:20:00Z")
    return (at - _EPOCH) // timedelta(milliseconds=1)
