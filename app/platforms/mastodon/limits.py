"""How much of a limit is used up, as Mastodon's answers tell it.

    x-ratelimit-limit        300
    x-ratelimit-remaining    299
    x-ratelimit-reset        2026-11-22T10:05:00.000000Z

GoToSocial writes that moment in seconds since 1970, and counts all calls of a network address together.
Mastodon tells of the limit of all calls where something is read; where something is written or
uploaded, of the limit of that alone, which is nobody else's concern.
"""

from datetime import datetime

import httpx

from app.platforms import wire
from app.platforms.capabilities import Usage
from app.platforms.contract import LimitScope


def usage(response: httpx.Response) -> Usage | None:
    """How near the caller is to the limit of all calls; None where the answer does not tell."""
    request = wire.request_of(response)
    if request is None or request.method != "GET":
        return None
    limit, remaining = (_number(response, name) for name in ("limit", "remaining"))
    if not limit or remaining is None:
        return None
    reset, now = resets_at(response), wire.response_date(response)
    return Usage(
        share=1 - remaining / limit,
        scope=whom(request),
        resets_in=None if reset is None or now is None else max(0.0, (reset - now).total_seconds()),
    )


def whom(request: httpx.Request | None) -> LimitScope:
    """Whose limit a request is counted against: a change against one of its own kind, too."""
    if request is None or "authorization" not in request.headers:
        return LimitScope.ADDRESS
    return LimitScope.TOKEN if request.method == "GET" else LimitScope.COMMUNITY


def resets_at(response: httpx.Response) -> datetime | None:
    """When a limit begins anew; None where the answer does not tell."""
    seconds = _number(response, "reset")
    if seconds is not None:
        return wire.unix(seconds)
    return wire.iso_date(response.headers.get("x-ratelimit-reset"))


def _number(response: httpx.Response, name: str) -> int | None:
    header = response.headers.get(f"x-ratelimit-{name}", "")
    return int(header) if header.isascii() and header.isdigit() and len(header) < 12 else None
