"""What the record of changes costs: a write with its entry and one without, appending to the chain, verifying it.

`PATCH /v1/posts/{id}` and `POST /v1/posts/bulk` (500 posts), called in this process without a socket. Each way in
turn, on one connection; CPU of this process and of PostgreSQL's one that serves it. Without: nothing is written, the
values before and after are not taken, and the log line stays out.
"""

import argparse
import itertools
import json
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest import mock

import httpx
import psutil
import structlog
import uvloop
from cryptography.fernet import Fernet
from fastapi import FastAPI
from sqlalchemy import text

from app.access import audit
from app.access.audit import chain
from app.access.audit.verification import verify
from app.kit.clock import SystemClock
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.deadlines import JOBS
from app.kit.resources import Resources, SilentDoorbell
from app.main import create_app
from app.settings import Settings
from benchmarks._servers import database

LOOP: Final = uvloop.new_event_loop
"""The event loop of the service."""
REPEATS: Final = 15
BATCH: Final = 60
"""Patches between two readings of the clock."""


async def main(arguments: Sequence[str]) -> None:
    """Print what each costs, and the ratios."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=REPEATS)
    repeats = parser.parse_args(arguments).repeats
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    async with database() as urls:
        settings = Settings(
            _env_file=None,
            environment="test",
            database_url=urls.app,
            owner_database_url=urls.owner,
            redis_url="redis://localhost",
            secret_keys=[Fernet.generate_key().decode()],
            requests_per_minute=1_000_000,
        )
        db = Database(settings.database_url, pool=1, clock=SystemClock(), deadlines=JOBS)
        app = create_app(settings)
        keyring = Keyring(settings.secret_keys)
        app.state.resources = Resources(settings, SystemClock(), db, keyring, SilentDoorbell())
        try:
            await _writes(app, db, repeats)
            await _chain(db, keyring)
        finally:
            await db.close()


@contextmanager
def _without() -> Iterator[None]:
    with (
        mock.patch.object(audit, "record", return_value=None),
        mock.patch.object(audit, "snapshot", return_value={}),
    ):
        yield


async def _writes(app: FastAPI, db: Database, repeats: int) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://instep.test") as client:
        owner = {"name": "Anna", "email": f"{uuid.uuid4().hex}@agency.example"}
        signed_up = (await client.post("/v1/workspaces", json={"title": "A", "owner": owner})).json()
        headers = {"Authorization": f"Bearer {signed_up['api_key']['key']}"}

        async def made(path: str, body: dict[str, Any]) -> str:
            answer = await client.post(path, json=body, headers=headers)
            answer.raise_for_status()
            return str(answer.json()["id"])

        project_id = await made("/v1/projects", {"title": "P", "timezone": "Europe/Minsk"})
        place = {"project_id": project_id, "platform": "mastodon", "address": "https://m.example/@a"}
        community_id = await made("/v1/communities", place)
        post_id = await made("/v1/posts", {"community_id": community_id, "text": "x"})
        authorization = [(b"authorization", headers["Authorization"].encode()), (b"content-type", b"application/json")]
        items = [{"community_id": community_id, "text": str(number)} for number in range(500)]
        bulk = json.dumps({"items": items}).encode()
        categories = itertools.cycle(["engaging", "educational"])

        async def patches() -> None:
            for _ in range(BATCH):
                body = json.dumps({"category": next(categories)}).encode()
                await _call(app, "PATCH", f"/v1/posts/{post_id}", authorization, body)

        async def bulks() -> None:
            await _call(app, "POST", "/v1/posts/bulk", authorization, bulk)

        for label, work, count in (
            ("PATCH /v1/posts/{id}", patches, BATCH),
            ("POST /v1/posts/bulk, a post", bulks, 500),
        ):
            await _compare(label, work, count, db, repeats)


async def _call(app: FastAPI, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 200) in {200, 201}, message

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [*headers, (b"host", b"instep.test"), (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("instep.test", 80),
    }
    await app(scope, receive, send)


async def _compare(label: str, work: Callable[[], Awaitable[None]], count: int, db: Database, repeats: int) -> None:
    """Do it with and without entries, in turn."""
    async with db._write.connect() as connection:
        server = psutil.Process(int((await connection.scalar(text("SELECT pg_backend_pid()"))) or 0))
    spent: dict[str, list[tuple[float, float]]] = {"with": [], "without": []}
    for number in range(2 * (repeats + 1)):
        way = ("with", "without")[number % 2]
        before = _cpu(server)
        if way == "with":
            await work()
        else:
            with _without():
                await work()
        after = _cpu(server)
        if number > 1:
            spent[way].append(((after[0] - before[0]) / count, (after[1] - before[1]) / count))
    for column, name in enumerate(("service", "PostgreSQL")):
        # PostgreSQL's CPU is counted in ticks of 10 ms: only its mean says something.
        typical = statistics.mean if column else statistics.median
        medians = {way: typical([each[column] for each in values]) for way, values in spent.items()}
        print(
            f"{label:<32} {name:<11} with {medians['with'] * 1e6:7.0f} µs, without {medians['without'] * 1e6:7.0f} µs "
            f"of CPU, ratio {medians['with'] / max(medians['without'], 1e-9):.2f}"
        )


def _cpu(server: psutil.Process) -> tuple[float, float]:
    times = server.cpu_times()
    return time.process_time(), float(times.user + times.system)


async def _chain(db: Database, keyring: Keyring) -> None:
    """Append everything to the chain, and verify it."""
    async with db.transaction(None) as session:
        (workspace_id,) = (await session.execute(text("SELECT DISTINCT workspace_id FROM audit_unchained"))).scalars()
    entries, started = 0, time.perf_counter()
    while True:
        async with db.transaction(workspace_id) as session:
            appended = await chain.append(session, keyring, limit=chain.PAGE)
        entries += appended
        if appended < chain.PAGE:
            break
    took = time.perf_counter() - started
    print(f"appended {entries} entries, {entries / took:.0f}/s")
    started = time.perf_counter()
    async with db.read_connection(workspace_id) as connection:
        report = await verify(connection, keyring, workspace_id)
    assert report.faults == []
    took = time.perf_counter() - started
    print(f"verified {report.entries} entries, {report.entries / took:.0f}/s")
