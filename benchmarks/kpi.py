"""A KPI's response, compared with servers that return the same bytes.

Contenders, each a uvicorn process of its own on one core; the load generator has the other one, and
PostgreSQL shares both:

- `starlette`: a route that returns the bytes of the answers, one KPI's after the other's
- `fastapi`: an operation that returns these bytes
- `fastapi, model`: an operation that returns these answers through their response model
- the KPIs: the key is checked, project, communities and rows are read, the value is computed and serialised; nothing
  is kept between requests
- all KPIs of a project in one answer
- the same of an earlier commit, with `--before`

The request is for 30 days by day, with the 30 days before, the communities, freshness and coverage, of
another project at each request. On a shared machine server CPU is the most reliable figure.
"""

import argparse
import os
import statistics
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
from sqlalchemy import text

from app.access import service as access
from app.cli.database import asyncpg_url
from app.kit.actors import SYSTEM
from app.kit.db import Database
from app.kpis import all_kpis, projects
from app.kpis.contract import LoadRequest
from app.kpis.windows import Days
from benchmarks import _bare
from benchmarks._load import Run, burst, get
from benchmarks._servers import Urls, cpu, database, first, pin, serve

NOW = datetime.now(UTC)
"""The server uses the machine's clock: with older data the request would be another, slower one."""
WINDOW = Days(NOW.date() - timedelta(days=29), NOW.date())
ALL = "all KPIs"
KEYS = (
    *("community_size", "engagement", "engagement_rate", "inquiries_received", "first_response_time", "clicks"),
    *("resolution_time", "within_target_rate", "overdue", "thanks_share", "mix_deviation", "published_on_time"),
)

FILL = """
SET session_replication_role = replica;  -- the rows are consistent: foreign keys need not be checked 5 million times
CREATE TEMP TABLE w ON COMMIT DROP AS
    SELECT n AS number, CASE WHEN n = 1 THEN '{ours}'::uuid ELSE gen_random_uuid() END AS workspace_id
    FROM generate_series(1, {workspaces}) n;
INSERT INTO workspace (workspace_id, title, created_at)
    SELECT workspace_id, 'W', '{start}' FROM w WHERE number > 1;
INSERT INTO project (workspace_id, id, title, timezone, working_hours, version, created_at)
    SELECT workspace_id, gen_random_uuid(), 'P', 'Europe/Minsk', '{{}}', 1, '{start}'
    FROM w, generate_series(1, {each});
INSERT INTO community (workspace_id, id, project_id, platform, address, base_url, status, missing_scopes, failures,
        refusals, metrics_poll_failures, posts_idle_polls, conversations_idle_polls, costs,
        content_interval_multiplier, metrics_interval_multiplier, metrics_group, aliases, backfill_since, size_seen_at,
        posts_seen_at, conversations_seen_at, created_at)
    SELECT workspace_id, gen_random_uuid(), id, 'vk', gen_random_uuid(), 'https://api.vk.com', 'healthy', '[]', 0,
        0, 0, 0, 0, '{{}}', 1, 1, '', '[]', '{start}', '{now}', '{now}', '{now}', '{start}'
    FROM project, generate_series(1, 4);
INSERT INTO rollup_day (workspace_id, project_id, day, community_id, category, source, snapshots,
        views, views_n, reach_n, reactions, reactions_n, comments, comments_n, shares, shares_n, quotes_n, saves_n)
    SELECT c.workspace_id, c.project_id, d, c.id, k, 'observed', 9,
        random() * 999, 9, 0, random() * 99, 9, random() * 9, 9, random() * 5, 9, 0, 0
    FROM generate_series('{start}'::date, '{now}'::date, '1 day') d, project p, unnest(ARRAY['engaging', '']) k
    JOIN community c ON true WHERE c.project_id = p.id AND c.workspace_id = p.workspace_id;
INSERT INTO community_day (workspace_id, community_id, day, project_id, first, first_at, last, last_at, lowest,
        highest, snapshots)
    SELECT c.workspace_id, c.id, d, c.project_id, 1000, d, 1000 + random() * 20, d, 1000, 1020, 8
    FROM generate_series('{start}'::date, '{now}'::date, '1 day') d, community c;
INSERT INTO link (workspace_id, id, project_id, community_id, slug, target, created_at)
    SELECT workspace_id, gen_random_uuid(), project_id, id, left(id::text, 13), 'https://shop.example', '{start}'
    FROM community;
INSERT INTO click_day (workspace_id, link_id, day, project_id, community_id, people, bots, repeats)
    SELECT l.workspace_id, l.id, d, l.project_id, l.community_id, random() * 40, random() * 9, 1
    FROM generate_series('{start}'::date, '{now}'::date, '2 days') d, link l;
INSERT INTO inquiry (workspace_id, id, project_id, community_id, thread_id, channel, kind, kind_by, status,
        customer_id, customer_name, preview, opened_at, last_message_at, handled_at, resolved_automatically, version)
    SELECT c.workspace_id, gen_random_uuid(), c.project_id, c.id, d::text, 'comment', 'question', 'rule', 'answered',
        '1', 'Olga', 'How much?', d, d, d + interval '2 hours', false, 1
    FROM generate_series('{start}'::timestamptz, '{now}'::timestamptz, '3 days') d, community c;
INSERT INTO response_wait (workspace_id, id, inquiry_id, project_id, community_id, started_at, ended_at, ended_by,
        opening, working_seconds)
    SELECT workspace_id, gen_random_uuid(), id, project_id, community_id, opened_at, handled_at, 'answer', true,
        random() * 7200
    FROM inquiry;
UPDATE response_wait SET due_at = started_at + random() * interval '3 hours';
INSERT INTO response_target (workspace_id, id, project_id, holds_from, first_response_minutes, updated_at)
    SELECT workspace_id, gen_random_uuid(), id, '{start}', 60, '{start}' FROM project;
INSERT INTO resolved_episode (workspace_id, id, inquiry_id, project_id, community_id, started_at, resolved_at,
        automatic, working_seconds)
    SELECT workspace_id, gen_random_uuid(), inquiry_id, project_id, community_id, started_at, ended_at,
        random() < 0.1, working_seconds
    FROM response_wait;
INSERT INTO post (workspace_id, id, project_id, community_id, origin, text, category, status, timezone, planned_at,
        published_at, version, created_at, updated_at)
    SELECT c.workspace_id, gen_random_uuid(), c.project_id, c.id, 'planned', '', 'engaging', 'published',
        'Europe/Minsk', d, d + random() * interval '20 minutes', 1, d, d
    FROM generate_series('{start}'::timestamptz, '{now}'::timestamptz, '2 days') d, community c;
"""


