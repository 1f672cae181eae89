"""VK's behaviour that its schema does not describe."""

import json
from typing import Any

import pytest

from sandbox.recount import counters
from sandbox.vk.callbacks import HOOK
from tests.platforms.specimens import PIXEL
from tests.sandbox.conftest import SandboxClient

OWNER, GROUP = -220000004, 220000004


def _code(answer: Any) -> int:
    code: int = answer["error"]["error_code"]
    return code


@pytest.mark.parametrize("method", ["wall.get", "wall.getById", "wall.getComments", "stats.getPostReach"])
async def test_a_community_token_reads_no_wall(client: SandboxClient, method: str) -> None:
    assert _code(await client.vk(method, "community", owner_id=OWNER)) == 27


async def test_who_may_and_who_may_not(client: SandboxClient) -> None:
    post = client.world.communities["velo_dvor"].posts[-1]
    assert _code(await client.vk("groups.getTokenPermissions", "user")) == 15
    assert _code(await client.vk("messages.getConversations", "user")) == 15, "no right to messages"
    assert _code(await client.vk("messages.getConversations", "community", group_id=220000005)) == 203
    assert _code(await client.vk("messages.getConversations", "community", group_id=1)) == 125
    assert _code(await client.vk("stats.getPostReach", owner_id=-220000005, post_ids=post)) == 15
    assert _code(await client.vk("wall.get", access_token="vk1.a.wrong", owner_id=OWNER)) == 5
    assert _code(await client.vk("wall.get", v="", owner_id=OWNER)) == 8
    assert _code(await client.vk("wall.everything")) == 3
    assert _code(await client.vk("wall.get", owner_id="many")) == 100
    assert _code(await client.vk("users.get", user_ids="durov!")) == 113
    assert _code(await client.vk("wall.getComments", owner_id=OWNER, post_id=10**6)) == 212
    assert _code(await client.vk("messages.send", "community", peer_id=1, random_id=1, message="x")) == 901


async def test_a_communitys_token_without_the_right_to_post_is_refused_as_one_of_a_community(
    client: SandboxClient,
) -> None:
    ask = {"community": "velo_dvor", "kind": "community", "scopes": ["messages"]}
    token = (await client.http.post("/_sandbox/tokens", json=ask)).json()["token"]
    assert _code(await client.vk("wall.post", access_token=token, owner_id=OWNER, from_group=1, message="x")) == 27
    comment = await client.act("velo_dvor", "comment")
    refused = await client.vk(
        "wall.createComment", access_token=token, owner_id=OWNER, post_id=comment["post"], message="x"
    )
    assert _code(refused) == 15


async def test_an_error_repeats_the_request_but_never_the_token(client: SandboxClient) -> None:
    answer = await client.vk("wall.get", owner_id="many")
    params = {one["key"]: one["value"] for one in answer["error"]["request_params"]}
    assert params == {"method": "wall.get", "v": "5.199", "owner_id": "many"}


async def test_tokens_expire_in_virtual_time(client: SandboxClient) -> None:
    ask = {"community": "velo_dvor", "kind": "user", "expires_in": 3600}
    token = (await client.http.post("/_sandbox/tokens", json=ask)).json()["token"]
    assert "response" in await client.vk("wall.get", access_token=token, owner_id=OWNER)
    await client.http.post("/_sandbox/clock", json={"advance": 3601})
    assert _code(await client.vk("wall.get", access_token=token, owner_id=OWNER)) == 1117


async def test_three_and_twenty_calls_a_second(client: SandboxClient) -> None:
    client.sandbox.network.limits.update(vk_user_rps=3, vk_community_rps=20)
    user = [await client.vk("utils.getServerTime") for _ in range(5)]
    assert ["error" in one for one in user] == [False, False, False, True, True]
    assert _code(user[3]) == 6
    group = [await client.vk("utils.getServerTime", "community") for _ in range(21)]
    assert ["error" in one for one in group] == [False] * 20 + [True]
    client.manual_clock.at += 1
    assert "response" in await client.vk("utils.getServerTime")


async def test_the_wall_is_paged_newest_first(client: SandboxClient) -> None:
    posts = client.world.communities["velo_dvor"].posts[::-1]
    seen: list[int] = []
    while len(seen) < len(posts):
        page = await client.vk("wall.get", owner_id=OWNER, count=9, offset=len(seen))
        seen += [one["id"] for one in page["response"]["items"]]
    assert seen == posts
    beyond = await client.vk("wall.get", owner_id=OWNER, count=9, offset=len(posts))
    assert beyond["response"]["items"] == []


