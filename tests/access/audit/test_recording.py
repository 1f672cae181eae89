"""Every change is recorded with its actor: as an entry of its transaction, and in the log once it is committed."""

import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from structlog.testing import capture_logs
from structlog.types import EventDict

from app.access import audit
from app.access.audit import recording
from app.access.audit.models import AuditEntry, AuditUnchained
from app.access.audit.recording import LONGEST
from app.kit.actors import SYSTEM, Actor, ActorKind
from app.kit.clock import SetClock
from app.kit.statement import Statement
from tests.access.people import PASSWORD, client, invited
from tests.conftest import Agency


def changes(logs: list[EventDict]) -> list[EventDict]:
    return [line for line in logs if line["event"] == "change"]


async def test_a_change_over_http_is_recorded_with_the_key(agency: Agency) -> None:
    key_id = (await agency.get("/v1/me"))["api_key"]["id"]
    with capture_logs() as logs:
        project = await agency.post("/v1/projects", {"title": "Bicycles", "timezone": "Europe/Minsk"})
        path = f"/v1/projects/{project['id']}"
        await agency.patch(path, {"title": "Bikes"})
        await agency.patch(path, {"title": "Bikes"})
        await agency.put(f"{path}/brief", {"business": "A shop."})
    assert [(line["action"], line["actor"], line["project_id"]) for line in changes(logs)] == [
        ("projects.create", f"key:{key_id}", project["id"]),
        ("projects.update", f"key:{key_id}", project["id"]),
        ("briefs.replace", f"key:{key_id}", project["id"]),
    ], "what changes nothing is no change"
    assert {line["workspace_id"] for line in changes(logs)} == {str(agency.workspace_id)}
    assert "Bikes" not in str(logs)


async def test_a_repeat_is_not_recorded_again(agency: Agency) -> None:
    body = {"title": "Bicycles", "timezone": "Europe/Minsk"}
    with capture_logs() as logs:
        for _ in range(2):
            await agency.post("/v1/projects", body, 201, **{"Idempotency-Key": "once"})
    assert len(changes(logs)) == 1


async def test_a_refused_bulk_is_not_recorded(agency: Agency) -> None:
    """It is rolled back after the valid posts were stored."""
    project = await agency.post("/v1/projects", {"title": "Bicycles", "timezone": "Europe/Minsk"})
    place = {"project_id": project["id"], "platform": "mastodon", "address": f"https://m{uuid.uuid4().hex}.example/@a"}
    community = await agency.post("/v1/communities", place)
    posts: list[dict[str, Any]] = [{"community_id": community["id"], "text": "x"}, {"community_id": str(uuid.uuid4())}]
    with capture_logs() as logs:
        await agency.post("/v1/posts/bulk?atomic=true", {"items": posts}, 422)
        assert changes(logs) == []
        await agency.post("/v1/posts/bulk", {"items": posts}, 200)
    assert [line["action"] for line in changes(logs)] == ["posts.create"]


async def test_a_sign_up_is_recorded_as_anonymous(stranger: httpx.AsyncClient) -> None:
    owner = {"name": "Ben", "email": f"ben-{uuid.uuid4().hex}@agency.example"}
    with capture_logs() as logs:
        answer = await stranger.post("/v1/workspaces", json={"title": "Step", "owner": owner})
    assert answer.status_code == 201
    assert {(line["action"], line["actor"]) for line in changes(logs)} == {
        ("workspaces.create", "anonymous:sign-up"),
        ("users.join", "anonymous:sign-up"),
        ("api-keys.create", "anonymous:sign-up"),
    }
    assert owner["email"] not in str(logs)


async def test_nothing_is_recorded_of_what_is_rolled_back(agency: Agency) -> None:
    with capture_logs() as logs:
        with pytest.raises(RuntimeError):  # noqa: PT012
            async with agency.resources.transaction(agency.workspace_id) as session:
                audit.record(session, SYSTEM, "things.create")
                raise RuntimeError
        async with agency.resources.transaction(agency.workspace_id) as session:
            audit.record(
                session, Actor(ActorKind.JOB, "things.tidy"), "things.delete", thing_id=uuid.UUID(int=7), most=3
            )
            assert changes(logs) == []
    (line,) = changes(logs)
    assert (line["action"], line["actor"], line["most"]) == ("things.delete", "job:things.tidy", 3)
    assert line["thing_id"] == "00000000-0000-0000-0000-000000000007"


