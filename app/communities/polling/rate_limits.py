"""Rate limits: requests are counted before they are sent, so that platforms do not refuse them.

Each limit of a platform's `Spec` is counted in PostgreSQL over a sliding window, keyed by its scope
(the token, our address, the app, one chat): two workers, or two agencies with the same token, share
one count. What a person waits for takes its calls first (`Priority`). Where a platform does answer "too many
requests", calls within the same scope stop until the time it named (a cooldown). A request waits a short time for
capacity; where it would take longer, the job is snoozed.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import ARRAY, BigInteger, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit import instants, telemetry
from app.kit.db import now
from app.kit.http import Request, Response
from app.kit.resources import Resources
from app.platforms.capabilities import ReportsUsage
from app.platforms.contract import COST, Adapter, Cost, LimitScope, RateLimit, Spec, Throttled, Token
from app.settings import Settings

log = structlog.get_logger()

WAIT_TIMEOUT: Final = timedelta(seconds=2)
"""The longest that a request waits for capacity; for a longer wait `RateLimitReached` is raised."""
SLOTS: Final = 10
"""The parts in which a window is counted."""
UNUSED: Final = timedelta(days=7)
"""A count that was not added to for so long is deleted: no window is longer than a day."""
DEFAULT_COOLDOWN: Final = timedelta(seconds=60)
"""The length of a cooldown where the platform does not name one."""
NEARLY_USED: Final = 0.9
"""The used share of a limit, as responses report it, from which a cooldown starts."""
COOLDOWN: Final = 0
"""In place of a window's length: the row is a cooldown."""


class Priority(Enum):
    """How urgent a call is; the value is the share of each limit that such calls may use up."""

    PERSON = 1.0
    """A reply, or anything else that a person does at the platform."""
    REQUESTED = 0.95
    """A read that a person requested, or the first one of a community."""
    BACKGROUND = 0.85
    """All other reads. More than `fair_share.PLANNED_SHARE`, so that what is planned has room to catch up."""


SPARE: Final = 0.5
"""Up to this share of a limit is used, requested reads may take more than their workspace's share of it."""


def allowed(limit: RateLimit, priority: Priority) -> int:
    """The units of a limit that calls of a priority may use up; limits of a few calls are not divided."""
    return math.ceil(limit.calls * priority.value)


