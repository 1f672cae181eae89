"""Odnoklassniki's behaviour; every response of the sandbox matches the documented shapes."""

import asyncio
import hashlib
import json
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.server import build
from tests.platforms.odnoklassniki.assumed_schema import ASSUMED
from tests.sandbox.conftest import ManualClock, SandboxClient, running_server

KEY, GROUP = "shkola_yazykov", "57000000000016"
PNG = ("dot.png", b"\x89PNG dot", "image/png")


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    return ("odnoklassniki",)


class Ok:
    """A client of Odnoklassniki that checks the shape of each response."""

    def __init__(self, client: SandboxClient, app: dict[str, str]) -> None:
        self.client, self.app, self.http = client, app, client.http

    def token(self, kind: str, community: str = KEY) -> str:
        return self.client.token(community, kind)

    async def rest(self, method: str, *, sig: str | None = None, token: str | None = None, **fields: object) -> Any:
        token = self.token("user") if token is None else token
        sent = {name: str(value) for name, value in fields.items()}
        sent = {"application_key": self.app["application_key"], "format": "json", "method": method} | sent
        line = "".join(f"{name}={sent[name]}" for name in sorted(sent))
        secret = hashlib.md5((token + self.app["application_secret"]).encode()).hexdigest()
        made = hashlib.md5((line + secret).encode()).hexdigest()
        answer = await self.http.post("/fb.do", data={**sent, "access_token": token, "sig": sig or made})
        return self._formed(method, answer)

    async def graph(self, verb: str, path: str, name: str, body: object = None, **query: object) -> Any:
        params = {"access_token": self.token("community"), **{key: str(value) for key, value in query.items()}}
        answer = await self.http.request(verb, f"/graph/me/{path}", params=params, json=body)
        return self._formed(f"graph {name}", answer)

    @staticmethod
    def _formed(name: str, answer: httpx.Response) -> Any:
        assert answer.status_code == 200
        said = answer.json()
        failed = isinstance(said, dict) and "error_code" in said
        assert not ASSUMED["error" if failed else name].problems(said)
        return said


@pytest.fixture
async def okru(client: SandboxClient) -> Ok:
    communities = (await client.http.get("/_sandbox/communities")).json()
    return Ok(client, next(one["app"] for one in communities if one["key"] == KEY))


def _code(answer: Any) -> int:
    code: int = answer["error_code"]
    return code


# ── who may ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_call_is_signed(okru: Ok) -> None:
    assert "error_code" not in (await okru.rest("group.getInfo", uids=GROUP))[0]
    assert _code(await okru.rest("group.getInfo", uids=GROUP, sig="0" * 32)) == 104
    assert _code(await okru.rest("group.getInfo", uids=GROUP, application_key="CBOTHER")) == 101
    assert _code(await okru.rest("group.getInfo", uids=GROUP, token="-s-wrong")) == 103
    assert _code(await okru.rest("group.getInfo", uids=GROUP, token=okru.token("community"))) == 103
    assert _code(await okru.rest("group.everything")) == 3
    changed = {"uids": GROUP, "fields": "uid"}
    sent = {**changed, "method": "group.getInfo", "application_key": okru.app["application_key"]}
    bare = await okru.http.post("/fb.do", data={**sent, "access_token": okru.token("user"), "sig": ""})
    assert _code(bare.json()) == 104


async def test_who_may_and_who_may_not(okru: Ok) -> None:
    assert _code(await okru.rest("group.getStatTopics", gid="57000000000015")) == 50, "another's group"
    assert _code(await okru.rest("group.getStatTopics", gid="1")) == 160
    bare = okru.client.sandbox.network.grants.make(okru.client.world.communities[KEY], "user", ["VALUABLE_ACCESS"])
    assert _code(await okru.rest("group.getStatTopics", gid=GROUP, token=bare)) == 10
    assert await okru.rest("users.hasAppPermission", ext_perm="GROUP_CONTENT", token=bare) is False
    assert await okru.rest("users.hasAppPermission", ext_perm="GROUP_CONTENT") is True
    assert _code(await okru.rest("group.getStatTopics", gid=GROUP, fields="ID,CLAPS")) == 100, "no such field"
    assert _code(await okru.rest("group.getStatTopics", gid=GROUP, count="many")) == 100
    assert _code(await okru.rest("discussions.getComments", discussionId="1", discussionType="GROUP_TOPIC")) == 300


