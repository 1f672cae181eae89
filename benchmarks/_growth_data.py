"""Makes an agency's data of a given number of snapshots, by SQL: 10 million in some minutes.

What grows by a decade of snapshots: the projects and the days of history, each by the square root of ten. A project's
daily rate stays the same, as a client's does. The first project has ten times the rate of the others. A fifth as many
posts as snapshots, a tenth as many inquiries and clicks. A tenth of everything belongs to another agency.

Rows are consistent with each other, as the service would have written them: `wrong_rows` recounts a sample.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import text

from app.access import service as access
from app.cli.database import asyncpg_url
from app.kit.actors import SYSTEM
from app.kit.db import Database
from app.kit.search import LEXEMES
from app.metrics.differences import COMPARISONS
from app.posts.lexemes import FACETS
from app.projects.hours import WorkingHours
from app.projects.schemas import BriefUpdate
from benchmarks._growth_rooms import ROOMS
from benchmarks._servers import Urls

ZONE: Final = "Europe/Minsk"
OURS, OTHERS = UUID(int=1), UUID(int=2)
HOURS: Final = WorkingHours(week=(((9 * 60, 18 * 60),),) * 7)
COMMUNITIES: Final = 5
"""Of each project; the last one has a hundredth of the posts and inquiries of another."""
SCHEDULE_DAYS: Final = (0.1, 1, 7, 30, 90)
"""The age of a post at its snapshots."""
COMMON, FREQUENT, SCARCE = "заказ", "доставка", "самовывоз"
"""Words that stand in 30 %, 1 % and 0.1 % of the messages and posts. `артикул7` stands in one inquiry of a thousand
at most, wherever there are more than 7,000.
"""

_SETTINGS: Final = """
SET session_replication_role = replica;  -- the rows are consistent: foreign keys need not be checked millions of times
SET synchronous_commit = off; SET work_mem = '512MB'; SET maintenance_work_mem = '1GB'; SET jit = off;
SET max_parallel_workers_per_gather = 0;
"""

_STEPS: Final[Mapping[str, str]] = {
    "vocabulary": """
