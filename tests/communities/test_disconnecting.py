"""Disconnecting a community: nothing is read or sent any more, its tokens are destroyed, and its history stays."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.communities.service import POLL
from app.kit.clock import SetClock
from app.platforms.contract import Credentials, Page, RemoteMessage, Token
from tests.communities.conftest import START, Fake, World
from tests.communities.renewing import texts
from tests.conftest import Agency

DAY = timedelta(days=1)


async def test_nothing_is_read_any_more_and_the_history_stays(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    world.posts = [world.post(1, START - DAY, reactions=3)]
    world.messages = [world.message_from("olga", 1, START - DAY)]
    await agency.work()
    path = f"/v1/communities/{community['id']}"
    gone = await agency.post(f"{path}/disconnect", status=200)
    assert (gone["status"], gone["disconnected_at"]) == ("disconnected", "2026-10-15T12:00:00Z")
    assert await agency.post(f"{path}/disconnect", status=200) == gone, "again: nothing changes"
    assert await texts(agency, community) == {}
    world.calls.clear()
    for _ in range(40):
        clock.advance(DAY)
        await agency.work()
    assert world.calls == []
    for action in ("sync", "pause", "resume"):
        assert (await agency.post(f"{path}/{action}", status=409))["code"] == "community-disconnected"
    health = await agency.get(f"{path}/health")
    assert (health["status"], health["next_poll_at"], health["lag"]["posts"], health["publications"]) == (
        "disconnected",
        None,
        0,
        1,
    )
    (inquiry,) = (await agency.get("/v1/inquiries"))["data"]
    assert inquiry["reply_refusal"]["code"] == "community-disconnected"
    refused = await agency.post(f"/v1/inquiries/{inquiry['id']}/messages", {"text": "Yes?"}, status=409)
    assert refused["code"] == "community-disconnected"
    await agency.post(f"/v1/inquiries/{inquiry['id']}/resolve", {"reason": "Gone."}, status=200)
    again = {"project_id": community["project_id"], "platform": "fake", "address": "https://fake.test/name"}
    refusal = await agency.post("/v1/communities", again, status=409)
    assert (refusal["code"], community["id"] in refusal["detail"]) == ("community-disconnected", True)


async def test_reconnecting_brings_it_back(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    await agency.work()
    path = f"/v1/communities/{community['id']}"
    await agency.post(f"{path}/disconnect", status=200)
    clock.advance(timedelta(hours=2))
    world.posts = [world.post(2, START + timedelta(hours=1), reactions=3)]
    back = await agency.post(f"{path}/reconnect", {"credentials": {"user": "new-token"}}, status=200)
    assert (back["status"], back["disconnected_at"]) == ("connecting", None)
    await agency.work(POLL)
    assert (await agency.get(path))["status"] == "healthy"
    assert len((await agency.get("/v1/posts", community_id=community["id"]))["data"]) == 1
    clock.advance(2 * DAY)
    await agency.work("communities.destroy-tokens")
    assert await texts(agency, community) == {Token.USER: "new-token"}, "it is connected again"
    empty = await agency.post(f"{path}/reconnect", {"credentials": {}}, status=422)
    assert empty["code"] == "credentials-needed"
    await agency.post(f"{path}/disconnect", status=200)
    await agency.post(f"{path}/reconnect", {"credentials": {}}, status=200)


async def test_a_poll_that_is_under_way_does_not_bring_it_back(
    agency: Agency, community: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/communities/{community['id']}"
    await agency.work(POLL)
    await agency.post(f"{path}/sync", status=202)
    read = Fake.conversations

    async def conversations(
        self: Fake, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        await agency.post(f"{path}/disconnect", status=200)
        return await read(self, c, cursor, since)

    monkeypatch.setattr(Fake, "conversations", conversations)
    assert await agency.work(POLL), "it was under way"
    assert (await agency.get(path))["status"] == "disconnected"
    assert await agency.due() == []
