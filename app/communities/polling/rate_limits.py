"""Calls we allow ourselves, so that a platform never has to tell us to stop.

Each limit of a platform's `Spec` is counted in PostgreSQL over a sliding window, keyed by whom it
concerns (the token, our address, the app, one chat): two workers, or two agencies that use the same
token, share one count. Where a platform does tell us to stop, nobody whom that concerns calls it
before the time it named. A short wait is waited out; a long one is the planner's business.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ARRAY, BigInteger, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit import instants, telemetry
from app.kit.db import now
from app.kit.http import Request, Response
from app.kit.resources import Resources
from app.platforms.capabilities import TellsUsage
from app.platforms.contract import COST, Adapter, Cost, RateLimit, Scope, Spec, Throttled, Token
from app.settings import Settings

WAIT_TIMEOUT: Final = timedelta(seconds=2)
"""How long a call waits for its turn, whoever comes before it; a longer wait is given back to the planner."""
SLOTS: Final = 10
"""A window is counted in this many parts."""
UNUSED: Final = timedelta(days=7)
"""A count of which nothing was taken for so long is forgotten: no window is longer than a day."""
UNTOLD: Final = timedelta(seconds=60)
"""For how long we stay away where the platform does not say."""
NEARLY: Final = 0.9
"""The share of a limit from which on we rest, where answers tell it."""
HOLD: Final = 0
"""In place of a window's length: until when nobody calls."""


class RateLimitReached(Exception):
    """The next call is allowed at `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"the calls we allow ourselves are used up until {until.isoformat()}")
        self.until = until


@dataclass(frozen=True, slots=True, order=True)
class RateLimitKey:
    """One count: of one limit, for one of those it concerns."""

    key: str
    seconds: int
    calls: int

    @property
    def text(self) -> str:
        return f"{self.key} {self.seconds} {self.calls}"

    @classmethod
    def parse(cls, text: str) -> "RateLimitKey":
        """The inverse of `text`."""
        key, seconds, calls = text.split()
        return cls(key, int(seconds), int(calls))


@dataclass(frozen=True, slots=True)
class RequestCost:
    """What one request takes from one budget."""

    key: str
    budget: RateLimit
    units: int


class RateLimiter:
    """Counts one platform's calls against its limits."""

    def __init__(self, resources: Resources, kind: type[Adapter], base_url: str) -> None:
        self._resources = resources
        self._kind = kind
        self._base_url = base_url
        self._last = Cost()
        self.spent: Counter[RateLimitKey] = Counter()
        """What was taken through this meter."""

    async def before(self, request: Request) -> None:
        """Take what a request costs from every limit it concerns; `BudgetSpent` where one has too little left."""
        self._last = cost = cost_of(request)
        charges = [
            RequestCost(_key(self._whose(budget.scope), budget.scope, cost, budget.name), budget, units)
            for budget in self._kind.spec.budgets
            if (units := cost.units.get(budget.name, 0)) and _concerns(budget, cost)
        ]
        holds = [_key(self._whose(scope), scope, cost) for scope in Scope]
        at = await self._turn(charges, holds)
        late = (self._resources.clock.now() - at).total_seconds()
        if any(late > charge.budget.seconds / SLOTS for charge in charges):
            # We heard of our turn late, as a busy process does: called now, it would fall among calls that
            # have counted it as past. Only once, so that a slow database does not use up the limit.
            await self._turn(charges, holds)
        for charge in charges:
            self.spent[RateLimitKey(charge.key, charge.budget.seconds, charge.budget.calls)] += charge.units
        telemetry.PLATFORM_CALLS.labels(self._kind.spec.key, "made").inc()

    async def after(self, response: Response) -> None:
        """Rest where an answer tells that a limit is nearly used up."""
        usage = self._kind.usage(response) if issubclass(self._kind, TellsUsage) else None
        if usage is not None and usage.share >= NEARLY:
            rest = UNTOLD if usage.resets_in is None else instants.span(usage.resets_in)
            await self._stay_away(usage.scope, self._resources.clock.now() + min(rest, timedelta(days=1)))

    async def throttled(self, error: Throttled) -> datetime:
        """The platform told us to stop: until when nobody whom it concerns calls again."""
        wait = UNTOLD if error.retry_after is None else instants.span(error.retry_after)
        until = self._resources.clock.now() + min(max(wait, timedelta(seconds=1)), timedelta(days=1))
        await self._stay_away(error.scope, until)
        return until

    async def _stay_away(self, scope: Scope, until: datetime) -> None:
        key = _key(self._whose(scope), scope, self._last)
        async with self._resources.transaction(None) as session:
            # Rounded up, as instants are rounded down: nobody is a part of a millisecond too early.
            await session.execute(_STAY_AWAY, {"key": key, "until": math.ceil(until.timestamp() * 1000)})

    def _whose(self, scope: Scope) -> str:
        return _counted_by(self._kind.spec, self._base_url, self._resources.settings, scope)

    async def _turn(self, charges: Collection[RequestCost], holds: Collection[str]) -> datetime:
        """Count a request as soon as there is room for it; the instant it is counted at."""
        clock = self._resources.clock
        patient_until = clock.now() + WAIT_TIMEOUT
        while True:
            at, free_at = await self._take(charges, holds)
            if free_at is None:
                return at
            if free_at > patient_until:
                raise RateLimitReached(free_at)
            await clock.sleep(max((free_at - clock.now()).total_seconds(), 0.01))

    async def _take(self, charges: Collection[RequestCost], holds: Collection[str]) -> tuple[datetime, datetime | None]:
        """Count a request: at which instant, and None, or when there is room for it."""
        keys, lengths, calls, units = zip(*(_asked(one) for one in charges), strict=True) if charges else ((),) * 4
        asked = {"keys": keys, "lengths": lengths, "calls": calls, "units": units, "holds": holds}
        told = {name: list(values) for name, values in asked.items()}
        while True:
            # In autocommit: one statement, one trip, and those who share a limit wait for nothing longer.
            async with self._resources.db.read_connection(None) as connection:
                at = self._resources.clock.now()
                row = (await connection.execute(_TAKE, {**told, "at": _milliseconds(at)})).one()
                if not row.missing:
                    return at, datetime.fromtimestamp(row.free_at / 1000, UTC) if row.free_at else None
                await connection.execute(_MAKE, {"keys": told["keys"], "lengths": told["lengths"]})


