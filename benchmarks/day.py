"""A simulated day of polling: many communities on all platforms, real jobs, virtual time.

The sandbox runs in this process, a still world with as many communities and posts as asked, in
which now and then somebody posts, reacts and writes; it counts calls and refuses those over its
limits. The service's own jobs poll it against a real PostgreSQL; the clock jumps from one due job
to the next. Now and then a platform says 429 of itself.

Everything is read once before the day begins, as fast as it will go: no limit is counted meanwhile,
and when each post was last looked at is then spread over its interval, as if that had been long ago.

Printed: calls by platform, beside what its limits allow; the fullest window of each limit, counted
from a log of all requests and not by the budgets under test; refusals, and the calls that were made
in spite of one; how old the newest counters of posts are, by the posts' age, every two hours.
"""

import argparse
import asyncio
import gc
import hashlib
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any, Final
from uuid import UUID

import httpx
import structlog
import uvloop
from pydantic import SecretStr
from sqlalchemy import insert, select, text

from app.access.models import Workspace
from app.communities import service
from app.communities.models import Community
from app.communities.polling import poll_schedule
from app.communities.polling.rate_limits import cost_of
from app.kit import events, jobs
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.ids import uuid7
from app.kit.resources import Resources, SilentDoorbell
from app.platforms import adapters
from app.platforms.contract import LimitScope, RateLimit, Token
from app.projects.models import Project
from app.settings import Settings
from benchmarks._servers import database
from sandbox.bluesky.ids import did as bluesky_did
from sandbox.entities import Community as Place
from sandbox.entities import Profile
from sandbox.faults import Effect, Rule
from sandbox.limits import Counter as Limits
from sandbox.limits import Quota
from sandbox.network import WireFormat
from sandbox.server import Sandbox, build
from sandbox.wire_formats import discover_wire_formats
from sandbox.youtube.ids import channel as youtube_channel

LOOP: Final = uvloop.new_event_loop
"""As the service runs."""
START: Final = datetime(2026, 10, 15, tzinfo=UTC)
BASE: Final = "http://127.0.0.1:9"
YEAR: Final = 357 * 24 * 3600
"""Posts are spread evenly over so many seconds."""
TOLD_EVERY: Final = 6
"""Virtual hours after which the table is printed, so that a run cut short has told something."""
AGES: Final = (
    ("to 2 h", timedelta(hours=2)),
    ("to 24 h", timedelta(hours=24)),
    ("to 3 d", timedelta(days=3)),
    ("to 14 d", timedelta(days=14)),
    ("to 90 d", timedelta(days=90)),
    ("older", timedelta(days=4000)),
)


class Clock:
    """Time that jumps: it stands still while anybody works, and goes to the next moment that somebody waits for."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._working = 0
        self._waiting: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self.at

    @contextmanager
    def work(self) -> Iterator[None]:
        """Around whatever is done in this time; whoever sleeps does it in here."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._pass()

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._waiting.append((self.at + timedelta(seconds=seconds), woken))
        self._working -= 1
        self._pass()
        await woken

    def _pass(self) -> None:
        if self._working or not self._waiting:
            return
        self.at = max(self.at, min(until for until, _ in self._waiting))
        due = [woken for until, woken in self._waiting if until <= self.at]
        self._waiting = [(until, woken) for until, woken in self._waiting if until > self.at]
        self._working = len(due)
        for woken in due:
            woken.set_result(None)


@dataclass
class Log:
    """Every request, as it was made."""

    calls: Counter[str] = field(default_factory=Counter)
    units: dict[tuple[str, int, str], list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    """By platform, the budget's place in its spec, and whom it concerns: when, and how many units."""
    refused: Counter[str] = field(default_factory=Counter)
    in_spite: Counter[str] = field(default_factory=Counter)
    until: dict[tuple[str, str], float] = field(default_factory=dict)
    """Until when a token was told to stay away."""
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)