class RateLimitReached(Exception):
    """The next call is allowed at `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"the rate limit is used up until {until.isoformat()}")
        self.until = until


@dataclass(frozen=True, slots=True, order=True)
class RateLimitKey:
    """One count: of one limit, for one token, address, app or chat."""

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
    """The units that one request takes from one limit."""

    key: str
    limit: RateLimit
    units: int
    most: int | None = None
    """The units of the limit that may be used up by this request together with all others; None: all of them."""


class RateLimiter:
    """Counts requests to one API against its limits."""

    def __init__(self, resources: Resources, adapter_class: type[Adapter], base_url: str) -> None:
        self._resources = resources
        self._adapter_class = adapter_class
        self._base_url = base_url
        self._last = Cost()
        self._limits: dict[str, RateLimit] = {}
        """The limits that the last request was counted against, by the key of the count."""
        self._sent: tuple[Request, float] | None = None
        """The last request, and when it was sent."""
        self.spent: Counter[RateLimitKey] = Counter()
        """The units taken through this limiter."""
        self.priority = Priority.PERSON
        self.shares: Mapping[RateLimitKey, float] = {}
        """The workspace's share of the limits that others use too: requested reads do not take more of it, unless it is
        hardly used (`SPARE`).
        """
        self.workspace_id: UUID | None = None

    async def before(self, request: Request) -> None:
        """Take a request's cost from every limit it concerns; raises `RateLimitReached` where one is used up."""
        self._last = cost = cost_of(request)
        request_costs = [
            RequestCost(
                _key(self._owner(limit.scope), limit.scope, cost, limit.name),
                limit,
                units,
                allowed(limit, self.priority),
            )
            for limit in self._adapter_class.spec.rate_limits
            if (units := cost.units.get(limit.name, 0)) and _concerns(limit, cost)
        ]
        self._limits = {one.key: one.limit for one in request_costs}
        alternatives = self._alternatives(request_costs)
        cooldowns = [_key(self._owner(scope), scope, cost) for scope in LimitScope]
        at = await self._wait_and_take(alternatives, cooldowns)
        late = (self._resources.clock.now() - at).total_seconds()
        if any(late > request_cost.limit.seconds / SLOTS for request_cost in request_costs):
            # A busy process may get here late: sent now, the request would fall into a later part of the window
            # than it is counted in. Counted again only once, so that a slow database does not use up the limit.
            await self._wait_and_take(alternatives, cooldowns)
        for request_cost in request_costs:
            self.spent[RateLimitKey(request_cost.key, request_cost.limit.seconds, request_cost.limit.calls)] += (
                request_cost.units
            )
        self._sent = request, self._resources.clock.monotonic()

    def _alternatives(self, request_costs: Sequence[RequestCost]) -> list[Sequence[RequestCost]]:
        """The ways in which a request may be counted: a requested read within its workspace's share, or from what
        is not used.
        """
        shared: list[RequestCost] = []
        if self.priority is Priority.REQUESTED and self.workspace_id is not None:
            for one in request_costs:
                share = self.shares.get(RateLimitKey(one.key, one.limit.seconds, one.limit.calls), 1.0)
                if share < 1:
                    key = hashlib.sha256(f"{one.key}\n{self.workspace_id}".encode()).hexdigest()[:40]
                    shared.append(replace(one, key=key, most=max(1, math.floor(one.limit.calls * share))))
        if not shared:
            return [request_costs]
        counted = [replace(one, most=None) for one in shared]
        spare = [replace(one, most=math.ceil(one.limit.calls * SPARE)) for one in request_costs]
        return [[*request_costs, *shared], [*spare, *counted]]

    async def after(self, response: Response) -> None:
        """Start a cooldown where a response reports that a limit is nearly used up."""
        self._ended(f"{response.status_code // 100}xx", response.status_code)
        usage = self._adapter_class.usage(response) if issubclass(self._adapter_class, ReportsUsage) else None
        if usage is not None and usage.share >= NEARLY_USED:
            cooldown = DEFAULT_COOLDOWN if usage.resets_in is None else instants.span(usage.resets_in)
            await self._cool_down(usage.scope, self._resources.clock.now() + min(cooldown, timedelta(days=1)))

    async def unanswered(self, request: Request, error: Exception) -> None:
        """A request got no response."""
        self._ended("no-answer", type(error).__name__)

    def _ended(self, outcome: str, result: int | str) -> None:
        """Count a call, and log it. Not its path, which may hold a token."""
        platform = self._adapter_class.spec.key
        telemetry.PLATFORM_CALLS.labels(platform, outcome).inc()
        if self._sent is None:
            return
        request, sent_at = self._sent
        write = log.debug if outcome in {"2xx", "3xx"} else log.info
        write(
            "platform.call",
            platform=platform,
            host=request.url.host,
            method=request.method,
            result=result,
            ms=round((self._resources.clock.monotonic() - sent_at) * 1000, 1),
        )

    async def throttled(self, error: Throttled) -> datetime:
        """Start a cooldown after a platform's "too many requests"; the instant at which it ends."""
        wait = DEFAULT_COOLDOWN if error.retry_after is None else instants.span(error.retry_after)
        until = self._resources.clock.now() + min(max(wait, timedelta(seconds=1)), timedelta(days=1))
        await self._cool_down(error.scope, until)
        return until

    async def _cool_down(self, scope: LimitScope, until: datetime) -> None:
        key = _key(self._owner(scope), scope, self._last)
        async with self._resources.transaction(None) as session:
            # Rounded up, as instants are rounded down: no request is sent a part of a millisecond too early.
            await session.execute(_SET_COOLDOWN, {"key": key, "until": math.ceil(until.timestamp() * 1000)})

    def _owner(self, scope: LimitScope) -> str:
        return _counter_owner(self._adapter_class.spec, self._base_url, self._resources.settings, scope)

    async def _wait_and_take(
        self, alternatives: Sequence[Collection[RequestCost]], cooldowns: Collection[str]
    ) -> datetime:
        """Count a request as soon as the limits allow it; the instant at which it is counted."""
        clock = self._resources.clock
        give_up_at = clock.now() + WAIT_TIMEOUT
        while True:
            waits: list[datetime] = []
            for request_costs in alternatives:
                at, free_at = await self._take(request_costs, cooldowns)
                if free_at is None:
                    return at
                waits.append(free_at)
            free_at = min(waits)
            if free_at > give_up_at:
                raise RateLimitReached(free_at)
            await clock.sleep(max((free_at - clock.now()).total_seconds(), 0.01))

    async def _take(
        self, request_costs: Collection[RequestCost], cooldowns: Collection[str]
    ) -> tuple[datetime, datetime | None]:
        """Try to count a request: the instant of the attempt, and None if it is counted, else when to try again."""
        keys, lengths, calls, units = (
            zip(*(_columns(one) for one in request_costs), strict=True) if request_costs else ((),) * 4
        )
        columns = {"keys": keys, "lengths": lengths, "calls": calls, "units": units, "cooldowns": cooldowns}
        params = {name: list(values) for name, values in columns.items()}
        while True:
            # In autocommit: one round trip, and rows are locked for no longer than this statement.
            async with self._resources.db.read_connection(None) as connection:
                at = self._resources.clock.now()
                row = (await connection.execute(_TAKE, {**params, "at": _milliseconds(at)})).one()
                if not row.missing:
                    self._note_left(row.used, taken=not row.free_at)
                    return at, datetime.fromtimestamp(row.free_at / 1000, UTC) if row.free_at else None
                await connection.execute(_ADD_ROWS, {"keys": params["keys"], "lengths": params["lengths"]})

    def _note_left(self, used: Sequence[tuple[str, int, int]], *, taken: bool) -> None:
        """Show what is left of each limit. `used`: key, units used, and those of them that this request would take."""
        for key, units, own in used:
            if (limit := self._limits.get(key)) is not None:
                left = max(limit.calls - units + (0 if taken else own), 0) / limit.calls
                name = f"{limit.name} in {limit.seconds} s per {limit.scope.value}"
                telemetry.LIMITS_LEFT.note(self._adapter_class.spec.key, name, key, left=left, seconds=limit.seconds)


