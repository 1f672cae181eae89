"""How much of a rate limit is used up, as Bluesky's responses report it.

    ratelimit-limit        3000
    ratelimit-remaining    2999
    ratelimit-reset        1795860300
    ratelimit-policy       3000;w=300

Of several limits, a response reports the one that is nearest to its end.
"""

from datetime import datetime
from typing import Final

import httpx

from app.platforms import rate_headers, wire
from app.platforms.bluesky import calls
from app.platforms.capabilities import Usage
from app.platforms.contract import LimitScope

ADDRESS_POLICY: Final = "3000;w=300"
"""The `ratelimit-policy` of the limit on all requests from one network address."""


def usage(response: httpx.Response) -> Usage | None:
    """How much of the reported limit is used up; None where the response reports none."""
    return rate_headers.usage(response, "ratelimit", resets_at=resets_at(response), scope=scope_of(response))


def resets_at(response: httpx.Response) -> datetime | None:
    """When the reported limit resets; None where the response does not say."""
    seconds = rate_headers.number(response, "ratelimit-reset")
    return None if seconds is None else wire.unix(seconds)


def scope_of(response: httpx.Response) -> LimitScope:
    """What the reported limit is counted for: some methods have limits for each account."""
    of_address = response.headers.get("ratelimit-policy") == ADDRESS_POLICY
    return LimitScope.COMMUNITY if calls.method_of(response) in calls.UNITS and not of_address else LimitScope.ADDRESS
