"""Parsing rate limits from headers."""

from datetime import UTC, datetime

import httpx
import pytest

from app.platforms import rate_headers
from app.platforms.capabilities import Usage
from app.platforms.contract import LimitScope

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RESET = NOON.replace(minute=5)
FULL = {"x-limit": "300", "x-remaining": "75", "date": "Mon, 23 Nov 2026 12:00:00 GMT"}


def _usage(headers: dict[str, str], resets_at: datetime | None = RESET) -> Usage | None:
    return rate_headers.usage(httpx.Response(200, headers=headers), "x", resets_at=resets_at, scope=LimitScope.TOKEN)


def test_usage_has_the_used_share_and_the_seconds_to_the_reset() -> None:
    assert _usage(FULL) == Usage(0.75, LimitScope.TOKEN, 300.0)


@pytest.mark.parametrize("resets_at", [None, NOON.replace(hour=11)])
def test_without_a_reset_it_is_none_and_a_past_one_is_zero(resets_at: datetime | None) -> None:
    assert _usage(FULL, resets_at) == Usage(0.75, LimitScope.TOKEN, None if resets_at is None else 0.0)


def test_without_a_date_the_reset_is_left_out() -> None:
    assert _usage({name: FULL[name] for name in ("x-limit", "x-remaining")}) == Usage(0.75, LimitScope.TOKEN, None)


@pytest.mark.parametrize("value", ["", "0", "-1", "3.5", "٣٠٠", "1" * 5000, "a"])
def test_a_limit_that_is_no_number_above_zero_is_not_read(value: str) -> None:
    # Non-ASCII header values arrive as bytes.
    response = httpx.Response(200, headers=[(b"x-limit", value.encode()), (b"x-remaining", b"1")])
    assert rate_headers.usage(response, "x", resets_at=None, scope=LimitScope.TOKEN) is None


def test_nothing_is_read_without_the_remaining_count() -> None:
    assert _usage({"x-limit": "300"}) is None
    assert _usage({"x-limit": "300", "x-remaining": "many"}) is None
