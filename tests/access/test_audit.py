"""Every change is recorded with its actor, once it is committed."""

import uuid
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from structlog.types import EventDict

from app.access import audit
from app.kit.actors import SYSTEM, Actor, ActorKind
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
