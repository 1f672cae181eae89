"""A connection that breaks during COMMIT leaves it open whether the change was made, and the answer says so.

Between the service and the real PostgreSQL stands a proxy that cuts the connection when it sees a given text go by.
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
    """Passes everything on, until it meets `cut`: then both sides lose their connection."""

    host: str
    port: int
    cut: bytes | None = None
    passed_on: bool = True
    """Whether PostgreSQL still gets what `cut` stands in, and does it: only its answer is lost."""
    cuts: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.host.startswith("/"):
            inside, outside = await asyncio.open_unix_connection(f"{self.host}/.s.PGSQL.{self.port}")
        else:
            inside, outside = await asyncio.open_connection(self.host, self.port)

        async def back() -> None:
            while chunk := await inside.read(65536):
                if cutting.is_set():
                    return
                writer.write(chunk)
            writer.close()

        cutting = asyncio.Event()
        backwards = asyncio.create_task(back())
        try:
            while chunk := await reader.read(65536):
                if self.cut is not None and self.cut in chunk:
                    self.cuts += 1
                    self.cut = None
                    cutting.set()
                    if self.passed_on:
                        outside.write(chunk)
                        await backwards  # PostgreSQL has answered: it is done
                    break
                outside.write(chunk)
        finally:
            backwards.cancel()
            outside.close()
            writer.close()


@pytest.fixture
async def proxy(configuration: Settings, tmp_path: Path) -> AsyncIterator[Proxy]:
    url = urlsplit(configuration.database_url)
    asked = parse_qs(url.query)
    made = Proxy(
        asked.get("host", [url.hostname or "127.0.0.1"])[0], int(asked.get("port", [str(url.port or 5432)])[0])
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
def behind(app: FastAPI, agency: Agency, proxied: Database) -> Agency:
    """An agency whose calls reach PostgreSQL through the proxy."""
    app.state.resources = replace(agency.resources, db=proxied)
    return agency


async def names(agency: Agency) -> list[str]:
    return sorted(key["name"] for key in (await agency.get("/v1/api-keys"))["data"])


@pytest.mark.parametrize("passed_on", [True, False])
async def test_a_repeat_with_the_same_key_is_safe_and_the_answer_says_so(
    behind: Agency, proxy: Proxy, *, passed_on: bool
) -> None:
    key: dict[str, Any] = {"Idempotency-Key": uuid.uuid4().hex}
    proxy.cut, proxy.passed_on = b"COMMIT", passed_on
    answer = await behind.post("/v1/api-keys", {"name": "once"}, status=503, **key)
    assert (answer["code"], proxy.cuts) == ("outcome-unknown", 1)
    assert "nothing was changed" not in answer["detail"]
    assert "same Idempotency-Key" in answer["detail"]
    assert await names(behind) == (["first key", "once"] if passed_on else ["first key"]), "both ends are possible"
    made = await behind.post("/v1/api-keys", {"name": "once"}, **key)
    assert made["key"].startswith("isk_")
    assert await names(behind) == ["first key", "once"]


async def project(agency: Agency) -> str:
    found: str = (await agency.post("/v1/projects", {"name": "P", "timezone": "UTC"}))["id"]
    return found


Change = Callable[[Agency, str], Awaitable[Any]]
CHANGES: dict[str, Change] = {
    "POST": lambda agency, _: agency.post("/v1/projects", {"name": "Q", "timezone": "UTC"}, status=503),
    "PATCH": lambda agency, id_: agency.patch(f"/v1/projects/{id_}", {"name": "Q"}, status=503),
    "PUT": lambda agency, id_: agency.put(f"/v1/projects/{id_}/brief", {"business": "Coffee"}, status=503),
}


@pytest.mark.parametrize("method", CHANGES)
async def test_every_change_says_that_its_outcome_is_unknown(behind: Agency, proxy: Proxy, method: str) -> None:
    made = await project(behind)
    proxy.cut = b"COMMIT"
    answer = await CHANGES[method](behind, made)
    assert (answer["code"], proxy.cuts) == ("outcome-unknown", 1)
    assert "may have been made" in answer["detail"]
    assert "before you repeat" in answer["detail"]


async def test_what_breaks_before_the_commit_has_changed_nothing(behind: Agency, proxy: Proxy) -> None:
    """The control: this answer may say so, and it is true."""
    await behind.post("/v1/api-keys", {"name": "prepared"})
    proxy.cut = b"never-committed"
    answer = await behind.post("/v1/api-keys", {"name": "never-committed"}, status=503)
    assert (answer["code"], proxy.cuts) == ("database-away", 1)
    assert "nothing was changed" in answer["detail"]
    assert await names(behind) == ["first key", "prepared"]


async def test_a_commit_that_postgresql_refuses_is_its_own_word(proxied: Database) -> None:
    async def refused() -> None:
        async with proxied.transaction(None) as session:
            await session.execute(text("CREATE TEMP TABLE one (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)"))
            await session.execute(text("INSERT INTO one VALUES (1), (1)"))

    with pytest.raises(IntegrityError):
        await refused()


async def test_nothing_follows_a_commit_whose_outcome_is_unknown(proxied: Database, proxy: Proxy) -> None:
    """No doorbell is rung for what may not be there: the sweeper finds it if it is."""
    followed: list[str] = []

    async def follow() -> None:
        followed.append("rung")

    async def change() -> None:
        async with proxied.transaction(None) as session:
            await session.execute(text("CREATE TEMP TABLE two (id int) ON COMMIT DROP"))
            after_commit(session, follow)

    await change()
    assert followed == ["rung"], "the control"
    proxy.cut = b"COMMIT"
    with pytest.raises(CommitOutcomeUnknown):
        await change()
    assert followed == ["rung"]


@pytest.mark.parametrize("passed_on", [True, False])
async def test_one_statement_that_commits_itself_is_a_commit(
    proxied: Database, proxy: Proxy, agency: Agency, *, passed_on: bool
) -> None:
    store = text(
        "INSERT INTO user_account (id, email, name, created_at) VALUES (gen_random_uuid(), :email, 'A', now())"
    )

    async def write(email: str) -> None:
        async with proxied.writing_at_once(agency.workspace_id) as connection:
            await connection.execute(store, {"email": email})

    marked = f"{uuid.uuid4().hex}@a.example"
    await write(f"{uuid.uuid4().hex}@a.example")  # prepared from now on
    proxy.cut, proxy.passed_on = marked.encode(), passed_on
    with pytest.raises(CommitOutcomeUnknown):
        await write(marked)
    assert proxy.cuts == 1
    async with proxied.read_connection(None) as connection:
        found = await connection.scalar(
            text("SELECT count(*) FROM user_account WHERE email = :email"), {"email": marked}
        )
    assert found == int(passed_on)
