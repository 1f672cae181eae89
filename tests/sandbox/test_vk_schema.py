"""Every VK response of an active world is valid by VK's schema, and complete."""

from typing import Any

import pytest

from sandbox.vk.api import METHODS
from tests.platforms.specimens import PIXEL
from tests.sandbox.conftest import SandboxClient
from tests.sandbox.schemas import vk_problems, vk_tokens

OWNER = -220000004
GROUP = 220000004


async def _uploaded(client: SandboxClient) -> dict[str, Any]:
    """The fields of an upload's response."""
    where = await client.vk("photos.getWallUploadServer", "user", group_id=GROUP)
    picture = ("dot.png", PIXEL, "image/png")
    uploaded: dict[str, Any] = (
        await client.http.post(where["response"]["upload_url"], files={"photo": picture})
    ).json()
    return uploaded


async def _calls(client: SandboxClient) -> list[tuple[str, str, dict[str, Any], str]]:
    """Each method with its token, parameters, and the name of its response."""
    c = client.world.communities["velo_dvor"]
    comment = await client.act("velo_dvor", "comment", text="Вы открыты?")
    below = await client.act("velo_dvor", "comment", text="И мне скажите", post=comment["post"], parent=comment["id"])
    gap = await client.act("velo_dvor", "comment", text="Ой", post=comment["post"])
    await client.act("velo_dvor", "comment", text="Что ой?", post=comment["post"], parent=gap["id"])
    await client.act("velo_dvor", "delete_comment", id=gap["id"])
    message = await client.act("velo_dvor", "message", text="Сколько стоит осмотр?")
    post, peer = comment["post"], message["person"]
    posts = ",".join(f"{OWNER}_{one}" for one in c.posts)
    doomed = c.posts[0]
    return [
        ("utils.resolveScreenName", "community", {"screen_name": "velo_dvor"}, "response"),
        ("utils.resolveScreenName", "user", {"screen_name": "nobody_here"}, "response"),
        ("utils.getServerTime", "user", {}, "response"),
        ("users.get", "community", {"user_ids": f"{peer},{peer + 1}"}, "response"),
        ("users.get", "user", {}, "response"),
        ("groups.getById", "user", {"group_ids": "velo_dvor,kofe_zerno", "fields": "members_count"}, "response"),
        ("groups.getById", "community", {}, "response"),
        ("groups.getMembers", "user", {"group_id": GROUP, "count": 10}, "response"),
        ("groups.getTokenPermissions", "community", {}, "response"),
        ("account.getAppPermissions", "user", {}, "response"),
        ("wall.get", "user", {"owner_id": OWNER, "count": 100}, "response"),
        ("wall.get", "user", {"domain": "velo_dvor", "extended": 1}, "extendedResponse"),
        ("wall.getById", "user", {"posts": posts}, "response"),
        ("wall.getById", "user", {"posts": posts, "extended": 1}, "extendedResponse"),
        (
            "wall.getComments", "user",
            {"owner_id": OWNER, "post_id": post, "need_likes": 1, "thread_items_count": 10, "count": 100}, "response",
        ),
        (
            "wall.getComments", "user",
            {"owner_id": OWNER, "post_id": post, "need_likes": 1, "thread_items_count": 3, "extended": 1},
            "extendedResponse",
        ),
        ("wall.getComment", "user", {"owner_id": OWNER, "comment_id": below["id"]}, "response"),
        ("likes.getList", "user", {"type": "post", "owner_id": OWNER, "item_id": post}, "response"),
        ("stats.getPostReach", "user", {"owner_id": OWNER, "post_ids": post}, "response"),
        (
            "wall.createComment", "community",
            {"owner_id": OWNER, "post_id": post, "message": "Да!", "reply_to_comment": comment["id"]}, "response",
        ),
        ("wall.post", "community", {"owner_id": OWNER, "message": "Скоро весна", "from_group": 1}, "response"),
        ("photos.getWallUploadServer", "user", {"group_id": GROUP}, "response"),
        ("photos.saveWallPhoto", "user", {"group_id": GROUP, **await _uploaded(client)}, "response"),
        ("wall.deleteComment", "user", {"owner_id": OWNER, "comment_id": below["id"]}, "response"),
        ("wall.restoreComment", "user", {"owner_id": OWNER, "comment_id": below["id"]}, "response"),
        ("wall.delete", "user", {"owner_id": OWNER, "post_id": doomed}, "response"),
        ("messages.getConversations", "community", {"count": 200, "extended": 1}, "response"),
        ("messages.getHistory", "community", {"peer_id": peer}, "response"),
        ("messages.getHistory", "community", {"peer_id": peer, "extended": 1}, "extendedResponse"),
        ("messages.getById", "community", {"message_ids": message["id"]}, "response"),
        ("messages.send", "community", {"peer_id": peer, "random_id": 1, "message": "500"}, "deprecatedResponse"),
        ("messages.send", "community", {"peer_ids": peer, "random_id": 2, "message": "!"}, "userIdsResponse"),
        ("groups.getCallbackConfirmationCode", "community", {"group_id": GROUP}, "response"),
        (
            "groups.addCallbackServer", "community",
            {"group_id": GROUP, "url": "http://127.0.0.1:9/", "title": "x", "secret_key": "s"}, "response",
        ),
        ("groups.setCallbackSettings", "community", {"group_id": GROUP, "server_id": 1, "like_add": 0}, "response"),
        ("groups.getCallbackServers", "user", {"group_id": GROUP}, "response"),
        ("groups.getCallbackSettings", "community", {"group_id": GROUP, "server_id": 1}, "response"),
        (
            "groups.editCallbackServer", "community",
            {"group_id": GROUP, "server_id": 1, "url": "http://127.0.0.1:9/a", "title": "x"}, "response",
        ),
        ("groups.deleteCallbackServer", "community", {"group_id": GROUP, "server_id": 1}, "response"),
    ]  # fmt: skip


