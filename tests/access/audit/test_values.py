"""What each room records: the values before and after, and of tokens only which."""

import uuid
from typing import Any

from fastapi import FastAPI
from sqlalchemy import select

from app.communities import tokens
from app.communities.models import CommunityToken
from app.kit.actors import Actor, ActorKind
from app.kit.db import workspace_of
from app.platforms.capabilities import IssuedToken
from app.platforms.contract import Token
from tests.access.people import invited
from tests.conftest import Agency
from tests.house.conftest import customer_writes

SECRET = "the-token-that-nobody-reads"


async def latest(agency: Agency, action: str) -> tuple[Any, Any]:
    """What the latest entry of an action has as `before` and `after`."""
    entry = (await agency.get("/v1/audit", action=action, limit=1))["data"][0]
    return entry["before"], entry["after"]


async def a_community(agency: Agency) -> tuple[str, str]:
    project = (await agency.post("/v1/projects", {"title": "Coffee", "timezone": "Europe/Minsk"}))["id"]
    place = {"project_id": project, "platform": "mastodon", "address": f"https://m{uuid.uuid4().hex}.example/@a"}
    community = await agency.post("/v1/communities", {**place, "credentials": {"community": SECRET}})
    return project, community["id"]


async def test_projects(agency: Agency) -> None:
    project = (await agency.post("/v1/projects", {"title": "Coffee", "timezone": "Europe/Minsk"}))["id"]
    path = f"/v1/projects/{project}"
    await agency.patch(path, {"timezone": "Europe/London"})
    assert await latest(agency, "projects.update") == ({"timezone": "Europe/Minsk"}, {"timezone": "Europe/London"})
    await agency.put(f"{path}/working-hours", {"week": {"monday": [{"opens": "10:00", "closes": "12:00"}]}})
    before, after = await latest(agency, "working-hours.replace")
    assert before["working_hours"] != after["working_hours"]
    shares = {"engaging": 50, "user_generated": 20, "educational": 20, "promotional": 10}
    await agency.put(f"{path}/mix-policy", {"shares": shares})
    before, after = await latest(agency, "mix-policies.replace")
    assert (before["shares"]["engaging"], after) == (40, {"shares": shares, "version": 1})
    for business in ("A shop.", "Another shop."):
        await agency.put(f"{path}/brief", {"business": business})
    before, after = await latest(agency, "briefs.replace")
    assert (before["version"], after["version"]) == (1, 2)
    assert before["content"]["sha256"] != after["content"]["sha256"]
    assert "shop" not in str((before, after))


async def test_people_and_keys(app: FastAPI, agency: Agency) -> None:
    project = (await agency.post("/v1/projects", {"title": "Coffee", "timezone": "Europe/Minsk"}))["id"]
    person = await invited(app, agency, seats={project: "designer"})
    assert (await latest(agency, "seats.create"))[1]["seat"] == "designer", "also of an invitation"
    _, after = await latest(agency, "invitations.create")
    assert (after["role"], after["seats"]) == ("member", [{"project_id": project, "seat": "designer"}])
    seat = await agency.post(f"/v1/projects/{project}/seats", {"user_id": person.id, "seat": "manager"})
    me = (await agency.get("/v1/me"))["user"]["id"]
    await agency.patch(f"/v1/projects/{project}/seats/{seat['id']}", {"stands_in_id": me})
    assert await latest(agency, "seats.update") == ({"stands_in_id": None}, {"stands_in_id": me})
    answer = await agency.http.delete(f"/v1/projects/{project}/seats/{seat['id']}")
    assert answer.status_code == 204
    before, after = await latest(agency, "seats.delete")
    assert (before["seat"], before["user_id"], after) == ("manager", person.id, None)
    await agency.patch(f"/v1/users/{person.id}", {"role": "admin"})
    assert await latest(agency, "users.update") == ({"role": "member"}, {"role": "admin"})
    key = await agency.post("/v1/api-keys", {"title": "script", "permissions": ["posts:read"]})
    assert (await latest(agency, "api-keys.create"))[1]["permissions"] == ["posts:read"]
    await agency.post(f"/v1/api-keys/{key['id']}/revoke", {}, 200)
    before, after = await latest(agency, "api-keys.revoke")
    assert (before, list(after)) == ({"revoked_at": None}, ["revoked_at"])
    assert (await agency.http.delete(f"/v1/users/{person.id}")).status_code == 204
    before, after = await latest(agency, "users.remove")
    assert (before["role"], before["seats"], len(before["sessions"])) == ("admin", [[project, "designer"]], 1)
    assert person.email not in str((await agency.get("/v1/audit", limit=200))["data"])


