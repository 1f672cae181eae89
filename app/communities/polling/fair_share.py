"""Sharing a rate limit fairly: by how much intervals are multiplied so that all calls fit into it.

Each community records the units that it would take a day from each limit it uses: for content (size,
posts, conversations) and for metrics (its posts' counters). The records of all communities that share a limit add
up to its demand. Where that is more than the limit allows, all their intervals are multiplied by the
same factor, so that calls are spread evenly over the day and no community is starved.

Metrics come first: one call reads those of many posts, so they are cheap and worth the most.
Source of the shares: `python -m benchmarks day`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Double, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.polling.rate_limits import RateLimitKey
from app.kit.db import now

DAY_SECONDS: Final = 86_400
PLANNED_SHARE: Final = 0.8
"""The share of a limit that is planned; the rest is for replies, first reads and peaks."""
METRICS_SHARE: Final = 0.5
"""The share of a limit that metrics may take before their intervals are multiplied too."""
PLAN_INTERVAL: Final = timedelta(hours=1)
"""How often demand is recorded anew."""
STALE: Final = timedelta(days=2)
"""A record that is older is of a community that is not polled any more."""


@dataclass(frozen=True, slots=True)
class IntervalMultipliers:
    """The factors on all intervals; 1 where the demand fits into the limit."""

    content: float = 1.0
    metrics: float = 1.0
    shares: Mapping[RateLimitKey, float] = field(default_factory=dict, compare=False)
    """Each workspace's equal share of the limits that several workspaces use."""


@dataclass(frozen=True, slots=True)
class DailyDemand:
    """Units a day from one limit."""

    content: float = 0.0
    metrics: float = 0.0


def interval_multipliers(demand: DailyDemand, allowed: float) -> IntervalMultipliers:
    """The multipliers by which a demand fits into `allowed` units a day."""
    if demand.content + demand.metrics <= PLANNED_SHARE * allowed:
        return IntervalMultipliers()
    metrics = max(1.0, demand.metrics / (METRICS_SHARE * allowed))
    rest = PLANNED_SHARE * allowed - demand.metrics / metrics
    return IntervalMultipliers(max(1.0, demand.content / rest), metrics)


def units_per_day(one: RateLimitKey) -> float:
    """The units that a limit allows a day."""
    return one.calls * DAY_SECONDS / one.seconds


async def record_demand(session: AsyncSession, consumer: UUID, demands: Mapping[RateLimitKey, DailyDemand]) -> None:
    """Record the units a day that `consumer` (a community, or a metrics group) would take from each limit."""
    limits = sorted(demands)
    if limits:
        await session.execute(
            _RECORD,
            {
                "consumer": consumer,
                "workspace": session.info["workspace_id"],
                "at": now(session),
                "keys": [one.key for one in limits],
                "lengths": [one.seconds for one in limits],
                "content": [demands[one].content for one in limits],
                "metrics": [demands[one].metrics for one in limits],
            },
        )


async def demand_is_recent(session: AsyncSession, consumer: UUID, limits: Iterable[RateLimitKey]) -> bool:
    """Whether `consumer` recorded its demand of any of these limits within `PLAN_INTERVAL`."""
    keys = [one.key for one in limits]
    params = {"keys": keys, "consumer": consumer, "since": now(session) - PLAN_INTERVAL}
    return bool(await session.scalar(_IS_RECENT, params))


async def current_multipliers(session: AsyncSession, limits: Iterable[RateLimitKey]) -> IntervalMultipliers:
    """The multipliers for a consumer of these limits: the largest, that of the scarcest limit."""
    limits_by_key = {(one.key, one.seconds): one for one in limits}
    if not limits_by_key:
        return IntervalMultipliers()
    keys = sorted({key for key, _ in limits_by_key})
    params = {"keys": keys, "since": now(session) - STALE}
    rows = [row for row in await session.execute(_SUM, params) if (row.key, row.seconds) in limits_by_key]
    multipliers = [
        interval_multipliers(DailyDemand(row.content, row.metrics), units_per_day(limits_by_key[row.key, row.seconds]))
        for row in rows
    ]
    shares = {limits_by_key[row.key, row.seconds]: 1 / row.workspaces for row in rows if row.workspaces > 1}
    return IntervalMultipliers(
        max((one.content for one in multipliers), default=1.0),
        max((one.metrics for one in multipliers), default=1.0),
        shares,
    )


async def forget(session: AsyncSession, *, most: int) -> int:
    """Delete up to `most` stale records; how many were deleted."""
    gone = await session.execute(_FORGET, {"before": now(session) - STALE, "most": most})
    return len(gone.all())


def smoothed(old: Mapping[str, float], spent: Mapping[RateLimitKey, float], per: float = 1.0) -> dict[str, float]:
    """The units that one poll costs, by limit: 70 % as before, 30 % as it was this time.

    Keys are `RateLimitKey.text`. `per`: the number of items that were read for `spent`.
    """
    now_spent = {one.text: units / per for one, units in spent.items()}
    limit_texts = old.keys() | now_spent.keys()
    mixed = {
        text: now_spent.get(text, 0.0) if text not in old else 0.7 * old[text] + 0.3 * now_spent.get(text, 0.0)
        for text in limit_texts
    }
    return {text: round(units, 4) for text, units in mixed.items() if units >= 0.001}


def add_spent(old: Mapping[str, float], spent: Counter[RateLimitKey]) -> dict[str, float]:
    """The units spent so far, by `RateLimitKey.text`."""
    total = dict(old)
    for one, units in spent.items():
        total[one.text] = total.get(one.text, 0.0) + units
    return total


def per_day(old: Mapping[str, float], spent: Mapping[str, float], over: timedelta) -> dict[str, float]:
    """Units a day from what was spent over some time, smoothed as by `smoothed`."""
    days = max(over / timedelta(days=1), 1 / 24)
    return smoothed(old, {RateLimitKey.parse(text): units / days for text, units in spent.items()})


_KEYS: Final = bindparam("keys", type_=ARRAY(Text))
_RECORD: Final = text("""
INSERT INTO rate_demand (key, seconds, consumer, workspace_id, content, metrics, at)
SELECT k, s, :consumer, :workspace, c, m, :at FROM unnest(:keys, :lengths, :content, :metrics) AS new (k, s, c, m)
ON CONFLICT (key, seconds, consumer) DO UPDATE
SET content = excluded.content, metrics = excluded.metrics, at = excluded.at, workspace_id = excluded.workspace_id
""").bindparams(
    _KEYS,
    bindparam("lengths", type_=ARRAY(BigInteger)),
    bindparam("content", type_=ARRAY(Double)),
    bindparam("metrics", type_=ARRAY(Double)),
)
_SUM: Final = text(
    "SELECT key, seconds, sum(content) AS content, sum(metrics) AS metrics, "
    "count(DISTINCT workspace_id) AS workspaces FROM rate_demand "
    "WHERE key = ANY(:keys) AND at > :since GROUP BY key, seconds"
).bindparams(_KEYS)
_IS_RECENT: Final = text(
    "SELECT EXISTS (SELECT FROM rate_demand WHERE key = ANY(:keys) AND consumer = :consumer AND at > :since)"
).bindparams(_KEYS)
_FORGET: Final = text(
    "DELETE FROM rate_demand WHERE (key, seconds, consumer) IN ("
    "SELECT key, seconds, consumer FROM rate_demand WHERE at < :before LIMIT :most FOR UPDATE SKIP LOCKED) "
    "RETURNING key"
)
