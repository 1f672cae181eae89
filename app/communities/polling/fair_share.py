"""What all communities ask of a limit together, and how far that stretches their intervals.

Each community leaves a note of what it would like to take a day from each limit it touches: for its
lists (size, posts, conversations) and for its posts' counters. The notes of all that share a limit
add up to the demand. Where it is more than the limit allows, all their intervals are stretched by
the same factor, so that calls are spread evenly over the day and nobody is starved.

Counters come first: one call reads those of many posts, so they are cheap and worth the most.
Source of the shares: `python -m benchmarks day`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Double, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.polling.rate_limits import RateLimitKey
from app.kit.db import now

DAY_SECONDS: Final = 86_400
USABLE: Final = 0.8
"""The share of a limit that is planned; the rest is for answers, first reads and chance."""
FOR_LOOKS: Final = 0.5
"""The share of a limit that counters may take before they are stretched too."""
PLAN: Final = timedelta(hours=1)
"""How often it is worked out anew what somebody asks for."""
STALE: Final = timedelta(days=2)
"""A note that was not renewed for so long is of a community that is not watched any more."""


@dataclass(frozen=True, slots=True)
class IntervalMultipliers:
    """The factors on all intervals; 1 where everything fits."""

    lists: float = 1.0
    looks: float = 1.0


@dataclass(frozen=True, slots=True)
class RateDemandOf:
    """Units a day from one limit."""

    lists: float = 0.0
    looks: float = 0.0


def stretch(demand: RateDemandOf, allowed: float) -> IntervalMultipliers:
    """By how much intervals are stretched so that a demand fits into `allowed` units a day."""
    if demand.lists + demand.looks <= USABLE * allowed:
        return IntervalMultipliers()
    looks = max(1.0, demand.looks / (FOR_LOOKS * allowed))
    rest = USABLE * allowed - demand.looks / looks
    return IntervalMultipliers(max(1.0, demand.lists / rest), looks)


def allowed(one: RateLimitKey) -> float:
    """What a limit allows a day."""
    return one.calls * DAY_SECONDS / one.seconds


async def note(session: AsyncSession, asker: UUID, demands: Mapping[RateLimitKey, RateDemandOf]) -> None:
    """Leave a note of what `asker` (a community, or a lane of several) would like to take."""
    allowances = sorted(demands)
    if allowances:
        await session.execute(
            _NOTE,
            {
                "asker": asker,
                "at": now(session),
                "keys": [one.key for one in allowances],
                "lengths": [one.seconds for one in allowances],
                "lists": [demands[one].lists for one in allowances],
                "looks": [demands[one].looks for one in allowances],
            },
        )


async def noted_lately(session: AsyncSession, asker: UUID, allowances: Iterable[RateLimitKey]) -> bool:
    """Whether `asker` left a note on any of these limits within `PLAN`."""
    keys = [one.key for one in allowances]
    given = {"keys": keys, "asker": asker, "since": now(session) - PLAN}
    return bool(await session.scalar(_NOTED, given))


async def stretched(session: AsyncSession, allowances: Iterable[RateLimitKey]) -> IntervalMultipliers:
    """The stretch of somebody who touches these limits: that of the scarcest."""
    known = {(one.key, one.seconds): one for one in allowances}
    if not known:
        return IntervalMultipliers()
    keys = sorted({key for key, _ in known})
    rows = await session.execute(_SUM, {"keys": keys, "since": now(session) - STALE})
    found = [
        stretch(RateDemandOf(row.lists, row.looks), allowed(known[row.key, row.seconds]))
        for row in rows
        if (row.key, row.seconds) in known
    ]
    return IntervalMultipliers(
        max((one.lists for one in found), default=1.0), max((one.looks for one in found), default=1.0)
    )


async def forget(session: AsyncSession, *, most: int) -> int:
    """Drop up to `most` notes of those that ask no more; how many there were."""
    gone = await session.execute(_FORGET, {"before": now(session) - STALE, "most": most})
    return len(gone.all())


def smoothed(old: Mapping[str, float], spent: Mapping[RateLimitKey, float], per: float = 1.0) -> dict[str, float]:
    """What one look costs, by limit: mostly as before, a little as it was this time.

    Keys are `Allowance.text`. `per`: for how many things it was spent.
    """
    now_spent = {one.text: units / per for one, units in spent.items()}
    known = old.keys() | now_spent.keys()
    mixed = {
        text: now_spent.get(text, 0.0) if text not in old else 0.7 * old[text] + 0.3 * now_spent.get(text, 0.0)
        for text in known
    }
    return {text: round(units, 4) for text, units in mixed.items() if units >= 0.001}


def added(old: Mapping[str, float], spent: Counter[RateLimitKey]) -> dict[str, float]:
    """What was spent so far, by `Allowance.text`."""
    total = dict(old)
    for one, units in spent.items():
        total[one.text] = total.get(one.text, 0.0) + units
    return total


def a_day(old: Mapping[str, float], spent: Mapping[str, float], over: timedelta) -> dict[str, float]:
    """Units a day, from what was spent over some time: mostly as before, a little as it was this time."""
    days = max(over / timedelta(days=1), 1 / 24)
    return smoothed(old, {RateLimitKey.parse(text): units / days for text, units in spent.items()})


_KEYS: Final = bindparam("keys", type_=ARRAY(Text))
_NOTE: Final = text("""
INSERT INTO rate_demand (key, seconds, asker, lists, looks, at)
SELECT k, s, :asker, l, c, :at FROM unnest(:keys, :lengths, :lists, :looks) AS new (k, s, l, c)
ON CONFLICT (key, seconds, asker) DO UPDATE SET lists = excluded.lists, looks = excluded.looks, at = excluded.at
""").bindparams(
    _KEYS,
    bindparam("lengths", type_=ARRAY(BigInteger)),
    bindparam("lists", type_=ARRAY(Double)),
    bindparam("looks", type_=ARRAY(Double)),
)
_SUM: Final = text(
    "SELECT key, seconds, sum(lists) AS lists, sum(looks) AS looks FROM rate_demand "
    "WHERE key = ANY(:keys) AND at > :since GROUP BY key, seconds"
).bindparams(_KEYS)
_NOTED: Final = text(
    "SELECT EXISTS (SELECT FROM rate_demand WHERE key = ANY(:keys) AND asker = :asker AND at > :since)"
).bindparams(_KEYS)
_FORGET: Final = text(
    "DELETE FROM rate_demand WHERE (key, seconds, asker) IN ("
    "SELECT key, seconds, asker FROM rate_demand WHERE at < :before LIMIT :most FOR UPDATE SKIP LOCKED) RETURNING key"
)
