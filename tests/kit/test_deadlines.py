"""A database that is stalled, full, or breaks while connecting: 503 with `Retry-After`, in time, and never 500."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.kit.db import Database, lock
from app.kit.deadlines import JOBS, REQUESTS, Deadlines
from app.kit.errors import DatabaseFailure, database_failure
from app.kit.resources import Resources
from app.operations import routes as operations
from tests.conftest import Agency

SHORT = Deadlines(connect=0.6, pool=0.6, statement=0.4, lock=0.2, idle=0.4, silence=0.8)
WITHIN = 6.0
"""Seconds until an answer, with those deadlines, on a busy machine."""


class Proxy:
    """A socket in front of PostgreSQL, which can stop forwarding or break its connections."""

    def __init__(self) -> None:
        self.flows = asyncio.Event()
        self.flows.set()
        self.refuses = False
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def serve(self, url: str, folder: Path) -> AsyncIterator[str]:
        """Forward to the server of this URL; the URL of the proxy."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            if self.refuses:
                await reader.read(100)  # the client has begun to talk
                writer.close()
                return
            if "host" in query:
                server = await asyncio.open_unix_connection(f"{query['host']}/.s.PGSQL.{query['port']}")
            else:
                server = await asyncio.open_connection(parts.hostname, parts.port)
            self._writers.append(server[1])
            await asyncio.gather(self._pump(reader, server[1]), self._pump(server[0], writer))

        listener = await asyncio.start_unix_server(connected, folder / ".s.PGSQL.5432")
        try:
            netloc = parts.netloc.rpartition("@")[0] + "@"
            yield parts._replace(netloc=netloc, query=f"host={folder}&port=5432").geturl()
        finally:
            self.flows.set()
            listener.close()
            self.cut()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self.flows.wait()
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


@pytest.fixture
async def proxy(agency: Agency, app: FastAPI, resources: Resources, tmp_path: Path) -> AsyncIterator[Proxy]:
    """A proxy between the service, with short deadlines and two connections a pool, and PostgreSQL."""
    made = Proxy()
    async with made.serve(resources.settings.database_url, tmp_path) as url:
        db = Database(url, pool=2, clock=resources.clock, deadlines=SHORT)
        app.state.resources = replace(resources, db=db)
        yield made
        await db.close()


async def answers(agency: Agency) -> list[httpx.Response]:
    """The answers to a read and a write."""
    return [
        await agency.http.get("/v1/projects"),
        await agency.http.post("/v1/projects", json={"title": "x", "timezone": "UTC"}),
    ]


async def assert_away(agency: Agency) -> None:
    """Reads and writes are 503, in time."""
    started = time.monotonic()
    for answer in await answers(agency):
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] == "database-away"
        assert int(answer.headers["retry-after"]) > 0
    assert time.monotonic() - started < WITHIN


async def assert_back(agency: Agency) -> None:
    """The service works again, without a restart."""
    assert [answer.status_code for answer in await answers(agency)] == [200, 201]


async def test_a_server_that_stops_answering(agency: Agency, proxy: Proxy) -> None:
    await assert_back(agency)
    proxy.flows.clear()
    await assert_away(agency)  # on connections that are open
    await assert_away(agency)  # on new ones
    proxy.flows.set()
    await assert_back(agency)


async def test_a_server_that_breaks_while_one_connects(agency: Agency, proxy: Proxy) -> None:
    proxy.refuses = True
    await assert_away(agency)
    proxy.refuses = False
    await assert_back(agency)
    proxy.refuses = True
    proxy.cut()
    await assert_away(agency)
    proxy.refuses = False
    await assert_back(agency)


async def test_a_pool_whose_connections_are_all_in_use(agency: Agency, app: FastAPI, proxy: Proxy) -> None:
    db: Database = app.state.resources.db
    await assert_back(agency)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(db.transaction(agency.workspace_id))
            await stack.enter_async_context(db.read_connection(agency.workspace_id))
        await assert_away(agency)
    await assert_back(agency)


async def test_a_table_that_is_locked_is_busy(agency: Agency, app: FastAPI, resources: Resources) -> None:
    """Somebody else's statement holds it, a migration's say."""
    assert resources.settings.owner_database_url is not None
    owner = Database(resources.settings.owner_database_url, pool=1)
    patient = replace(SHORT, statement=5, silence=10, pool=5, connect=5)  # of the lock alone it is short
    db = Database(resources.settings.database_url, pool=2, clock=resources.clock, deadlines=patient)
    app.state.resources = replace(resources, db=db)
    async with owner.transaction(None) as session:
        await session.execute(text("LOCK TABLE project IN ACCESS EXCLUSIVE MODE"))
        for answer in await answers(agency):
            assert (answer.status_code, answer.json()["code"]) == (503, "busy")
            assert answer.headers["retry-after"] == "1"
    await assert_back(agency)
    await owner.close()
    await db.close()


async def test_ready_says_so_within_two_seconds(
    agency: Agency, stranger: httpx.AsyncClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert timedelta(seconds=2) > operations.DATABASE_TIMEOUT
    monkeypatch.setattr(operations, "DATABASE_TIMEOUT", timedelta(seconds=0.1))
    proxy.flows.clear()
    for path in ("/ready", "/metrics"):
        started = time.monotonic()
        answer = await stranger.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "database-away")
        assert time.monotonic() - started < 2
    assert (await stranger.get("/live")).status_code == 200
    proxy.flows.set()


async def stay_idle(db: Database, agency: Agency) -> None:
    """A transaction that does nothing between its statements, until the server has ended it."""
    async with db.transaction(agency.workspace_id) as session:
        for _ in range(100):
            await session.execute(text("SELECT 1"))
            await asyncio.sleep(2 * SHORT.idle)


async def test_the_server_ends_what_takes_too_long(agency: Agency, resources: Resources) -> None:
    patient = replace(SHORT, connect=5, pool=5, silence=10)  # so that the server is the first to give up
    db = Database(resources.settings.database_url, pool=2, clock=resources.clock, deadlines=patient)
    with pytest.raises(DBAPIError) as slow:
        async with db.read_connection(None) as connection:
            await connection.execute(text("SELECT pg_sleep(5)"))
    assert database_failure(slow.value) is DatabaseFailure.UNAVAILABLE
    async with resources.transaction(agency.workspace_id) as session:  # which may be idle for longer
        await lock(session, "key")
        with pytest.raises(DBAPIError) as waiting:
            async with db.transaction(agency.workspace_id) as other:
                await lock(other, "key")
        assert database_failure(waiting.value) is DatabaseFailure.CONTENTION
    with pytest.raises(DBAPIError) as idle:
        await stay_idle(db, agency)
    assert database_failure(idle.value) is DatabaseFailure.CONNECTION_LOST
    await db.close()


@pytest.mark.parametrize("deadlines", [REQUESTS, JOBS])
async def test_every_session_has_deadlines(resources: Resources, deadlines: Deadlines) -> None:
    db = Database(resources.settings.database_url, pool=1, deadlines=deadlines)
    async with db.read_connection(None) as connection:
        for name, milliseconds in deadlines.server_settings().items():
            query = text("SELECT setting FROM pg_settings WHERE name = :name")
            assert await connection.scalar(query, {"name": name}) == milliseconds
    await db.close()
    assert deadlines.lock < deadlines.statement < deadlines.silence
