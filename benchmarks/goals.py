"""The progress of 100 goals in one call, compared with servers that return the same bytes.

Contenders, each a uvicorn process of its own on one core: `starlette` and `fastapi` return the bytes of the answer;
Instep reads them. Ten projects have ten goals each, with a kept row for each of the last days. Printed are the CPU of a
request and, of one request, the statements sent to PostgreSQL: what a goal is worth was computed by a job before.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from sqlalchemy import Engine, event

from app.cli.database import asyncpg_url
from app.kit.clock import SystemClock
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.resources import Resources, SilentDoorbell
from app.kit.statement import Statement
from app.main import create_app
from app.settings import Settings
from benchmarks import _bare
from benchmarks._load import burst, get
from benchmarks._servers import Urls, cpu, database, first, pin, serve
from benchmarks.kpi import sign_up

PATH = "/v1/portfolio/goals?limit=100"
FILL = """
INSERT INTO project (workspace_id, id, title, timezone, working_hours, version, created_at)
    SELECT '{ours}', gen_random_uuid(), 'P', 'Europe/Minsk', '{{}}', 1, now() FROM generate_series(1, 10);
INSERT INTO goal (workspace_id, id, project_id, type, kpi, is_main, status, revision, agreed_revision, pace, version,
        created_at, updated_at)
    SELECT workspace_id, gen_random_uuid(), id, 'traffic', 'clicks', n = 1, 'agreed', 3, 3, 'on_track', 5,
        now() - n * interval '1 hour', now()
    FROM project, generate_series(1, 10) n;
INSERT INTO goal_revision (workspace_id, id, project_id, goal_id, number, title, kpi, kpi_version, communities,
        baseline, target, first_day, last_day, timezone, is_main, content_hash, proposed_by, proposer_name, proposed_at)
    SELECT workspace_id, gen_random_uuid(), project_id, id, n, 'More visitors from the community', 'clicks', 1, '[]',
        '{{"source": "measured", "level": 120.5}}', 400, current_date - 20, current_date + 20, 'Europe/Minsk', is_main,
        'x', 'user:1', 'Anna', now()
    FROM goal, generate_series(1, 3) n;
INSERT INTO goal_progress (workspace_id, id, project_id, goal_id, day, revision, as_of, value, status, expected, path,
        pace, forecast, scorecard)
    SELECT workspace_id, gen_random_uuid(), project_id, id, d, 3, now(), random() * 200, 'ok', 200, 'weekly_season',
        'on_track',
        '{{"for": "2026-11-08", "value": 410.5, "low": 380.25, "high": 440.75, "method": "median_week",
           "history_days": 120, "reason": null}}',
        '{{"judged": 120, "within": 97, "share": 0.8083}}'
    FROM goal, generate_series(current_date - {days}, current_date - 1, interval '1 day') d;
"""


@dataclass
class Contender:
    """A server under load."""

    name: str
    port: int
    pid: int
    requests: list[bytes]
    latencies: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Seconds of the server process for each request."""


async def main(arguments: Sequence[str]) -> None:
    """Print CPU, latency and statements of the call."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks goals", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=60, help="kept rows of each goal")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args(arguments)
    async with database() as urls:
        workspace_id, key = await sign_up(urls)
        connection = await asyncpg.connect(asyncpg_url(urls.superuser))
        await connection.execute(FILL.format(ours=workspace_id, days=options.days))
        await connection.execute("VACUUM ANALYZE")
        with tempfile.TemporaryDirectory(prefix="instep-benchmark-") as folder, ExitStack() as stack:
            contenders = await _contenders(stack, Path(folder), urls, key)
            pin(os.getpid(), -1)
            for _ in range(options.repeats):
                for one in contenders:
                    used = cpu(one.pid)
                    run = await burst(one.port, one.requests, connections=options.connections, seconds=options.seconds)
                    one.cpu.append((cpu(one.pid) - used) / run.requests)
                    one.latencies.append(run.at(0.5))
        count = await _statements(urls, key)
        await connection.close()
    fast = statistics.median(contenders[-1].cpu)
    print(f"{'':12}{'p50 ms':>9}{'CPU us':>9}{'x fastapi':>11}")
    for one in contenders:
        took = statistics.median(one.cpu)
        print(f"{one.name:12}{statistics.median(one.latencies) * 1000:9.2f}{took * 1e6:9.0f}{took / fast:11.1f}")
    print(f"statements for one request: {count} (in autocommit each is one round trip)")


async def _contenders(stack: ExitStack, folder: Path, urls: Urls, key: str) -> list[Contender]:
    """Start the servers, Instep first: the others return its bytes."""
    environment = {
        **os.environ,
        "DATABASE_URL": urls.app,
        "REDIS_URL": "unix:///nowhere",  # reads do not use the doorbell
        "INSTEP_REQUESTS_PER_MINUTE": "100000000",
        "INSTEP_ENVIRONMENT": "test",
    }
    made = []
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
        port, pid = stack.enter_context(serve(None, environment))
        answer = await first(client, f"http://127.0.0.1:{port}{PATH}")
        print(f"{len(answer.json()['data'])} goals, {len(answer.content):,} bytes")
        request = [get(PATH, Authorization=f"Bearer {key}")]
        made.append(Contender("instep", port, pid, request))
        (folder / "clicks").write_bytes(answer.content)
        kpi = f"/v1/projects/{answer.json()['data'][0]['project_id']}/kpis/clicks"
        for name in ("starlette", "fastapi"):
            bare = {**environment, _bare.FOLDER: str(folder)}
            port, pid = stack.enter_context(serve(f"benchmarks._bare:{name}", bare))
            await first(client, f"http://127.0.0.1:{port}{kpi}")
            made.append(Contender(name, port, pid, [get(kpi)]))
    return made


async def _statements(urls: Urls, key: str) -> int:
    """The statements of one request, in this process, once the credential is known."""
    sent: list[str] = []

    def on_execute(_: Any, __: Any, text: str, *rest: Any) -> None:
        sent.append(text)

    rows = Statement.rows

    async def recorded(self: Statement, *arguments: Any) -> list[Any]:
        sent.append(self.text)
        return await rows(self, *arguments)

    settings = Settings(
        _env_file=None, environment="test", database_url=urls.app, redis_url="unix:///nowhere", requests_per_minute=1000
    )
    app, db, clock = create_app(settings), Database(urls.app, pool=1), SystemClock()
    app.state.resources = Resources(settings, clock, db, Keyring(settings.secret_keys), SilentDoorbell())
    event.listen(Engine, "before_cursor_execute", on_execute)
    setattr(Statement, "rows", recorded)  # noqa: B010 - a method
    try:
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://instep.test", headers=headers) as client:
            await client.get(PATH)
            sent.clear()
            answer = await client.get(PATH)
            answer.raise_for_status()
    finally:
        setattr(Statement, "rows", rows)  # noqa: B010
        event.remove(Engine, "before_cursor_execute", on_execute)
        await db.close()
    return len(sent)