@dataclass
class Contender:
    """A server under load."""

    name: str
    port: int
    pid: int
    requests: list[bytes]
    runs: list[Run] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Seconds of the server process for each request."""


async def main(arguments: Sequence[str]) -> None:
    """Print requests a second, latencies and CPU of each contender."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks kpi", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--projects", type=int, default=2000)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.2, help="of each contender in each repetition")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--keys", nargs="+", default=KEYS)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier commit with the same tables, to compare")
    options = parser.parse_args(arguments)
    async with database() as urls:
        workspace_id, key = await sign_up(urls)
        started = time.perf_counter()
        rows = await _fill(urls, workspace_id, options.projects, options.days)
        print(f"{options.projects} projects, {rows:,} rows, made in {time.perf_counter() - started:.0f} s\n")
        ids = await _statements(urls, workspace_id, options.keys)
        with tempfile.TemporaryDirectory(prefix="instep-benchmark-") as folder, ExitStack() as stack:
            contenders = await _contenders(stack, Path(folder), urls, key, ids, options.keys, options.before)
            pin(os.getpid(), -1)
            await _race(contenders, options.repeats, options.seconds, options.connections)
            _print(contenders, options.connections)


async def sign_up(urls: Urls) -> tuple[uuid.UUID, str]:
    """A workspace and a key to it."""
    workspace_id, db = uuid.uuid4(), Database(urls.app, pool=1)
    async with db.transaction(workspace_id) as session:
        *_, token = await access.sign_up(
            session, SYSTEM, title="Ours", owner_name="Anna", owner_email="anna@agency.example"
        )
    await db.close()
    return workspace_id, str(token)


