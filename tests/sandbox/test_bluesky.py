"""Bluesky's behaviour that its lexicons do not describe."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.bluesky import ids, tokens
from sandbox.server import build
from tests.platforms.specimens import PIXEL
from tests.sandbox.conftest import ManualClock, SandboxClient

COMMUNITY_DID = ids.did(17)
KEY = "2rdw3hjwj2bby"
CHAT = {"atproto-proxy": "did:web:api.bsky.chat#bsky_chat"}
HOUR = 3600


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    return ("bluesky",)


def scope(token: str) -> object:
    """The scope in a session's access token."""
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["scope"]


class Account:
    """A caller with an account's password."""

    def __init__(self, client: SandboxClient, community: str = "windowseat") -> None:
        self.client = client
        self.community = community
        self.bearer = client.bearer(community)

    async def get(self, method: str, status: int = 200, headers: dict[str, str] | None = None, **query: Any) -> Any:
        path, sent = f"/xrpc/{method}", {**self.bearer, **(headers or {})}
        answer = await self.client.http.get(path, params=query, headers=sent)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, method: str, status: int = 200, token: str | None = None, **sent: Any) -> Any:
        bearer = self.bearer if token is None else {"Authorization": f"Bearer {token}"}
        answer = await self.client.http.post(f"/xrpc/{method}", json=sent, headers={**CHAT, **bearer})
        assert answer.status_code == status, answer.text
        return answer.json()

    async def put(self, text: str = "Hello", status: int = 200, method: str = "putRecord", **more: Any) -> Any:
        record = {"$type": ids.POST, "text": text, "createdAt": "2026-11-23T06:00:00.000Z", **more}
        sent: dict[str, Any] = {"repo": COMMUNITY_DID, "collection": ids.POST, "rkey": KEY, "record": record}
        return await self.post(f"com.atproto.repo.{method}", status, **sent, swapRecord=None)

    async def open(self, status: int = 200, **wrong: str) -> Any:
        password = self.client.token(self.community, "password")
        sent = {"identifier": "windowseat.bsky.social", "password": password, **wrong}
        return await self.post("com.atproto.server.createSession", status, "", **sent)


@pytest.fixture
def account(client: SandboxClient) -> Account:
    return Account(client)


# ── names ─────────────────────────────────────────────────────────────────────────────────────────


def test_names_lead_back_to_the_worlds_numbers() -> None:
    for number in (17, 17_000_001, 18_999_999):
        assert ids.parse_did(ids.did(number)) == number
    assert ids.parse_did("did:plc:" + "a" * 24) is None
    for entry in (1_795_413_600_123 << 16, (1_795_413_600_123 << 16) + 65_535):
        assert ids.entry_id(ids.rkey(entry)) == entry
        assert len(ids.rkey(entry)) == 13
    assert ids.rkey(1 << 16) < ids.rkey(2 << 16)
    assert ids.entry_id("zzzzzzzzzzzzz") is None


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_feed_is_paged_below_a_moment_until_a_page_is_empty(account: Account) -> None:
    c = account.client.world.communities["windowseat"]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while len(seen) < 1000:
        page = await account.get(
            "app.bsky.feed.getAuthorFeed", actor=COMMUNITY_DID, limit=7, filter="posts_no_replies", **cursor
        )
        seen += [one["post"]["uri"].rpartition("/")[2] for one in page["feed"]]
        if "cursor" not in page:
            break
        assert page["feed"], "the last page has neither"
        cursor = {"cursor": page["cursor"]}
    assert seen == [ids.rkey(one) for one in reversed(c.posts)]


async def test_what_shares_its_moment_with_the_cursor_is_passed_over(account: Account) -> None:
    for _ in range(3):
        await account.client.act("windowseat", "post", text="At once")
    method = "app.bsky.feed.getAuthorFeed"
    page = await account.get(method, actor=COMMUNITY_DID, limit=1)
    below = await account.get(method, actor=COMMUNITY_DID, limit=2, cursor=page["cursor"])
    assert {one["post"]["record"]["text"] for one in below["feed"]}.isdisjoint({"At once"})

    for _ in range(3):
        await account.client.act("windowseat", "mention", text="At once")
    method = "app.bsky.notification.listNotifications"
    page = await account.get(method, limit=1)
    below = await account.get(method, limit=2, cursor=page["cursor"])
    assert {one["record"].get("text") for one in below["notifications"]}.isdisjoint({"@windowseat.bsky.social At once"})


