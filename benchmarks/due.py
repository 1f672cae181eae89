"""Queries for what is due, on a million posts, compared with the cheapest statement.

A PostgreSQL of its own has the given numbers of communities and posts, with metrics polls spread over their
intervals, and communities in metrics groups. Each query runs on one connection in alternation with
`SELECT 1`, so that a disturbance affects both:

- `pending`: whether counters or comments of one community are due; once in each poll
- `due`: the posts of one community whose counters are due, a batch
- `due_among`: the same of a metrics group, a batch filled across its communities
- `first_due`: when a metrics group is due next
- `ages`: the number of posts of a metrics group by age; hourly
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import uvloop
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import Workspace
from app.cli.database import asyncpg_url
from app.communities import publications
from app.communities.events import CommunityRef
from app.communities.models import Community
from app.communities.polling import poll_schedule
from app.kit.clock import SetClock
from app.kit.db import Database
from app.kit.ids import uuid7
from app.projects.models import Project
from benchmarks._servers import database

LOOP: Final = uvloop.new_event_loop
"""The event loop of the service."""
NOW: Final = datetime(2026, 10, 15, 12, tzinfo=UTC)
WORKSPACE: Final = UUID(int=1)
BATCH: Final = 100
FILL: Final = """
INSERT INTO publication (workspace_id, id, community_id, project_id, external_id, url, text, published_at, measure_at,
        unchanged_polls)
    SELECT c.workspace_id, gen_random_uuid(), c.id, c.project_id, n::text, 'https://vk.example/' || n,
        repeat('word ', 40), $1::timestamptz - age * interval '1 second',
        $1::timestamptz + (random() - 0.02) * make_interval(
            secs => ($2::float8[])[1 + width_bucket(age, $3::float8[])]), 0
    FROM community c, generate_series(1, $4) n, LATERAL (SELECT random() * 357 * 86400 + n * 0 AS age) a
"""


async def main(arguments: Sequence[str]) -> None:
    """Print how long each query takes, and how many times as long as `SELECT 1`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks due", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--communities", type=int, default=2000)
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--metrics-group", type=int, default=250, help="communities that share calls")
    parser.add_argument("--times", type=int, default=300)
    options = parser.parse_args(arguments)
    async with database() as urls:
        began, db = time.monotonic(), Database(urls.app, pool=1, clock=SetClock(NOW))
        try:
            await fill(asyncpg_url(urls.superuser), db, options)
            print(f"{options.posts:,} posts of {options.communities:,} communities ({time.monotonic() - began:.0f} s)")
            took = await measure(db, options.times, options.metrics_group)
        finally:
            await db.close()
    report(took)


async def fill(url: str, db: Database, options: argparse.Namespace) -> None:
    """Insert communities as after their first poll, and posts spread over a year."""
    in_workspace = {"workspace_id": WORKSPACE, "created_at": NOW}
    client = {"title": "Client", "timezone": "Europe/Minsk", "working_hours": {}}
    projects = [{**in_workspace, **client, "id": uuid7()} for _ in range(max(options.communities // 20, 1))]
    platform = {"platform": "vk", "base_url": "https://api.vk.example", "status": "healthy"}
    communities = [
        {
            **in_workspace,
            **platform,
            "project_id": projects[n % len(projects)]["id"],
            "address": f"https://vk.example/club{n}",
            "external_id": str(n),
            "backfill_since": NOW - timedelta(days=730),
            "metrics_group": str(n // options.metrics_group),
        }
        for n in range(options.communities)
    ]
    async with db.transaction(WORKSPACE) as session:
        await session.execute(insert(Workspace), [{**in_workspace, "title": "A large agency"}])
        await session.execute(insert(Project), projects)
        await session.execute(insert(Community), communities)
    tiers = [limit.total_seconds() for limit, _ in poll_schedule.BY_AGE]
    every = [*(one.total_seconds() for _, one in poll_schedule.BY_AGE), poll_schedule.OLDEST_INTERVAL.total_seconds()]
    connection = await asyncpg.connect(url)
    # The rows are consistent: foreign keys need not be checked a million times.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(FILL, NOW, every, tiers, options.posts // options.communities)
    await connection.execute("ANALYZE")
    await connection.close()


async def measure(db: Database, times: int, metrics_group: int) -> dict[str, list[float]]:
    """Seconds of each query, each time for another community or metrics group."""
    async with db.read_session(WORKSPACE) as session:
        communities = (await session.scalars(select(Community).order_by(Community.id))).all()
    metrics_groups: defaultdict[str, list[UUID]] = defaultdict(list)
    for community in communities:
        metrics_groups[community.metrics_group].append(community.id)
    whole = [members for members in metrics_groups.values() if len(members) == metrics_group] or list(
        metrics_groups.values()
    )
    took: dict[str, list[float]] = defaultdict(list)
    for turn in range(-20, times):
        one, members = communities[turn % len(communities)], whole[turn % len(whole)]
        ref = CommunityRef(WORKSPACE, one.project_id, one.id, one.platform, "Europe/Minsk")
        async with db.read_session(WORKSPACE) as session:
            for name, execute in queries(session, one, ref, members).items():
                started = time.perf_counter()
                await execute()
                if turn >= 0:  # the first ones are a warm-up
                    took[name].append(time.perf_counter() - started)
    return took


def queries(
    session: AsyncSession, community: Community, ref: CommunityRef, metrics_group: Sequence[UUID]
) -> dict[str, Callable[[], Awaitable[object]]]:
    """The measured queries, by name."""
    ahead = NOW + timedelta(minutes=15)
    return {
        "SELECT 1": lambda: session.execute(text("SELECT 1")),
        "pending": lambda: publications.timezone_and_pending(session, community, NOW),
        "due": lambda: publications.due(session, ref, NOW, BATCH),
        "due_among": lambda: publications.due_among(session, metrics_group, NOW, ahead, BATCH),
        "first_due": lambda: publications.first_due(session, metrics_group),
        "ages": lambda: publications.ages(session, metrics_group, NOW),
    }


def report(took: dict[str, list[float]]) -> None:
    """Print the figures."""
    least = statistics.median(took["SELECT 1"])
    print(f"\n{'':10}{'p50 ms':>9}{'p99 ms':>9}{'x SELECT 1':>12}")
    for name, seconds in took.items():
        middle, late = statistics.median(seconds), sorted(seconds)[int(len(seconds) * 0.99)]
        print(f"{name:10}{middle * 1000:9.2f}{late * 1000:9.2f}{middle / least:12.1f}")