def cost_of(request: Request) -> Cost:
    """What a request takes from the budgets: as its adapter says, else one call of its token."""
    told = request.extensions.get(COST)
    if isinstance(told, Cost):
        return told
    return Cost(token=request.headers.get("authorization", "").rpartition(" ")[2])


def _concerns(budget: RateLimit, cost: Cost) -> bool:
    if budget.scope is Scope.TOKEN and not cost.token:
        return False
    return budget.token is None or cost.kind is budget.token


def _counted_by(spec: Spec, base_url: str, settings: Settings, scope: Scope) -> str:
    """Who counts: the API that is called, or the owner of an application that several platforms know."""
    if scope is Scope.APP and spec.app_of is not None:
        known = settings.platform_apps.get(spec.key, {}).get("client_id")
        return f"{spec.app_of}\n{known.get_secret_value() if known is not None else ''}"
    return f"{spec.key}\n{base_url}"


def _key(counted_by: str, scope: Scope, cost: Cost, name: str = "") -> str:
    """Whom a limit concerns, without naming the token."""
    concerned = {Scope.TOKEN: cost.token, Scope.COMMUNITY: cost.target or cost.token}.get(scope, "")
    return hashlib.sha256(f"{counted_by}\n{scope}\n{concerned}\n{name}".encode()).hexdigest()[:40]


def _milliseconds(at: datetime) -> int:
    return math.floor(at.timestamp() * 1000)


def _asked(charge: RequestCost) -> tuple[str, int, int, int]:
    return charge.key, charge.budget.seconds, charge.budget.calls, charge.units


@dataclass(frozen=True, slots=True)
class RateRemaining:
    """What is left of one budget."""

    name: str
    scope: Scope
    token: Token | None
    calls: int
    seconds: int
    left: int
    held_until: datetime | None
    """The platform told us to stay away until then."""


async def left(
    session: AsyncSession,
    settings: Settings,
    spec: Spec,
    base_url: str,
    tokens: Mapping[Token, str],
    at: datetime,
) -> list[RateRemaining]:
    """What is left of a community's budgets at this instant. Chats of their own are not among them."""
    shown: list[tuple[RateLimit, Token | None, str, str]] = []
    for budget in spec.budgets:
        if budget.scope is Scope.COMMUNITY:
            continue
        kinds: Iterable[Token | None] = [None]
        if budget.scope is Scope.TOKEN:
            kinds = [kind for kind in sorted(tokens) if budget.token in {None, kind}]
        for kind in kinds:
            cost = Cost(token=tokens[kind] if kind is not None else "", kind=kind)
            whose = _counted_by(spec, base_url, settings, budget.scope)
            shown.append((budget, kind, _key(whose, budget.scope, cost, budget.name), _key(whose, budget.scope, cost)))
    keys = sorted({key for _, _, *both in shown for key in both})
    rows = await session.execute(_READ, {"keys": keys})
    counts: dict[tuple[str, int], list[list[int]]] = {(row.key, row.seconds): row.slots for row in rows}
    found = []
    for budget, kind, key, hold in shown:
        first = _milliseconds(at) // (budget.seconds * 1000 // SLOTS) - SLOTS
        used = sum(count for slot, count in counts.get((key, budget.seconds), []) if slot >= first)
        until = counts.get((hold, HOLD), [[0, 0]])[-1][0]
        held = datetime.fromtimestamp(until / 1000, UTC) if until > _milliseconds(at) else None
        free = max(budget.calls - used, 0)
        found.append(RateRemaining(budget.name, budget.scope, kind, budget.calls, budget.seconds, free, held))
    return found


