"""Rate limits as `…ratelimit-limit`, `-remaining` and `-reset` report them (Bluesky, Mastodon)."""

from datetime import datetime

import httpx

from app.platforms import wire
from app.platforms.capabilities import Usage
from app.platforms.contract import LimitScope

LONGEST_NUMBER = 11


def number(response: httpx.Response, name: str) -> int | None:
    """A header that is a number of at most `LONGEST_NUMBER` digits; None where it is absent or anything else."""
    header = response.headers.get(name, "")
    return int(header) if header.isascii() and header.isdigit() and len(header) <= LONGEST_NUMBER else None


def usage(response: httpx.Response, prefix: str, *, resets_at: datetime | None, scope: LimitScope) -> Usage | None:
    """How much of the limit is used up; None where the headers, whose names begin with `prefix`, do not say.

    `resets_at` is compared with the response's own clock.
    """
    limit, remaining = (number(response, f"{prefix}-{name}") for name in ("limit", "remaining"))
    if not limit or remaining is None:
        return None
    now = wire.response_date(response)
    resets_in = None if resets_at is None or now is None else max(0.0, (resets_at - now).total_seconds())
    return Usage(1 - remaining / limit, scope, resets_in)