async def test_a_post_stands_in_feeds_where_it_claims_to_have_been_written(account: Account) -> None:
    backdated = await account.put(createdAt="2020-01-01T00:00:00.000Z")
    feed = (await account.get("app.bsky.feed.getAuthorFeed", actor=COMMUNITY_DID, limit=100))["feed"]
    assert backdated["uri"] not in {one["post"]["uri"] for one in feed[:50]}


async def test_posts_show_their_counters(account: Account) -> None:
    c = account.client.world.communities["windowseat"]
    entry = c.wall[c.posts[-3]]
    for act in ("save", "quote", "share"):
        await account.client.act("windowseat", act, id=str(entry.id))
    response = await account.get("app.bsky.feed.getPosts", uris=[ids.uri(COMMUNITY_DID, ids.POST, ids.rkey(entry.id))])
    counts = {name: response["posts"][0][f"{name}Count"] for name in ("bookmark", "quote", "repost", "like")}
    likes = len(entry.reactors)
    assert counts == {"bookmark": entry.saves, "quote": entry.quotes, "repost": entry.shares, "like": likes}
    assert min(entry.saves, entry.quotes, entry.shares) > 0


async def test_26_posts_are_too_many_and_those_that_are_gone_are_left_out(account: Account) -> None:
    c = account.client.world.communities["windowseat"]
    uris = [ids.uri(COMMUNITY_DID, ids.POST, ids.rkey(one)) for one in c.posts[-26:]]
    method = "app.bsky.feed.getPosts"
    assert (await account.get(method, 400, uris=uris)) == {
        "error": "InvalidRequest",
        "message": "Error: uris must not have more than 25 elements",
    }
    await account.client.act("windowseat", "delete_post", id=str(c.posts[-1]))
    assert len((await account.get(method, uris=uris[1:]))["posts"]) == 24


async def test_what_stands_below_a_deleted_answer_is_hidden(account: Account) -> None:
    post = str(account.client.world.communities["windowseat"].posts[-1])
    comment = await account.client.act("windowseat", "comment", post=post, text="First")
    below = await account.client.act("windowseat", "comment", post=post, parent=comment["id"], text="Second")
    uri = ids.uri(COMMUNITY_DID, ids.POST, ids.rkey(int(post)))

    async def texts() -> set[str]:
        thread = (await account.get("app.bsky.feed.getPostThread", uri=uri))["thread"]
        posts = [one for answer in thread["replies"] for one in (answer, *answer["replies"])]
        return {one["post"]["record"]["text"] for one in posts}

    assert {"First", "Second"} <= await texts()
    await account.client.act("windowseat", "delete_comment", id=comment["id"])
    assert {"First", "Second"}.isdisjoint(await texts())
    alone = ids.uri(ids.did(below["person"]), ids.POST, ids.rkey(int(below["id"])))
    thread = (await account.get("app.bsky.feed.getPostThread", uri=alone))["thread"]
    assert thread["parent"]["notFound"] is True


async def test_notifications_can_be_chosen_by_their_reasons(account: Account) -> None:
    await account.client.act("windowseat", "mention", text="Lovely")
    method = "app.bsky.notification.listNotifications"
    notifications = (await account.get(method, reasons=["mention"], limit=100))["notifications"]
    assert {one["reason"] for one in notifications} == {"mention"}
    assert notifications[0]["record"]["text"] == "@windowseat.bsky.social Lovely"
    assert notifications[0]["record"]["facets"][0]["index"] == {"byteStart": 0, "byteEnd": 23}