class Way(httpx.AsyncBaseTransport):
    """From the service to the sandbox, with a log."""

    def __init__(self, sandbox: Sandbox, clock: Clock, log: Log) -> None:
        self._inner, self._clock, self._log = httpx.ASGITransport(sandbox.app), clock, log
        self._platforms = {prefix: wire for wire in sandbox.network.wire_formats for prefix in wire.prefixes}
        # One wire format may serve several platforms: then the community called about tells which.
        self._owners = {
            one.profile.external_id: one.profile.platform for one in sandbox.network.world.communities.values()
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        at, cost = self._clock.now().timestamp(), cost_of(request)
        platform = self._owners.get(cost.target) or self._platform(request)
        told = (platform, hashlib.sha256(cost.token.encode()).hexdigest()[:12])
        self._log.calls[platform] += 1
        if at < self._log.until.get(told, 0):
            self._log.in_spite[platform] += 1
        for number, budget in enumerate(adapters()[platform].spec.budgets):
            if (units := cost.units.get(budget.name, 0)) and budget.token in {None, cost.kind}:
                whom = {LimitScope.TOKEN: cost.token, LimitScope.COMMUNITY: cost.target or cost.token}.get(
                    budget.scope, ""
                )
                if whom or budget.scope is not LimitScope.TOKEN:
                    digest = hashlib.sha256(whom.encode()).hexdigest()[:12]
                    self._log.units[counted_by(platform, budget), number, digest].append((at, units))
        response = await self._inner.handle_async_request(request)
        await response.aread()
        response.request = request
        response.headers.setdefault("date", formatdate(at, usegmt=True))
        self._log.statuses[platform, response.status_code] += 1
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self._log.refused[platform] += 1
            self._log.until[told] = at + float(response.headers.get("retry-after", 60))
        return response

    def _platform(self, request: httpx.Request) -> str:
        wire = next(wire for prefix, wire in self._platforms.items() if request.url.path.startswith(prefix))
        return min(wire.platforms)


def counted_by(platform: str, budget: RateLimit) -> str:
    """Who counts a limit: the platform, or who knows the application."""
    return (adapters()[platform].spec.app_of if budget.scope is LimitScope.APP else None) or platform


def fullest(made: Sequence[tuple[float, int]], budget: RateLimit) -> tuple[int, int]:
    """The most units in any stretch of a limit's length, and how many requests ended one with too many."""
    window: deque[tuple[float, int]] = deque()
    total = most = over = 0
    for at, units in sorted(made):
        window.append((at, units))
        total += units
        while window[0][0] <= at - budget.seconds:
            total -= window.popleft()[1]
        most = max(most, total)
        over += total > budget.calls
    return most, over


def crowd(wire: WireFormat, platform: str, count: int, first: int) -> tuple[WireFormat, int]:
    """The wire format with so many communities of a platform in place of its own; the next free number."""
    model = next(profile for profile in wire.profiles if profile.platform == platform)
    made = tuple(
        replace(
            model,
            key=f"{platform}{n}",
            number=first + n,
            size=20,
            busy=False,
            external_id=external_id(model, first + n),
        )
        for n in range(count)
    )
    others = tuple(profile for profile in wire.profiles if profile.platform != platform)
    return replace(wire, profiles=(*others, *made)), first + count


def external_id(model: Profile, number: int) -> str:
    """The id of a community of this number on the platform of `model`."""
    if model.platform == "youtube":
        return youtube_channel(number)
    if model.external_id.removeprefix("-").isdecimal():
        sign = -1 if model.external_id.startswith("-") else 1
        return str(int(model.external_id) + sign * number)
    return bluesky_did(number)


def founded(clock: Clock, platforms: Sequence[str], share: int) -> Sandbox:
    """A still world with so many communities of each of these platforms."""
    wire_formats: list[WireFormat] = []
    number = 100
    for wire in discover_wire_formats():
        if not set(wire.platforms) & set(platforms):
            continue
        for platform in wire.platforms:
            wire, number = crowd(wire, platform, share if platform in platforms else 0, number)
        wire_formats.append(wire)
    return build(seed=7, real=lambda: clock.now().timestamp(), tick=None, wire_formats=wire_formats, alive=False)


def squeeze(sandbox: Sandbox, share: float) -> None:
    """Leave a sample of communities its share of what all communities have together."""

    def smaller(budget: RateLimit) -> RateLimit:
        together = budget.scope in {LimitScope.ADDRESS, LimitScope.APP} or budget.token in SHARED
        return replace(budget, calls=max(1, round(budget.calls * share))) if together else budget

    for kind in adapters().values():
        kind.spec = replace(kind.spec, budgets=tuple(smaller(budget) for budget in kind.spec.budgets))
    for name in {"youtube_units", "graph_app_calls"} & sandbox.network.limits.keys():
        sandbox.network.limits[name] = max(1, round(sandbox.network.limits[name] * share))


def fill(sandbox: Sandbox, rng: random.Random, posts: int) -> int:
    """Give communities their past: so many posts over a year, each where it belongs in time.

    Only those whose past can be read: of the others we would never know.
    """
    world = sandbox.network.world
    places = [one for one in world.communities.values() if adapters()[one.profile.platform].spec.history]
    each = posts // max(len(places), 1)
    born = world.now
    world.now = born - YEAR * 1000
    moments = sorted((rng.randrange(YEAR * 1000 - 1), n) for n in range(len(places)) for _ in range(each))
    for offset, n in moments:
        world.now = born - YEAR * 1000 + offset
        world.emit("post", places[n], text=f"Post of {world.now}")
    world.now = born
    return len(moments)


def let_live(sandbox: Sandbox, rng: random.Random, seconds: int) -> None:
    """Let people post, react, comment and write over the day to come."""
    world = sandbox.network.world

    def later(place: Place, event: str) -> None:
        at = world.now + rng.randrange(seconds) * 1000

        def happen() -> None:
            person = place.number_of(rng.randrange(1, 20))
            if event == "post":
                world.emit("post", place, text=f"News of {world.now}")
                return
            if event == "message":
                world.emit("message", place, person=person, text="Are you open?", kind="question")
                return
            if not place.posts:
                return
            post = str(place.posts[-min(len(place.posts), 1 + int(rng.expovariate(0.2)))])
            if event == "comment":
                world.emit("comment", place, post=post, person=person, text="How much is it?", kind="question")
            else:
                world.emit("reaction", place, id=post, person=person)

        world.later(at, happen)

    for place in world.communities.values():
        days = seconds / 86_400
        for event, per_day in (("post", 1.4), ("reaction", 40), ("comment", 4), ("message", 2)):
            if event == "message" and "message" not in place.profile.activities:
                continue
            for _ in range(int(per_day * days) + (rng.random() < per_day * days % 1)):
                later(place, event)


async def connect(resources: Resources, sandbox: Sandbox, communities: Sequence[Mapping[str, Any]]) -> UUID:
    """A workspace with all of these connected, in projects of twenty."""
    workspace, at = uuid7(), resources.clock.now()
    owned = {"workspace_id": workspace, "created_at": at}
    async with resources.transaction(workspace) as session:
        await session.execute(insert(Workspace), [{**owned, "name": "A large agency"}])
    project = workspace
    for number, one in enumerate(communities):
        async with resources.transaction(workspace) as session:
            if number % 20 == 0:
                project = uuid7()
                client = {"id": project, "name": "Client", "timezone": "Europe/Minsk", "working_hours": {}}
                await session.execute(insert(Project), [{**owned, **client}])
            spec = adapters()[one["platform"]].spec
            given = {kind: one["tokens"][kind.value] for kind in spec.tokens if one["tokens"].get(kind.value)}
            await service.connect(
                session,
                resources.settings,
                resources.keyring,
                project_id=project,
                platform=one["platform"],
                address=one["address"],
                tokens={kind: SecretStr(text) for kind, text in given.items()},
                backfill_days=730,
            )
    return workspace


SHARED: Final = frozenset({Token.APP})
"""Kinds of token that stand for nobody, so that an agency has one for all its communities."""


def shared(communities: Sequence[dict[str, Any]]) -> None:
    """Let all communities of a platform be read with one application's key."""
    first: dict[tuple[str, Token], str] = {}
    for one in communities:
        for kind in SHARED:
            if text := one["tokens"].get(kind.value):
                one["tokens"][kind.value] = first.setdefault((one["platform"], kind), text)


async def due(resources: Resources, limit: int) -> tuple[list[UUID], datetime | None]:
    """Jobs that are due, and when the next is where none is."""
    async with resources.db.read_connection(None) as connection:
        rows = await connection.execute(
            select(jobs.Job.id)
            .where(jobs.Job.state == "waiting", jobs.Job.run_at <= resources.clock.now())
            .order_by(jobs.Job.run_at, jobs.Job.id)
            .limit(limit)
        )
        found = list(rows.scalars())
        if found:
            return found, None
        return [], (
            await connection.execute(text("SELECT min(run_at) FROM job WHERE state = 'waiting'"))
        ).scalar_one_or_none()


async def run(resources: Resources, clock: Clock, until: datetime, width: int, *, limits: bool = True) -> int:
    """Do all jobs up to an instant; how many attempts there were. Without `limits`, what was called is forgotten."""
    done = 0
    while True:
        found, following = await due(resources, 2000 if limits else width)
        if not limits:
            async with resources.transaction(None) as session:
                await session.execute(text("DELETE FROM rate_limit_use"))
        if not found:
            if following is None or following > until:
                clock.at = max(clock.at, until)
                return done
            clock.at = max(clock.at, following)
            continue
        waiting = iter(found)

        async def work(waiting: Any = waiting) -> None:
            with clock.work():
                for job in waiting:
                    await jobs.perform(resources, job)

        await asyncio.gather(*(work() for _ in range(width)))
        done += len(found)


STALENESS: Final = text("""
SELECT coalesce(c.platform, 'all') AS platform,
       width_bucket(extract(epoch FROM :at - p.published_at), CAST(:tiers AS float8[])) AS tier,
       count(*) AS posts,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM :at - l.at)) AS middle,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM :at - l.at)) AS late
FROM publication p
JOIN post_last l ON l.workspace_id = p.workspace_id AND l.publication_id = p.id
JOIN community c ON c.workspace_id = p.workspace_id AND c.id = p.community_id
WHERE p.measure_at IS NOT NULL GROUP BY GROUPING SETS ((2), (c.platform, 2)) ORDER BY 1, 2
""")


async def staleness(resources: Resources, workspace: UUID) -> list[Any]:
    """Seconds since the newest counters of posts were read, by the age of the post."""
    tiers = [limit.total_seconds() for _, limit in AGES[:-1]]
    async with resources.db.read_connection(workspace) as connection:
        return list((await connection.execute(STALENESS, {"at": resources.clock.now(), "tiers": tiers})).all())


async def main(arguments: Sequence[str]) -> None:
    """Print how a day went."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks day", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--communities", type=int, default=2000, help="evenly on all the platforms")
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--hours", type=int, default=24, help="virtual hours, after the first read of everything")
    parser.add_argument("--refusals", type=int, default=50, help="429s that platforms say of themselves")
    parser.add_argument(
        "--of",
        type=int,
        help="the communities are a sample of so many: limits that all share are made smaller in proportion",
    )
    parser.add_argument("--platforms", nargs="+", choices=sorted(adapters()), default=sorted(adapters()))
    parser.add_argument("--width", type=int, default=8, help="jobs at once")
    asked = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    jobs.collect()
    events.listen()
    rng, clock, log, began = random.Random(7), Clock(START), Log(), time.monotonic()
    sandbox = founded(clock, asked.platforms, asked.communities // len(asked.platforms))
    if asked.of is not None:
        squeeze(sandbox, asked.communities / asked.of)
    sandbox.network.base_url = BASE
    posts = fill(sandbox, rng, asked.posts)
    gc.freeze()  # the world stays: the collector need not walk through all of its posts again and again
    print(f"{len(sandbox.network.world.communities)} communities, {posts} posts ({time.monotonic() - began:.0f} s)")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url=BASE) as control:
        communities = (await control.get("/_sandbox/communities")).json()
    shared(communities)
    apps = {
        one["platform"]: {
            name: SecretStr(str({**one, **one.get("app", {})}[name]))
            for name in adapters()[one["platform"]].spec.app_settings
        }
        for one in communities
    }
    async with database() as urls, httpx.AsyncClient(transport=Way(sandbox, clock, log)) as http:
        settings = Settings(
            _env_file=None,
            environment="test",
            database_url=urls.app,
            redis_url="redis://127.0.0.1:1/0",
            platform_urls=dict.fromkeys(adapters(), BASE),
            platform_apps=apps,
        )
        db = Database(settings.database_url, pool=asked.width + 2, clock=clock)
        resources = Resources(settings, clock, db, Keyring(settings.secret_keys), SilentDoorbell(), http)
        try:
            workspace = await connect(resources, sandbox, communities)
            await first_read(resources, sandbox, clock, log, workspace, asked.width)
            let_live(sandbox, rng, asked.hours * 3600)
            await day(resources, sandbox, clock, rng, log, workspace, asked)
        finally:
            await db.close()


class Generous(Limits):
    """Refuses nobody."""

    def window(self, key: str, limit: int, seconds: int, *, cost: int = 1, start: float = 0) -> Quota:
        return replace(super().window(key, limit, seconds, cost=cost, start=start), remaining=limit, refused=False)

    def second(self, key: str, limit: int) -> bool:
        return True


async def first_read(
    resources: Resources, sandbox: Sandbox, clock: Clock, log: Log, workspace: UUID, width: int
) -> None:
    """Read everything once, and leave it as if that had been long ago: looks are spread, limits have rested."""
    began = time.monotonic()
    sandbox.network.counter = Generous(lambda: clock.now().timestamp())
    left: Sequence[Any] = ()
    for _ in range(60):
        await run(resources, clock, clock.now() + timedelta(minutes=1), width, limits=False)
        async with resources.transaction(workspace) as session:
            unread = select(Community.id, Community.platform, Community.state).where(Community.backfilled_at.is_(None))
            left = (await session.execute(unread)).all()
            # Some were told to wait for a limit; here they need not.
            keys = [str(one.id) for one in left]
            await session.execute(NOW, {"at": clock.now(), "kinds": ["communities.poll"], "keys": keys})
        if not left:
            break
    print(
        f"first read: {sum(log.calls.values())} calls in {(clock.now() - START).total_seconds() / 3600:.1f} virtual "
        f"hours ({time.monotonic() - began:.0f} s); not finished: {Counter((one.platform, one.state) for one in left)}"
    )
    await rested(resources, sandbox, clock)
    intervals = [(limit.total_seconds(), every.total_seconds()) for limit, every in poll_schedule.BY_AGE]
    given = {"at": clock.now(), "tiers": [age for age, _ in intervals]}
    given["every"] = [*(every for _, every in intervals), poll_schedule.OLDEST_INTERVAL.total_seconds()]
    async with resources.transaction(workspace) as session:
        await session.execute(SPREAD, given)
        await session.execute(LAST, given)
        await session.execute(NOW, {**given, "kinds": ["communities.measure"], "keys": None})
    # What everybody asks of the limits has to be known first.
    await run(resources, clock, clock.now() + timedelta(hours=2), width)
    await rested(resources, sandbox, clock)
    log.__init__()  # type: ignore[misc]


async def rested(resources: Resources, sandbox: Sandbox, clock: Clock) -> None:
    """Forget what was called so far, on both sides."""
    sandbox.network.counter = Limits(lambda: clock.now().timestamp())
    async with resources.transaction(None) as session:
        await session.execute(text("DELETE FROM rate_limit_use"))


NOW: Final = text("""
UPDATE job SET run_at = :at WHERE kind = ANY(:kinds) AND state = 'waiting'
AND (CAST(:keys AS text[]) IS NULL OR key = ANY(CAST(:keys AS text[])))
""")
_INTERVAL: Final = """make_interval(secs => (CAST(:every AS float8[]))[
    1 + width_bucket(extract(epoch FROM CAST(:at AS timestamptz) - published_at)::float8, CAST(:tiers AS float8[]))])"""
SPREAD: Final = text(f"""
UPDATE publication SET measure_at = CAST(:at AS timestamptz) + random() * {_INTERVAL} WHERE measure_at IS NOT NULL
""")
LAST: Final = text(f"""
UPDATE post_last SET at = greatest(measure_at - {_INTERVAL}, published_at) FROM publication p
WHERE post_last.workspace_id = p.workspace_id AND post_last.publication_id = p.id AND p.measure_at IS NOT NULL
""")


async def day(
    resources: Resources,
    sandbox: Sandbox,
    clock: Clock,
    rng: random.Random,
    log: Log,
    workspace: UUID,
    asked: argparse.Namespace,
) -> None:
    """Let the hours pass, and print what they brought."""
    start, began, done = clock.now(), time.monotonic(), 0
    refusals = sorted(rng.uniform(0, asked.hours) for _ in range(asked.refusals))
    seen: dict[tuple[str, int], list[tuple[int, float, float]]] = defaultdict(list)
    for hour in range(1, asked.hours + 1):
        while refusals and refusals[0] < hour:
            refusals.pop(0)
            effect = Effect(type="status", status=429, retry_after="600")
            sandbox.app.add(Rule(platform=rng.choice(asked.platforms), count=1, effect=effect))
        done += await run(resources, clock, start + timedelta(hours=hour), asked.width)
        if hour % 2 == 0:
            for row in await staleness(resources, workspace):
                seen[row.platform, row.tier].append((row.posts, row.middle, row.late))
        passed = time.monotonic() - began
        print(f"  hour {hour}: {sum(log.calls.values())} calls, {done} jobs ({passed:.0f} s)", flush=True)
        if hour % TOLD_EVERY == 0 or hour == asked.hours:
            report(log, asked.platforms, hour, seen)
    async with resources.db.read_connection(workspace) as connection:
        states = (await connection.execute(select(Community.platform, Community.state, Community.state_code))).all()
        stretches = (
            await connection.execute(
                text(
                    "SELECT platform, round(max(content_interval_multiplier)::numeric, 1) AS lists, "
                    "round(max(metrics_interval_multiplier)::numeric, 1) AS looks FROM community GROUP BY 1 ORDER BY 1"
                )
            )
        ).all()
    print(f"\nstates: {dict(Counter(tuple(row) for row in states))}")
    print("stretch: " + "; ".join(f"{row.platform} lists {row.lists}, counters {row.looks}" for row in stretches))
    print(f"{done} jobs in {time.monotonic() - began:.0f} s")


def report(
    log: Log,
    platforms: Sequence[str],
    hours: int,
    seen: Mapping[tuple[str, int], Sequence[tuple[int, float, float]]],
) -> None:
    """Print the day."""
    print(f"\n| platform | calls | fullest window of each limit | refused | calls in spite |\n|{'---|' * 5}")
    for key in platforms:
        windows = []
        for number, budget in enumerate(adapters()[key].spec.budgets):
            whose = counted_by(key, budget)
            made = [units for (name, at, _), units in log.units.items() if (name, at) == (whose, number)]
            found = [fullest(one, budget) for one in made]
            most, over = max((one for one, _ in found), default=0), sum(one for _, one in found)
            together = f" of {whose} together" if whose != key else ""
            broken = f", over it {over} times" if over else ""
            windows.append(f"{shown(budget)}{together}: {most} ({most / budget.calls:.0%}{broken})")
        print(f"| {key} | {log.calls[key]} | {'; '.join(windows)} | {log.refused[key]} | {log.in_spite[key]} |")
    columns = [*platforms, "all"] if len(platforms) > 1 else platforms
    print(f"\nnewest counters of posts, p50 / p99, by their age\n\n| age | posts | {' | '.join(columns)} |")
    print(f"|{'---|' * (len(columns) + 2)}")
    for tier, (label, _) in enumerate(AGES):
        cells, posts = [], 0
        for key in columns:
            rows = seen.get((key, tier), [])
            posts = max(posts, round(sum(row[0] for row in rows) / len(rows)) if rows else 0)
            worst = [max(row[place] for row in rows) for place in (1, 2)] if rows else []
            cells.append(" / ".join(map(span, worst)) or "–")
        print(f"| {label} | {posts} | {' | '.join(cells)} |")
    print(f"\nstatuses: {dict(sorted(log.statuses.items()))}")
    print(f"{sum(log.calls.values()) * 24 / hours:.0f} calls a day", flush=True)


def shown(budget: RateLimit) -> str:
    """A limit in a few words."""
    return f"{budget.calls}/{budget.seconds} s {budget.name} by {budget.scope}"


def span(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
