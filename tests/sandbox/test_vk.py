"""VK's habits that its schema does not tell."""

from typing import Any

import pytest

from tests.sandbox.conftest import Visitor

OWNER, GROUP = -220000004, 220000004


def _code(answer: Any) -> int:
    code: int = answer["error"]["error_code"]
    return code


@pytest.mark.parametrize("method", ["wall.get", "wall.getById", "wall.getComments", "stats.getPostReach"])
async def test_a_community_token_reads_no_wall(visitor: Visitor, method: str) -> None:
    assert _code(await visitor.vk(method, "community", owner_id=OWNER)) == 27


async def test_who_may_and_who_may_not(visitor: Visitor) -> None:
    post = visitor.world.communities["velo_dvor"].posts[-1]
    assert _code(await visitor.vk("groups.getTokenPermissions", "user")) == 15
    assert _code(await visitor.vk("messages.getConversations", "user")) == 15, "no right to messages"
    assert _code(await visitor.vk("messages.getConversations", "community", group_id=220000005)) == 203
    assert _code(await visitor.vk("messages.getConversations", "community", group_id=1)) == 125
    assert _code(await visitor.vk("stats.getPostReach", owner_id=-220000005, post_ids=post)) == 15
    assert _code(await visitor.vk("wall.get", access_token="vk1.a.wrong", owner_id=OWNER)) == 5
    assert _code(await visitor.vk("wall.get", v="", owner_id=OWNER)) == 8
    assert _code(await visitor.vk("wall.everything")) == 3
    assert _code(await visitor.vk("wall.get", owner_id="many")) == 100
    assert _code(await visitor.vk("users.get", user_ids="durov!")) == 113
    assert _code(await visitor.vk("wall.getComments", owner_id=OWNER, post_id=10**6)) == 212
    assert _code(await visitor.vk("messages.send", "community", peer_id=1, random_id=1, message="x")) == 901


async def test_an_error_repeats_the_request_but_never_the_token(visitor: Visitor) -> None:
    answer = await visitor.vk("wall.get", owner_id="many")
    told = {one["key"]: one["value"] for one in answer["error"]["request_params"]}
    assert told == {"method": "wall.get", "v": "5.199", "owner_id": "many"}


async def test_tokens_expire_in_virtual_time(visitor: Visitor) -> None:
    ask = {"community": "velo_dvor", "kind": "user", "expires_in": 3600}
    token = (await visitor.http.post("/_sandbox/tokens", json=ask)).json()["token"]
    assert "response" in await visitor.vk("wall.get", access_token=token, owner_id=OWNER)
    await visitor.http.post("/_sandbox/clock", json={"advance": 3601})
    assert _code(await visitor.vk("wall.get", access_token=token, owner_id=OWNER)) == 1117


async def test_three_and_twenty_calls_a_second(visitor: Visitor) -> None:
    visitor.sandbox.network.limits.update(vk_user_rps=3, vk_community_rps=20)
    user = [await visitor.vk("utils.getServerTime") for _ in range(5)]
    assert ["error" in one for one in user] == [False, False, False, True, True]
    assert _code(user[3]) == 6
    group = [await visitor.vk("utils.getServerTime", "community") for _ in range(21)]
    assert ["error" in one for one in group] == [False] * 20 + [True]
    visitor.hands.at += 1
    assert "response" in await visitor.vk("utils.getServerTime")


async def test_the_wall_is_paged_newest_first(visitor: Visitor) -> None:
    posts = visitor.world.communities["velo_dvor"].posts[::-1]
    seen: list[int] = []
    while len(seen) < len(posts):
        page = await visitor.vk("wall.get", owner_id=OWNER, count=9, offset=len(seen))
        seen += [one["id"] for one in page["response"]["items"]]
    assert seen == posts
    beyond = await visitor.vk("wall.get", owner_id=OWNER, count=9, offset=len(posts))
    assert beyond["response"]["items"] == []


async def test_comments_start_where_asked_and_come_with_their_threads(visitor: Visitor) -> None:
    post = (await visitor.act("velo_dvor", "post", text="Кто с нами?"))["id"]
    tops = [(await visitor.act("velo_dvor", "comment", post=post, text=f"Я {n}"))["id"] for n in range(5)]
    below = (await visitor.act("velo_dvor", "comment", post=post, parent=tops[1], text="И я"))["id"]
    deeper = (await visitor.act("velo_dvor", "comment", post=post, parent=below, text="И мы"))["id"]

    async def ids(**more: Any) -> list[str]:
        page = await visitor.vk("wall.getComments", owner_id=OWNER, post_id=post, **more)
        assert (page["response"]["count"], page["response"]["current_level_count"]) == (7, 5)
        return [str(one["id"]) for one in page["response"]["items"]]

    assert await ids() == tops
    assert await ids(sort="desc") == tops[::-1]
    assert await ids(start_comment_id=tops[2]) == tops[2:]
    assert await ids(start_comment_id=tops[2], offset=1, count=1) == tops[3:4]
    assert await ids(start_comment_id=tops[2], sort="desc") == tops[2::-1]
    page = await visitor.vk("wall.getComments", owner_id=OWNER, post_id=post, thread_items_count=10)
    thread = page["response"]["items"][1]["thread"]
    assert [(str(one["id"]), one["parents_stack"]) for one in thread["items"]] == [
        (below, [int(tops[1])]),
        (deeper, [int(tops[1])]),
    ]
    assert str(thread["items"][1]["reply_to_comment"]) == below


async def test_guid_and_random_id_act_once(visitor: Visitor) -> None:
    c = visitor.world.communities["velo_dvor"]
    message = await visitor.act("velo_dvor", "message", text="Ау")
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("wall.createComment", {"owner_id": OWNER, "post_id": c.posts[-1], "message": "Да", "guid": "g"}),
        ("wall.post", {"owner_id": OWNER, "message": "Весна", "guid": "g2"}),
        ("messages.send", {"peer_id": message["person"], "message": "Здесь!", "random_id": 77}),
    )
    for method, fields in calls:
        before = len(visitor.records())
        first = await visitor.vk(method, "community", **fields)
        assert await visitor.vk(method, "community", **fields) == first
        assert len(visitor.records()) == before + 1, method


async def test_history_runs_both_ways(visitor: Visitor) -> None:
    sent = [int((await visitor.act("velo_dvor", "message", text=str(n)))["id"]) for n in range(5)]
    peer = visitor.world.communities["velo_dvor"].number_of(900_000)

    async def ids(**more: Any) -> list[int]:
        page = await visitor.vk("messages.getHistory", "community", peer_id=peer, **more)
        return [one["id"] for one in page["response"]["items"]]

    assert await ids() == sent[::-1]
    assert await ids(rev=1, offset=1, count=2) == sent[1:3]
    assert await ids(start_message_id=sent[3], count=2) == [sent[3], sent[2]]
    listed = await visitor.vk("messages.getConversations", "community", count=1)
    assert listed["response"]["items"][0]["last_message"]["id"] == sent[-1]
    assert listed["response"]["items"][0]["conversation"]["unread_count"] == 5


async def test_fifty_posts_a_day(visitor: Visitor) -> None:
    answers: list[Any] = [
        await visitor.vk("wall.post", "community", owner_id=OWNER, message=f"Пост {n}") for n in range(51)
    ]
    assert all("response" in one for one in answers[:50])
    assert _code(answers[50]) == 214
