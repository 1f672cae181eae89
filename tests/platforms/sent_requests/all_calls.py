"""Uses every ability of an adapter against the sandbox, and returns the requests it has sent."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

from app.platforms.capabilities import (
    FindsReplies,
    Inspects,
    ListsComments,
    ListsSeparately,
    MeasuresAcross,
    OutgoingPost,
    PostRef,
    Publishes,
    ReadsAnnounced,
    Receives,
    Refreshes,
    Replies,
    ReplyTo,
    Streams,
    Subscribes,
    Unsubscribes,
)
from app.platforms.contract import Credentials, MessageKind, PlatformError
from sandbox.graph.mentions import IN_COMMENT
from tests.platforms.calls import HOOK
from tests.platforms.contract.finding import remote_message, remote_post, reply_to
from tests.platforms.contract.hooks import call, receive, secrets, subscribe
from tests.platforms.contract.pagination import LISTINGS, read_pages
from tests.platforms.contract.reading import engage
from tests.platforms.contract.stage import Subject, moment
from tests.platforms.sent_requests import SentRequest
from tests.platforms.specimens import drafts

NamedCall = tuple[str, Callable[[Credentials], Awaitable[object]]]

TEXT: Final = "Yes, until six"


async def every_request(s: Subject) -> list[SentRequest]:
    """The requests of all calls, with all tokens of the subject and with each kind of token alone.

    With all tokens every call must succeed and send a request. With one kind of token it may be refused, and only
    what it has sent counts.
    """
    for listing in LISTINGS:
        if listing.applies(s.kind, s.about):
            listing.fill(s)
            done = await read_pages(listing, s)
            await read_pages(listing, s, done.cursor)
            await read_pages(listing, s, since=moment(s.now) - timedelta(minutes=5))
    kinds = sorted(s.c.tokens, key=lambda kind: kind.value)
    fewer = [replace(s.c, tokens={kind: s.c.tokens[kind]}) for kind in kinds] if len(kinds) > 1 else []
    fewer += [replace(s.c, tokens={})] if s.spec.public else []
    async for name, call_of in _calls(s):
        s.later(60)
        before = len(s.transport.requests)
        await call_of(s.c)
        assert len(s.transport.requests) > before or name in s.about.not_offered, f"{name} has sent no request"
        for c in fewer:
            with suppress(PlatformError):
                await call_of(c)
    return [SentRequest.of(request) for request in s.transport.requests]


async def _calls(s: Subject) -> AsyncIterator[NamedCall]:
    """Each call of the adapter by name, with the sandbox's content that it needs."""
    async for one in _reads(s):
        yield one
    async for one in _changes(s):
        yield one
    made = s.adapter()
    if isinstance(made, Subscribes):
        yield "subscription", lambda c: made.subscription(c, HOOK)
        yield "subscribe", lambda c: made.subscribe(c, HOOK, secrets(s))
        yield "subscribe again", lambda c: made.subscribe(c, HOOK, secrets(s))
        yield "subscription after it", lambda c: made.subscription(c, HOOK)
    if isinstance(made, Unsubscribes):
        yield "unsubscribe", lambda c: made.unsubscribe(c, HOOK)
    if isinstance(made, Inspects):
        yield "inspect", made.inspect
    if isinstance(made, Refreshes):
        yield "refresh", made.refresh


async def _reads(s: Subject) -> AsyncIterator[NamedCall]:
    made = s.adapter()
    yield "community", made.community
    yield "community by its address", lambda c: made.community(replace(c, external_id=None, aliases=frozenset()))
    yield "posts", lambda c: made.posts(c, None)
    yield "conversations", lambda c: made.conversations(c, None)
    if isinstance(made, ListsSeparately):
        for name in made.conversation_lists(s.c):
            yield f"conversations: {name}", partial(_conversation_list, s, name)
    if isinstance(made, Streams):
        yield "updates", lambda c: made.updates(c, s.stream)
    record = s.post()
    engage(s, record["id"], 2)
    s.later(s.spec.metrics_delay.total_seconds() + 3600)
    post = s.about.post_ids[0] if "posts" in s.about.not_offered else await remote_post(s, record["id"])
    yield "metrics", lambda c: made.metrics(c, (post,))
    if isinstance(made, MeasuresAcross):
        assert s.c.external_id is not None
        refs = (PostRef(s.c.external_id, post),)
        yield "metrics across communities", lambda c: made.metrics_across(c, refs)
    if isinstance(made, ListsComments):
        yield "comments", lambda c: made.comments(c, post, None)


async def _conversation_list(s: Subject, name: str, c: Credentials) -> object:
    made = s.adapter()
    assert isinstance(made, ListsSeparately)
    return await made.conversation_list(c, name, None)


async def _changes(s: Subject) -> AsyncIterator[NamedCall]:
    made = s.adapter()
    if isinstance(made, Replies):
        for to in await _questions(s):
            yield f"reply to a {to.kind.value}", partial(_reply, s, to)
            if isinstance(made, FindsReplies):
                yield "drops_repeats", made.drops_repeats
                yield f"find_replies to a {to.kind.value}", partial(_find_replies, s, to)
    if isinstance(made, ReadsAnnounced):
        for reference in await _announced(s):
            yield "announced", partial(_read_announced, s, reference)
    if isinstance(made, Publishes):
        s.later(90_000)  # some platforms limit the posts of a day
        for name, draft in drafts(s.spec).items():
            yield f"publish {name}", partial(_publish, made, draft, name)


async def _publish(made: Publishes, draft: OutgoingPost, key: str, c: Credentials) -> object:
    return await made.publish(c, draft, key)


async def _questions(s: Subject) -> list[ReplyTo]:
    """A message of each kind that the platform can answer."""
    records = [s.comment(s.post()["id"])] if s.about.comment is not None else []
    records += [s.mention()] if MessageKind.MENTION in s.about.listed_by_conversations else []
    records += [s.message()] if s.about.message is not None else []
    questions = [reply_to(await remote_message(s, record)) for record in records]
    by_person = [replace(to, late=True, by_person=True) for to in questions if to.kind is MessageKind.MESSAGE]
    return [*questions, *(by_person if s.spec.person_reply_window is not None else [])]


async def _reply(s: Subject, to: ReplyTo, c: Credentials) -> object:
    made = s.adapter()
    assert isinstance(made, Replies)
    return await made.reply(c, to, TEXT, f"key-{to.external_id}")


async def _find_replies(s: Subject, to: ReplyTo, c: Credentials) -> object:
    made = s.adapter()
    assert isinstance(made, FindsReplies)
    return await made.find_replies(c, to, TEXT, moment(s.now) - timedelta(hours=3))


async def _announced(s: Subject) -> list[str]:
    """The references of a mention in a caption and of one in a comment."""
    assert issubclass(s.kind, Receives)
    box = subscribe(s)
    for kind in ("question", IN_COMMENT):
        s.let("mention", text="Is it any good?", person=s.community.number_of(1), kind=kind)
    events = [event for _, delivery in box.sent for event in receive(s, call(s, delivery), secrets(s))[1]]
    return [reference for event in events for reference in event.announced]


async def _read_announced(s: Subject, reference: str, c: Credentials) -> object:
    """Read what was announced, and answer it."""
    made = s.adapter()
    assert isinstance(made, ReadsAnnounced)
    message = await made.announced(c, reference)
    return await _reply(s, reply_to(message), c)