async def test_comments_start_where_asked_and_come_with_their_threads(client: SandboxClient) -> None:
    post = (await client.act("velo_dvor", "post", text="Кто с нами?"))["id"]
    tops = [(await client.act("velo_dvor", "comment", post=post, text=f"Я {n}"))["id"] for n in range(5)]
    below = (await client.act("velo_dvor", "comment", post=post, parent=tops[1], text="И я"))["id"]
    deeper = (await client.act("velo_dvor", "comment", post=post, parent=below, text="И мы"))["id"]

    async def ids(**more: Any) -> list[str]:
        page = await client.vk("wall.getComments", owner_id=OWNER, post_id=post, **more)
        assert (page["response"]["count"], page["response"]["current_level_count"]) == (7, 5)
        return [str(one["id"]) for one in page["response"]["items"]]

    assert await ids() == tops
    assert await ids(sort="desc") == tops[::-1]
    assert await ids(start_comment_id=tops[2]) == tops[2:]
    assert await ids(start_comment_id=tops[2], offset=1, count=1) == tops[3:4]
    assert await ids(start_comment_id=tops[2], sort="desc") == tops[2::-1]
    page = await client.vk("wall.getComments", owner_id=OWNER, post_id=post, thread_items_count=10)
    thread = page["response"]["items"][1]["thread"]
    assert [(str(one["id"]), one["parents_stack"]) for one in thread["items"]] == [
        (below, [int(tops[1])]),
        (deeper, [int(tops[1])]),
    ]
    assert str(thread["items"][1]["reply_to_comment"]) == below


async def test_guid_and_random_id_act_once(client: SandboxClient) -> None:
    c = client.world.communities["velo_dvor"]
    message = await client.act("velo_dvor", "message", text="Ау")
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("wall.createComment", {"owner_id": OWNER, "post_id": c.posts[-1], "message": "Да", "guid": "g"}),
        ("wall.post", {"owner_id": OWNER, "message": "Весна", "guid": "g2"}),
        ("messages.send", {"peer_id": message["person"], "message": "Здесь!", "random_id": 77}),
    )
    for method, fields in calls:
        before = len(client.records())
        first = await client.vk(method, "community", **fields)
        assert await client.vk(method, "community", **fields) == first
        assert len(client.records()) == before + 1, method


async def test_history_runs_both_ways(client: SandboxClient) -> None:
    sent = [int((await client.act("velo_dvor", "message", text=str(n)))["id"]) for n in range(5)]
    peer = client.world.communities["velo_dvor"].number_of(900_000)

    async def ids(**more: Any) -> list[int]:
        page = await client.vk("messages.getHistory", "community", peer_id=peer, **more)
        return [one["id"] for one in page["response"]["items"]]

    assert await ids() == sent[::-1]
    assert await ids(rev=1, offset=1, count=2) == sent[1:3]
    assert await ids(start_message_id=sent[3], count=2) == [sent[3], sent[2]]
    listed = await client.vk("messages.getConversations", "community", count=1)
    assert listed["response"]["items"][0]["last_message"]["id"] == sent[-1]
    assert listed["response"]["items"][0]["conversation"]["unread_count"] == 5


async def test_fifty_posts_a_day(client: SandboxClient) -> None:
    answers: list[Any] = [
        await client.vk("wall.post", "community", owner_id=OWNER, message=f"Пост {n}") for n in range(51)
    ]
    assert all("response" in one for one in answers[:50])
    assert _code(answers[50]) == 214


# ── several methods at once ───────────────────────────────────────────────────────────────────


async def test_execute_does_several_and_tells_what_failed(client: SandboxClient) -> None:
    posts = client.world.communities["velo_dvor"].posts
    calls = [
        f'API.stats.getPostReach({{"owner_id": {OWNER}, "post_ids": "{posts[-1]},{posts[-2]}"}})',
        'API.stats.getPostReach({"owner_id": -220000005, "post_ids": "1"})',
        "API.utils.getServerTime({})",
        "API.wall.everything({})",
    ]
    answer = await client.vk("execute", code=f"return [{','.join(calls)}];")
    reach, denied, time, unknown = answer["response"]
    assert {one["post_id"] for one in reach} == {posts[-1], posts[-2]}
    assert (denied, unknown) == (False, False)
    assert isinstance(time, int)
    failed = [(one["method"], one["error_code"]) for one in answer["execute_errors"]]
    assert failed == [("stats.getPostReach", 15), ("wall.everything", 3)]


