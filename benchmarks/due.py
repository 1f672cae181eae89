"""What is due, asked of a million posts: the planner's queries beside the least a statement can cost.

A PostgreSQL of its own with as many communities and posts as asked, their next looks spread over their
intervals, and lanes of communities that share calls. Each query is asked on one connection, by turns
with `SELECT 1`, so that a noisy moment falls on both:

- `standing`: whether anything of one community waits to be read; every poll asks it
- `due`: the posts of one community whose counters are due, a batch
- `due_among`: those of a whole lane, a batch filled across its communities
- `first_due`: when a lane is to be looked at next
- `ages`: how many posts of a lane there are of which age; asked hourly
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
"""As the service runs."""
NOW: Final = datetime(2026, 10, 15, 12, tzinfo=UTC)
WORKSPACE: Final = UUID(int=1)
BATCH: Final = 100
FILL: Final = """
INSERT INTO publication (workspace_id, id, community_id, project_id, external_id, url, text, published_at, measure_at,
        still)
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
    asked = parser.parse_args(arguments)
    async with database() as urls:
        began, db = time.monotonic(), Database(urls.app, pool=1, clock=SetClock(NOW))
        try:
            await fill(asyncpg_url(urls.superuser), db, asked)
            print(f"{asked.posts:,} posts of {asked.communities:,} communities ({time.monotonic() - began:.0f} s)")
            took = await measure(db, asked.times, asked.metrics_group)
        finally:
            await db.close()
    report(took)


async def fill(url: str, db: Database, asked: argparse.Namespace) -> None:
    """The rows: communities as they would be after their first poll, posts spread over a year."""
    in_workspace = {"workspace_id": WORKSPACE, "created_at": NOW}
    client = {"name": "Client", "timezone": "Europe/Minsk", "working_hours": {}}
    projects = [{**in_workspace, **client, "id": uuid7()} for _ in range(max(asked.communities // 20, 1))]
    platform = {"platform": "vk", "base_url": "https://api.vk.example", "state": "healthy"}
    communities = [
        {
            **in_workspace,
            **platform,
            "project_id": projects[n % len(projects)]["id"],
            "address": f"https://vk.example/club{n}",
            "external_id": str(n),
            "backfill_since": NOW - timedelta(days=730),
            "metrics_group": str(n // asked.metrics_group),
        }
        for n in range(asked.communities)
    ]
    async with db.transaction(WORKSPACE) as session:
        await session.execute(insert(Workspace), [{**in_workspace, "name": "A large agency"}])
        await session.execute(insert(Project), projects)
        await session.execute(insert(Community), communities)
    tiers = [limit.total_seconds() for limit, _ in poll_schedule.BY_AGE]
    every = [*(one.total_seconds() for _, one in poll_schedule.BY_AGE), poll_schedule.OLDEST_INTERVAL.total_seconds()]
    connection = await asyncpg.connect(url)
    # The rows are right: no foreign key is asked a million times.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(FILL, NOW, every, tiers, asked.posts // asked.communities)
    await connection.execute("ANALYZE")
    await connection.close()


async def measure(db: Database, times: int, metrics_group: int) -> dict[str, list[float]]:
    """Seconds of each query, each time of another community or lane."""
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
        place = CommunityRef(WORKSPACE, one.project_id, one.id, one.platform, "Europe/Minsk")
        async with db.read_session(WORKSPACE) as session:
            for name, ask in queries(session, one, place, members).items():
                started = time.perf_counter()
                await ask()
                if turn >= 0:  # the first ones only warm up
                    took[name].append(time.perf_counter() - started)
    return took


def queries(
    session: AsyncSession, community: Community, place: CommunityRef, metrics_group: Sequence[UUID]
) -> dict[str, Callable[[], Awaitable[object]]]:
    """What the planner asks, by name."""
    ahead = NOW + timedelta(minutes=15)
    return {
        "SELECT 1": lambda: session.execute(text("SELECT 1")),
        "standing": lambda: publications.timezone_and_pending(session, community, NOW),
        "due": lambda: publications.due(session, place, NOW, BATCH),
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