async def test_communities_and_which_tokens(agency: Agency) -> None:
    _, community = await a_community(agency)
    path = f"/v1/communities/{community}"
    assert (await latest(agency, "communities.connect"))[1]["tokens"] == ["community"]
    await agency.post(f"{path}/pause", {}, 200)
    assert await latest(agency, "communities.pause") == ({"status": "connecting"}, {"status": "paused"})
    await agency.post(f"{path}/reconnect", {"credentials": {"community": f"{SECRET}-either"}}, 200)
    before, after = await latest(agency, "communities.reconnect")
    assert (before, after["status"], after["tokens_given"]) == ({"status": "paused"}, "connecting", ["community"])
    await agency.post(f"{path}/disconnect", {}, 200)
    assert (await latest(agency, "communities.disconnect"))[1]["status"] == "disconnected"
    assert await latest(agency, "tokens.destroy") == ({"tokens": ["community"]}, {"tokens": []})
    assert "nobody-reads" not in str((await agency.get("/v1/audit", limit=200))["data"])


async def test_tokens_that_the_service_renews(agency: Agency) -> None:
    project, community = await a_community(agency)
    keyring, poll = agency.resources.keyring, Actor(ActorKind.JOB, "communities.poll")
    async with agency.resources.transaction(agency.workspace_id, poll) as session:
        stored = await tokens.load(session, keyring, uuid.UUID(community))
        claim = await tokens.claim_renewal(session, uuid.UUID(community), stored)
        assert claim is not None
        await tokens.store_renewed(session, keyring, claim, {Token.COMMUNITY: IssuedToken("another-secret", None)})
    (entry,) = (await agency.get("/v1/audit", action="tokens.renew", project_id=project))["data"]
    assert (entry["actor"], entry["entity_id"]) == ("job:communities.poll", community)
    assert entry["subject"]["kinds"] == ["community"]
    assert "another-secret" not in str(entry)
    async with agency.resources.transaction(agency.workspace_id) as session:
        query = select(CommunityToken.version).where(CommunityToken.workspace_id == workspace_of(session))
        assert (await session.scalars(query)).all() == [1]


async def test_inquiries(agency: Agency) -> None:
    project, community = await a_community(agency)
    await customer_writes(agency, project, community)
    (inquiry,) = (await agency.get("/v1/inquiries", project_id=project))["data"]
    path = f"/v1/inquiries/{inquiry['id']}"
    await agency.post(f"{path}/classify", {"kind": "thanks"}, 200)
    before, after = await latest(agency, "inquiries.classify")
    assert (before, after) == (
        {"kind": inquiry["kind"], "kind_by": "rule"},
        {"kind": "thanks", "kind_by": "person"},
    )
    await agency.post(f"{path}/resolve", {"reason": "Ivan came by"}, 200)
    assert await latest(agency, "inquiries.resolve") == ({"status": "open"}, {"status": "resolved"})
    await agency.post(f"{path}/reopen", {"reason": "Ivan left"}, 200)
    assert await latest(agency, "inquiries.reopen") == ({"status": "resolved"}, {"status": "open"})
    await agency.post(f"{path}/messages", {"text": "On Sunday as well."}, 202)
    _, after = await latest(agency, "inquiries.reply")
    assert after == {"delivery": "queued", "automatic": False, "length": 18}
    listed = (await agency.get("/v1/audit", entity_id=inquiry["id"]))["data"]
    assert {entry["project_id"] for entry in listed} == {project}
    assert len(listed) == 4
    assert not any(word in str(listed) for word in ("Ivan", "Sunday"))


async def test_links_and_posts(agency: Agency) -> None:
    project, community = await a_community(agency)
    link = await agency.post("/v1/links", {"project_id": project, "target": "https://coffee.example/menu"})
    await agency.patch(f"/v1/links/{link['id']}", {"target": "https://coffee.example/tea"})
    assert await latest(agency, "links.update") == (
        {"target": "https://coffee.example/menu"},
        {"target": "https://coffee.example/tea"},
    )
    post = await agency.post("/v1/posts", {"community_id": community, "text": "Tea!", "category": "engaging"})
    address = (await agency.get(f"/v1/communities/{community}"))["address"]
    permalink = f"{address}/115012345678901234"
    await agency.post(f"/v1/posts/{post['id']}/mark-published", {"permalink": permalink}, 200)
    before, after = await latest(agency, "posts.mark-published")
    assert (before["status"], after["status"], after["permalink"]) == ("draft", "published", permalink)
    await agency.post(f"/v1/posts/{post['id']}/unmark-published", {}, 200)
    before, after = await latest(agency, "posts.unmark-published")
    assert (before["permalink"], after["permalink"]) == (permalink, None)