async def test_execute_keeps_to_25_and_to_what_it_understands(client: SandboxClient) -> None:
    calls = ["API.utils.getServerTime({})"] * 25
    assert len((await client.vk("execute", code=f"return [{','.join(calls)}];"))["response"]) == 25
    assert _code(await client.vk("execute", code=f"return [{','.join([*calls, calls[0]])}];")) == 13
    for code in ("", "return 1;", "return [API.wall.get({]);", "return [API.wall.get({}) API.wall.get({})];"):
        assert _code(await client.vk("execute", code=code)) == 12
    client.sandbox.network.limits.update(vk_user_rps=1)
    client.manual_clock.at += 10
    assert "response" in await client.vk("execute", code=f"return [{','.join(calls)}];"), "it counts as one call"
    assert _code(await client.vk("execute", code="return [];")) == 6


async def test_five_thousand_walls_a_day(client: SandboxClient) -> None:
    client.sandbox.network.limits.update(vk_wall_get_day=2)
    answers: list[Any] = [await client.vk("wall.get", owner_id=OWNER) for _ in range(3)]
    assert ["error" in one for one in answers] == [False, False, True]
    assert _code(answers[2]) == 29
    assert "response" in await client.vk("wall.getById", posts=f"{OWNER}_1"), "other methods are not concerned"
    client.manual_clock.at += 86_400
    assert "response" in await client.vk("wall.get", owner_id=OWNER)


# ── pictures ──────────────────────────────────────────────────────────────────────────────────


async def _photo(client: SandboxClient) -> str:
    """Upload and save a picture; its name as an attachment."""
    where = (await client.vk("photos.getWallUploadServer", group_id=GROUP))["response"]["upload_url"]
    uploaded = (await client.http.post(where, files={"photo": ("dot.png", PIXEL, "image/png")})).json()
    (saved,) = (await client.vk("photos.saveWallPhoto", group_id=GROUP, **uploaded))["response"]
    return f"photo{saved['owner_id']}_{saved['id']}_{saved['access_key']}"


async def test_a_post_shows_its_pictures_in_their_order(client: SandboxClient) -> None:
    names = [await _photo(client) for _ in range(3)][::-1]
    fields: dict[str, Any] = {"owner_id": OWNER, "from_group": 1, "attachments": ",".join(names)}
    made = (await client.vk("wall.post", "community", **fields))["response"]["post_id"]
    (post,) = (await client.vk("wall.getById", posts=f"{OWNER}_{made}"))["response"]["items"]
    assert [one["photo"]["id"] for one in post["attachments"]] == [int(name.split("_")[1]) for name in names]
    records = [one for one in client.records() if one["type"] == "media"]
    assert [(one["kind"], one["count"]) for one in records] == [("image/png", len(PIXEL))] * 3


async def test_pictures_that_are_not_there_are_refused(client: SandboxClient) -> None:
    name = await _photo(client)
    bare = name.rpartition("_")[0]
    for attachments in (bare, f"{bare}_wrong", "photo1_1", "doc1_1", "x", ",".join([name] * 11)):
        fields: dict[str, Any] = {"owner_id": OWNER, "message": "x", "attachments": attachments}
        assert _code(await client.vk("wall.post", "community", **fields)) == 100, attachments
    own = await client.vk("wall.post", owner_id=OWNER, from_group=1, attachments=bare)
    assert "response" in own, "its owner needs no key"
    assert "response" in await client.vk("wall.post", "community", owner_id=OWNER, attachments=name)


async def test_an_upload_has_its_own_address_and_what_is_saved_is_what_was_uploaded(client: SandboxClient) -> None:
    where = (await client.vk("photos.getWallUploadServer", group_id=GROUP))["response"]["upload_url"]
    for url, kind in ((f"{where}x", "image/png"), (where, "text/html")):
        answer = (await client.http.post(url, files={"photo": ("x", PIXEL, kind)})).json()
        assert answer["error"].startswith("ERR_UPLOAD")
    uploaded = (await client.http.post(where, files={"photo": ("dot.png", PIXEL, "image/png")})).json()
    uploaded["photo"] = json.dumps([{"photo": "x", "kind": "image/gif", "size": 1}])
    assert _code(await client.vk("photos.saveWallPhoto", group_id=GROUP, **uploaded)) == 121
    assert _code(await client.vk("photos.getWallUploadServer", "community", group_id=GROUP)) == 27


# ── VK ID ─────────────────────────────────────────────────────────────────────────────────────


async def _renew(client: SandboxClient, **changes: str) -> tuple[int, Any]:
    connections = (await client.http.get("/_sandbox/communities")).json()
    own = next(one for one in connections if one["key"] == "velo_dvor")
    device, _, token = own["tokens"]["refresh"].partition(":")
    form = {"grant_type": "refresh_token", "refresh_token": token, "device_id": device, "state": "s" * 32}
    form |= {"client_id": own["app"]["client_id"], **changes}
    answer = await client.http.post("/oauth2/auth", data=form)
    return answer.status_code, answer.json()


