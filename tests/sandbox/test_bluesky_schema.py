"""Every Bluesky response of an active world is valid by the lexicons, and complete."""

from typing import Any

import pytest

from sandbox.bluesky import ids
from sandbox.bluesky.api import routes
from tests.platforms.specimens import PIXEL
from tests.sandbox.conftest import SandboxClient
from tests.sandbox.lexicons import methods, problems, record_problems

CHAT = {"atproto-proxy": "did:web:api.bsky.chat#bsky_chat"}
COMMUNITY_DID = ids.did(17)


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    return ("bluesky",)


async def test_every_method_answers_as_its_lexicon_says(client: SandboxClient) -> None:
    c = client.world.communities["windowseat"]
    bearer = client.bearer("windowseat")
    comment = await client.act("windowseat", "comment", text="Open on Sunday? 🙂", post=str(c.posts[-1]))
    await client.act("windowseat", "comment", text="Same question", post=str(c.posts[-1]), parent=comment["id"])
    for act in ("mention", "message", "share", "react", "save", "quote"):
        await client.act("windowseat", act)
    called_methods: set[str] = set()

    async def get(method: str, **query: Any) -> Any:
        answer = await client.http.get(f"/xrpc/{method}", params=query, headers={**bearer, **CHAT})
        assert answer.status_code == 200, answer.text
        assert problems(method, "output", answer.json()) == []
        called_methods.add(method)
        return answer.json()

    async def post(method: str, sent: Any, **headers: str) -> Any:
        answer = await client.http.post(f"/xrpc/{method}", json=sent, headers={**bearer, **CHAT, **headers})
        assert answer.status_code == 200, answer.text
        assert problems(method, "output", answer.json()) == []
        called_methods.add(method)
        return answer.json()

    person = ids.did(comment["person"])
    await get("app.bsky.actor.getProfile", actor=COMMUNITY_DID)
    assert len((await get("app.bsky.actor.getProfiles", actors=[COMMUNITY_DID, person, ids.did(18)]))["profiles"]) == 3
    for kind in ("posts_no_replies", "posts_with_replies"):
        await get("app.bsky.feed.getAuthorFeed", actor="windowseat.bsky.social", filter=kind, limit=100)
    under = ids.uri(person, ids.POST, ids.rkey(int(comment["id"])))
    post_uri = ids.uri(COMMUNITY_DID, ids.POST, ids.rkey(c.posts[-1]))
    assert len((await get("app.bsky.feed.getPosts", uris=[under, post_uri]))["posts"]) == 2
    await get("app.bsky.feed.getPostThread", uri=under)
    await get("app.bsky.feed.getPostThread", uri=post_uri)
    notifications = (await get("app.bsky.notification.listNotifications", limit=100))["notifications"]
    assert {one["reason"] for one in notifications} >= {"reply", "mention", "like", "repost", "follow"}
    convos = (await get("chat.bsky.convo.listConvos", limit=100))["convos"]
    await get("chat.bsky.convo.getMessages", convoId=convos[0]["id"])
    await get("com.atproto.identity.resolveHandle", handle="windowseat.bsky.social")
    await get("com.atproto.repo.getRecord", repo=COMMUNITY_DID, collection=ids.POST, rkey=ids.rkey(c.posts[-1]))
    await get("com.atproto.server.describeServer")
    await get("com.atproto.server.getSession")

    await post("chat.bsky.convo.sendMessage", {"convoId": convos[0]["id"], "message": {"text": "Yes"}})
    blob = await client.http.post(
        "/xrpc/com.atproto.repo.uploadBlob", content=PIXEL, headers={**bearer, "content-type": "image/png"}
    )
    assert problems("com.atproto.repo.uploadBlob", "output", blob.json()) == []
    image = {"image": blob.json()["blob"], "alt": "A dot"}
    record = {
        "$type": ids.POST, "text": "Hello", "createdAt": "2026-11-23T06:00:00.000Z",
        "embed": {"$type": "app.bsky.embed.images", "images": [image]},
    }  # fmt: skip
    assert record_problems(record) == []
    place = {"repo": COMMUNITY_DID, "collection": ids.POST}
    made = await post("com.atproto.repo.createRecord", {**place, "record": record})
    await get("app.bsky.feed.getPosts", uris=[made["uri"]])
    put = await post("com.atproto.repo.putRecord", {**place, "rkey": "3k2yihcrp6f2c", "record": record})
    await post("com.atproto.repo.deleteRecord", {**place, "rkey": str(put["uri"]).rpartition("/")[2]})

    password = {"identifier": "windowseat.bsky.social", "password": client.token("windowseat", "password")}
    opened = await post("com.atproto.server.createSession", password)
    await post("com.atproto.server.refreshSession", {}, Authorization=f"Bearer {opened['refreshJwt']}")
    paths = [route.path.removeprefix("/xrpc/") for route in routes(client.sandbox.network)]
    documented = {path for path in paths if "{" not in path}
    assert documented - called_methods == {"com.atproto.repo.uploadBlob"}, (
        "a method that was not held against its lexicon"
    )
    assert documented <= methods()


@pytest.mark.parametrize("kind", ["picture", "video"])
async def test_what_people_attach_is_as_the_lexicon_says(client: SandboxClient, kind: str) -> None:
    made = await client.act("windowseat", "comment", attachments=[{"kind": kind, "name": "Our table"}])
    uri = ids.uri(ids.did(made["person"]), ids.POST, ids.rkey(int(made["id"])))
    answer = await client.http.get(
        "/xrpc/app.bsky.feed.getPosts", params={"uris": [uri]}, headers=client.bearer("windowseat")
    )
    (post,) = answer.json()["posts"]
    assert post["record"]["text"] == ""
    assert post["embed"]["$type"] == f"{post['record']['embed']['$type']}#view"
    assert problems("app.bsky.feed.getPosts", "output", answer.json()) == []
    assert record_problems(post["record"]) == []


def test_the_validator_finds_what_is_wrong() -> None:
    profile = {"did": COMMUNITY_DID, "handle": "name.bsky.social"}
    assert problems("app.bsky.actor.getProfile", "output", profile) == []
    for wrong in ({"did": "nobody"}, {"handle": "no handle"}, {"followersCount": "7"}, {"createdAt": "yesterday"}):
        assert problems("app.bsky.actor.getProfile", "output", {**profile, **wrong})
    assert problems("app.bsky.actor.getProfile", "output", {"did": COMMUNITY_DID})
    assert problems("app.bsky.feed.getPosts", "parameters", {"uris": ["at://did:plc:x/app.bsky.feed.post/1"] * 26})
    assert problems("app.bsky.feed.getPostThread", "output", {"thread": {"$type": "app.bsky.feed.defs#other"}})
    record = {"$type": ids.POST, "text": "x" * 301, "createdAt": "2026-11-23T06:00:00.000Z"}
    assert record_problems(record) == ["record/text: its graphemes is 301"]
