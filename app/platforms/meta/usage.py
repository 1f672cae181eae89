"""How much of each rate limit is used, from headers of Graph's responses: percentages, in JSON.

    x-app-usage                  {"call_count": 28, "total_time": 25, "total_cputime": 25}
    x-page-usage                 likewise, of one Page
    x-business-use-case-usage    {"<id>": [{"type": "pages", "call_count": 95, "total_cputime": 20,
                                  "total_time": 20, "estimated_time_to_regain_access": 19}]}

The last gives the minutes until requests are accepted again, 0 while they are. Source: Graph's rate limits.
"""

from typing import Annotated, Final

import httpx
from pydantic import Field, TypeAdapter, ValidationError

from app.platforms import wire
from app.platforms.capabilities import Usage
from app.platforms.contract import LimitScope

Share = Annotated[float, Field(ge=0, strict=False, allow_inf_nan=False)]


class Used(wire.Model):
    """Percentages of one limit."""

    call_count: Share = 0
    total_time: Share = 0
    total_cputime: Share = 0
    estimated_time_to_regain_access: Share = 0

    def usage(self, scope: LimitScope) -> Usage:
        minutes = self.estimated_time_to_regain_access
        share = max(self.call_count, self.total_time, self.total_cputime) / 100
        return Usage(share, scope, minutes * 60 if minutes else None)


USED: Final = TypeAdapter(Used)
BY_BUSINESS: Final = TypeAdapter(dict[str, list[Used]])


def usages(response: httpx.Response) -> list[Usage]:
    """The usage of every limit in a response's headers; a header that cannot be parsed is ignored."""
    result = []
    for name, scope in (("x-app-usage", LimitScope.APP), ("x-page-usage", LimitScope.COMMUNITY)):
        try:
            result.append(USED.validate_json(response.headers.get(name, "")).usage(scope))
        except ValidationError:
            continue
    try:
        businesses = BY_BUSINESS.validate_json(response.headers.get("x-business-use-case-usage", ""))
    except ValidationError:
        return result
    return result + [used.usage(LimitScope.COMMUNITY) for limits in businesses.values() for used in limits]


def nearest(response: httpx.Response) -> Usage | None:
    """The limit with the largest share used; None where the response names none."""
    return max(usages(response), key=lambda usage: usage.share, default=None)


def free_in(response: httpx.Response) -> float | None:
    """Seconds until requests are accepted again; None where the response does not say."""
    waits = [usage.resets_in for usage in usages(response) if usage.resets_in is not None]
    return max(waits, default=wire.retry_after(response))
