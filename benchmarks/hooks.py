"""Receiving events from a platform, compared with servers that do less.

First correctness: one event sent a thousand times at once has one effect, and a server that is killed
while it receives events has lost none that it acknowledged. Then throughput, each contender a uvicorn
process on one core; the load generator has the other one, PostgreSQL shares both:

- `verify`: Starlette; reads the body and verifies it
- `insert`: Starlette and asyncpg; reads the body and inserts one row, unverified
- `naive`: the usual way: FastAPI, an ORM session, one commit and one arq job for each event
- `instep`: `instep api`; verified, routed, deduplicated, stored with its job, in a shared commit

Every event has another id. Applying them is the worker's part, and measured separately.
"""

import argparse
import asyncio
import os
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from pydantic import SecretStr
from sqlalchemy import insert, select, text

from app.access.models import Workspace
from app.cli.database import asyncpg_url
from app.cli.servers import start_valkey
from app.communities.inbound import store, subscriptions
from app.communities.models import Community
from app.kit import events, jobs
from app.kit.actors import SYSTEM
from app.kit.clock import SystemClock
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.ids import uuid7
from app.kit.resources import Resources, SilentDoorbell
from app.projects.models import Project
from app.settings import Settings
from benchmarks import _bare_hooks
from benchmarks._bare_hooks import SECRET
from benchmarks._load import Run, burst
from benchmarks._servers import Urls, cpu, database, pin, serve

PLATFORM = "vk"
GROUP = 1
CUSTOMERS = 5000


@dataclass
class Contender:
    """A server under load."""

    name: str
    port: int
    pid: int
    runs: list[Run] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Seconds of the server process for each request."""


@dataclass(frozen=True)
class HookSetup:
    """A community with an open hook."""

    resources: Resources
    workspace_id: UUID
    path: str

    def event(self, name: str, number: int = 0) -> bytes:
        """A call with the event of a customer's message, as VK sends it."""
        message = {
            "id": abs(hash(name)) % 10**9,
            "date": int(time.time()),
            "from_id": 500 + number % CUSTOMERS,
            "peer_id": 500 + number % CUSTOMERS,
            "text": "Are you open on Sunday, and is there room for six of us at the window? " * 2,
            "conversation_message_id": 1,
        }
        whole = {"type": "message_new", "group_id": GROUP, "event_id": name, "v": "5.199", "secret": SECRET}
        body = orjson.dumps({**whole, "object": {"message": message}})
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def count(self, query: str) -> int:
        """The value of a counting query in this workspace."""
        async with self.resources.transaction(self.workspace_id) as session:
            return int((await session.scalars(text(query))).one())

    async def apply(self) -> tuple[int, float]:
        """Apply all pending events; their number, and the seconds it took."""
        waiting = await self.count("SELECT count(*) FROM inbound_event WHERE status = 'pending'")
        async with self.resources.transaction(None) as session:
            due = (await session.scalars(select(jobs.Job.id).where(jobs.Job.kind == store.APPLY))).all()
        started = time.perf_counter()
        for job_id in due:
            await jobs.perform(self.resources, job_id)
        return waiting, time.perf_counter() - started


