"""Calls we allow ourselves, so that a platform never has to tell us to stop.

Each limit of a platform's `Spec` is counted in PostgreSQL over a sliding window, keyed by whom it
concerns (the token, our address, the app, one chat): two workers, or two agencies that use the same
token, share one count. Where a platform does tell us to stop, nobody whom that concerns calls it
before the time it named. A short wait is waited out; a long one is the planner's business.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
from sqlalchemy import ARRAY, BigInteger, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit import telemetry
from app.kit.db import now
from app.kit.http import Request, Response
from app.kit.resources import Resources
from app.platforms.abilities import TellsUsage
from app.platforms.contract import COST, Adapter, Budget, Cost, Scope, Spec, Throttled, Token

PATIENCE: Final = 2.0
"""Seconds a call waits for its turn; a longer wait is given back to the planner."""
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


class BudgetSpent(Exception):
    """The next call is allowed at `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"the calls we allow ourselves are used up until {until.isoformat()}")
        self.until = until


@dataclass(frozen=True, slots=True, order=True)
class Allowance:
    """One count: of one limit, for one of those it concerns."""

    key: str
    seconds: int
    calls: int

    @property
    def text(self) -> str:
        return f"{self.key} {self.seconds} {self.calls}"

    @classmethod
    def parse(cls, text: str) -> "Allowance":
        """The inverse of `text`."""
        key, seconds, calls = text.split()
        return cls(key, int(seconds), int(calls))


@dataclass(frozen=True, slots=True)
class Charge:
    """What one request takes from one budget."""

    key: str
    budget: Budget
    units: int


class Meter:
    """Counts one platform's calls against its limits."""

    def __init__(self, resources: Resources, kind: type[Adapter], base_url: str) -> None:
        self._resources = resources
        self._kind = kind
        self._base_url = base_url
        self._last = Cost()
        self.spent: Counter[Allowance] = Counter()
        """What was taken through this meter."""

    async def before(self, request: Request) -> None:
        """Take what a request costs from every limit it concerns; `BudgetSpent` where one has too little left."""
        self._last = cost = cost_of(request)
        charges = [
            Charge(_key(self._kind.spec.key, self._base_url, budget.scope, cost, budget.name), budget, units)
            for budget in self._kind.spec.budgets
            if (units := cost.units.get(budget.name, 0)) and _concerns(budget, cost)
        ]
        holds = [_key(self._kind.spec.key, self._base_url, scope, cost) for scope in Scope]
        while (free_at := await self._take(charges, holds)) is not None:
            wait = (free_at - self._resources.clock.now()).total_seconds()
            if wait > PATIENCE:
                raise BudgetSpent(free_at)
            await self._resources.clock.sleep(max(wait, 0.01))
        for charge in charges:
            self.spent[Allowance(charge.key, charge.budget.seconds, charge.budget.calls)] += charge.units
        telemetry.PLATFORM_CALLS.labels(self._kind.spec.key, "made").inc()

    async def after(self, response: Response) -> None:
        """Rest where an answer tells that a limit is nearly used up."""
        usage = self._kind.usage(response) if issubclass(self._kind, TellsUsage) else None
        if usage is not None and usage.share >= NEARLY:
            rest = UNTOLD if usage.resets_in is None else timedelta(seconds=usage.resets_in)
            await self._stay_away(usage.scope, self._resources.clock.now() + min(rest, timedelta(days=1)))

    async def throttled(self, error: Throttled) -> datetime:
        """The platform told us to stop: until when nobody whom it concerns calls again."""
        wait = UNTOLD if error.retry_after is None else timedelta(seconds=error.retry_after)
        until = self._resources.clock.now() + min(max(wait, timedelta(seconds=1)), timedelta(days=1))
        await self._stay_away(error.scope, until)
        return until

    async def _stay_away(self, scope: Scope, until: datetime) -> None:
        key = _key(self._kind.spec.key, self._base_url, scope, self._last)
        async with self._resources.transaction(None) as session:
            await session.execute(_STAY_AWAY, {"key": key, "until": _milliseconds(until)})

    async def _take(self, charges: Collection[Charge], holds: Collection[str]) -> datetime | None:
        """Count a request; None, or when there is room for it."""
        at = self._resources.clock.now()
        async with self._resources.transaction(None) as session:
            counts = await _locked(session, charges, holds)
            taken, free_at = _together(charges, counts, _milliseconds(at))
            held = max((slots[-1][0] for (_, seconds), slots in counts.items() if seconds == HOLD), default=0)
            free_at = max(free_at, held if held > _milliseconds(at) else 0)
            if not free_at and taken:
                keys, lengths, slots = zip(*((key, seconds, s) for (key, seconds), s in taken.items()), strict=True)
                dumped = [orjson.dumps(one).decode() for one in slots]
                await session.execute(_KEEP, {"keys": list(keys), "lengths": list(lengths), "counts": dumped})
        return datetime.fromtimestamp(free_at / 1000, UTC) if free_at else None


def cost_of(request: Request) -> Cost:
    """What a request takes from the budgets: as its adapter says, else one call of its token."""
    told = request.extensions.get(COST)
    if isinstance(told, Cost):
        return told
    return Cost(token=request.headers.get("authorization", "").rpartition(" ")[2])


def _concerns(budget: Budget, cost: Cost) -> bool:
    if budget.scope is Scope.TOKEN and not cost.token:
        return False
    return budget.token is None or cost.kind is budget.token


def _key(platform: str, base_url: str, scope: Scope, cost: Cost, name: str = "") -> str:
    """Whom a limit concerns, without naming the token."""
    concerned = {Scope.TOKEN: cost.token, Scope.COMMUNITY: cost.target or cost.token}.get(scope, "")
    whom = f"{platform}\n{base_url}\n{scope}\n{concerned}\n{name}"
    return hashlib.sha256(whom.encode()).hexdigest()[:40]


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


Slots = list[list[int]]
"""`[number, calls]` of each part of a window that had calls, oldest first; a hold's `[[until, 0]]`."""
Counts = dict[tuple[str, int], Slots]


async def _locked(session: AsyncSession, charges: Collection[Charge], holds: Collection[str]) -> Counts:
    """The counts that are concerned, held until the commit; those never used are made."""
    wanted = {(charge.key, charge.budget.seconds) for charge in charges}
    keys = sorted({*holds, *(key for key, _ in wanted)})
    while True:
        rows = await session.execute(_LOCK, {"keys": keys})
        counts: Counts = {(row.key, row.seconds): row.slots for row in rows}
        missing = sorted(wanted - counts.keys())
        if not missing:
            return counts
        # One may be forgotten between two statements; then it is made once more.
        made = {"keys": [key for key, _ in missing], "lengths": [seconds for _, seconds in missing]}
        await session.execute(_MAKE, made)


def _together(charges: Iterable[Charge], counts: Mapping[tuple[str, int], Slots], at: int) -> tuple[Counts, int]:
    """All counts after a request, and when there is room where one of them has none (else 0)."""
    taken: Counts = {}
    free_at = 0
    for charge in charges:
        place = (charge.key, charge.budget.seconds)
        taken[place], free = take(counts[place], charge.budget, at, charge.units)
        free_at = max(free_at, free or 0)
    return taken, free_at


def take(slots: Slots, budget: Budget, at: int, units: int = 1) -> tuple[Slots, int | None]:
    """Count `units` at `at` (milliseconds) if there is room: the new counts, and when there is room if there is none.

    In *any* stretch of `budget.seconds` there are at most `budget.calls`, however it lies: a tenth
    of the stretch is counted as one, and counts until the whole of it is out of sight.
    """
    length = budget.seconds * 1000 // SLOTS
    current = at // length
    kept = [[slot, count] for slot, count in slots if slot >= current - SLOTS]
    over = sum(count for _, count in kept) + min(units, budget.calls) - budget.calls
    if over > 0:
        for slot, count in kept:
            over -= count
            if over <= 0:
                return kept, (slot + SLOTS + 1) * length
    if kept and kept[-1][0] == current:
        kept[-1][1] += units
    else:
        kept.append([current, units])
    return kept, None


@dataclass(frozen=True, slots=True)
class Left:
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
    session: AsyncSession, spec: Spec, base_url: str, tokens: Mapping[Token, str], at: datetime
) -> list[Left]:
    """What is left of a community's budgets at this instant. Chats of their own are not among them."""
    shown: list[tuple[Budget, Token | None, str, str]] = []
    for budget in spec.budgets:
        if budget.scope is Scope.COMMUNITY:
            continue
        kinds: Iterable[Token | None] = [None]
        if budget.scope is Scope.TOKEN:
            kinds = [kind for kind in sorted(tokens) if budget.token in {None, kind}]
        for kind in kinds:
            cost = Cost(token=tokens[kind] if kind is not None else "", kind=kind)
            key = _key(spec.key, base_url, budget.scope, cost, budget.name)
            shown.append((budget, kind, key, _key(spec.key, base_url, budget.scope, cost)))
    keys = sorted({key for _, _, *both in shown for key in both})
    rows = await session.execute(_READ, {"keys": keys})
    counts: Counts = {(row.key, row.seconds): row.slots for row in rows}
    found = []
    for budget, kind, key, hold in shown:
        first = _milliseconds(at) // (budget.seconds * 1000 // SLOTS) - SLOTS
        used = sum(count for slot, count in counts.get((key, budget.seconds), []) if slot >= first)
        until = counts.get((hold, HOLD), [[0, 0]])[-1][0]
        held = datetime.fromtimestamp(until / 1000, UTC) if until > _milliseconds(at) else None
        free = max(budget.calls - used, 0)
        found.append(Left(budget.name, budget.scope, kind, budget.calls, budget.seconds, free, held))
    return found


async def forget(session: AsyncSession, *, most: int) -> int:
    """Drop up to `most` counts that no call was added to for `UNUSED`; how many there were."""
    before = _milliseconds(now(session) - UNUSED)
    gone = await session.execute(_FORGET, {"before": before, "most": most})
    return len(gone.all())


_KEYS: Final = bindparam("keys", type_=ARRAY(Text))
_LENGTHS: Final = bindparam("lengths", type_=ARRAY(BigInteger))
_READ: Final = text("SELECT key, seconds, slots FROM call_budget WHERE key = ANY(:keys)").bindparams(_KEYS)
# In one order, so that nobody waits in a circle.
_LOCK: Final = text(
    "SELECT key, seconds, slots FROM call_budget WHERE key = ANY(:keys) ORDER BY key, seconds FOR UPDATE"
).bindparams(_KEYS)
_MAKE: Final = text(
    "INSERT INTO call_budget (key, seconds, slots) SELECT k, s, '[]' FROM unnest(:keys, :lengths) AS new (k, s) "
    "ON CONFLICT DO NOTHING"
).bindparams(_KEYS, _LENGTHS)
_KEEP: Final = text(
    "UPDATE call_budget SET slots = new.c::jsonb FROM unnest(:keys, :lengths, :counts) AS new (k, s, c) "
    "WHERE key = new.k AND seconds = new.s"
).bindparams(_KEYS, _LENGTHS, bindparam("counts", type_=ARRAY(Text)))
_STAY_AWAY: Final = text(f"""
INSERT INTO call_budget (key, seconds, slots) VALUES (:key, {HOLD}, jsonb_build_array(jsonb_build_array(:until, 0)))
ON CONFLICT (key, seconds) DO UPDATE SET slots = excluded.slots
WHERE (call_budget.slots -> -1 ->> 0)::bigint < (excluded.slots -> -1 ->> 0)::bigint
""").bindparams(bindparam("until", type_=BigInteger))  # noqa: S608 - a number of ours
# The last slot of a count tells when its last call was; a hold tells its end.
_FORGET: Final = text(f"""
DELETE FROM call_budget WHERE (key, seconds) IN (
    SELECT key, seconds FROM call_budget
    WHERE coalesce((slots -> -1 ->> 0)::bigint, 0)
        * CASE WHEN seconds = {HOLD} THEN 1 ELSE seconds * 1000 / {SLOTS} END < :before
    LIMIT :most FOR UPDATE SKIP LOCKED
)
RETURNING key
""")  # noqa: S608 - numbers of ours