def cost_of(request: Request) -> Cost:
    """What a request takes from the limits: as its adapter declares, else one call of its token."""
    declared = request.extensions.get(COST)
    if isinstance(declared, Cost):
        return declared
    return Cost(token=request.headers.get("authorization", "").rpartition(" ")[2])


def _concerns(limit: RateLimit, cost: Cost) -> bool:
    if limit.scope is LimitScope.TOKEN and not cost.token:
        return False
    return limit.token is None or cost.kind is limit.token


def _counter_owner(spec: Spec, base_url: str, settings: Settings, scope: LimitScope) -> str:
    """The owner of the counter: the API that is called, or the vendor of an application of several platforms."""
    if scope is LimitScope.APP and spec.app_owner is not None:
        client_id = settings.platform_apps.get(spec.key, {}).get("client_id")
        return f"{spec.app_owner}\n{client_id.get_secret_value() if client_id is not None else ''}"
    return f"{spec.key}\n{base_url}"


def _key(owner: str, scope: LimitScope, cost: Cost, name: str = "") -> str:
    """The key of a count or a cooldown: a hash, so that the token is not stored."""
    concerned = {LimitScope.TOKEN: cost.token, LimitScope.COMMUNITY: cost.target or cost.token}.get(scope, "")
    return hashlib.sha256(f"{owner}\n{scope}\n{concerned}\n{name}".encode()).hexdigest()[:40]


def _milliseconds(at: datetime) -> int:
    return math.floor(at.timestamp() * 1000)