async def test_every_method_answers_as_the_schema_says(client: SandboxClient) -> None:
    calls = await _calls(client)
    assert {name for name, *_ in calls} == set(METHODS)
    for name, kind, fields, response in calls:
        answer = await client.vk(name, kind, **fields)
        assert "response" in answer, (name, answer)
        assert vk_problems(name, answer, response) == ([], []), name


async def test_a_post_with_a_picture_is_as_the_schema_says(client: SandboxClient) -> None:
    saved = await client.vk("photos.saveWallPhoto", "user", group_id=GROUP, **await _uploaded(client))
    (photo,) = saved["response"]
    name = f"photo{photo['owner_id']}_{photo['id']}_{photo['access_key']}"
    made = await client.vk("wall.post", "community", owner_id=OWNER, attachments=name)
    answer = await client.vk("wall.getById", posts=f"{OWNER}_{made['response']['post_id']}")
    assert answer["response"]["items"][0]["attachments"]
    assert vk_problems("wall.getById", answer) == ([], [])


async def test_what_people_attach_is_as_the_schema_says(client: SandboxClient) -> None:
    attachments = [{"kind": kind, "name": "Our table"} for kind in ("picture", "video", "file")]
    comment = await client.act("velo_dvor", "comment", attachments=attachments)
    message = await client.act("velo_dvor", "message", attachments=attachments)
    comments = await client.vk("wall.getComments", "user", owner_id=OWNER, post_id=comment["post"], sort="desc")
    history = await client.vk("messages.getHistory", "community", peer_id=message["person"])
    for method, answer in (("wall.getComments", comments), ("messages.getHistory", history)):
        (one,) = (item for item in answer["response"]["items"] if item.get("attachments"))
        assert (one["text"], [it["type"] for it in one["attachments"]]) == ("", ["photo", "video", "doc"])
        assert vk_problems(method, answer) == ([], []), method


async def test_errors_answer_as_the_schema_says(client: SandboxClient) -> None:
    for answer in (
        await client.vk("wall.get", "community", owner_id=OWNER),
        await client.vk("wall.getComments", owner_id=OWNER, post_id=999_999),
        await client.vk("no.such.method"),
    ):
        assert vk_problems("wall.get", answer) == ([], [])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_tokens_may_do_what_the_schema_says(method: str) -> None:
    """Except wall.post: VK lets a community token post text, which its schema does not say."""
    if method == "wall.post":
        assert "user" in vk_tokens(method)
        return
    kinds = {"community": "group", "user": "user"}
    assert {kinds[one] for one in METHODS[method][0]} == set(vk_tokens(method)) - {"service", "open"}