async def test_tokens_end_and_are_fetched_anew(okru: Ok) -> None:
    app = okru.app
    form = {"grant_type": "refresh_token", "refresh_token": okru.token("refresh"), "client_id": app["application_id"]}
    form["client_secret"] = app["application_secret"]
    made = (await okru.http.post("/oauth/token.do", data=form)).json()
    assert not ASSUMED["oauth"].problems(made)
    assert await okru.rest("group.getInfo", uids=GROUP, token=made["access_token"])
    await okru.http.post("/_sandbox/clock", json={"advance": 1801})
    assert _code(await okru.rest("group.getInfo", uids=GROUP, token=made["access_token"])) == 102
    for wrong in ({"refresh_token": "x"}, {"client_secret": "x"}, {"grant_type": "x"}):
        refused = (await okru.http.post("/oauth/token.do", data=form | wrong)).json()
        assert not ASSUMED["oauth error"].problems(refused)


async def test_calls_are_counted_by_token(okru: Ok) -> None:
    okru.client.sandbox.network.limits.update(odnoklassniki_user_rps=2, odnoklassniki_community_rps=1)
    said = [await okru.rest("group.getInfo", uids=GROUP) for _ in range(3)]
    assert [isinstance(one, list) for one in said] == [True, True, False]
    assert _code(said[2]) == 11
    assert "name" in await okru.graph("GET", "info", "info")
    assert _code(await okru.graph("GET", "info", "info")) == 11
    okru.client.manual_clock.at += 1
    assert await okru.rest("group.getInfo", uids=GROUP)


# ── the group ─────────────────────────────────────────────────────────────────────────────────────


async def test_the_group(okru: Ok) -> None:
    size = len(okru.client.world.communities[KEY].followers)
    resolved = await okru.rest("url.getInfo", url=f"https://ok.ru/{KEY}")
    assert resolved == {"type": "GROUP", "objectId": int(GROUP)}
    (group,) = await okru.rest("group.getInfo", uids=f"{GROUP},1", fields="NAME,MEMBERS_COUNT,SHORTNAME")
    assert (group["uid"], group["members_count"], group["shortname"]) == (GROUP, size, KEY)
    counted = await okru.rest("group.getCounters", group_id=GROUP, counterTypes="MEMBERS")
    assert counted == {"counters": {"members": size}}
    assert (await okru.graph("GET", "info", "info"))["group_id"] == f"group:{GROUP}"


async def test_topics_are_listed_by_the_statistics_and_looked_up(okru: Ok) -> None:
    posts = [str(one) for one in okru.client.world.communities[KEY].posts[::-1]]
    seen: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = await okru.rest("group.getStatTopics", gid=GROUP, count=9, fields="ID,CREATED_MS,REACH", **more)
        seen += [one["id"] for one in page["topics"]]
        if not page["has_more"]:
            break
        more = {"anchor": page["anchor"]}
    assert seen == posts
    topics = (await okru.rest("mediatopic.getByIds", topic_ids=",".join([*posts[:3], "1"]), media_limit=1))[
        "media_topics"
    ]
    assert [one["id"] for one in topics] == posts[:3], "what does not stand is left out"
    between: dict[str, Any] = {"start_time": topics[2]["created_ms"], "end_time": topics[1]["created_ms"]}
    page = await okru.rest("group.getStatTopics", gid=GROUP, **between)
    assert [one["id"] for one in page["topics"]] == posts[1:3], "both moments are taken in"
    assert _code(await okru.rest("mediatopic.getByIds", topic_ids=",".join(posts[:2]))) == 100, "media_limit"
    assert await okru.rest("group.getStatTopic", topic_id=posts[0])


