"""Lists of 50 rows, compared with a server that fetches the same rows by asyncpg and serialises them by orjson.

Each server is a uvicorn process of its own on one core; the load generator has the other one, and PostgreSQL shares
both. The bare server has no routing, authentication, validation, rate limit, log or ETag, and does not shape the
rows. On a shared machine server CPU is the most reliable figure; the ratio is of CPU in one run.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import httpx
import orjson

from app.cli.database import asyncpg_url
from app.communities import reads as communities
from app.inquiries import reads as inquiries
from app.inquiries.schemas import InquirySort
from app.kit.db import Database
from app.kit.lists import Listing
from app.links import reads as links
from app.posts import reads as posts
from benchmarks import _bare_lists
from benchmarks._load import burst, get
from benchmarks._servers import Urls, cpu, database, first, pin, serve
from benchmarks.kpi import sign_up

NOW: Final = datetime.now(UTC)
LISTS: Final[Mapping[str, tuple[Listing, object]]] = {
    "/v1/inquiries": (inquiries.INQUIRIES, InquirySort.LAST_MESSAGE),
    "/v1/inquiries?sort=waiting_since": (inquiries.INQUIRIES, InquirySort.WAITING),
    "/v1/posts": (posts.POSTS[False], posts.PostSort.CREATED),
    "/v1/posts?include=metrics": (posts.POSTS[True], posts.PostSort.CREATED),
    "/v1/links": (links.LINKS[False], links.LinkSort.CREATED),
    "/v1/links?include=clicks": (links.LINKS[True], links.LinkSort.CREATED),
    "/v1/communities": (communities.COMMUNITIES[False], communities.CommunitySort.CREATED),
    "/v1/communities?include=health": (communities.COMMUNITIES[True], communities.CommunitySort.CREATED),
}
COUNTS: Final = "/v1/inquiries/counts"

FILL: Final = """
SET session_replication_role = replica;  -- the rows are consistent: foreign keys need not be checked
INSERT INTO project (workspace_id, id, title, timezone, working_hours, version, created_at)
    SELECT '{workspace}', gen_random_uuid(), 'P', 'Europe/Minsk', '{{}}', 1, '{now}' FROM generate_series(1, 25);
INSERT INTO community (workspace_id, id, project_id, platform, address, base_url, title, status, missing_scopes,
        failures, refusals, metrics_poll_failures, posts_idle_polls, conversations_idle_polls, costs,
        content_interval_multiplier, metrics_interval_multiplier, metrics_group, aliases, backfill_since, size_seen_at,
        posts_seen_at, conversations_seen_at, created_at)
    SELECT workspace_id, gen_random_uuid(), id, 'vk', gen_random_uuid(), 'https://api.vk.com', 'Coffee', 'healthy',
        '[]', 0, 0, 0, 0, 0, '{{}}', 1, 1, '', '[]', '{now}', '{now}', '{now}', '{now}',
        '{now}'::timestamptz - n * interval '1 minute'
    FROM project, generate_series(1, 4) n;
INSERT INTO inquiry (workspace_id, id, project_id, community_id, thread_id, channel, kind, kind_by, status,
        customer_id, customer_name, preview, opened_at, last_message_at, waiting_since, resolved_automatically, version)
    SELECT c.workspace_id, gen_random_uuid(), c.project_id, c.id, n::text, 'comment',
        (ARRAY['question', 'problem', 'thanks', 'other'])[1 + n % 4], 'rule',
        (ARRAY['open', 'answered', 'resolved', 'resolved'])[1 + n % 4], '1', 'Olga', 'How much is a cake for ten?',
        '{now}'::timestamptz - n * interval '1 hour', '{now}'::timestamptz - n * interval '1 minute',
        CASE WHEN n % 4 = 0 THEN '{now}'::timestamptz - n * interval '1 minute' END, false, 1
    FROM community c, generate_series(1, {each}) n;
INSERT INTO inquiry_count (workspace_id, id, community_id, project_id, status, kind, change)
    SELECT workspace_id, gen_random_uuid(), community_id, project_id, status, kind, count(*)
    FROM inquiry GROUP BY workspace_id, community_id, project_id, status, kind;
INSERT INTO message (workspace_id, id, inquiry_id, community_id, thread_id, external_id, direction, automatic,
        author_name, text, sent_at, content_known)
    SELECT workspace_id, gen_random_uuid(), id, community_id, thread_id, id || n::text,
        CASE WHEN n = 1 THEN 'agency' ELSE 'customer' END, false, 'Olga', repeat('How much is a cake for ten? ', 4),
        last_message_at - n * interval '1 hour', true
    FROM inquiry, generate_series(0, 2) n;
INSERT INTO publication (workspace_id, id, community_id, project_id, external_id, url, text, published_at,
        unchanged_polls)
    SELECT workspace_id, gen_random_uuid(), id, project_id, n::text, 'https://vk.com/wall-1_2', 'Good morning!',
        '{now}'::timestamptz - n * interval '1 hour', 0
    FROM community, generate_series(1, {each}) n;
INSERT INTO post_last (workspace_id, publication_id, at, views, reactions, comments, shares, missing)
    SELECT workspace_id, id, '{now}', 1000, 10, 2, 1,
        '{{"reach": "unsupported", "quotes": "unsupported", "saves": "unsupported"}}'
    FROM publication;