async def forget(session: AsyncSession, *, most: int) -> int:
    """Drop up to `most` counts that no call was added to for `UNUSED`; how many there were."""
    before = _milliseconds(now(session) - UNUSED)
    gone = await session.execute(_FORGET, {"before": before, "most": most})
    return len(gone.all())


_KEYS: Final = bindparam("keys", type_=ARRAY(Text))
_LENGTHS: Final = bindparam("lengths", type_=ARRAY(BigInteger))
_READ: Final = text("SELECT key, seconds, slots FROM rate_limit_use WHERE key = ANY(:keys)").bindparams(_KEYS)
_MAKE: Final = text(
    "INSERT INTO rate_limit_use (key, seconds, slots) SELECT k, s, '[]' FROM unnest(:keys, :lengths) AS new (k, s) "
    "ON CONFLICT DO NOTHING"
).bindparams(_KEYS, _LENGTHS)
# In *any* stretch of a window there are at most as many units as the limit, however it lies: a tenth of
# it is counted as one, and counts until the whole of it is out of sight. Where one limit has no room,
# or nobody may call, nothing is taken from any of them, and `free_at` tells when there will be.
# Rows are locked in one order, so that nobody waits in a circle.
_TAKE: Final = text(f"""
WITH asked AS (
    SELECT key, seconds, calls, units, seconds * 1000 / {SLOTS} AS length,
           CAST(:at AS bigint) / (seconds * 1000 / {SLOTS}) AS current
    FROM unnest(:keys, :lengths, :calls, :units) AS limits (key, seconds, calls, units)
), locked AS MATERIALIZED (
    SELECT key, seconds, slots FROM rate_limit_use WHERE key = ANY(:keys || :holds) ORDER BY key, seconds FOR UPDATE
), counted AS MATERIALIZED (
    SELECT asked.key, asked.seconds, taken.slots, full_until.free_at
    FROM asked JOIN locked USING (key, seconds)
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(jsonb_build_array(slot, count) ORDER BY slot), '[]') AS slots FROM (
            SELECT slot, sum(count)::bigint AS count FROM (
                SELECT (part ->> 0)::bigint, (part ->> 1)::bigint FROM jsonb_array_elements(locked.slots) AS part
                UNION ALL SELECT asked.current, asked.units
            ) AS parts (slot, count) WHERE slot >= asked.current - {SLOTS} GROUP BY slot
        ) AS kept
    ) AS taken
    CROSS JOIN LATERAL (
        SELECT min((slot + {SLOTS} + 1) * asked.length) AS free_at FROM (
            SELECT slot, sum(count) OVER (ORDER BY slot) AS freed,
                   sum(count) OVER () + least(asked.units, asked.calls) - asked.calls AS over
            FROM (
                SELECT (part ->> 0)::bigint, (part ->> 1)::bigint FROM jsonb_array_elements(locked.slots) AS part
            ) AS parts (slot, count) WHERE slot >= asked.current - {SLOTS}
        ) AS old WHERE over > 0 AND freed >= over
    ) AS full_until
), told AS MATERIALIZED (
    SELECT greatest(
               coalesce((SELECT max(free_at) FROM counted), 0),
               coalesce((SELECT max((slots -> -1 ->> 0)::bigint) FROM locked
                         WHERE seconds = {HOLD} AND (slots -> -1 ->> 0)::bigint > :at), 0)
           ) AS free_at,
           (SELECT count(*) FROM asked) - (SELECT count(*) FROM counted) AS missing
), kept AS (
    UPDATE rate_limit_use SET slots = counted.slots FROM counted, told
    WHERE told.free_at = 0 AND told.missing = 0
      AND rate_limit_use.key = counted.key AND rate_limit_use.seconds = counted.seconds
)
SELECT free_at, missing FROM told
""").bindparams(  # noqa: S608 - numbers of ours
    _KEYS,
    _LENGTHS,
    bindparam("calls", type_=ARRAY(BigInteger)),
    bindparam("units", type_=ARRAY(BigInteger)),
    bindparam("holds", type_=ARRAY(Text)),
    bindparam("at", type_=BigInteger),
)
_STAY_AWAY: Final = text(f"""
INSERT INTO rate_limit_use (key, seconds, slots) VALUES (:key, {HOLD}, jsonb_build_array(jsonb_build_array(:until, 0)))
ON CONFLICT (key, seconds) DO UPDATE SET slots = excluded.slots
WHERE (rate_limit_use.slots -> -1 ->> 0)::bigint < (excluded.slots -> -1 ->> 0)::bigint
""").bindparams(bindparam("until", type_=BigInteger))  # noqa: S608 - a number of ours
# The last slot of a count tells when its last call was; a hold tells its end.
_FORGET: Final = text(f"""
DELETE FROM rate_limit_use WHERE (key, seconds) IN (
    SELECT key, seconds FROM rate_limit_use
    WHERE coalesce((slots -> -1 ->> 0)::bigint, 0)
        * CASE WHEN seconds = {HOLD} THEN 1 ELSE seconds * 1000 / {SLOTS} END < :before
    LIMIT :most FOR UPDATE SKIP LOCKED
)
RETURNING key
""")  # noqa: S608 - numbers of ours