def _columns(request_cost: RequestCost) -> tuple[str, int, int, int]:
    most = request_cost.limit.calls if request_cost.most is None else request_cost.most
    return request_cost.key, request_cost.limit.seconds, most, request_cost.units


@dataclass(frozen=True, slots=True)
class RateRemaining:
    """What is left of one limit."""

    name: str
    scope: LimitScope
    token: Token | None
    calls: int
    seconds: int
    remaining: int
    cooldown_until: datetime | None
    """The end of a cooldown; None: there is none."""


async def remaining(
    session: AsyncSession,
    settings: Settings,
    spec: Spec,
    base_url: str,
    tokens: Mapping[Token, str],
    at: datetime,
) -> list[RateRemaining]:
    """What is left of a community's limits at this instant, without those of `LimitScope.COMMUNITY`."""
    counted: list[tuple[RateLimit, Token | None, str, str]] = []
    for limit in spec.rate_limits:
        if limit.scope is LimitScope.COMMUNITY:
            continue
        kinds: Iterable[Token | None] = [None]
        if limit.scope is LimitScope.TOKEN:
            kinds = [kind for kind in sorted(tokens) if limit.token in {None, kind}]
        for kind in kinds:
            cost = Cost(token=tokens[kind] if kind is not None else "", kind=kind)
            owner = _counter_owner(spec, base_url, settings, limit.scope)
            counted.append((limit, kind, _key(owner, limit.scope, cost, limit.name), _key(owner, limit.scope, cost)))
    keys = sorted({key for _, _, *both in counted for key in both})
    rows = await session.execute(_READ, {"keys": keys})
    counts: dict[tuple[str, int], list[list[int]]] = {(row.key, row.seconds): row.slots for row in rows}
    rates = []
    for limit, kind, key, cooldown_key in counted:
        first = _milliseconds(at) // (limit.seconds * 1000 // SLOTS) - SLOTS
        used = sum(count for slot, count in counts.get((key, limit.seconds), []) if slot >= first)
        until = counts.get((cooldown_key, COOLDOWN), [[0, 0]])[-1][0]
        cooldown_until = datetime.fromtimestamp(until / 1000, UTC) if until > _milliseconds(at) else None
        free = max(limit.calls - used, 0)
        rates.append(RateRemaining(limit.name, limit.scope, kind, limit.calls, limit.seconds, free, cooldown_until))
    return rates


async def forget(session: AsyncSession, *, most: int) -> int:
    """Delete up to `most` counts that were not added to for `UNUSED`; how many were deleted."""
    before = _milliseconds(now(session) - UNUSED)
    gone = await session.execute(_FORGET, {"before": before, "most": most})
    return len(gone.all())


