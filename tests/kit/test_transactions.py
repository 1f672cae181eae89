"""One transaction is one workspace's, and a request's transaction is committed before its response is sent."""

import asyncio
import traceback
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.access.models import ApiKey, Workspace
from app.communities import service
from app.kit import jobs
from app.kit.db import Database, PrivilegedRoleError
from app.kit.resources import Resources
from tests.conftest import Agency
from tests.servers import Servers


@pytest.fixture
async def single(db: Database) -> AsyncIterator[Database]:
    """A `Database` with one connection in each pool, so that every use is a reuse."""
    made = Database(str(db._write.url.render_as_string(hide_password=False)), pool=1, clock=db.clock)
    yield made
    await made.close()


async def visible_workspaces(database: Database, workspace_id: uuid.UUID | None) -> list[uuid.UUID]:
    async with database.read_connection(workspace_id) as connection:
        return list((await connection.scalars(select(Workspace.workspace_id))).all())


async def test_database_errors_do_not_contain_parameters(resources: Resources) -> None:
    """Parameters may be customers' texts or tokens; errors get into logs and into the rows of jobs."""
    secret_text = f"what a customer wrote {uuid.uuid4()}"
    violates_not_null = text(
        "INSERT INTO user_account (id, email, name, created_at) VALUES (:id, :secret_text, NULL, now())"
    )
    with pytest.raises(IntegrityError) as refused:
        async with resources.transaction(None) as session:
            await session.execute(violates_not_null, {"id": uuid.uuid4(), "secret_text": secret_text})
    assert secret_text not in "".join(traceback.format_exception(refused.value))
    for connecting in (resources.db.read_connection(uuid.uuid4()), resources.db.read_connection(None)):
        with pytest.raises(DBAPIError) as misread:
            async with connecting as connection:
                await connection.execute(text("SELECT length(:secret_text) FROM nowhere"), {"secret_text": secret_text})
        assert secret_text not in "".join(traceback.format_exception(misread.value))


async def test_the_commit_comes_before_the_response(app: FastAPI, resources: Resources) -> None:
    """When the first byte of the response is sent, another connection sees the change."""
    seen: list[int] = []

    async def observe(scope: object, receive: object, send: object) -> None:
        async def observing_send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                async with resources.db.read_connection(None) as connection:
                    count = select(func.count()).select_from(ApiKey).where(ApiKey.title == name)
                    seen.append(int((await connection.execute(count)).scalar_one()))
            await send(message)  # type: ignore[operator]  # ASGI

        await app(scope, receive, observing_send)  # type: ignore[arg-type]  # ASGI

    name = f"key {uuid.uuid4()}"
    client = httpx.AsyncClient(transport=httpx.ASGITransport(observe), base_url="http://instep.test")
    async with client:
        body = {"title": "A", "owner": {"name": "A", "email": f"{uuid.uuid4()}@a.example"}}
        made = (await client.post("/v1/workspaces", json=body)).json()
        answer = await client.post(
            "/v1/api-keys",
            json={"title": name},
            headers={"Authorization": f"Bearer {made['api_key']['key']}"},
        )
    assert answer.status_code == 201
    assert seen == [0, 1]


async def test_a_failed_request_leaves_neither_row_nor_job(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row and the job of `POST /v1/communities` are committed together, or not at all."""
    project = await agency.post("/v1/projects", {"title": "P", "timezone": "UTC"})
    body = {"project_id": project["id"], "platform": "mastodon", "address": "https://mastodon.social/@Gargron"}

    real = service.poll_now

    async def enqueue_then_break(*args: object) -> None:
        await real(*args)  # type: ignore[arg-type]  # passed through
        raise RuntimeError("after the job was enqueued")

    monkeypatch.setattr(service, "poll_now", enqueue_then_break)
    assert (await agency.http.post("/v1/communities", json=body)).status_code == 500
    assert (await agency.get("/v1/communities"))["data"] == []
    assert await agency.due() == []
    monkeypatch.undo()
    await agency.post("/v1/communities", body)
    assert len(await agency.due("communities.poll")) == 1, "the control: unbroken, both are there"


async def test_a_pooled_connection_shows_each_workspace_its_own(
    single: Database, agency: Agency, rival: Agency
) -> None:
    ours, theirs = agency.workspace_id, rival.workspace_id
    for workspace_id in (ours, theirs, ours, None, theirs):
        assert await visible_workspaces(single, workspace_id) == ([workspace_id] if workspace_id else [])
        async with single.transaction(workspace_id) as session:
            rows = (await session.scalars(select(Workspace.workspace_id))).all()
            assert list(rows) == ([workspace_id] if workspace_id else [])


async def test_cancelling_at_any_await_leaks_no_workspace(single: Database, agency: Agency, rival: Agency) -> None:
    """Cancel after one, two, three … steps of the event loop; the next use of the connection sees its own rows only."""

    async def read_as(workspace_id: uuid.UUID) -> None:
        async with single.read_connection(workspace_id) as connection:
            await connection.execute(select(Workspace.workspace_id))

    async def write_as(workspace_id: uuid.UUID) -> None:
        async with single.transaction(workspace_id) as session:
            await session.execute(select(Workspace.workspace_id))

    for steps in range(40):
        for use in (read_as, write_as):
            task = asyncio.create_task(use(rival.workspace_id))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert await visible_workspaces(single, agency.workspace_id) == [agency.workspace_id]
            assert await visible_workspaces(single, None) == []
            async with single.transaction(None) as session:
                assert (await session.scalars(select(Workspace.workspace_id))).all() == []


async def test_beginning_and_setting_the_workspace_is_one_round_trip(single: Database, agency: Agency) -> None:
    statements: list[str] = []
    async with single.transaction(agency.workspace_id) as session:
        raw = await (await session.connection()).get_raw_connection()
        assert raw.driver_connection is not None
        raw.driver_connection.add_query_logger(lambda record: statements.append(record.query))
    statements.clear()
    async with single.transaction(agency.workspace_id) as session:
        await session.execute(text("SELECT 1"))
    # asyncpg logs only what is sent as a simple query; the SELECT is a prepared statement.
    assert [query.split()[0].rstrip(";") for query in statements] == ["BEGIN", "COMMIT"]
    assert "SET LOCAL app.workspace_id" in statements[0]


async def test_a_role_that_bypasses_row_level_security_is_refused(servers: Servers, database: str) -> None:
    privileged = Database(servers.superuser_url(database), pool=1)
    with pytest.raises(PrivilegedRoleError, match="NOSUPERUSER"):
        await privileged.require_unprivileged_role()
    await privileged.close()


async def test_nothing_is_sent_for_an_empty_transaction(single: Database, agency: Agency) -> None:
    begins: list[str] = []
    event.listen(single._write.sync_engine, "begin", lambda _: begins.append("begin"))
    async with single.transaction(agency.workspace_id):
        pass
    async with single.transaction(None) as session:
        await jobs.enqueue(session, "test.nothing", workspace_id=None, key=str(uuid.uuid4()))
    assert begins == ["begin"]