async def _fill(urls: Urls, workspace_id: uuid.UUID, count: int, days: int) -> int:
    """Insert agencies of 100 projects each, one of them `workspace_id`; the number of rows of figures."""
    connection = await asyncpg.connect(asyncpg_url(urls.superuser))
    each = min(count, 100)
    start = NOW.replace(hour=0).timestamp() - days * 86400
    script = FILL.format(
        ours=workspace_id,
        workspaces=max(count // each, 1),
        each=each,
        start=datetime.fromtimestamp(start, UTC),
        now=NOW,
    )
    async with connection.transaction():
        await connection.execute(script)
    await connection.execute("VACUUM ANALYZE")
    counts = [
        await connection.fetchval(f"SELECT count(*) FROM {table}")
        for table in ("rollup_day", "community_day", "click_day", "inquiry", "response_wait")
    ]
    await connection.close()
    return sum(counts)


async def _statements(urls: Urls, workspace_id: uuid.UUID, keys: Sequence[str]) -> list[uuid.UUID]:
    """Print the cost of each KPI's statements against `SELECT 1`; the ids of the workspace's projects."""
    db = Database(urls.app, pool=1)
    took: dict[str, list[float]] = defaultdict(list)
    async with db.read_connection(workspace_id) as connection:
        ids = list((await connection.scalars(text("SELECT id FROM project ORDER BY id"))).all())
        for turn in range(300):
            request = LoadRequest(workspace_id, (ids[turn % len(ids)],), WINDOW.before.first, WINDOW.last, NOW)
            started = time.perf_counter()
            await connection.execute(text("SELECT 1"))
            took["select 1"].append(time.perf_counter() - started)
            for key in keys:
                started = time.perf_counter()
                await projects.load(connection, request, [all_kpis()[key]])
                took[key].append(time.perf_counter() - started)
    await db.close()
    least = statistics.median(took["select 1"])
    print(f"{'inputs loaded, ms p50 (p99)':28} {'':>18} {'x select 1':>12}")
    for name, times in took.items():
        middle, high = statistics.median(times), sorted(times)[int(len(times) * 0.99)]
        print(f"{name:28} {middle * 1000:9.2f} ({high * 1000:6.2f}) {middle / least:11.1f}")
    print()
    return ids


async def _contenders(
    stack: ExitStack,
    folder: Path,
    urls: Urls,
    key: str,
    ids: list[uuid.UUID],
    keys: Sequence[str],
    before: Path | None,
) -> list[Contender]:
    """Start the servers, Instep first: the others return its bytes."""
    environment = {
        **os.environ,
        "DATABASE_URL": urls.app,
        "REDIS_URL": "unix:///nowhere",  # reads do not use the doorbell
        "INSTEP_REQUESTS_PER_MINUTE": "100000000",
        "INSTEP_ENVIRONMENT": "test",
    }
    ours, pid = stack.enter_context(serve(None, environment))
    query = f"from={WINDOW.first}&to={WINDOW.last}"
    made = []
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
        for name in (*keys, ""):
            paths = [f"{_path(project_id, name)}?{query}" for project_id in ids]
            answer = await first(client, f"http://127.0.0.1:{ours}{paths[0]}")
            requests = [get(path, Authorization=f"Bearer {key}") for path in paths]
            made.append(Contender(name or ALL, ours, pid, requests))
            if name:
                (folder / name).write_bytes(answer.content)
        sizes = [len((folder / name).read_bytes()) for name in keys]
        print(f"answers have {min(sizes)} to {max(sizes)} bytes")
        bare = []
        mixed = [request for requests in zip(*(one.requests for one in made[:-1]), strict=True) for request in requests]
        for name, factory in (("starlette", "starlette"), ("fastapi", "fastapi"), ("fastapi, model", "model")):
            port, pid = stack.enter_context(
                serve(f"benchmarks._bare:{factory}", {**environment, _bare.FOLDER: str(folder)})
            )
            await first(client, f"http://127.0.0.1:{port}{_path(ids[0], keys[0])}")
            bare.append(Contender(name, port, pid, mixed))
        earlier = []
        if before is not None:
            port, pid = stack.enter_context(serve(None, environment, checkout=before))
            await first(client, f"http://127.0.0.1:{port}{_path(ids[0], keys[0])}")
            earlier = [Contender(f"before: {one.name}", port, pid, one.requests) for one in made]
    return [*bare, *made, *earlier]


def _path(project_id: uuid.UUID, key: str) -> str:
    return f"/v1/projects/{project_id}/kpis/{key}".rstrip("/")


async def _race(contenders: list[Contender], repeats: int, seconds: float, connections: int) -> None:
    """Run the contenders in alternation."""
    for contender in contenders:
        await burst(contender.port, contender.requests, connections=connections, seconds=0.4)
    for _ in range(repeats):
        for contender in contenders:
            before = cpu(contender.pid)
            run = await burst(contender.port, contender.requests, connections=connections, seconds=seconds)
            contender.runs.append(run)
            contender.cpu.append((cpu(contender.pid) - before) / run.requests)


def _print(contenders: list[Contender], connections: int) -> None:
    def middle(values: Sequence[float]) -> float:
        return statistics.median(values)

    bare, fast = (middle(contender.cpu) for contender in contenders[:2])
    print(f"medians of {len(contenders[0].runs)} alternating repetitions, {connections} connections")
    header = f"{'':30}{'req/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'x starlette':>13}{'x fastapi':>11}"
    print(header)
    for one in contenders:
        rate = middle([run.rate for run in one.runs])
        p50, p99 = (middle([run.at(share) for run in one.runs]) * 1000 for share in (0.5, 0.99))
        took = middle(one.cpu)
        print(f"{one.name:30}{rate:8.0f}{p50:9.2f}{p99:9.2f}{took * 1e6:9.0f}{took / bare:13.1f}{took / fast:11.1f}")