async def test_comments_are_one_list_both_ways(okru: Ok) -> None:
    topic = (await okru.client.act(KEY, "post", text="Кто с нами?"))["id"]
    first = (await okru.client.act(KEY, "comment", post=topic, text="Я"))["id"]
    texts = ["Я", *(f"И я, {number}" for number in range(6))]
    for text in texts[1:]:
        await okru.client.act(KEY, "comment", post=topic, parent=first, text=text)
    params: dict[str, Any] = {"discussionId": topic, "discussionType": "GROUP_TOPIC", "count": 3}
    for direction, begin, expected in (("FORWARD", "FIRST", texts), ("BACKWARD", "LAST", texts[::-1])):
        seen: list[str] = []
        anchor = begin
        while True:
            page = await okru.rest("discussions.getComments", **params, direction=direction, anchor=anchor)
            seen += [one["text"] for one in page["comments"]]
            if not page["has_more"]:
                break
            anchor = page["anchor"]
        assert seen == expected
    page = await okru.rest("discussions.getComments", **params)
    assert page["comments"][0]["date"] == "2026-11-23 09:00:00", "six o'clock, and Moscow is three hours ahead"
    assert page["comments"][1]["reply_to_comment_id"] == first


async def test_a_topic_with_pictures(okru: Ok) -> None:
    tokens = []
    for _ in range(2):
        where = await okru.rest("photosV2.getUploadUrl", gid=GROUP, count=1)
        brought = (await okru.http.post(where["upload_url"], files={"pic1": PNG})).json()
        assert not ASSUMED["upload"].problems({"photos": {"GuL9z==": brought["photos"][where["photo_ids"][0]]}})
        tokens.append(brought["photos"][where["photo_ids"][0]]["token"])
        spoilt = where["upload_url"].replace("apiToken=", "apiToken=0")
        assert _code((await okru.http.post(spoilt, files={"pic1": PNG})).json()) == 103
        assert _code((await okru.http.post(where["upload_url"], content=b"x")).json()) == 505
    media = [{"type": "text", "text": "Смотрите"}, {"type": "photo", "list": [{"id": one} for one in tokens]}]
    params: dict[str, Any] = {"gid": GROUP, "type": "GROUP_THEME", "attachment": json.dumps({"media": media})}
    made = await okru.rest("mediatopic.post", **params)
    record = next(one for one in okru.client.records() if one["type"] == "post" and one["id"] == made)
    assert (record["text"], len(record["media"])) == ("Смотрите", 2)
    bad = {"media": [{"type": "photo", "list": [{"id": "1.x"}]}]}
    assert _code(await okru.rest("mediatopic.post", **{**params, "attachment": json.dumps(bad)})) == 121
    long = {"media": [{"type": "text", "text": "x" * 32_001}]}
    assert _code(await okru.rest("mediatopic.post", **{**params, "attachment": json.dumps(long)})) == 601
    assert _code(await okru.rest("mediatopic.post", **{**params, "attachment": "{"})) == 100


async def test_an_answer_stands_below_what_it_answers(okru: Ok) -> None:
    topic = (await okru.client.act(KEY, "post", text="Кто с нами?"))["id"]
    comment = (await okru.client.act(KEY, "comment", post=topic, text="Я"))["id"]
    params = {"entityId": topic, "entityType": "GROUP_TOPIC", "comment": "Ждём вас", "as_admin": "true"}
    made = await okru.rest("discussions.addDiscussionComment", **params, reply_to_comment_id=comment)
    page = await okru.rest("discussions.getComments", discussionId=topic, discussionType="GROUP_TOPIC")
    ours = page["comments"][-1]
    assert (ours["id"], ours["author_ref"], ours["reply_to_comment_id"]) == (made, f"group:{GROUP}", comment)
    assert _code(await okru.rest("discussions.addDiscussionComment", **params, reply_to_comment_id="1")) == 141


# ── messages and hooks ────────────────────────────────────────────────────────────────────────────