CREATE TEMP TABLE phrase AS
WITH syllable AS (SELECT ARRAY['ба','ко','ми','ре','ло','ту','ви','са','не','до','пу','зи','га','фе'] AS s),
word AS (
    SELECT number, s[1 + number % 14] || s[1 + number / 14 % 14] || s[1 + number / 196 % 14]
        || (ARRAY['', 'ть', 'ами', 'ка', 'ный'])[1 + number % 5] AS word
    FROM syllable, generate_series(0, 2743) number
)
SELECT number, (
    SELECT string_agg(word, ' ') FROM generate_series(1, 4) place JOIN word
    ON word.number = floor(2744 * power((hashint8(p.number * 31 + place)::bigint + 2147483648) / 4294967296.0, 3))
) AS words
FROM generate_series(0, 19999) p (number);
CREATE UNIQUE INDEX ON phrase (number);
CREATE FUNCTION pg_temp.words(n bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT (SELECT words FROM phrase WHERE number = n * 7919 % 20000)
        || CASE WHEN n % 10 < 3 THEN ' заказы' ELSE '' END
        || CASE WHEN n % 100 = 7 THEN ' доставку' ELSE '' END
        || CASE WHEN n % 1000 = 11 THEN ' самовывоз' ELSE '' END
        || ' артикул' || n / 1000
$$;
""",
    "projects": """
INSERT INTO workspace (workspace_id, title, created_at) VALUES ('{others}', 'Others', '{start}');
INSERT INTO project (workspace_id, id, title, timezone, working_hours, version, created_at)
SELECT CASE WHEN n % 10 = 9 THEN '{others}' ELSE '{ours}' END::uuid, uuidv7(make_interval(secs => n) - '{age} days'),
       'Client ' || n, '{zone}', '{hours}', 1, '{start}'::timestamptz + make_interval(secs => n)
FROM generate_series(0, {projects} - 1) n;
INSERT INTO brief (workspace_id, id, project_id, version, content, created_at)
SELECT workspace_id, uuidv7(), id, n, '{brief}', created_at
FROM project, generate_series(1, 5) n;
INSERT INTO community (workspace_id, id, project_id, platform, address, base_url, external_id, title, url, status,
        missing_scopes, failures, refusals, metrics_poll_failures, posts_idle_polls, conversations_idle_polls, costs,
        content_interval_multiplier, metrics_interval_multiplier, metrics_group, aliases, backfill_since, backfilled_at,
        size_seen_at, posts_seen_at, conversations_seen_at, created_at)
SELECT workspace_id, uuidv7(), id, (ARRAY['vk', 'telegram', 'instagram', 'mastodon', 'vk'])[n],
       title || n, 'https://api.example', 'external ' || n || ' of ' || id, 'Community ' || n || ' of ' || title,
       'https://social.example/' || n || '/' || id,
       CASE WHEN n = 5 THEN 'reauth_required' ELSE 'healthy' END, '[]', 0, 0, 0, 0, 0, '{{}}', 1, 1, '', '[]',
       '{start}', '{now}', '{now}', '{now}', '{now}', '{start}'::timestamptz + make_interval(secs => n)
FROM project, generate_series(1, {communities}) n;
CREATE TEMP TABLE place AS  -- a row for each share of the items: project 0 has ten times the shares
SELECT row_number() OVER (ORDER BY share, p.created_at) - 1 AS place, p.workspace_id, p.id AS project_id,
       (SELECT array_agg(c.id ORDER BY c.created_at) FROM community c
        WHERE c.workspace_id = p.workspace_id AND c.project_id = p.id) AS communities
FROM project p, generate_series(1, CASE p.title WHEN 'Client 0' THEN 10 ELSE 1 END) share;
CREATE UNIQUE INDEX ON place (place);
ANALYZE place;
""",
    "publications": """
INSERT INTO publication (workspace_id, id, community_id, project_id, external_id, url, text, category, published_at,
        measure_at, total, unchanged_polls, comments, comments_read, gone_at)
SELECT place.workspace_id, uuidv7(at - now()),
       communities[CASE WHEN n / {places} % 401 = 0 THEN 5 ELSE 1 + n / {places} % 4 END],
       project_id, n, 'https://social.example/post' || n, pg_temp.words(n),
       CASE WHEN n % 100 < 17
            THEN (ARRAY['engaging', 'user_generated', 'educational', 'promotional'])[1 + n / {places} % 4] END,
       at, '{now}'::timestamptz + make_interval(mins => (n % 40000)::int), 1000, 0, n % 30, n % 30 - (n % 211 = 0)::int,
       CASE WHEN n % 100 = 53 AND at < '{now}'::timestamptz - interval '3 days' THEN at + interval '3 days' END
FROM generate_series(1, {publications}) n JOIN place ON place.place = n % {places},
     LATERAL (SELECT '{start}'::timestamptz + n::float8 / {publications} * '{age} days'::interval AS at);
""",
    "counts": """
INSERT INTO publication_count (workspace_id, id, community_id, project_id, change)
SELECT workspace_id, uuidv7(), community_id, project_id, count(*) FROM publication GROUP BY 1, 3, 4;
""",
    "snapshots": """
INSERT INTO post_snapshot (workspace_id, publication_id, at, views, reactions, comments, shares)
SELECT workspace_id, id, p.published_at + d.age * interval '1 day',
       (100 + length(text)) * k, (5 + length(text) % 7) * k, length(text) % 3 * k, k
FROM publication p, unnest(ARRAY{schedule}) WITH ORDINALITY d (age, k)
WHERE p.published_at + d.age * interval '1 day' <= '{now}'
ORDER BY p.workspace_id, date_trunc('day', p.published_at), p.community_id, p.id;
INSERT INTO post_last (workspace_id, publication_id, at, missing, views, reactions, comments, shares)
SELECT DISTINCT ON (workspace_id, publication_id)
       workspace_id, publication_id, at, '{{"reach": "unsupported"}}', views, reactions, comments, shares
FROM post_snapshot ORDER BY workspace_id, publication_id, at DESC;
""",
    "days": """
INSERT INTO rollup_day (workspace_id, project_id, day, community_id, category, source, snapshots, views, views_n,
        reach_n, reactions, reactions_n, comments, comments_n, shares, shares_n, quotes_n, saves_n)
WITH difference AS (
    SELECT p.workspace_id, p.project_id, p.community_id, coalesce(p.category, '') AS category,
           (s.at AT TIME ZONE '{zone}')::date AS measured, (p.published_at AT TIME ZONE '{zone}')::date AS published,
           s.shares = 1 AS is_first, s.views - coalesce(lag(s.views) OVER chain, 0) AS views,
           s.reactions - coalesce(lag(s.reactions) OVER chain, 0) AS reactions,
           s.comments - coalesce(lag(s.comments) OVER chain, 0) AS comments
    FROM post_snapshot s
    JOIN publication p ON p.workspace_id = s.workspace_id AND p.id = s.publication_id
    WINDOW chain AS (PARTITION BY s.workspace_id, s.publication_id ORDER BY s.at)
), contribution AS (
    SELECT *, is_first AND measured <> published AS before FROM difference
), part AS (
    SELECT workspace_id, project_id, measured AS day, community_id, category, 'observed' AS source, 1 AS snapshots,
           CASE WHEN NOT before THEN views END AS views, CASE WHEN NOT before THEN reactions END AS reactions,
           CASE WHEN NOT before THEN comments END AS comments, CASE WHEN NOT before THEN 1 END AS shares
    FROM contribution
    UNION ALL
    SELECT workspace_id, project_id, published, community_id, category, 'pre_tracking', 0, views, reactions, comments, 1
    FROM contribution WHERE before
)
SELECT workspace_id, project_id, day, community_id, category, source, sum(snapshots), sum(views), count(views), 0,
       sum(reactions), count(reactions), sum(comments), count(comments), sum(shares), count(shares), 0, 0
FROM part GROUP BY workspace_id, project_id, day, community_id, category, source;
INSERT INTO community_snapshot (workspace_id, community_id, at, size)
SELECT workspace_id, id, at, 1000 + row_number() OVER (PARTITION BY id ORDER BY at)
FROM community, generate_series('{start}'::timestamptz, '{now}', '12 hours') at;
INSERT INTO community_day (workspace_id, community_id, day, project_id, first, first_at, last, last_at, lowest, highest,
        snapshots)
SELECT s.workspace_id, community_id, (at AT TIME ZONE '{zone}')::date, project_id, min(size), min(at), max(size),
       max(at), min(size), max(size), count(*)
FROM community_snapshot s JOIN community c ON c.workspace_id = s.workspace_id AND c.id = s.community_id
GROUP BY 1, 2, 3, 4;
""",
    "posts": """
INSERT INTO post (workspace_id, id, project_id, community_id, publication_id, origin, text, category, status,
        planned_for, timezone, planned_at, permalink, permalink_key, published_at, version, created_at, updated_at)
SELECT workspace_id, uuidv7(published_at - now() + interval '1 hour'), project_id, community_id, id,
       CASE WHEN is_planned THEN 'planned' ELSE 'found' END, text, category, 'published',
       CASE WHEN is_planned THEN published_at AT TIME ZONE '{zone}' END, '{zone}',
       CASE WHEN is_planned THEN published_at END,
       url, external_id, published_at, 1, published_at + interval '1 hour', published_at + interval '1 hour'
FROM (SELECT *, external_id::bigint % 5 = 0 AS is_planned FROM publication) publication;
INSERT INTO post (workspace_id, id, project_id, community_id, origin, text, category, status, planned_for, timezone,
        planned_at, version, created_at, updated_at)
SELECT workspace_id, uuidv7(at - now()), project_id, communities[1 + n / {places} % 4], 'planned', pg_temp.words(n),
       (ARRAY['engaging', 'user_generated', 'educational', 'promotional', NULL])[1 + n / {places} % 5],
       CASE WHEN is_draft THEN 'draft' ELSE 'planned' END,
       CASE WHEN NOT is_draft THEN at AT TIME ZONE '{zone}' + interval '30 days' END, '{zone}',
       CASE WHEN NOT is_draft THEN at + interval '30 days' END, 1, at, at
FROM generate_series(1, {posts} - {publications}) n JOIN place ON place.place = n % {places},
     LATERAL (SELECT '{start}'::timestamptz + n::float8 / ({posts} - {publications}) * '{age} days'::interval AS at,
                     n / {places} % 3 > 0 AS is_draft);
""",
    "inquiries": """
CREATE TEMP TABLE thread AS
SELECT n, place.workspace_id, uuidv7(at - now()) AS id, project_id,
       communities[CASE WHEN n / {places} % 401 = 0 THEN 5 ELSE 1 + n / {places} % 4 END] AS community_id,
       'thread' || n AS thread_id, at AS opened_at,
       CASE WHEN n % 50 = 0 OR at > '{now}'::timestamptz - interval '5 hours' THEN 'open'
            WHEN n % 3 = 0 THEN 'resolved' ELSE 'answered' END AS status
FROM generate_series(1, {inquiries}) n JOIN place ON place.place = n % {places},
     LATERAL (SELECT '{start}'::timestamptz + n::float8 / {inquiries} * '{age} days'::interval AS at);
INSERT INTO message (workspace_id, id, inquiry_id, community_id, thread_id, external_id, direction, automatic,
        author_id, author_name, text, sent_at, content_known)
SELECT workspace_id, uuidv7(opened_at - now() + make_interval(mins => 90 * m)), id, community_id, thread_id,
       n || '.' || m, CASE m WHEN 2 THEN 'agency' ELSE 'customer' END, false,
       CASE m WHEN 2 THEN 'agency' ELSE 'customer' || n END,
       CASE m WHEN 2 THEN 'Agency'
              ELSE (ARRAY['Ольга', 'Иван', 'Мария', 'Пётр', 'Anna'])[1 + n % 5] || ' ' || left(n::text, 3) END,
       CASE m WHEN 2 THEN (SELECT words FROM phrase WHERE number = n % 20000) ELSE pg_temp.words(n * 3 + m) END,
       opened_at + make_interval(mins => 90 * (m - 1)), true
FROM thread, generate_series(1, CASE WHEN status = 'open' THEN 1 WHEN n % 2 = 0 THEN 2 ELSE 2 END) m;
INSERT INTO inquiry (workspace_id, id, project_id, community_id, publication_id, post_id, thread_id, channel, kind,
        kind_by, status, customer_id, customer_name, preview, opened_at, last_message_at, first_answered_at, handled_at,
        resolved_at, resolution, resolved_automatically, version)
SELECT t.workspace_id, t.id, t.project_id, t.community_id, NULL, NULL, t.thread_id,
       CASE WHEN n % 3 = 0 THEN 'message' ELSE 'comment' END,
       (ARRAY['question', 'question', 'problem', 'thanks', 'other'])[1 + n / {places} % 5], 'person',
       status, m.author_id, m.author_name, left(m.text, 200), opened_at,
       CASE WHEN status = 'open' THEN opened_at ELSE opened_at + interval '90 minutes' END,
       CASE WHEN status <> 'open' THEN opened_at + interval '90 minutes' END,
       CASE WHEN status <> 'open' THEN opened_at + interval '90 minutes' END,
       CASE WHEN status = 'resolved' THEN opened_at + interval '4 hours' END,
       CASE WHEN status = 'resolved' THEN 'Done.' END, false, 1
FROM thread t JOIN message m ON m.workspace_id = t.workspace_id AND m.external_id = t.n || '.1'
    AND m.community_id = t.community_id;
UPDATE inquiry SET publication_id = p.id, post_id = p.external_id
FROM thread t JOIN publication p ON p.external_id::bigint = t.n * 2 - t.n * 2 % {places} + t.n % {places}
WHERE inquiry.workspace_id = t.workspace_id AND inquiry.id = t.id AND t.n % 50 = 0 AND t.n % 3 > 0
  AND p.workspace_id = t.workspace_id AND p.community_id = t.community_id;
INSERT INTO response_wait (workspace_id, id, inquiry_id, project_id, community_id, started_at, ended_at, ended_by,
        opening, working_seconds, due_at)
SELECT workspace_id, uuidv7(opened_at - now()), id, project_id, community_id, opened_at, first_answered_at,
       CASE WHEN status <> 'open' THEN 'answer' END, true, CASE WHEN status <> 'open' THEN n_seconds END,
       opened_at + make_interval(mins => 60 + n_seconds::int / 60)
FROM inquiry, LATERAL (SELECT (extract(epoch FROM opened_at)::bigint % 5400) AS n_seconds);
UPDATE inquiry SET waiting_since = opened_at WHERE status = 'open';
INSERT INTO inquiry_count (workspace_id, id, community_id, project_id, status, kind, change)
SELECT workspace_id, uuidv7(), community_id, project_id, status, kind, count(*)
FROM inquiry GROUP BY workspace_id, community_id, project_id, status, kind;
INSERT INTO inquiry_event (workspace_id, id, inquiry_id, type, at, actor, data)
SELECT workspace_id, uuidv7(resolved_at - now()), id, 'resolved', resolved_at, NULL,
       jsonb_build_object('reason', 'Done.', 'automatic', false, 'through', last_message_at)
FROM inquiry WHERE status = 'resolved';
INSERT INTO event (workspace_id, id, topic, data, at)
SELECT workspace_id, uuidv7(opened_at - now()), 'inquiry.received', jsonb_build_object('inquiry_id', id), opened_at
FROM inquiry;
""",
    "clicks": """
INSERT INTO link (workspace_id, id, project_id, community_id, post_id, slug, target, title, created_at, archived_at)
SELECT p.workspace_id, uuidv7(p.created_at - now()), p.project_id, p.community_id,
       CASE WHEN p.permalink_key::bigint % 400 < 200 THEN p.id END,
       'slug' || p.permalink_key, 'https://shop.example/' || p.permalink_key, 'Shop ' || p.permalink_key, p.created_at,
       CASE WHEN p.permalink_key::bigint % 4000 < 200 THEN '{now}'::timestamptz END
FROM post p WHERE p.permalink_key::bigint % 200 = 0;
INSERT INTO link_route (slug, workspace_id, link_id, target, archived)
SELECT slug, workspace_id, id, target, archived_at IS NOT NULL FROM link;
INSERT INTO link_target (workspace_id, link_id, version, target, since)
SELECT workspace_id, id, target_version, target, created_at FROM link;
INSERT INTO click (workspace_id, id, link_id, project_id, community_id, at, day, visitor, bot, repeat, referrer)
SELECT workspace_id, uuidv7(at - now()), id, project_id, community_id, at, (at AT TIME ZONE '{zone}')::date,
       decode(md5(slug || n), 'hex'), CASE WHEN n % 5 = 0 THEN 'user-agent' END, false, 'social.example'
FROM link, generate_series(1, 100) n,
     LATERAL (SELECT created_at + make_interval(mins => 5 * n * n) AS at) WHERE at <= '{now}';
INSERT INTO visitor (workspace_id, link_id, visitor, counted_at, click_id)
SELECT workspace_id, link_id, visitor, at, id FROM click WHERE bot IS NULL;
INSERT INTO click_day (workspace_id, link_id, day, project_id, community_id, people, bots, repeats)
SELECT workspace_id, link_id, day, project_id, community_id, count(*) FILTER (WHERE bot IS NULL), count(bot), 0
FROM click GROUP BY 1, 2, 3, 4, 5;
""",
    "words": """
INSERT INTO inquiry_lexeme (workspace_id, lexeme, project_id, inquiry_id)
SELECT workspace_id, lexeme, project_id, id FROM (
    SELECT i.workspace_id, i.project_id, i.id, i.customer_name || ' ' || string_agg(m.text, ' ') AS content
    FROM inquiry i JOIN message m ON m.workspace_id = i.workspace_id AND m.inquiry_id = i.id
    GROUP BY i.workspace_id, i.project_id, i.id
) thread, unnest({lexemes}) lexeme ORDER BY 1, 2, 3, 4;
INSERT INTO post_lexeme (workspace_id, lexeme, project_id, post_id, facets)
SELECT workspace_id, lexeme, project_id, id, facets FROM (
    SELECT workspace_id, project_id, id, text AS content, {facets} AS facets FROM post AS source
) post, unnest({lexemes}) lexeme ORDER BY 1, 2, 3, 4;
INSERT INTO link_lexeme (workspace_id, lexeme, project_id, link_id)
SELECT workspace_id, lexeme, project_id, id FROM (
    SELECT workspace_id, project_id, id, regexp_replace(title || ' ' || target, '[^[:alnum:]]+', ' ', 'g') AS content
    FROM link
) link, unnest({lexemes}) lexeme ORDER BY 1, 2, 3, 4;
""",
    "audit": """
INSERT INTO audit_entry (workspace_id, id, at, actor, action, project_id, entity_id, subject)
SELECT workspace_id, uuidv7(created_at - now()), created_at, 'user:' || workspace_id,
       CASE WHEN status = 'draft' THEN 'posts.create' ELSE 'posts.update' END, project_id, id,
       json_build_object('post_id', id)
FROM post WHERE origin = 'planned';
INSERT INTO audit_entry (workspace_id, id, at, actor, action, project_id, entity_id, subject)
SELECT workspace_id, uuidv7(opened_at - now()), opened_at, 'user:' || workspace_id, 'inquiries.resolve', project_id, id,
       json_build_object('inquiry_id', id)
FROM inquiry WHERE status = 'resolved';
""",
    "inbound": """
INSERT INTO inbound_event (workspace_id, community_id, event_id, status, batch, payload, received_at, applied_at)
SELECT workspace_id, community_id, n, CASE WHEN n % 1000 = 0 THEN 'unparsed' ELSE 'applied' END, NULL,
       CASE WHEN n % 1000 = 0 THEN '{{}}' END, opened_at, opened_at
FROM thread WHERE opened_at > '{now}'::timestamptz - interval '14 days';
INSERT INTO inbound_item (workspace_id, community_id, external_id, post, received_at)
SELECT workspace_id, community_id, n || '.1', false, opened_at
FROM thread WHERE opened_at > '{now}'::timestamptz - interval '14 days';
INSERT INTO unread_item (workspace_id, community_id, part, external_id, failures, code, reason, since, retry_at,
        list_name)
SELECT workspace_id, community_id, 'comments', external_id, 3, 'no-permission', 'It may not be read.', published_at,
       '{now}'::timestamptz + interval '1 day', ''
FROM publication WHERE external_id::bigint % 2000 = 0;
INSERT INTO job (id, workspace_id, kind, key, args, state, run_at, attempts, fence, created_at)
SELECT uuidv7(), workspace_id, 'communities.poll', id, '{{}}', CASE WHEN name = '' THEN 'dead' ELSE 'waiting' END,
       '{now}'::timestamptz + interval '1 hour', 0, 0, '{now}'
FROM (SELECT workspace_id, id, title AS name FROM community) community;
""",
    **ROOMS,
}


@dataclass(frozen=True)
class World:
    """The data of one size, and a key to them."""

    snapshots: int
    workspace_id: UUID
    key: str
    now: datetime


def _numbers(snapshots: int, now: datetime) -> dict[str, Any]:
    projects = max(round(200 * (snapshots / 1e7) ** 0.5), 10)
    age = round(1100 * (snapshots / 1e7) ** 0.5)
    publications = snapshots // len(SCHEDULE_DAYS)
    return {
        "ours": OURS,
        "others": OTHERS,
        "zone": ZONE,
        "hours": orjson.dumps(HOURS.as_json).decode().replace("'", "''"),
        "lexemes": LEXEMES.format(text="content"),
        "facets": FACETS.sql,
        "brief": orjson.dumps(BriefUpdate().model_dump()).decode(),
        "now": now.isoformat(),
        "start": (now - timedelta(days=age)).isoformat(),
        "age": age,
        "projects": projects,
        "places": projects + 9,
        "communities": COMMUNITIES,
        "publications": publications,
        "posts": publications + publications // 20,
        "inquiries": snapshots // 10,
        "schedule": list(SCHEDULE_DAYS),
    }


async def fill(urls: Urls, snapshots: int, *, quiet: bool = False) -> World:
    """Fill an empty database; prints how long each step took."""
    db = Database(urls.app, pool=1)
    async with db.transaction(OURS) as session:
        *_, token = await access.sign_up(
            session, SYSTEM, title="Ours", owner_name="Anna", owner_email="anna@agency.example"
        )
    await db.close()
    key, now = str(token), datetime.now(UTC).replace(microsecond=0)
    numbers = _numbers(snapshots, now)
    connection = await asyncpg.connect(asyncpg_url(urls.superuser))
    await connection.execute(_SETTINGS)
    indexes = await _drop_indexes(connection)
    for name, script in _STEPS.items():
        await _timed(connection, name, script.format(**numbers), quiet=quiet)
    for name, definition in indexes:
        await _timed(connection, name, definition, quiet=quiet)
    await _timed(connection, "vacuum", "VACUUM ANALYZE", quiet=quiet)
    await connection.execute("CREATE TABLE growth_world (snapshots bigint, key text, at timestamptz)")
    await connection.execute("INSERT INTO growth_world VALUES ($1, $2, $3)", snapshots, key, now)
    await connection.close()
    return World(snapshots, OURS, key, now)


async def stored_world(urls: Urls) -> World | None:
    """The data that an earlier run has made; None where it has made none."""
    connection = await asyncpg.connect(asyncpg_url(urls.superuser))
    try:
        row = await connection.fetchrow("SELECT * FROM growth_world")
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return World(row["snapshots"], OURS, row["key"], row["at"]) if row is not None else None


async def vacuum(urls: Urls) -> None:
    """What autovacuum does in time: indexes can be read without their tables, and the planner knows the data."""
    connection = await asyncpg.connect(asyncpg_url(urls.superuser))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def _drop_indexes(connection: asyncpg.Connection) -> Sequence[tuple[str, str]]:
    """Drop the indexes that are no constraints, to make them again when the rows are there; their definitions."""
    rows = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE 'ix\\_%' ORDER BY 1"
    )
    for row in rows:
        await connection.execute(f"DROP INDEX {row['indexname']}")
    return [(row["indexname"], row["indexdef"]) for row in rows]


async def _timed(connection: asyncpg.Connection, name: str, script: str, *, quiet: bool) -> None:
    started = time.perf_counter()
    await connection.execute(script)
    took = time.perf_counter() - started
    if took >= 1 and not quiet:
        print(f"  {name:60} {took:6.0f} s", flush=True)


async def wrong_rows(urls: Urls, projects: int = 2) -> int:
    """The rows of figures of the smallest projects that differ from a recount of their snapshots."""
    db = Database(urls.app, pool=1)
    async with db.read_connection(OURS) as connection:
        smallest = "SELECT id FROM project WHERE title <> 'Client 0' ORDER BY created_at DESC LIMIT :most"
        ids = (await connection.scalars(text(smallest), {"most": projects})).all()
        wrong = 0
        for project_id in ids:
            for comparison in COMPARISONS:
                wrong += len(await comparison.run(connection, {"workspace": OURS, "project": project_id}))
    await db.close()
    return wrong


async def orphans(urls: Urls) -> Mapping[str, int]:
    """The number of rows, by foreign key, that point to no row: all constraints but these are checked as rows come."""
    connection = await asyncpg.connect(asyncpg_url(urls.superuser))
    keys = await connection.fetch("""
        SELECT conname, conrelid::regclass::text AS child, confrelid::regclass::text AS parent,
               (SELECT string_agg(format('c.%I = p.%I', a.attname, b.attname), ' AND ')
                FROM unnest(conkey, confkey) AS k (child, parent)
                JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.child
                JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = k.parent) AS matches,
               (SELECT string_agg(format('c.%I IS NOT NULL', a.attname), ' AND ')
                FROM unnest(conkey) AS k (child) JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.child
               ) AS present
        FROM pg_constraint WHERE contype = 'f'
    """)
    counts = {
        row["conname"]: await connection.fetchval(
            f"SELECT count(*) FROM {row['child']} c WHERE {row['present']} "
            f"AND NOT EXISTS (SELECT FROM {row['parent']} p WHERE {row['matches']})"
        )
        for row in keys
    }
    await connection.close()
    return {name: count for name, count in counts.items() if count}
