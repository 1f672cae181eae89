"""Lists of a part are read each by itself; adapters say how a scan goes on without what fails."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar

import httpx
import pytest
from sqlalchemy import select

from app.communities.models import Community
from app.communities.polling import unread_items
from app.communities.polling.conversations import dump_cursors, load_cursors
from app.inquiries.models import Message
from app.kit.clock import SetClock
from app.platforms import adapter as adapter_of
from app.platforms.contract import Credentials, MissingPermission, Page, RemoteMessage, Token, Transient
from tests.communities.conftest import HOUR, START, Fake, World, register_adapters
from tests.conftest import Agency

POLL = "communities.poll"
MINUTE = timedelta(minutes=1)
FAILED = (500, {"error": {"message": "Unknown", "type": "OAuthException", "code": 1}})
Server = Callable[[httpx.Request], Any]


class TwoLists(Fake):
    """A platform with two lists: mentions, and messages, which may fail."""

    mentions: ClassVar[list[RemoteMessage]]
    failing: ClassVar[dict[str, Exception]]

    def conversation_lists(self, c: Credentials) -> tuple[str, ...]:
        return ("messages", "mentions")

    async def conversation_list(
        self, c: Credentials, name: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        self._called(name)
        if name in self.failing:
            raise self.failing[name]
        items = self.world.messages if name == "messages" else self.mentions
        start = int(cursor or 0)
        page = tuple(items[start : start + 2])
        return Page(page, str(start + len(page)), start + len(page) < len(items))


@pytest.fixture
def lists(world: World, monkeypatch: pytest.MonkeyPatch) -> type[TwoLists]:
    """The adapter of the platform `fake`, with two lists."""
    made = type("TwoListsHere", (TwoLists,), {"world": world, "mentions": [], "failing": {}})
    register_adapters(monkeypatch, {"fake": made})
    return made


async def health(agency: Agency, community: dict[str, Any]) -> Any:
    return await agency.get(f"/v1/communities/{community['id']}/health")


def conversations(seen: dict[str, Any]) -> Any:
    return next(one for one in seen["parts"] if one["part"] == "conversations")


async def texts(agency: Agency) -> set[str]:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return set((await connection.scalars(select(Message.text))).all())


async def test_a_list_that_fails_does_not_stop_the_other(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, lists: type[TwoLists]
) -> None:
    world.messages = [world.message_from("ivan", 1, START - MINUTE, "message 1")]
    await agency.work(POLL)
    read_at = (await health(agency, community))["seen_at"]["conversations"]
    lists.failing["messages"] = Transient("Chat is down.", platform_code="502")
    world.messages.append(world.message_from("olga", 2, START, "message 2"))
    world.calls.clear()
    for number in range(1, 31):
        clock.advance(MINUTE)
        lists.mentions.append(world.message_from("anna", 100 + number, clock.now(), f"mention {number}"))
        await agency.work(POLL)
    assert await texts(agency) == {"message 1"} | {f"mention {n}" for n in range(1, 31)}
    assert world.calls.count("mentions") >= 30, "as often as before"
    assert world.calls.count("messages") <= 7, "30 seconds, doubled each time"
    seen = await health(agency, community)
    assert (seen["status"], seen["code"], conversations(seen)["status"]) == ("degraded", "transient", "failing")
    assert "messages" in seen["reason"]
    assert seen["seen_at"]["conversations"] == read_at, "not all is stored"
    lists.failing.clear()
    clock.advance(HOUR)
    await agency.work(POLL)
    assert "message 2" in await texts(agency)
    seen = await health(agency, community)
    assert (seen["status"], conversations(seen)["status"]) == ("healthy", "ok")


async def test_all_lists_may_fail(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, lists: type[TwoLists]
) -> None:
    lists.failing |= dict.fromkeys(("messages", "mentions"), MissingPermission("Not allowed.", scopes=("chat",)))
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"], seen["missing_scopes"]) == ("degraded", "missing-permission", ["chat"])
    lists.failing.clear()
    clock.advance(timedelta(seconds=1))
    await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "healthy"


async def test_each_list_has_its_cursor(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, lists: type[TwoLists]
) -> None:
    world.messages = [world.message_from("ivan", n, START - MINUTE) for n in range(3)]
    await agency.work(POLL)
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        stored = (await connection.scalars(select(Community.conversations_cursor))).one()
    assert json.loads(stored or "") == {"messages": "3", "mentions": "0"}
    before = '{"notifications":{"cursor":null},"messages":{"floor":"r"},"next_list":"messages"}'
    loaded = load_cursors(before, ("notifications", "messages"))
    assert loaded == {"notifications": '{"cursor":null}', "messages": '{"floor":"r"}'}
    assert load_cursors(dump_cursors(loaded), ("notifications", "messages")) == loaded


def answering(platform: str, server: Server) -> Any:
    def respond(request: httpx.Request) -> httpx.Response:
        answer = server(request)
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=body, headers={"date": "Sat, 28 Nov 2026 14:00:00 GMT"})

    return adapter_of(platform)(httpx.AsyncClient(transport=httpx.MockTransport(respond)))


async def scan(adapter: Any, c: Credentials, name: str | None, cursor: str | None = None) -> Any:
    """Texts of a whole scan under the caller's policy, the items left out, and the number of pages."""
    texts_read: list[str] = []
    left_out: list[unread_items.LeftOut] = []
    for pages in range(1, 50):
        page, without = await unread_items.next_page(
            lambda at: adapter.conversation_list(c, name, at) if name else adapter.conversations(c, at), cursor
        )
        texts_read, left_out, cursor = [*texts_read, *(one.text for one in page.items)], left_out + without, page.cursor
        if not page.more:
            return texts_read, left_out, pages
    raise AssertionError("the scan does not end")