async def test_chats_and_their_messages(okru: Ok) -> None:
    for person in range(900_000, 900_005):
        await okru.client.act(KEY, "message", person=person, text=f"Я {person}")
        await okru.client.http.post("/_sandbox/clock", json={"advance": 1})
    page = await okru.graph("GET", "chats", "chats", count=2)
    seen = [one["chat_id"] for one in page["chats"]]
    page = await okru.graph("GET", "chats", "chats", count=2, marker=page["marker"])
    seen += [one["chat_id"] for one in page["chats"]]
    assert len(set(seen)) == 4
    for number in range(3):
        await okru.client.act(KEY, "message", person=900_000, text=f"И ещё {number}")
        await okru.client.http.post("/_sandbox/clock", json={"advance": 1})
    page = await okru.graph("GET", "chats", "chats", count=1)
    chat = page["chats"][0]["chat_id"]
    messages = (await okru.graph("GET", f"messages/{chat}", "messages", count=2))["messages"]
    assert [one["message"]["text"] for one in messages] == ["И ещё 2", "И ещё 1"]
    older = await okru.graph("GET", f"messages/{chat}", "messages", **{"from": messages[1]["timestamp"]})
    assert [one["message"]["text"] for one in older["messages"]] == ["И ещё 1", "И ещё 0", "Я 900000"]
    newer = await okru.graph("GET", f"messages/{chat}", "messages", to=messages[1]["timestamp"])
    assert [one["message"]["text"] for one in newer["messages"]] == ["И ещё 2", "И ещё 1"]
    body = {"recipient": {"chat_id": chat}, "message": {"text": "Здравствуйте"}}
    sent = await okru.graph("POST", f"messages/{chat}", "send", body)
    (last,) = (await okru.graph("GET", f"messages/{chat}", "messages", count=1))["messages"]
    assert (last["message"]["mid"], last["sender"]["user_id"]) == (sent["message_id"], f"group:{GROUP}")
    assert _code(await okru.graph("GET", "messages/chat:Cf00000001", "messages")) == 705
    form = await okru.http.post(f"/graph/me/messages/{chat}?access_token={okru.token('community')}", data={"a": "b"})
    assert _code(form.json()) == 2001, "a form is no JSON"


async def test_hooks_hear_of_messages_until_they_are_taken(manual_clock: ManualClock) -> None:
    received: list[Any] = []
    more = asyncio.Event()

    async def hear(request: Request) -> Response:
        received.append(await request.json())
        more.set()
        return Response(status_code=500 if len(received) == 1 else 200)

    sandbox = build(seed=7, real=manual_clock, tick=None, platforms=["odnoklassniki"])
    sandbox.callbacks.retry = 0.01
    await sandbox.callbacks.start()
    transport = httpx.ASGITransport(sandbox.app)
    async with (
        running_server(Starlette(routes=[Route("/hook", hear, methods=["POST"])])) as url,
        httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http,
    ):
        okru = Ok(SandboxClient(sandbox, manual_clock, http), {})
        assert (await okru.graph("GET", "subscriptions", "subscriptions"))["subscriptions"] == []
        for _ in range(2):
            subscription = {"url": f"{url}/hook", "types": ["MESSAGE_CREATED"]}
            assert await okru.graph("POST", "subscribe", "done", subscription) == {"success": True}
        (one,) = (await okru.graph("GET", "subscriptions", "subscriptions"))["subscriptions"]
        assert one["url"] == f"{url}/hook"
        await okru.client.act(KEY, "message", text="Вы открыты?")
        await okru.client.act(KEY, "comment", text="О комментариях никто не говорит")
        async with asyncio.timeout(10):
            while len(received) < 2:
                more.clear()
                await more.wait()
        assert await okru.graph("POST", "unsubscribe", "done", {"url": f"{url}/hook"}) == {"success": True}
    await sandbox.callbacks.stop()
    sandbox.network.world.ledger.close()
    assert received[0] == received[1], "what is not taken comes again"
    assert not ASSUMED["hook"].problems(received[0])
    assert received[0]["message"]["text"] == "Вы открыты?"


async def test_errors_can_be_called_for(okru: Ok) -> None:
    rule = {"platform": "odnoklassniki", "count": 1, "effect": {"type": "platform_error", "code": 8}}
    await okru.http.post("/_sandbox/faults", json=rule)
    assert _code(await okru.rest("group.getInfo", uids=GROUP)) == 8
    rule["effect"] = {"type": "platform_error", "code": "flood"}
    assert (await okru.http.post("/_sandbox/faults", json=rule)).status_code == 400
