"""How much of a rate limit is used up, as Mastodon's responses report it.

    x-ratelimit-limit        300
    x-ratelimit-remaining    299
    x-ratelimit-reset        2026-11-22T10:05:00.000000Z

GoToSocial sends the reset in seconds since 1970, and counts all requests of a network address together. A response
to a read reports Mastodon's limit on all requests; one to a write or an upload reports the limit on that alone.
"""

from datetime import datetime

import httpx

from app.platforms import rate_headers, wire
from app.platforms.capabilities import Usage
from app.platforms.contract import LimitScope


def usage(response: httpx.Response) -> Usage | None:
    """How much of the limit on all requests is used up; None where the response does not report it."""
    request = wire.request_of(response)
    if request is None or request.method != "GET":
        return None
    return rate_headers.usage(response, "x-ratelimit", resets_at=resets_at(response), scope=scope_of(request))


def scope_of(request: httpx.Request | None) -> LimitScope:
    """What a request is counted for: its network address or its token; a write also for its kind of write."""
    if request is None or "authorization" not in request.headers:
        return LimitScope.ADDRESS
    return LimitScope.TOKEN if request.method == "GET" else LimitScope.COMMUNITY


def resets_at(response: httpx.Response) -> datetime | None:
    """When the reported limit resets; None where the response does not say."""
    seconds = rate_headers.number(response, "x-ratelimit-reset")
    if seconds is not None:
        return wire.unix(seconds)
    return wire.iso_date(response.headers.get("x-ratelimit-reset"))