INSERT INTO post_snapshot (workspace_id, publication_id, at, views, reactions, comments, shares)
    SELECT workspace_id, id, published_at + n * interval '1 hour', n * 100, n, n, n
    FROM publication, generate_series(1, 10) n;
INSERT INTO post (workspace_id, id, project_id, community_id, publication_id, origin, text, category, status, timezone,
        published_at, version, created_at, updated_at)
    SELECT workspace_id, gen_random_uuid(), project_id, community_id, id, 'found', text, 'engaging', 'published',
        'Europe/Minsk', published_at, 1, published_at, published_at
    FROM publication;
INSERT INTO link (workspace_id, id, project_id, community_id, slug, target, title, created_at)
    SELECT workspace_id, gen_random_uuid(), project_id, id, left(id::text, 8) || n, 'https://shop.example/autumn',
        'Autumn', '{now}'::timestamptz - n * interval '1 hour'
    FROM community, generate_series(1, 20) n;
INSERT INTO click_day (workspace_id, link_id, day, project_id, community_id, people, bots, repeats)
    SELECT workspace_id, id, '{now}'::date - n, project_id, community_id, 40, 9, 1
    FROM link, generate_series(0, 89) n;
"""


async def main(arguments: Sequence[str]) -> None:
    """Print requests a second and CPU of each list, and the ratio to the bare server."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks lists", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=200, help="inquiries and posts of each of 100 communities")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.8, help="of each list and server in each repetition")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier commit, to compare")
    options = parser.parse_args(arguments)
    async with database() as urls:
        workspace_id, key = await sign_up(urls)
        await _fill(urls, workspace_id, options.each)
        await _print_statements(urls, workspace_id)
        with tempfile.TemporaryDirectory(prefix="instep-benchmark-") as folder, ExitStack() as stack:
            environment = _environment(urls, workspace_id, Path(folder))
            servers = {
                "bare": serve("benchmarks._bare_lists:lists", environment),
                "instep": serve(None, environment),
            }
            if options.before is not None:
                servers["before"] = serve(None, environment, checkout=options.before)
            await _race({name: stack.enter_context(server) for name, server in servers.items()}, key, options)


def _environment(urls: Urls, workspace_id: UUID, folder: Path) -> dict[str, str]:
    """The environment of the servers; the lists' statements are written to the folder."""
    statements = {}
    for path, (listing, sort) in LISTS.items():
        statement = listing.page_statement(sort)
        statements[path] = (statement.text, statement.names)
    (folder / "statements").write_bytes(orjson.dumps(statements))
    return {
        **os.environ,
        "DATABASE_URL": urls.app,
        "REDIS_URL": "unix:///nowhere",  # reads do not use the doorbell
        "INSTEP_REQUESTS_PER_MINUTE": "100000000",
        "INSTEP_ENVIRONMENT": "test",
        _bare_lists.STATEMENTS: str(folder / "statements"),
        _bare_lists.WORKSPACE: str(workspace_id),
        _bare_lists.DATABASE: asyncpg_url(urls.app),
    }


async def _fill(urls: Urls, workspace_id: UUID, each: int) -> None:
    started = time.perf_counter()
    connection = await asyncpg.connect(asyncpg_url(urls.superuser))
    async with connection.transaction():
        await connection.execute(FILL.format(workspace=workspace_id, now=NOW, each=each))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    print(f"{each * 100:,} inquiries and posts, made in {time.perf_counter() - started:.0f} s\n")


async def _print_statements(urls: Urls, workspace_id: UUID) -> None:
    """Print PostgreSQL's own time for each list's first page."""
    db = Database(urls.app, pool=1)
    print(f"{'PostgreSQL, ms p50':40}")
    async with db.read_connection(workspace_id) as connection:
        for path, (listing, sort) in LISTS.items():
            statement = listing.page_statement(sort)
            took = []
            for _ in range(30):
                started = time.perf_counter()
                await statement.rows(connection, {"workspace_id": workspace_id, "limit": 51})
                took.append(time.perf_counter() - started)
            print(f"{path:40}{statistics.median(took) * 1000:9.2f}")
    await db.close()
    print()


async def _race(servers: Mapping[str, tuple[int, int]], key: str, options: argparse.Namespace) -> None:
    """Run the servers in alternation, list by list."""
    pin(os.getpid(), -1)
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
        for port, _ in servers.values():
            await first(client, f"http://127.0.0.1:{port}/v1/posts")
    print(f"medians of {options.repeats} alternating repetitions, {options.connections} connections")
    print(f"{'':40}{'':>8}{'req/s':>8}{'CPU us':>9}{'x bare':>8}")
    for path in (*LISTS, COUNTS):
        used: dict[str, list[float]] = {}
        rates: dict[str, list[float]] = {}
        for _ in range(options.repeats):
            for name, (port, pid) in servers.items():
                if path == COUNTS and name != "instep":
                    continue
                if "?" in path and name == "before":
                    continue
                before = cpu(pid)
                requests = [get(path, Authorization=f"Bearer {key}")]
                run = await burst(port, requests, connections=options.connections, seconds=options.seconds)
                used.setdefault(name, []).append((cpu(pid) - before) / run.requests)
                rates.setdefault(name, []).append(run.rate)
        bare = statistics.median(used["bare"]) if "bare" in used else None
        for name, values in used.items():
            took = statistics.median(values)
            ratio = "" if bare is None else f"{took / bare:8.1f}"
            print(f"{path:40}{name:>8}{statistics.median(rates[name]):8.0f}{took * 1e6:9.0f}{ratio}")
