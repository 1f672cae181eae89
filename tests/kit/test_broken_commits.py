"""A connection that breaks during COMMIT leaves the outcome unknown, and the response says so.

Between the service and the real PostgreSQL, a proxy closes the connection when a given text passes.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.kit.db import Database, after_commit
from app.kit.errors import CommitOutcomeUnknown
from app.settings import Settings
from tests.conftest import Agency


@dataclass
class Proxy:
    """Forwards everything until a chunk contains `cut_at`: then it closes both connections."""

    host: str
    port: int
    cut_at: bytes | None = None
    forward_it: bool = True
    """Whether that chunk still reaches PostgreSQL, which executes it: only the answer is lost."""
    cuts: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.host.startswith("/"):
            inside, outside = await asyncio.open_unix_connection(f"{self.host}/.s.PGSQL.{self.port}")
        else:
            inside, outside = await asyncio.open_connection(self.host, self.port)

        async def forward_answers() -> None:
            while chunk := await inside.read(65536):
                if is_cut.is_set():
                    return
                writer.write(chunk)
            writer.close()

        is_cut = asyncio.Event()
        answering = asyncio.create_task(forward_answers())
        try:
            while chunk := await reader.read(65536):
                if self.cut_at is not None and self.cut_at in chunk:
                    self.cuts += 1
                    self.cut_at = None
                    is_cut.set()
                    if self.forward_it:
                        outside.write(chunk)
                        await answering  # PostgreSQL has answered, so it has executed it
                    break
                outside.write(chunk)
        finally:
            answering.cancel()
            outside.close()
            writer.close()


@pytest.fixture
async def proxy(configuration: Settings, tmp_path: Path) -> AsyncIterator[Proxy]:
    url = urlsplit(configuration.database_url)
    query = parse_qs(url.query)
    made = Proxy(
        query.get("host", [url.hostname or "127.0.0.1"])[0], int(query.get("port", [str(url.port or 5432)])[0])
    )
    server = await asyncio.start_unix_server(made.serve, str(tmp_path / ".s.PGSQL.5432"))
    async with server:
        yield made


@pytest.fixture
async def proxied(proxy: Proxy, configuration: Settings, db: Database, tmp_path: Path) -> AsyncIterator[Database]:
    """The database behind the proxy."""
    url = urlsplit(configuration.database_url)
    path = f"{url.scheme}://{url.username}:{url.password}@{url.path}?host={tmp_path}&port=5432"
    made = Database(path, pool=2, clock=db.clock)
    yield made
    await made.close()


@pytest.fixture
def agency_behind_proxy(app: FastAPI, agency: Agency, proxied: Database) -> Agency:
    """An agency whose calls reach PostgreSQL through the proxy."""
    app.state.resources = replace(agency.resources, db=proxied)
    return agency


async def names(agency: Agency) -> list[str]:
    return sorted(key["title"] for key in (await agency.get("/v1/api-keys"))["data"])


@pytest.mark.parametrize("forward_it", [True, False])
async def test_a_repeat_with_the_same_key_is_safe_and_the_answer_says_so(
    agency_behind_proxy: Agency, proxy: Proxy, *, forward_it: bool
) -> None:
    key: dict[str, Any] = {"Idempotency-Key": uuid.uuid4().hex}
    proxy.cut_at, proxy.forward_it = b"COMMIT", forward_it
    answer = await agency_behind_proxy.post("/v1/api-keys", {"title": "once"}, status=503, **key)
    assert (answer["code"], proxy.cuts) == ("outcome-unknown", 1)
    assert "nothing was changed" not in answer["detail"]
    assert "same Idempotency-Key" in answer["detail"]
    assert await names(agency_behind_proxy) == (["first key", "once"] if forward_it else ["first key"]), (
        "both outcomes are possible"
    )
    made = await agency_behind_proxy.post("/v1/api-keys", {"title": "once"}, **key)
    assert made["key"].startswith("isk_")
    assert await names(agency_behind_proxy) == ["first key", "once"]


async def project(agency: Agency) -> str:
    project_id: str = (await agency.post("/v1/projects", {"title": "P", "timezone": "UTC"}))["id"]
    return project_id


Change = Callable[[Agency, str], Awaitable[Any]]
CHANGES: dict[str, Change] = {
    "POST": lambda agency, _: agency.post("/v1/projects", {"title": "Q", "timezone": "UTC"}, status=503),
    "PATCH": lambda agency, id_: agency.patch(f"/v1/projects/{id_}", {"title": "Q"}, status=503),
    "PUT": lambda agency, id_: agency.put(f"/v1/projects/{id_}/brief", {"business": "Coffee"}, status=503),
}


@pytest.mark.parametrize("method", CHANGES)
async def test_every_change_says_that_its_outcome_is_unknown(
    agency_behind_proxy: Agency, proxy: Proxy, method: str
) -> None:
    made = await project(agency_behind_proxy)
    proxy.cut_at = b"COMMIT"
    answer = await CHANGES[method](agency_behind_proxy, made)
    assert (answer["code"], proxy.cuts) == ("outcome-unknown", 1)
    assert "may have been made" in answer["detail"]
    assert "before you repeat" in answer["detail"]


async def test_what_breaks_before_the_commit_has_changed_nothing(agency_behind_proxy: Agency, proxy: Proxy) -> None:
    """The control: here the response says that nothing was changed, and it is true."""
    await agency_behind_proxy.post("/v1/api-keys", {"title": "prepared"})
    proxy.cut_at = b"never-committed"
    answer = await agency_behind_proxy.post("/v1/api-keys", {"title": "never-committed"}, status=503)
    assert (answer["code"], proxy.cuts) == ("database-away", 1)
    assert "nothing was changed" in answer["detail"]
    assert await names(agency_behind_proxy) == ["first key", "prepared"]


async def test_a_commit_that_postgresql_refuses_is_its_own_error(proxied: Database) -> None:
    async def refused() -> None:
        async with proxied.transaction(None) as session:
            await session.execute(text("CREATE TEMP TABLE one (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)"))
            await session.execute(text("INSERT INTO one VALUES (1), (1)"))

    with pytest.raises(IntegrityError):
        await refused()


async def test_what_follows_a_commit_follows_one_of_unknown_outcome_too(proxied: Database, proxy: Proxy) -> None:
    """A cached value may be outdated; a ring for a job that does not exist does no harm."""
    calls: list[str] = []

    async def record_call() -> None:
        calls.append("rung")

    async def change() -> None:
        async with proxied.transaction(None) as session:
            await session.execute(text("CREATE TEMP TABLE two (id int) ON COMMIT DROP"))
            after_commit(session, record_call)

    await change()
    assert calls == ["rung"], "the control"
    proxy.cut_at = b"COMMIT"
    with pytest.raises(CommitOutcomeUnknown):
        await change()
    assert calls == ["rung", "rung"]


@pytest.mark.parametrize("forward_it", [True, False])
async def test_one_statement_that_commits_itself_is_a_commit(
    proxied: Database, proxy: Proxy, agency: Agency, *, forward_it: bool
) -> None:
    store = text(
        "INSERT INTO user_account (id, email, name, created_at) VALUES (gen_random_uuid(), :email, 'A', now())"
    )

    async def write(email: str) -> None:
        async with proxied.autocommit_connection(agency.workspace_id) as connection:
            await connection.execute(store, {"email": email})

    email = f"{uuid.uuid4().hex}@a.example"
    await write(f"{uuid.uuid4().hex}@a.example")  # prepared from now on
    proxy.cut_at, proxy.forward_it = email.encode(), forward_it
    with pytest.raises(CommitOutcomeUnknown):
        await write(email)
    assert proxy.cuts == 1
    async with proxied.read_connection(None) as connection:
        count = await connection.scalar(
            text("SELECT count(*) FROM user_account WHERE email = :email"), {"email": email}
        )
    assert count == int(forward_it)
