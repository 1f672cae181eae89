"""The Odnoklassniki adapter: comments and messages."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from app.platforms.contract import (
    RemoteMessage,
)
from app.platforms.odnoklassniki.adapter import Odnoklassniki
from tests.platforms.contract.stage import Subject, staged
from tests.platforms.odnoklassniki.server import MESSAGE, C, FakeOdnoklassniki, error_response


@pytest.fixture
async def s() -> AsyncIterator[Subject]:
    async with staged("odnoklassniki", Odnoklassniki) as subject:
        yield subject


async def test_times_are_in_moscow_time() -> None:
    comments = [{"id": "2", "date": "2026-11-23 09:00:00"}, {"id": "1", "date": "2014-01-01 04:00:00"}]
    page = (
        await FakeOdnoklassniki(discussions_getComments={"comments": comments, "has_more": False})
        .adapter()
        .comments(C, "66", None)
    )
    assert [one.sent_at for one in page.items] == [
        datetime(2026, 11, 23, 6, tzinfo=UTC),
        datetime(2014, 1, 1, tzinfo=UTC),
    ]


async def test_the_groups_reply_is_in_the_thread_of_the_customer(s: Subject) -> None:
    post = s.post()["id"]
    question = s.comment(post, "Until when?", person=1)
    s.let("reply", via="comment", post=post, parent=question["id"], text="Until six")
    s.comment(post, "Me too", person=2)
    adapter = Odnoklassniki(s.http)
    page = await adapter.comments(s.c, post, None)
    third, ours, first = page.items
    assert [one.author.is_community for one in page.items] == [False, True, False]
    assert ours.thread_id == first.thread_id != third.thread_id
    assert ours.in_reply_to == first.external_id
    assert first.external_id.startswith(f"comment:{post}:"), "ids of comments are unique only within a topic"
    assert first.author.url == f"https://ok.ru/profile/{first.author.external_id}"


async def test_removed_comments_are_read_as_deleted(s: Subject) -> None:
    post = s.post()["id"]
    answered, alone, kept = (s.comment(post, text) for text in ("Answered", "Alone", "Kept"))
    s.let("reply", via="comment", post=post, parent=answered["id"], text="Until six")
    adapter = Odnoklassniki(s.http)
    before = (await adapter.comments(s.c, post, None)).items
    assert not any(one.deleted for one in before)
    s.delete(answered)
    s.delete(alone)
    after = {one.external_id: one for one in (await adapter.comments(s.c, post, None)).items}
    assert after.keys() == {one.external_id for one in before}
    deleted = {external_id.rpartition(":")[2] for external_id, one in after.items() if one.deleted}
    assert deleted == {answered["id"], alone["id"]}
    assert {one.text for one in after.values()} == {"", "Kept", "Until six"}
    same = {one.external_id: (one.thread_id, one.author.external_id, one.sent_at) for one in before}
    assert {key: (one.thread_id, one.author.external_id, one.sent_at) for key, one in after.items()} == same
    assert kept["id"]


async def test_the_next_poll_reads_only_new_comments(s: Subject) -> None:
    post = s.post()["id"]
    for number in range(250):
        s.comment(post, f"Comment {number}")
    adapter = Odnoklassniki(s.http)
    page = await adapter.comments(s.c, post, None)
    while page.more:
        page = await adapter.comments(s.c, post, page.cursor)
    s.comment(post, "One more")
    requests_before = len(s.transport.requests)
    page = await adapter.comments(s.c, post, page.cursor)
    assert (page.items[0].text, page.more, len(s.transport.requests) - requests_before) == ("One more", False, 1)


async def test_new_comments_are_read_over_several_pages(s: Subject) -> None:
    post = s.post()["id"]
    s.comment(post, "Known")
    adapter = Odnoklassniki(s.http)
    page = await adapter.comments(s.c, post, None)
    for number in range(150):
        s.comment(post, f"Comment {number}")
    texts = set()
    while True:
        page = await adapter.comments(s.c, post, page.cursor)
        texts |= {one.text for one in page.items}
        if not page.more:
            break
    assert len(texts) == 151


async def _read_messages(s: Subject, cursor: str | None) -> tuple[dict[str, RemoteMessage], str | None]:
    messages: dict[str, RemoteMessage] = {}
    while True:
        page = await s.adapter().conversations(s.c, cursor)
        messages |= {one.external_id: one for one in page.items}
        cursor = page.cursor
        if not page.more:
            return messages, cursor


async def test_messages_of_the_same_time_are_all_read(s: Subject) -> None:
    """Messages with the same time, in known and new chats, before and after reading, on more than one page."""
    world, c = s.sandbox.network.world, s.community

    def write(person: int, text: str) -> None:
        world.emit("message", c, "control", person=c.number_of(person), text=text, kind="question")

    s.later()
    for number in range(60):
        write(1, f"At once {number}")
    for person in range(2, 130):
        write(person, "Hello")
    messages, cursor = await _read_messages(s, None)
    assert sum(one.text.startswith("At once") for one in messages.values()) >= 50
    assert sum(one.text == "Hello" for one in messages.values()) == 128
    write(1, "Once more")
    write(200, "I am new")
    new, _ = await _read_messages(s, cursor)
    assert {"Once more", "I am new"} <= {one.text for one in new.values()}


async def test_messages_of_the_same_time_on_two_pages_are_all_read(s: Subject) -> None:
    for amount in (10, 48, 5):
        s.later()
        for number in range(amount):
            person = s.community.number_of(1)
            s.sandbox.network.world.emit("message", s.community, "control", person=person, text=f"{amount} {number}")
    messages, _ = await _read_messages(s, None)
    assert sum(one.author.external_id.endswith("000001") for one in messages.values()) == 63


async def test_a_chat_that_moves_between_pages_is_read_completely(s: Subject) -> None:
    """A new message moves the chat from the second page to the first after the first page was read."""
    s.message("Long ago", person=1)
    for person in range(2, 140):
        s.message(person=person)
    page = await s.adapter().conversations(s.c, None)
    s.message("And now", person=1)
    texts = {one.text for one in page.items}
    for _ in range(2):
        while page.more:
            page = await s.adapter().conversations(s.c, page.cursor)
            texts |= {one.text for one in page.items}
        page = await s.adapter().conversations(s.c, page.cursor)
        texts |= {one.text for one in page.items}
    assert {"Long ago", "And now"} <= texts


async def test_a_poll_without_news_takes_two_requests(s: Subject) -> None:
    s.message()
    _, cursor = await _read_messages(s, None)
    requests_before = len(s.transport.requests)
    again, _ = await _read_messages(s, cursor)
    assert len(again) == 1
    assert len(s.transport.requests) - requests_before == 2, "the chats, and the messages of the latest chat"


async def test_a_deleted_chat_does_not_affect_the_others() -> None:
    chats = [{"chat_id": f"chat:C{number}", "lastEventTime": number} for number in (2, 1)]
    answers = {"/graph/me/chats": {"chats": chats}, "/graph/me/messages/chat:C2": error_response(705)}
    fake = FakeOdnoklassniki(**answers, **{"/graph/me/messages/chat:C1": {"messages": [MESSAGE]}})
    page = await fake.adapter().conversations(C, None)
    page = await fake.adapter().conversations(C, page.cursor)
    assert (page.items, page.more) == ((), True)
    page = await fake.adapter().conversations(C, page.cursor)
    assert (len(page.items), page.more) == (1, False)


async def test_chats_of_several_people_are_not_read() -> None:
    chats = [{"chat_id": "chat:C1", "type": "CHAT", "lastEventTime": 5}]
    fake = FakeOdnoklassniki(**{"/graph/me/chats": {"chats": chats}})
    page = await fake.adapter().conversations(C, None)
    assert (page.items, page.more, len(fake.requests)) == ((), False, 1)