# ── records ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_record_is_put_once_where_it_may_only_be_new(account: Account) -> None:
    c = account.client.world.communities["windowseat"]
    posts = len(c.posts)
    made = await account.put()
    assert made["uri"] == f"at://{COMMUNITY_DID}/app.bsky.feed.post/{KEY}"
    assert (await account.put())["cid"] == made["cid"], "the same record changes nothing"
    assert (await account.put(status=400, text="Other"))["error"] == "InvalidSwap"
    assert (await account.put(status=500, method="createRecord"))["error"] == "InternalServerError"
    assert len(c.posts) == posts + 1
    changed = await account.post(
        "com.atproto.repo.putRecord", repo=COMMUNITY_DID, collection=ids.POST, rkey=KEY,
        record={"$type": ids.POST, "text": "Other", "createdAt": "2026-11-23T06:00:00.000Z"},
    )  # fmt: skip
    assert changed["cid"] != made["cid"]
    await account.post("com.atproto.repo.deleteRecord", repo=COMMUNITY_DID, collection=ids.POST, rkey=KEY)
    await account.post("com.atproto.repo.deleteRecord", repo=COMMUNITY_DID, collection=ids.POST, rkey=KEY)
    assert len(c.posts) == posts
    missing = await account.get("com.atproto.repo.getRecord", 400, repo=COMMUNITY_DID, collection=ids.POST, rkey=KEY)
    assert missing["error"] == "RecordNotFound"


@pytest.mark.parametrize(
    ("record", "error"),
    [
        ({"text": "🙂" * 301}, "InvalidRequest"),
        ({"createdAt": "yesterday"}, "InvalidRequest"),
        ({"$type": "app.bsky.feed.like"}, "InvalidRequest"),
        ({"reply": {"root": {}}}, "InvalidRequest"),
        ({"embed": {"images": [{"image": {"ref": {"$link": "bafkreia"}}}]}}, "BlobNotFound"),
        ({"embed": {"images": [{}] * 5}}, "InvalidRequest"),
    ],
)
async def test_a_record_must_be_right(account: Account, record: dict[str, Any], error: str) -> None:
    posts = len(account.client.world.communities["windowseat"].posts)
    assert (await account.put(status=400, **{"text": "Hello", **record}))["error"] == error
    assert len(account.client.world.communities["windowseat"].posts) == posts
    if "text" in record:
        await account.put(text="👩‍👩‍👧" * 100)


async def test_a_picture_is_uploaded_and_shown(account: Account) -> None:
    headers = {**account.bearer, "content-type": "image/png"}
    answer = await account.client.http.post("/xrpc/com.atproto.repo.uploadBlob", content=PIXEL, headers=headers)
    image = {"image": answer.json()["blob"], "alt": "A dot"}
    made = await account.put(embed={"$type": "app.bsky.embed.images", "images": [image]})
    post = (await account.get("app.bsky.feed.getPosts", uris=[made["uri"]]))["posts"][0]
    assert [one["alt"] for one in post["embed"]["images"]] == ["A dot"]
    assert (
        len(
            account.client.world.communities["windowseat"]
            .wall[account.client.world.communities["windowseat"].posts[-1]]
            .media
        )
        == 1
    )


async def test_keys_survive_a_restart(manual_clock: ManualClock, ledger_path: Path) -> None:
    def started() -> tuple[SandboxClient, httpx.AsyncClient]:
        sandbox = build(seed=7, real=manual_clock, tick=None, platforms=("bluesky",), ledger=ledger_path)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url="http://sandbox.test")
        return SandboxClient(sandbox, manual_clock, http), http

    client, http = started()
    async with http:
        made = await Account(client).put()
    client.world.ledger.close()
    client, http = started()
    async with http:
        again = Account(client)
        assert (await again.get("app.bsky.feed.getPosts", uris=[made["uri"]]))["posts"][0]["cid"] == made["cid"]
        assert (await again.put(status=400, text="Other"))["error"] == "InvalidSwap"
    client.world.ledger.close()


# ── direct messages ───────────────────────────────────────────────────────────────────────────────


async def test_the_chat_is_behind_a_header_and_a_right(account: Account) -> None:
    await account.client.act("windowseat", "message", text="Hello")
    method = "chat.bsky.convo.listConvos"
    assert (await account.get(method, 400))["message"] == f"No service configured for {method}"
    first = (await account.get(method, headers=CHAT, limit=1))["convos"][0]
    assert (first["lastMessage"]["text"], first["status"]) == ("Hello", "request")
    sent = {"convoId": first["id"], "message": {"text": "Yes"}}
    one, other = [await account.post("chat.bsky.convo.sendMessage", **sent) for _ in range(2)]
    assert one["id"] != other["id"], "the chat knows no keys"
    assert (await account.get(method, headers=CHAT, limit=1))["convos"][0]["status"] == "accepted"

    c = account.client.world.communities["windowseat"]
    narrow = account.client.sandbox.network.grants.make(c, "password", [])
    session = await account.open(password=narrow)
    refused = await account.get(method, 400, headers={**CHAT, "Authorization": f"Bearer {session['accessJwt']}"})
    assert refused == {"error": "InvalidToken", "message": "Bad token method"}
    assert scope(session["accessJwt"]) == "com.atproto.appPass"
    assert scope((await account.open())["accessJwt"]) == "com.atproto.appPassPrivileged"