INSTAGRAM = Credentials("https://www.instagram.com/cafe", "https://graph.instagram.com", "178", {Token.USER: "t"})


def instagram(threads: int, bad: set[int]) -> Server:
    """A page with messages of a broken thread fails, and so do that thread's own messages."""

    def thread(number: int) -> dict[str, Any]:
        own, guest = {"id": "178", "username": "cafe"}, {"id": f"9{number}", "username": f"guest{number}"}
        at = f"2026-11-27T10:{59 - number:02d}:00+0000"
        sent = {"id": f"m{number}", "created_time": at, "from": guest, "to": {"data": [own]}, "message": f"q{number}"}
        people = {"data": [own, guest]}
        return {"id": f"t{number}", "updated_time": at, "participants": people, "messages": {"data": [sent]}}

    def serve(request: httpx.Request) -> Any:
        query, path = request.url.params, request.url.path
        if path.endswith("/messages"):
            number = int(path.split("/")[-2].removeprefix("t"))
            return FAILED if number in bad else thread(number)["messages"]
        if not path.endswith("/conversations"):
            return {"data": []}
        start, limit = int(query.get("after", "0")), int(query["limit"])
        numbers = range(start, min(threads, start + limit))
        detailed = "messages" in query["fields"] or "participants" in query["fields"]
        if detailed and bad & set(numbers):
            return FAILED
        keys = ("id", "updated_time") if not detailed else ("id", "updated_time", "participants", "messages")
        page: dict[str, Any] = {"data": [{key: thread(n)[key] for key in keys} for n in numbers]}
        if start + limit < threads:
            after = {"after": str(start + limit)}
            page["paging"] = {"cursors": after, "next": "https://graph.instagram.com/next"}
        return page

    return serve


@pytest.mark.parametrize("bad", [{0}, {3}, {7}, {0, 7}])
async def test_one_conversation_of_instagram_does_not_hide_the_others(bad: set[int]) -> None:
    adapter = answering("instagram", instagram(8, bad))
    read, left_out, _ = await scan(adapter, INSTAGRAM, "messages")
    assert set(read) == {f"q{n}" for n in range(8) if n not in bad}
    assert {one.id for one in left_out} == {f"t{n}" for n in bad}
    whole = answering("instagram", instagram(8, set()))
    for one in left_out:  # later, when it can be read
        read, none, _ = await scan(whole, INSTAGRAM, "messages", one.retry_cursor)
        assert (read, none) == ([one.id.replace("t", "q")], [])


def bluesky(bad: set[str]) -> Server:
    me, guest = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"

    def member(did: str) -> dict[str, Any]:
        return {"did": did, "handle": "guest.example", "displayName": "Guest"}

    def message(name: str) -> dict[str, Any]:
        return {
            "$type": "chat.bsky.convo.defs#messageView",
            "id": f"m-{name}",
            "rev": f"rev-{name}",
            "text": f"hello {name}",
            "sender": {"did": guest},
            "sentAt": "2026-11-27T10:00:00.000Z",
        }

    def serve(request: httpx.Request) -> Any:
        path, query = request.url.path, request.url.params
        if path.endswith("listConvos"):
            return {
                "convos": [
                    {
                        "id": name,
                        "rev": f"rev-{name}",
                        "members": [member(me), member(guest)],
                        "lastMessage": message(name),
                        "muted": False,
                        "unreadCount": 0,
                    }
                    for name in ("c", "b", "a")
                ]
            }
        if path.endswith("getMessages"):
            name = query["convoId"]
            if name in bad:
                return 500, {"error": "InternalServerError", "message": "Internal Server Error"}
            return {"messages": [message(name)]}
        raise AssertionError(path)

    return serve


async def test_one_conversation_of_bluesky_does_not_hide_the_others() -> None:
    me = Credentials(
        "https://bsky.app/profile/a.example",
        "https://pds.example",
        "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa",
        {Token.COMMUNITY: "t", Token.PASSWORD: "p"},
    )
    read, left_out, _ = await scan(answering("bluesky", bluesky({"b"})), me, "messages")
    assert set(read) == {"hello a", "hello c"}
    assert {one.id for one in left_out} == {"b"}
    (one,) = left_out
    read, none, _ = await scan(answering("bluesky", bluesky(set())), me, "messages", one.retry_cursor)
    assert "hello b" in read
    assert none == []
