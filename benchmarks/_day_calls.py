"""The log of the simulated day's requests, and its tables."""

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import formatdate
from typing import Final

import httpx

from app.communities.polling.rate_limits import cost_of
from app.kit.clock import Clock
from app.platforms import adapters
from app.platforms.contract import LimitScope, RateLimit
from sandbox.server import Sandbox

AGES: Final = (
    ("to 2 h", timedelta(hours=2)),
    ("to 24 h", timedelta(hours=24)),
    ("to 3 d", timedelta(days=3)),
    ("to 14 d", timedelta(days=14)),
    ("to 90 d", timedelta(days=90)),
    ("older", timedelta(days=4000)),
)


@dataclass
class Log:
    """A log of all requests."""

    calls: Counter[str] = field(default_factory=Counter)
    units: dict[tuple[str, int, str], list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    """By platform, index of the limit in its spec, and key of the counter: instants and units."""
    refused: Counter[str] = field(default_factory=Counter)
    during_cooldown: Counter[str] = field(default_factory=Counter)
    until: dict[tuple[str, str], float] = field(default_factory=dict)
    """By platform and token: the end of the pause that a 429 demanded."""
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)

    def clear(self) -> None:
        """Delete all entries."""
        for entries in (self.calls, self.units, self.refused, self.during_cooldown, self.until, self.statuses):
            entries.clear()


class LoggingTransport(httpx.AsyncBaseTransport):
    """A transport from the service to the sandbox that logs requests."""

    def __init__(self, sandbox: Sandbox, clock: Clock, log: Log) -> None:
        self._inner, self._clock, self._log = httpx.ASGITransport(sandbox.app), clock, log
        self._platforms = {prefix: wire for wire in sandbox.network.wire_formats for prefix in wire.prefixes}
        # One wire format may serve several platforms: then the community determines which.
        self._owners = {
            one.profile.external_id: one.profile.platform for one in sandbox.network.world.communities.values()
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        at, cost = self._clock.now().timestamp(), cost_of(request)
        platform = self._owners.get(cost.target) or self._platform(request)
        token_key = (platform, hashlib.sha256(cost.token.encode()).hexdigest()[:12])
        self._log.calls[platform] += 1
        if at < self._log.until.get(token_key, 0):
            self._log.during_cooldown[platform] += 1
        for number, limit in enumerate(adapters()[platform].spec.rate_limits):
            if (units := cost.units.get(limit.name, 0)) and limit.token in {None, cost.kind}:
                counter_key = {LimitScope.TOKEN: cost.token, LimitScope.COMMUNITY: cost.target or cost.token}.get(
                    limit.scope, ""
                )
                if counter_key or limit.scope is not LimitScope.TOKEN:
                    digest = hashlib.sha256(counter_key.encode()).hexdigest()[:12]
                    self._log.units[counted_by(platform, limit), number, digest].append((at, units))
        response = await self._inner.handle_async_request(request)
        await response.aread()
        response.request = request
        response.headers.setdefault("date", formatdate(at, usegmt=True))
        self._log.statuses[platform, response.status_code] += 1
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self._log.refused[platform] += 1
            self._log.until[token_key] = at + float(response.headers.get("retry-after", 60))
        return response

    def _platform(self, request: httpx.Request) -> str:
        wire = next(wire for prefix, wire in self._platforms.items() if request.url.path.startswith(prefix))
        return min(wire.platforms)


def counted_by(platform: str, limit: RateLimit) -> str:
    """The counter's owner: the platform, or the vendor of the application."""
    return (adapters()[platform].spec.app_owner if limit.scope is LimitScope.APP else None) or platform


def fullest(made: Sequence[tuple[float, int]], limit: RateLimit) -> tuple[int, int]:
    """The most units in any interval of a limit's length, and the number of requests that exceeded the limit."""
    window: deque[tuple[float, int]] = deque()
    total = most = over = 0
    for at, units in sorted(made):
        window.append((at, units))
        total += units
        while window[0][0] <= at - limit.seconds:
            total -= window.popleft()[1]
        most = max(most, total)
        over += total > limit.calls
    return most, over


def report(
    log: Log,
    platforms: Sequence[str],
    hours: int,
    seen: Mapping[tuple[str, int], Sequence[tuple[int, float, float]]],
) -> None:
    """Print the tables of calls and of the counters' ages."""
    print(f"\n| platform | calls | fullest window of each limit | refused | calls during a pause |\n|{'---|' * 5}")
    for key in platforms:
        windows = []
        for number, limit in enumerate(adapters()[key].spec.rate_limits):
            owner = counted_by(key, limit)
            made = [units for (name, at, _), units in log.units.items() if (name, at) == (owner, number)]
            fullest_windows = [fullest(one, limit) for one in made]
            most, over = max((one for one, _ in fullest_windows), default=0), sum(one for _, one in fullest_windows)
            shared = f" of {owner} together" if owner != key else ""
            broken = f", over it {over} times" if over else ""
            windows.append(f"{limit_text(limit)}{shared}: {most} ({most / limit.calls:.0%}{broken})")
        print(f"| {key} | {log.calls[key]} | {'; '.join(windows)} | {log.refused[key]} | {log.during_cooldown[key]} |")
    columns = [*platforms, "all"] if len(platforms) > 1 else platforms
    print(f"\nage of the latest counters of posts, p50 / p99, by their age\n\n| age | posts | {' | '.join(columns)} |")
    print(f"|{'---|' * (len(columns) + 2)}")
    for tier, (label, _) in enumerate(AGES):
        cells, posts = [], 0
        for key in columns:
            rows = seen.get((key, tier), [])
            posts = max(posts, round(sum(row[0] for row in rows) / len(rows)) if rows else 0)
            worst = [max(row[column] for row in rows) for column in (1, 2)] if rows else []
            cells.append(" / ".join(map(span, worst)) or "–")
        print(f"| {label} | {posts} | {' | '.join(cells)} |")
    print(f"\nstatuses: {dict(sorted(log.statuses.items()))}")
    print(f"{sum(log.calls.values()) * 24 / hours:.0f} calls a day", flush=True)


def limit_text(limit: RateLimit) -> str:
    """A limit as text."""
    return f"{limit.calls}/{limit.seconds} s {limit.name} by {limit.scope}"


def span(seconds: float) -> str:
    """A length of time as text."""
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