# ── sessions and limits ───────────────────────────────────────────────────────────────────────────


async def test_a_session_is_opened_ends_and_is_renewed(account: Account) -> None:
    clock = account.client.sandbox.network.clock
    session = await account.open()
    own = {"Authorization": f"Bearer {session['accessJwt']}"}
    assert (await account.get("com.atproto.server.getSession", headers=own))["did"] == COMMUNITY_DID
    clock.advance((tokens.ACCESS_SECONDS + 1) * 1000)
    refused = await account.get("com.atproto.server.getSession", 400, headers=own)
    assert refused == {"error": "ExpiredToken", "message": "Token has expired"}

    renew = "com.atproto.server.refreshSession"
    second = await account.post(renew, token=session["refreshJwt"])
    again = await account.post(renew, token=session["refreshJwt"])
    assert again["refreshJwt"] == second["refreshJwt"] != session["refreshJwt"]
    assert again["accessJwt"] != second["accessJwt"]
    clock.advance((2 * HOUR + 1) * 1000)
    assert (await account.post(renew, 400, session["refreshJwt"]))["error"] == "ExpiredToken"
    assert (await account.post(renew, 400, second["accessJwt"]))["error"] == "InvalidToken"
    await account.post(renew, token=second["refreshJwt"])
    as_access = {"Authorization": f"Bearer {second['refreshJwt']}"}
    assert (await account.get("com.atproto.server.getSession", 400, headers=as_access))["message"] == "Bad token scope"


async def test_a_wrong_password_opens_nothing(account: Account) -> None:
    other = account.client.token("velosreda", "password")
    for wrong in ({"password": "aaaa-bbbb-cccc-dddd"}, {"password": other}, {"identifier": "nobody.bsky.social"}):
        refused = await account.open(401, **wrong)
        assert refused == {"error": "AuthenticationRequired", "message": "Invalid identifier or password"}


async def test_limits_are_told_and_kept(account: Account) -> None:
    limits, get = account.client.sandbox.network.limits, account.client.http.get
    limits.update(bluesky_calls=3, bluesky_writes=4)
    path = f"/xrpc/app.bsky.actor.getProfile?actor={COMMUNITY_DID}"
    first = await get(path)
    assert [first.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "policy")] == ["3", "2", "3;w=300"]
    assert first.headers["ratelimit-reset"].isdecimal()
    await get(path)
    await get(path)
    refused = await get(path)
    assert (refused.status_code, refused.json()["error"]) == (429, "RateLimitExceeded")
    account.client.manual_clock.at += int(refused.headers["retry-after"])
    assert (await get(path)).status_code == 200

    limits["bluesky_calls"] = 1000
    await account.put()
    sent = {"repo": COMMUNITY_DID, "collection": ids.POST, "rkey": "3k2yihcrp6f2c"}
    record = {"$type": ids.POST, "text": "More", "createdAt": "2026-11-23T06:00:00.000Z"}
    made = await account.client.http.post(
        "/xrpc/com.atproto.repo.putRecord", json={**sent, "record": record}, headers=account.bearer
    )
    assert (made.headers["ratelimit-remaining"], made.headers["ratelimit-policy"]) == ("0", "4;w=3600")
    assert (await account.put(status=429))["error"] == "RateLimitExceeded"


async def test_nobody_is_told_apart_from_a_method_that_is_not_there(account: Account) -> None:
    assert (await account.get("app.bsky.actor.getProfile", 400, actor="nobody.example"))[
        "message"
    ] == "Profile not found"
    assert (await account.get("app.bsky.feed.getTimeline", 501))["error"] == "MethodNotImplemented"
    answer = await account.client.http.get("/xrpc/app.bsky.notification.listNotifications")
    assert (answer.status_code, answer.json()["error"]) == (401, "AuthMissing")