async def main(arguments: Sequence[str]) -> None:
    """Check that each event is stored once, then print events a second and latencies of each contender."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks hooks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parallel", type=int, default=1000, help="how often one event is sent at once")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each contender in each repetition")
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    options = parser.parse_args(arguments)
    jobs.collect()
    events.listen()
    async with _hook_setup() as (urls, setup, environment):
        with ExitStack() as stack:
            ours = stack.enter_context(serve(None, environment))
            await _ready(ours[0], setup.event("warm"))
            pin(os.getpid(), -1)
            await _once(setup, ours[0], options.parallel)
            await _killed(setup, environment)
            contenders = [Contender("instep", *ours)]
            for name in ("verify", "insert", "naive"):
                server = stack.enter_context(serve(f"benchmarks._bare_hooks:{name}", environment))
                await _ready(server[0], setup.event("warm"))
                contenders.insert(-1, Contender(name, *server))
            for connections in options.connections:
                await _race(setup, contenders, options.repeats, options.seconds, connections)
                _print(contenders, connections)
            bare = await asyncpg.connect(asyncpg_url(urls.app))
            print(f"\nrows of `insert`: {await bare.fetchval('SELECT count(*) FROM bare_event'):,}")
            await bare.close()
        applied, seconds = await setup.apply()
        left = await setup.count("SELECT count(*) FROM inbound_event WHERE status = 'pending'")
        print(f"applied by one worker: {applied:,} events, {applied / seconds:,.0f}/s; {left} left")


@asynccontextmanager
async def _hook_setup() -> AsyncIterator[tuple[Urls, HookSetup, dict[str, str]]]:
    with tempfile.TemporaryDirectory(prefix="instep-benchmark-") as folder, start_valkey(Path(folder)) as valkey:
        async with database() as urls:
            bare = await asyncpg.connect(asyncpg_url(urls.superuser))
            for statement in _bare_hooks.TABLES:
                await bare.execute(statement)
            await bare.close()
            configured = Settings(
                _env_file=None, environment="test", database_url=urls.app, redis_url=valkey.url, log_level="error"
            )
            db = Database(urls.app, pool=2)
            resources = Resources(configured, SystemClock(), db, Keyring(configured.secret_keys), SilentDoorbell())
            environment = {
                **os.environ,
                "DATABASE_URL": urls.app,
                "REDIS_URL": valkey.url,
                "INSTEP_ENVIRONMENT": "test",
                _bare_hooks.URL: asyncpg_url(urls.app),
            }
            yield urls, await _connect_community(resources), environment
            await db.close()


async def _connect_community(resources: Resources) -> HookSetup:
    workspace_id, project_id, community_id, at = uuid7(), uuid7(), uuid7(), datetime.now(UTC)
    in_workspace: dict[str, Any] = {"workspace_id": workspace_id, "created_at": at}
    project = {"id": project_id, "title": "Bicycles", "timezone": "Europe/Minsk", "working_hours": {}}
    community = {
        "id": community_id,
        "project_id": project_id,
        "platform": PLATFORM,
        "address": "https://vk.com/club1",
        "base_url": "https://api.vk.example",
        "external_id": str(GROUP),
        "backfill_since": at - timedelta(days=1),
    }
    async with resources.transaction(workspace_id) as session:
        await session.execute(insert(Workspace), [{**in_workspace, "title": "Step & Co"}])
        await session.execute(insert(Project), [{**in_workspace, **project}])
        await session.execute(insert(Community), [{**in_workspace, **community}])
        secrets = {"secret": SecretStr(SECRET)}
        _, hook = await subscriptions.open_hook(
            session, SYSTEM, resources, community_id=community_id, requested=secrets
        )
    return HookSetup(resources, workspace_id, f"/hooks/{PLATFORM}/{hook.public_id}")


async def _ready(port: int, request: bytes) -> None:
    """Wait until a server accepts events."""
    for _ in range(200):
        try:
            await _send(port, [request])
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return
    raise RuntimeError("no server")


async def _send(port: int, requests: Iterable[bytes]) -> int:
    """Send requests on one connection, one after the other; how many were acknowledged before it broke."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    acknowledged = 0
    try:
        for request in requests:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode(errors="replace"))
            assert await reader.readexactly(2) == b"ok"
            acknowledged += 1
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return acknowledged
    finally:
        writer.close()
    return acknowledged


