"""Look up posts and messages of the sandbox through the adapter."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from app.platforms.capabilities import Event, ListsComments, ReplyTo, Streams
from app.platforms.contract import Page, RemoteMessage, RemotePost
from sandbox.ledger import Record
from tests.platforms.contract.stage import Item, Subject, moment, recorded_at

T = TypeVar("T")

LONGEST = 500
"""The most pages of a list before it is taken for an endless loop."""


def second_of(item: Item) -> int:
    """When it was written, in whole seconds since 1970."""
    return int((item.published_at if isinstance(item, RemotePost) else item.sent_at).timestamp())


def items_of(event: Event) -> list[Item]:
    """The posts and messages of an event."""
    return [*event.posts, *event.messages]


async def remote_post(s: Subject, post: str) -> str:
    """The adapter's id of a post of the sandbox."""
    written = moment(s.community.wall[int(post)].at)
    item = await _find(s, RemotePost, written)
    assert isinstance(item, RemotePost), "the adapter returns no such post"
    return item.external_id


async def remote_message(s: Subject, record: Record) -> RemoteMessage:
    """A comment, mention or message as the adapter returns it."""
    written = recorded_at(record)
    message = await _find(s, RemoteMessage, written)
    made = s.adapter()
    if message is None and isinstance(made, ListsComments) and "post" in record:
        post = await remote_post(s, record["post"])
        await _read_pages(s, lambda cursor: made.comments(s.c, post, cursor, written))
        message = _seen_item(s, RemoteMessage, written)
    assert isinstance(message, RemoteMessage), "the adapter returns no such message"
    return message


async def own_messages(s: Subject, question: Record) -> list[RemoteMessage]:
    """The community's own replies to a message, as the adapter lists them; empty if the platform lists none."""
    written = recorded_at(question)
    s.seen.clear()
    await _find(s, RemoteMessage, written, all_of_it=True)
    made = s.adapter()
    if isinstance(made, ListsComments) and "post" in question and "comments" not in s.about.not_offered:
        post = await remote_post(s, question["post"])
        await _read_pages(s, lambda cursor: made.comments(s.c, post, cursor, written))
    return [one for one in s.seen.values() if isinstance(one, RemoteMessage) and one.author.is_community]


def reply_to(message: RemoteMessage) -> ReplyTo:
    return ReplyTo(message.external_id, message.thread_id, message.kind, message.author, message.post_id)


async def updates(s: Subject) -> list[Event]:
    """The new events of the stream since the last call."""
    events: list[Event] = []
    made = s.adapter()
    if isinstance(made, Streams):
        async for page in _pages(lambda cursor: made.updates(s.c, cursor), s.stream):
            s.stream = page.cursor
            events += page.items
    return events


async def _find(s: Subject, kind: type[Item], written: datetime, *, all_of_it: bool = False) -> Item | None:
    """The item written at that time. `all_of_it`: read everything since then, even if it was seen before."""
    if (item := _seen_item(s, kind, written)) is not None:
        return item
    for event in await updates(s):
        s.seen |= {item.external_id: item for item in items_of(event)}
    made = s.adapter()
    lists = made.posts if kind is RemotePost else made.conversations
    if all_of_it or _seen_item(s, kind, written) is None:
        await _read_pages(s, lambda cursor: lists(s.c, cursor, written))
    return _seen_item(s, kind, written)


async def _read_pages(s: Subject, list_: Callable[[str | None], Awaitable[Page[Item]]]) -> None:
    async for page in _pages(list_, None):
        s.seen |= {item.external_id: item for item in page.items}


async def _pages(list_: Callable[[str | None], Awaitable[Page[T]]], cursor: str | None) -> AsyncIterator[Page[T]]:
    for _ in range(LONGEST):
        page = await list_(cursor)
        yield page
        if not page.more:
            return
        cursor = page.cursor
    raise AssertionError("paging does not end")


def _seen_item(s: Subject, kind: type[Item], written: datetime) -> Item | None:
    within = timedelta(seconds=1)
    for item in s.seen.values():
        if isinstance(item, kind):
            sent = item.published_at if isinstance(item, RemotePost) else item.sent_at
            if written <= sent < written + within:
                return item
    return None