async def test_a_refresh_token_is_good_once(client: SandboxClient) -> None:
    status, fresh = await _renew(client)
    assert (status, fresh["expires_in"], fresh["state"]) == (200, 3600, "s" * 32)
    assert (await _renew(client))[1]["error"] == "invalid_grant"
    status, again = await _renew(client, refresh_token=fresh["refresh_token"])
    assert (status, again["access_token"] != fresh["access_token"]) == (200, True)
    token = again["access_token"]
    assert "response" in await client.vk("wall.get", access_token=token, owner_id=OWNER)
    assert _code(await client.vk("wall.post", access_token=token, owner_id=OWNER, from_group=1, message="x")) == 1051
    client.manual_clock.at += 3601
    assert _code(await client.vk("wall.get", access_token=token, owner_id=OWNER)) == 1117


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"device_id": "another"}, "invalid_grant"),
        ({"refresh_token": "vk2.a.wrong"}, "invalid_grant"),
        ({"client_id": "1"}, "invalid_client"),
        ({"state": ""}, "invalid_request"),
        ({"grant_type": "password"}, "invalid_request"),
    ],
)
async def test_what_vk_id_refuses(client: SandboxClient, changes: dict[str, str], error: str) -> None:
    status, answer = await _renew(client, **changes)
    assert (status, answer["error"]) == (400, error)


async def test_a_refresh_token_calls_nothing(client: SandboxClient) -> None:
    assert _code(await client.vk("wall.get", "refresh", owner_id=OWNER)) == 5


# ── what comes back ───────────────────────────────────────────────────────────────────────────


async def test_a_deleted_comment_is_restored_where_it_was(client: SandboxClient) -> None:
    c = client.world.communities["velo_dvor"]
    post = (await client.act("velo_dvor", "post", text="Кто с нами?"))["id"]
    made = [(await client.act("velo_dvor", "comment", post=post, text=f"Я {n}"))["id"] for n in range(3)]

    async def listed_comments() -> list[Any]:
        page = await client.vk("wall.getComments", owner_id=OWNER, post_id=post, count=100)
        comments = [(str(one["id"]), one["text"], one["date"], one["from_id"]) for one in page["response"]["items"]]
        return [one for one in comments if one[0] in made]  # meanwhile others comment, too

    before = await listed_comments()
    restore: dict[str, Any] = {"owner_id": OWNER, "comment_id": made[1]}
    assert _code(await client.vk("wall.restoreComment", **restore)) == 243
    client.manual_clock.at += 60
    await client.act("velo_dvor", "delete_comment", id=made[1])
    assert [one[0] for one in await listed_comments()] == [made[0], made[2]]
    client.manual_clock.at += 60
    assert (await client.vk("wall.restoreComment", **restore))["response"] == 1
    assert await listed_comments() == before
    server = client.sandbox.network.hooks.configure(c, "http://127.0.0.1:9/", "s", origin="control")
    (record,) = [one for one in client.records() if one["type"] == "comment_restored"]
    (pushed,) = HOOK.events(client.world, server, c, record)
    event = json.loads(pushed.body)
    assert (event["type"], str(event["object"]["id"]), event["object"]["text"]) == (
        "wall_reply_restore",
        made[1],
        "Я 1",
    )
    added_up = counters(client.records(), "velo_dvor", post, client.world.now)
    assert added_up is not None
    assert added_up.comments == c.wall[int(post)].comments
    assert _code(await client.vk("wall.restoreComment", owner_id=OWNER, comment_id=10**6)) == 211


# ── the Callback API's servers ────────────────────────────────────────────────────────────────


async def test_a_server_is_edited_and_asked_again(client: SandboxClient) -> None:
    async def call(method: str, **fields: Any) -> Any:
        return (await client.vk(f"groups.{method}", "community", group_id=GROUP, **fields))["response"]

    made = (await call("addCallbackServer", url="http://127.0.0.1:9/a", title="x", secret_key="s"))["server_id"]
    await call("setCallbackSettings", server_id=made, like_add=0)
    await call("editCallbackServer", server_id=made, url="http://127.0.0.1:9/b", title="y", secret_key="t")
    (server,) = (await call("getCallbackServers"))["items"]
    server_fields = {name: server[name] for name in ("id", "url", "title", "secret_key", "status")}
    assert server_fields == {
        "id": made,
        "url": "http://127.0.0.1:9/b",
        "title": "y",
        "secret_key": "t",
        "status": "wait",
    }
    events = (await call("getCallbackSettings", server_id=made))["events"]
    assert [events[name] for name in ("like_add", "message_new", "wall_reply_restore", "audio_new")] == [0, 1, 1, 0]
    for method in ("getCallbackSettings", "editCallbackServer"):
        assert _code(await client.vk(f"groups.{method}", "community", group_id=GROUP, server_id=99)) == 100
