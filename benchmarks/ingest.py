"""Storing snapshots with their rollups, compared with storing the bare rows.

Contenders, each of which commits every batch:

- `copy`: asyncpg's COPY into a table with the same columns and primary key, and nothing else
- `unnest`: INSERT … SELECT unnest into such a table
- `unnest, same table`: the same into `post_snapshot` itself, with its foreign key and row-level security
- `ingest`: `metrics.service.record_posts` in a unit of work, with `post_last` and `rollup_day`
- `ingest, late`: the same, each row older than one that is stored already
"""

import argparse
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import insert

from app.access.models import Workspace
from app.cli.database import asyncpg_url
from app.communities.events import CommunityRef
from app.communities.models import Community, Publication
from app.kit.db import Database
from app.kit.ids import uuid7
from app.metrics import service
from app.metrics.sql import METRICS
from app.platforms.contract import Metric, MetricStatus, PostMetrics
from app.projects.models import Project
from benchmarks._servers import database

START = datetime(2026, 1, 1, tzinfo=UTC)
SUPPORTED = (Metric.VIEWS, Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES)
"""The metrics of the platform; the others are missing."""
MISSING = {metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in SUPPORTED}

Batch = tuple[datetime, list[tuple[UUID, PostMetrics]]]
"""Counters of one instant, as from one poll."""
Store = Callable[[Batch], Awaitable[object]]


@dataclass(frozen=True)
class Contender:
    """A way to store snapshots, with the posts to store them for."""

    name: str
    store: Store
    ref: CommunityRef
    posts: list[UUID]
    late: bool = False