async def _once(setup: HookSetup, port: int, times: int) -> None:
    """One event many times at once; raises unless it had one effect."""
    await setup.apply()
    stored, messages = "SELECT count(*) FROM inbound_event", "SELECT count(*) FROM message"
    before = await setup.count(stored), await setup.count(messages)
    request = setup.event("sent a thousand times")
    acknowledged = sum(await asyncio.gather(*(_send(port, [request]) for _ in range(times))))
    await setup.apply()
    after = await setup.count(stored), await setup.count(messages)
    if acknowledged != times or after != (before[0] + 1, before[1] + 1):
        raise RuntimeError(f"{acknowledged} of {times} acknowledged; before {before}, after {after}")
    print(f"one event {times:,} times at once: {acknowledged:,} acknowledged, 1 stored, 1 message")


async def _killed(setup: HookSetup, environment: dict[str, str], connections: int = 64) -> None:
    """Kill a server while it receives events; raises where an acknowledged one is not stored."""
    with serve(None, environment) as (port, pid):
        await _ready(port, setup.event("warm"))
        names = [[f"kill {one} {n}" for n in range(5000)] for one in range(connections)]
        senders = [
            asyncio.create_task(_send(port, (setup.event(name, n) for n, name in enumerate(in_workspace))))
            for in_workspace in names
        ]
        await asyncio.sleep(1.0)
        os.kill(pid, signal.SIGKILL)
        acknowledged_counts = await asyncio.gather(*senders)
    acknowledged = {
        name for in_workspace, count in zip(names, acknowledged_counts, strict=True) for name in in_workspace[:count]
    }
    async with setup.resources.transaction(setup.workspace_id) as session:
        stored = set(
            (await session.scalars(text("SELECT event_id FROM inbound_event WHERE event_id LIKE 'kill %'"))).all()
        )
    if not acknowledged <= stored:
        raise RuntimeError(f"{len(acknowledged - stored)} acknowledged events are lost")
    unanswered = len(stored - acknowledged)
    print(
        f"killed while receiving events: {len(acknowledged):,} acknowledged, 0 lost, {unanswered} stored unanswered\n"
    )


async def _race(setup: HookSetup, contenders: list[Contender], repeats: int, seconds: float, connections: int) -> None:
    """Run the contenders in alternation; raises where Instep does not store each event once."""
    stored = "SELECT count(*) FROM inbound_event"
    for contender in contenders:
        contender.runs.clear()
        contender.cpu.clear()
    for turn in range(-1, repeats):
        for contender in contenders:
            names = (f"{contender.name} {connections} {turn} {n}" for n in range(int(8000 * seconds)))
            requests = [setup.event(name, n) for n, name in enumerate(names)]
            before, stored_before = cpu(contender.pid), await setup.count(stored)
            run = await burst(contender.port, requests, connections=connections, seconds=seconds)
            new = await setup.count(stored) - stored_before
            if contender.name == "instep" and new != min(run.requests, len(requests)):
                raise RuntimeError(f"{run.requests} acknowledged, {new} stored")
            if turn >= 0:  # the first one is a warm-up
                contender.runs.append(run)
                contender.cpu.append((cpu(contender.pid) - before) / run.requests)


def _print(contenders: Sequence[Contender], connections: int) -> None:
    rates = {one.name: statistics.median(run.rate for run in one.runs) for one in contenders}
    used = {one.name: statistics.median(one.cpu) for one in contenders}
    print(f"medians of {len(contenders[0].runs)} alternating repetitions, {connections} connections")
    measured = f"{'events/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}"
    print(f"{'':10}{measured}{'x verify':>10}{'x insert':>10}{'x naive':>10}{'CPU x insert':>14}")
    for one in contenders:
        p50, p99 = (statistics.median(run.at(share) for run in one.runs) * 1000 for share in (0.5, 0.99))
        against = [rates[one.name] / rates[other] for other in ("verify", "insert", "naive")]
        print(
            f"{one.name:10}{rates[one.name]:10,.0f}{p50:9.2f}{p99:9.2f}{used[one.name] * 1e6:9.0f}"
            f"{against[0]:10.2f}{against[1]:10.2f}{against[2]:10.2f}{used[one.name] / used['insert']:14.2f}"
        )
