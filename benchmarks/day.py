"""A simulated day of polling: many communities on all platforms, real jobs, virtual time.

The sandbox runs in this process with the given numbers of communities and posts, and simulates posts,
reactions and messages; it counts calls and refuses those over its limits. The service's own jobs poll
it against a real PostgreSQL; the clock jumps from one due job to the next. Now and then a platform
answers 429 without a reason.

Everything is read once before the day begins, without limits; the posts' metrics polls are then spread
over their intervals, as if that had been long ago.

Printed: calls by platform, beside what its limits allow; the fullest window of each limit, counted
from a log of all requests and not by the rate limiter under test; refusals, and the calls made during
the pause that one demanded; the ages of the latest counters, by the posts' age, every two hours.
"""

import argparse
import gc
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
import structlog
import uvloop
from pydantic import SecretStr
from sqlalchemy import select, text

from app.communities.models import Community
from app.kit import events, jobs
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.resources import Resources, SilentDoorbell
from app.platforms import adapters
from app.settings import Settings
from benchmarks._day_calls import Log, LoggingTransport, report
from benchmarks._day_jobs import VirtualClock, connect, counter_ages, first_read, run
from benchmarks._day_world import build_world, fill, scale_limits, schedule_activity, share_app_tokens
from benchmarks._servers import database
from sandbox.faults import Effect, Rule
from sandbox.server import Sandbox

LOOP: Final = uvloop.new_event_loop
"""The event loop of the service."""
START: Final = datetime(2026, 10, 15, tzinfo=UTC)
BASE: Final = "http://127.0.0.1:9"
REPORT_EVERY: Final = 6
"""Virtual hours after which the tables are printed, so that an aborted run has printed some."""


async def main(arguments: Sequence[str]) -> None:
    """Simulate a day, and print its calls and the ages of counters."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks day", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--communities", type=int, default=2000, help="evenly on all the platforms")
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--hours", type=int, default=24, help="virtual hours, after the first read of everything")
    parser.add_argument("--refusals", type=int, default=50, help="429s that platforms answer without a reason")
    parser.add_argument(
        "--of",
        type=int,
        help="the communities are a sample of this many: shared limits are reduced in proportion",
    )
    parser.add_argument("--platforms", nargs="+", choices=sorted(adapters()), default=sorted(adapters()))
    parser.add_argument("--width", type=int, default=8, help="jobs at once")
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    jobs.collect()
    events.listen()
    rng, clock, log, began = random.Random(7), VirtualClock(START), Log(), time.monotonic()
    sandbox = build_world(clock, options.platforms, options.communities // len(options.platforms))
    if options.of is not None:
        scale_limits(sandbox, options.communities / options.of)
    sandbox.network.base_url = BASE
    posts = fill(sandbox, rng, options.posts)
    gc.freeze()  # the collector need not traverse all posts of the sandbox again and again
    print(f"{len(sandbox.network.world.communities)} communities, {posts} posts ({time.monotonic() - began:.0f} s)")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url=BASE) as control:
        communities = (await control.get("/_sandbox/communities")).json()
    share_app_tokens(communities)
    apps = {
        one["platform"]: {
            name: SecretStr(str({**one, **one.get("app", {})}[name]))
            for name in adapters()[one["platform"]].spec.app_settings
        }
        for one in communities
    }
    async with database() as urls, httpx.AsyncClient(transport=LoggingTransport(sandbox, clock, log)) as http:
        settings = Settings(
            _env_file=None,
            environment="test",
            database_url=urls.app,
            redis_url="redis://127.0.0.1:1/0",
            platform_urls=dict.fromkeys(adapters(), BASE),
            platform_apps=apps,
        )
        db = Database(settings.database_url, pool=options.width + 2, clock=clock)
        resources = Resources(settings, clock, db, Keyring(settings.secret_keys), SilentDoorbell(), http)
        try:
            workspace = await connect(resources, communities)
            await first_read(resources, sandbox, clock, log, workspace, options.width)
            schedule_activity(sandbox, rng, options.hours * 3600)
            await day(resources, sandbox, clock, rng, log, workspace, options)
        finally:
            await db.close()


async def day(
    resources: Resources,
    sandbox: Sandbox,
    clock: VirtualClock,
    rng: random.Random,
    log: Log,
    workspace: UUID,
    options: argparse.Namespace,
) -> None:
    """Simulate the hours, and print the results."""
    start, began, done = clock.now(), time.monotonic(), 0
    refusals = sorted(rng.uniform(0, options.hours) for _ in range(options.refusals))
    seen: dict[tuple[str, int], list[tuple[int, float, float]]] = defaultdict(list)
    for hour in range(1, options.hours + 1):
        while refusals and refusals[0] < hour:
            refusals.pop(0)
            effect = Effect(type="status", status=429, retry_after="600")
            sandbox.app.add(Rule(platform=rng.choice(options.platforms), count=1, effect=effect))
        done += await run(resources, clock, start + timedelta(hours=hour), options.width)
        if hour % 2 == 0:
            for row in await counter_ages(resources, workspace):
                seen[row.platform, row.tier].append((row.posts, row.middle, row.late))
        passed = time.monotonic() - began
        print(f"  hour {hour}: {sum(log.calls.values())} calls, {done} jobs ({passed:.0f} s)", flush=True)
        if hour % REPORT_EVERY == 0 or hour == options.hours:
            report(log, options.platforms, hour, seen)
    async with resources.db.read_connection(workspace) as connection:
        states = (await connection.execute(select(Community.platform, Community.status, Community.status_code))).all()
        multipliers = (
            await connection.execute(
                text(
                    "SELECT platform, round(max(content_interval_multiplier)::numeric, 1) AS content, "
                    "round(max(metrics_interval_multiplier)::numeric, 1) AS metrics "
                    "FROM community GROUP BY 1 ORDER BY 1"
                )
            )
        ).all()
    print(f"\nstates: {dict(Counter(tuple(row) for row in states))}")
    print(
        "interval multipliers: "
        + "; ".join(f"{row.platform} content {row.content}, metrics {row.metrics}" for row in multipliers)
    )
    print(f"{done} jobs in {time.monotonic() - began:.0f} s")