async def main(arguments: Sequence[str]) -> None:
    """Print rows a second of each contender."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--posts", type=int, default=4000, help="rows of one repetition")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--batch", type=int, nargs="+", default=[100, 1000])
    options = parser.parse_args(arguments)
    async with database() as urls:
        db = Database(urls.app, pool=1)
        bare, bound = await asyncpg.connect(asyncpg_url(urls.superuser)), await asyncpg.connect(asyncpg_url(urls.app))
        try:
            contenders = await _contenders(db, bare, bound, options.posts)
            start = START
            for size in options.batch:
                _print(size, await _race(contenders, start, size, options.repeats))
                start += timedelta(days=options.repeats + 1)
            ours = contenders[-1].ref
            async with db.transaction(ours.workspace_id) as session:
                wrong = await service.reconcile(session, ours.project_id)
            print(f"\nrows that a recount corrects: {len(wrong)}")
        finally:
            await bare.close()
            await bound.close()
            await db.close()


async def _contenders(db: Database, bare: asyncpg.Connection, bound: asyncpg.Connection, posts: int) -> list[Contender]:
    typed = [f"{name} bigint" for name in METRICS]
    columns = ", ".join(["workspace_id uuid", "publication_id uuid", "at timestamptz", *typed])
    for table in ("bare_copy", "bare_unnest"):
        await bare.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY (workspace_id, publication_id, at))")
    arrays = ", ".join(f"${number}::bigint[]" for number in range(4, 4 + len(METRICS)))
    names = ", ".join(METRICS)
    fill = (
        f"INSERT INTO %s (workspace_id, publication_id, at, {names}) SELECT $1::uuid, p, $2::timestamptz, {names} "
        f"FROM unnest($3::uuid[], {arrays}) AS u(p, {names})"
    )
    alone, ours = await _project(db, posts), await _project(db, posts)
    await bound.execute("SELECT set_config('app.workspace_id', $1, false)", str(alone[0].workspace_id))

    async def copy(batch: Batch) -> object:
        at, snapshots = batch
        rows = [
            (alone[0].workspace_id, post, at, *(metrics.counters.get(metric) for metric in Metric))
            for post, metrics in snapshots
        ]
        return await bare.copy_records_to_table(
            "bare_copy", records=rows, columns=("workspace_id", "publication_id", "at", *METRICS)
        )

    def unnest(connection: asyncpg.Connection, table: str) -> Store:
        async def store(batch: Batch) -> object:
            at, snapshots = batch
            values = [[metrics.counters.get(metric) for _, metrics in snapshots] for metric in Metric]
            return await connection.execute(
                fill % table, alone[0].workspace_id, at, [post for post, _ in snapshots], *values
            )

        return store

    async def ingest(batch: Batch) -> None:
        async with db.transaction(ours[0].workspace_id) as session:
            await service.record_posts(session, ours[0], *batch)

    return [
        Contender("copy", copy, *alone),
        Contender("unnest", unnest(bare, "bare_unnest"), *alone),
        Contender("unnest, same table", unnest(bound, "post_snapshot"), *alone),
        Contender("ingest", ingest, *ours),
        Contender("ingest, late", ingest, *ours, late=True),
    ]


async def _project(db: Database, count: int) -> tuple[CommunityRef, list[UUID]]:
    """A workspace with one project, one community and `count` publications."""
    workspace_id, project_id, community_id = uuid7(), uuid7(), uuid7()
    posts = [uuid7() for _ in range(count)]
    in_workspace: dict[str, Any] = {"workspace_id": workspace_id, "created_at": START}
    async with db.transaction(workspace_id) as session:
        await session.execute(insert(Workspace), [{**in_workspace, "title": "Step & Co"}])
        project = {"id": project_id, "title": "Bakery", "timezone": "Europe/Minsk", "working_hours": {}}
        await session.execute(insert(Project), [{**in_workspace, **project}])
        community = {
            "id": community_id,
            "project_id": project_id,
            "platform": "mastodon",
            "address": "https://social.example/@bakery",
            "base_url": "https://social.example",
            "backfill_since": START,
        }
        await session.execute(insert(Community), [{**in_workspace, **community}])
        rows = [
            {
                "workspace_id": workspace_id,
                "id": post,
                "community_id": community_id,
                "project_id": project_id,
                "external_id": str(number),
                "url": f"https://social.example/{number}",
                "text": "Fresh bread from seven. " * 10,
                "category": ("awareness", "sales", None)[number % 3],
                "published_at": START - timedelta(hours=number % 500),
            }
            for number, post in enumerate(posts)
        ]
        await session.execute(insert(Publication), rows)
    return CommunityRef(workspace_id, project_id, community_id, "mastodon", "Europe/Minsk"), posts


async def _race(contenders: Sequence[Contender], start: datetime, size: int, repeats: int) -> dict[str, list[float]]:
    """Rows a second of each contender in each repetition; the first one is a warm-up."""
    dice = random.Random(1)
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for repeat in range(repeats + 1):
        turn = repeat % len(contenders)
        for contender in (*contenders[turn:], *contenders[:turn]):  # each time another one begins
            at = start + timedelta(days=repeat) - timedelta(hours=12) * contender.late
            batches = _batches(contender.posts, at, size, dice)
            began = time.perf_counter()
            for batch in batches:
                await contender.store(batch)
            if repeat:
                rates[contender.name].append(len(contender.posts) / (time.perf_counter() - began))
    return rates


def _batches(posts: Sequence[UUID], at: datetime, size: int, dice: random.Random) -> list[Batch]:
    return [
        (
            at,
            [
                (post, PostMetrics("1", {metric: dice.randrange(1_000_000) for metric in SUPPORTED}, MISSING))
                for post in posts[first : first + size]
            ],
        )
        for first in range(0, len(posts), size)
    ]


def _print(size: int, rates: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\nbatches of {size:,}: rows a second, median (lowest to highest) of {len(rates['copy'])}")
    print(f"{'':20} {'rows/s':>9} {'':21} {'x copy':>7} {'x unnest':>8}")
    for name, values in rates.items():
        spread = f"({min(values):,.0f} to {max(values):,.0f})"
        against = [medians[name] / medians[other] for other in ("copy", "unnest")]
        print(f"{name:20} {medians[name]:9,.0f} {spread:21} {against[0]:7.2f} {against[1]:8.2f}")
