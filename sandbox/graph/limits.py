"""Rate limits: hourly per application or user, daily per Page or account; reported in response headers."""

from __future__ import annotations

from math import ceil
from typing import Final

import orjson

from sandbox.graph import ids
from sandbox.graph.call import Caller
from sandbox.graph.errors import GraphError
from sandbox.limits import Quota
from sandbox.network import Network

HOUR: Final = 3600
DAILY: Final = 24 * HOUR
LIMITS: Final = {
    "app_calls": 4000,
    "user_calls": 2000,
    "page_calls": 96_000,
    "instagram_calls": 96_000,
    "conversations_rps": 2,
    "publish_daily": 100,
    "container_seconds": 0,
}
"""Meta allows 200 requests an hour per user, and 4,800 a day per engaged user of a Page or account."""


def counted(network: Network, caller: Caller, calls: int, *, of_page: bool) -> tuple[dict[str, str], GraphError | None]:
    """Count `calls` requests; returns the usage headers, and the error if the limit is exceeded, else None.

    With `of_page` a user's requests about a Page fail with code 32 instead of 17.
    """
    if caller.own is None:
        allowance = network.counter.window("graph/app", network.limits["graph_app_calls"], HOUR, cost=calls)
        return _platform(allowance), GraphError(4) if allowance.refused else None
    instagram = ids.is_instagram(caller.own)
    if not instagram and not caller.is_page:
        key = f"graph/user/{caller.own.key}"
        allowance = network.counter.window(key, network.limits["graph_user_calls"], HOUR, cost=calls)
        return _platform(allowance), GraphError(32 if of_page else 17) if allowance.refused else None
    kind, code = ("instagram", 80_002) if instagram else ("pages", 80_001)
    limit = network.limits["graph_instagram_calls" if instagram else "graph_page_calls"]
    allowance = network.counter.window(f"graph/{caller.own.key}", limit, DAILY, cost=calls)
    minutes = ceil(max(allowance.reset_at - network.real(), 0) / 60) if allowance.refused else 0
    usage = [{"type": kind, **_usage(allowance), "estimated_time_to_regain_access": minutes}]
    headers = {"X-Business-Use-Case-Usage": orjson.dumps({caller.own.profile.external_id: usage}).decode()}
    return headers, GraphError(code) if allowance.refused else None


def _platform(allowance: Quota) -> dict[str, str]:
    return {"X-App-Usage": orjson.dumps(_usage(allowance)).decode()}


def _usage(allowance: Quota) -> dict[str, int]:
    used = allowance.limit - allowance.remaining
    percent = 100 if allowance.refused else used * 100 // allowance.limit
    return {"call_count": percent, "total_cputime": percent // 4, "total_time": percent // 3}