async def entries(agency: Agency, **filters: Any) -> list[dict[str, Any]]:
    """What is recorded of an agency, the first change first, read over HTTP."""
    return list(reversed((await agency.get("/v1/audit", limit=200, **filters))["data"]))


async def a_post(agency: Agency, **values: Any) -> dict[str, Any]:
    """A post of a new community in a new project."""
    project = await agency.post("/v1/projects", {"title": "Bicycles", "timezone": "Europe/Minsk"})
    place = {"project_id": project["id"], "platform": "mastodon", "address": f"https://m{uuid.uuid4().hex}.example/@a"}
    community = await agency.post("/v1/communities", place)
    made: dict[str, Any] = await agency.post("/v1/posts", {"community_id": community["id"], "text": "x", **values})
    return made


async def test_an_entry_has_what_was_before_and_what_is_after(agency: Agency) -> None:
    post = await a_post(agency, category="engaging")
    await agency.patch(f"/v1/posts/{post['id']}", {"category": "educational", "text": "A wheel for everybody"})
    created, updated = await entries(agency, entity_id=post["id"])
    assert (created["action"], created["before"]) == ("posts.create", None)
    assert created["after"]["category"] == "engaging"
    assert updated["actor"].startswith("key:")
    assert updated["project_id"] == post["project_id"]
    assert updated["subject"] == {"post_id": post["id"], "project_id": post["project_id"]}
    assert updated["before"].pop("text")["length"] == 1
    assert updated["after"].pop("text")["length"] == 21
    assert (updated["before"], updated["after"]) == ({"category": "engaging"}, {"category": "educational"})
    assert updated["request_id"] is not None


async def test_the_texts_of_posts_are_not_kept(agency: Agency) -> None:
    post = await a_post(agency, text="A wheel for everybody")
    assert "wheel" not in str(await entries(agency))
    assert (await entries(agency, entity_id=post["id"]))[0]["after"]["text"].keys() == {"sha256", "length"}


async def test_what_is_long_is_recorded_as_its_digest(agency: Agency) -> None:
    long = "x" * (LONGEST + 1)
    async with agency.resources.transaction(agency.workspace_id) as session:
        before = {"same": 1, "text": "x" * LONGEST, "items": [1]}
        audit.record(session, SYSTEM, "things.update", before=before, after={"same": 1, "text": long, "items": [long]})
    (entry,) = await entries(agency, action="things.update")
    assert entry["before"] == {"text": "x" * LONGEST, "items": [1]}
    assert entry["after"]["text"]["length"] == LONGEST + 1
    assert entry["after"]["items"].keys() == {"sha256", "length"}


