"""Find on the platform, through the adapter, what happened in the world."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from app.platforms.capabilities import Event, ListsComments, ReplyTo, Streams
from app.platforms.contract import Page, RemoteMessage, RemotePost
from sandbox.ledger import Record
from tests.platforms.contract.stage import Item, Subject, at, moment

T = TypeVar("T")

LONGEST = 500
"""A list of more pages than this goes in circles."""


def when(item: Item) -> int:
    """The second at which it was written, since 1970."""
    return int((item.published_at if isinstance(item, RemotePost) else item.sent_at).timestamp())


def told_by(event: Event) -> list[Item]:
    """The posts and messages that an event brings."""
    return [*event.posts, *event.messages]


async def remote_post(s: Subject, post: str) -> str:
    """The id under which the adapter knows a post of the world's."""
    written = moment(s.community.wall[int(post)].at)
    found = await _seek(s, RemotePost, written)
    assert isinstance(found, RemotePost), "a post is to be seen nowhere"
    return found.external_id


async def remote_message(s: Subject, record: Record) -> RemoteMessage:
    """A comment, mention or message as the adapter tells of it."""
    written = at(record)
    found = await _seek(s, RemoteMessage, written)
    made = s.adapter()
    if found is None and isinstance(made, ListsComments) and "post" in record:
        post = await remote_post(s, record["post"])
        await _walk(s, lambda cursor: made.comments(s.c, post, cursor, written))
        found = _known(s, RemoteMessage, written)
    assert isinstance(found, RemoteMessage), "a message is to be seen nowhere"
    return found


async def own_messages(s: Subject, asked: Record) -> list[RemoteMessage]:
    """What the platform tells of the community's own answers to a message; nothing, where it does not."""
    written = at(asked)
    s.seen.clear()
    await _seek(s, RemoteMessage, written, all_of_it=True)
    made = s.adapter()
    if isinstance(made, ListsComments) and "post" in asked and "comments" not in s.about.silent:
        post = await remote_post(s, asked["post"])
        await _walk(s, lambda cursor: made.comments(s.c, post, cursor, written))
    return [one for one in s.seen.values() if isinstance(one, RemoteMessage) and one.author.is_community]


def reply_to(message: RemoteMessage) -> ReplyTo:
    return ReplyTo(message.external_id, message.thread_id, message.kind, message.author, message.post_id)


async def updates(s: Subject) -> list[Event]:
    """What the stream brings that it has not brought before."""
    found: list[Event] = []
    made = s.adapter()
    if isinstance(made, Streams):
        async for page in _pages(lambda cursor: made.updates(s.c, cursor), s.stream):
            s.stream = page.cursor
            found += page.items
    return found


async def _seek(s: Subject, kind: type[Item], written: datetime, *, all_of_it: bool = False) -> Item | None:
    """One that was written then; `all_of_it`: go through everything from then on."""
    if (known := _known(s, kind, written)) is not None:
        return known
    for event in await updates(s):
        s.seen |= {item.external_id: item for item in told_by(event)}
    made = s.adapter()
    lists = made.posts if kind is RemotePost else made.conversations
    if all_of_it or _known(s, kind, written) is None:
        await _walk(s, lambda cursor: lists(s.c, cursor, written))
    return _known(s, kind, written)


async def _walk(s: Subject, list_: Callable[[str | None], Awaitable[Page[Item]]]) -> None:
    async for page in _pages(list_, None):
        s.seen |= {item.external_id: item for item in page.items}


async def _pages(list_: Callable[[str | None], Awaitable[Page[T]]], cursor: str | None) -> AsyncIterator[Page[T]]:
    for _ in range(LONGEST):
        page = await list_(cursor)
        yield page
        if not page.more:
            return
        cursor = page.cursor
    raise AssertionError("a list does not end")


def _known(s: Subject, kind: type[Item], written: datetime) -> Item | None:
    within = timedelta(seconds=1)
    for item in s.seen.values():
        if isinstance(item, kind):
            told = item.published_at if isinstance(item, RemotePost) else item.sent_at
            if written <= told < written + within:
                return item
    return None