_KEYS: Final = bindparam("keys", type_=ARRAY(Text))
_LENGTHS: Final = bindparam("lengths", type_=ARRAY(BigInteger))
_READ: Final = text("SELECT key, seconds, slots FROM rate_limit_use WHERE key = ANY(:keys)").bindparams(_KEYS)
_ADD_ROWS: Final = text(
    "INSERT INTO rate_limit_use (key, seconds, slots) SELECT k, s, '[]' FROM unnest(:keys, :lengths) AS new (k, s) "
    "ON CONFLICT DO NOTHING"
).bindparams(_KEYS, _LENGTHS)
# In *any* interval of a window's length there are at most as many units as the limit: each tenth of a
# window is one slot, and counts until all of it is out of the window. Where one limit is used up, or
# there is a cooldown, nothing is taken from any limit, and `free_at` is when it can be taken.
# Rows are locked in key order, to avoid deadlocks.
_TAKE: Final = text(f"""
WITH requested AS (
    SELECT key, seconds, calls, units, seconds * 1000 / {SLOTS} AS length,
           CAST(:at AS bigint) / (seconds * 1000 / {SLOTS}) AS current
    FROM unnest(:keys, :lengths, :calls, :units) AS limits (key, seconds, calls, units)
), locked AS MATERIALIZED (
    SELECT key, seconds, slots FROM rate_limit_use WHERE key = ANY(:keys || :cooldowns) ORDER BY key, seconds FOR UPDATE
), counted AS MATERIALIZED (
    SELECT requested.key, requested.seconds, requested.units, taken.slots, full_until.free_at
    FROM requested JOIN locked USING (key, seconds)
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(jsonb_build_array(slot, count) ORDER BY slot), '[]') AS slots FROM (
            SELECT slot, sum(count)::bigint AS count FROM (
                SELECT (part ->> 0)::bigint, (part ->> 1)::bigint FROM jsonb_array_elements(locked.slots) AS part
                UNION ALL SELECT requested.current, requested.units
            ) AS parts (slot, count) WHERE slot >= requested.current - {SLOTS} GROUP BY slot
        ) AS kept
    ) AS taken
    CROSS JOIN LATERAL (
        SELECT min((slot + {SLOTS} + 1) * requested.length) AS free_at FROM (
            SELECT slot, sum(count) OVER (ORDER BY slot) AS freed,
                   sum(count) OVER () + least(requested.units, requested.calls) - requested.calls AS over
            FROM (
                SELECT (part ->> 0)::bigint, (part ->> 1)::bigint FROM jsonb_array_elements(locked.slots) AS part
            ) AS parts (slot, count) WHERE slot >= requested.current - {SLOTS}
        ) AS old WHERE over > 0 AND freed >= over
    ) AS full_until
), verdict AS MATERIALIZED (
    SELECT greatest(
               coalesce((SELECT max(free_at) FROM counted), 0),
               coalesce((SELECT max((slots -> -1 ->> 0)::bigint) FROM locked
                         WHERE seconds = {COOLDOWN} AND (slots -> -1 ->> 0)::bigint > :at), 0)
           ) AS free_at,
           (SELECT count(*) FROM requested) - (SELECT count(*) FROM counted) AS missing
), stored AS (
    UPDATE rate_limit_use SET slots = counted.slots FROM counted, verdict
    WHERE verdict.free_at = 0 AND verdict.missing = 0
      AND rate_limit_use.key = counted.key AND rate_limit_use.seconds = counted.seconds
)
SELECT free_at, missing, (
    SELECT coalesce(jsonb_agg(jsonb_build_array(key, units_used, units)), '[]') FROM (
        SELECT counted.key, counted.units,
               (SELECT sum((part ->> 1)::bigint) FROM jsonb_array_elements(counted.slots) AS part) AS units_used
        FROM counted
    ) AS uses
) AS used FROM verdict
""").bindparams(  # noqa: S608 - constants of this module
    _KEYS,
    _LENGTHS,
    bindparam("calls", type_=ARRAY(BigInteger)),
    bindparam("units", type_=ARRAY(BigInteger)),
    bindparam("cooldowns", type_=ARRAY(Text)),
    bindparam("at", type_=BigInteger),
)
_SET_COOLDOWN: Final = text(f"""
INSERT INTO rate_limit_use (key, seconds, slots)
VALUES (:key, {COOLDOWN}, jsonb_build_array(jsonb_build_array(:until, 0)))
ON CONFLICT (key, seconds) DO UPDATE SET slots = excluded.slots
WHERE (rate_limit_use.slots -> -1 ->> 0)::bigint < (excluded.slots -> -1 ->> 0)::bigint
""").bindparams(bindparam("until", type_=BigInteger))  # noqa: S608 - a constant of this module
# The last slot of a count is that of its last request; the only one of a cooldown is its end.
_FORGET: Final = text(f"""
DELETE FROM rate_limit_use WHERE (key, seconds) IN (
    SELECT key, seconds FROM rate_limit_use
    WHERE coalesce((slots -> -1 ->> 0)::bigint, 0)
        * CASE WHEN seconds = {COOLDOWN} THEN 1 ELSE seconds * 1000 / {SLOTS} END < :before
    LIMIT :most FOR UPDATE SKIP LOCKED
)
RETURNING key
""")  # noqa: S608 - constants of this module