async def test_entries_follow_their_transaction(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rolled back with it, and with a savepoint; of a bulk call all are written by one statement."""
    post = await a_post(agency)
    count = len(await entries(agency))
    bad = [{"community_id": post["community_id"], "text": "x"}, {"community_id": str(uuid.uuid4()), "text": "x"}]
    await agency.post("/v1/posts/bulk?atomic=true", {"items": bad}, 422)
    assert len(await entries(agency)) == count
    async with agency.resources.transaction(agency.workspace_id) as session:
        audit.record(session, SYSTEM, "things.create")
        with pytest.raises(RuntimeError):  # noqa: PT012
            async with session.begin_nested():
                audit.record(session, SYSTEM, "things.lose")
                async with session.begin_nested():
                    audit.record(session, SYSTEM, "things.lose")
                raise RuntimeError
        async with session.begin_nested():
            audit.record(session, SYSTEM, "things.update")
    assert [entry["action"] for entry in await entries(agency)][count:] == ["things.create", "things.update"]

    statements = []

    async def counting(statement: Statement, *arguments: Any) -> Any:
        statements.append(statement)
        return await execute(statement, *arguments)

    execute = Statement.rows
    monkeypatch.setattr(Statement, "rows", counting)
    many = [{"community_id": post["community_id"], "text": str(number)} for number in range(500)]
    await agency.post("/v1/posts/bulk", {"items": many}, 200)
    assert statements.count(recording._INSERT) == 1
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        assert await connection.scalar(select(func.count()).select_from(AuditEntry)) == count + 502
        queued = select(func.count()).where(AuditUnchained.workspace_id == agency.workspace_id)
        assert await connection.scalar(queued) == count + 502


async def test_a_change_of_an_account_is_recorded_in_each_of_its_workspaces(
    app: FastAPI, agency: Agency, rival: Agency
) -> None:
    person = await invited(app, agency, role="admin")
    invitation = await rival.post("/v1/invitations", {"email": person.email, "name": "Boris", "role": "member"})
    body = {"token": invitation["link"].partition("?token=")[2], "password": PASSWORD}
    assert (await client(app).post("/v1/invitations/accept", json=body)).status_code == 201
    change = {"current_password": PASSWORD, "password": "four brown bicycles"}
    assert (await person.http.post("/v1/me/password", json=change)).status_code == 200
    for one in (agency, rival):
        (entry,) = await entries(one, action="me.change-password")
        assert (entry["actor"], entry["entity_id"]) == (f"user:{person.id}", person.id)
        assert entry["after"] == {"sessions_ended": 1}
        assert "bicycles" not in str(await entries(one))
        assert person.email not in str(await entries(one))


async def test_members_see_the_changes_of_projects_they_manage(app: FastAPI, agency: Agency) -> None:
    ours, theirs = await a_post(agency), await a_post(agency)
    manager = await invited(app, agency, "Mara", seats={ours["project_id"]: "manager"})
    designer = await invited(app, agency, "Dora", seats={ours["project_id"]: "designer"})
    seen = (await manager.get("/v1/audit", limit=200))["data"]
    assert {entry["project_id"] for entry in seen} == {ours["project_id"]}
    assert {"posts.create", "communities.connect", "seats.create"} <= {entry["action"] for entry in seen}
    assert (await manager.get("/v1/audit", entity_id=theirs["id"]))["data"] == []
    await designer.get("/v1/audit", 403)
    everything = await entries(agency)
    assert {ours["project_id"], theirs["project_id"], None} == {entry["project_id"] for entry in everything}


async def test_a_change_of_no_project_by_a_member_is_recorded(app: FastAPI, agency: Agency) -> None:
    post = await a_post(agency)
    manager = await invited(app, agency, "Mara", seats={post["project_id"]: "manager"})
    assert (await manager.http.patch("/v1/me", json={"name": "Mara M."})).status_code == 200
    (entry,) = await entries(agency, action="me.update", actor=f"user:{manager.id}")
    assert (entry["after"], "Mara" in str(await entries(agency))) == ({"changed": ["name"]}, False)


async def test_entries_are_found_by_each_filter(agency: Agency) -> None:
    post, other = await a_post(agency), await a_post(agency)
    await agency.patch(f"/v1/posts/{post['id']}", {"category": "educational"})
    everything = await entries(agency)
    assert [entry["id"] for entry in everything] == sorted(entry["id"] for entry in everything)
    key = f"key:{(await agency.get('/v1/me'))['api_key']['id']}"
    for name, value in (
        ("project_id", other["project_id"]),
        ("entity_id", post["id"]),
        ("action", "posts.update"),
        ("actor", key),
        ("actor", "anonymous:sign-up"),
    ):
        listed = await entries(agency, **{name: value})
        assert listed == [entry for entry in everything if entry[name] == value] != []
    assert await entries(agency, actor=key, action="posts.update", project_id=other["project_id"]) == []
    pages, cursor = [], None
    while True:
        page = await agency.get("/v1/audit", limit=4, actor=key, **({} if cursor is None else {"cursor": cursor}))
        pages += page["data"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert pages[::-1] == [entry for entry in everything if entry["actor"] == key]


async def test_entries_are_found_by_their_time(agency: Agency, clock: SetClock) -> None:
    at = []
    for _ in range(3):
        clock.advance(timedelta(microseconds=400))
        await agency.post("/v1/projects", {"title": "Bicycles", "timezone": "Europe/Minsk"})
        at.append((await entries(agency, action="projects.create"))[-1]["at"])
    assert len(set(at)) == 3
    for since, until, expected in ((at[1], None, at[1:]), (None, at[2], at[:2]), (at[1], at[2], [at[1]])):
        bounds = {name: value for name, value in (("since", since), ("until", until)) if value is not None}
        assert [one["at"] for one in await entries(agency, action="projects.create", **bounds)] == expected
