"""The suite itself: a fault planted in an adapter makes the check that is there for it red."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import uuid4

import httpx
import orjson
import pytest

from app.platforms.abilities import Call, Received, ReplyTo
from app.platforms.adapters.mastodon import Mastodon
from app.platforms.adapters.vk import Vk
from app.platforms.contract import (
    Adapter,
    AuthExpired,
    CommunitySnapshot,
    Credentials,
    Gone,
    Metric,
    OutcomeUnknown,
    Page,
    PlatformError,
    PostMetrics,
    RemoteMessage,
    RemotePost,
    Scope,
    Sent,
    Throttled,
    Token,
    Transient,
)
from app.platforms.vk import shapes, translate
from tests.platforms.contract.checks import RED, run
from tests.platforms.contract.suite import CHECKS
from tests.platforms.contract.table import NOT_ASKED, table

Posts = Page[RemotePost]
Messages = Page[RemoteMessage]


class WrongOrder(Mastodon):
    """Each page oldest first."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        page = await super().posts(c, cursor, since)
        return replace(page, items=page.items[::-1])


class LostPage(Mastodon):
    """The second page is not handed on."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        page = await super().posts(c, cursor, since)
        return replace(page, items=()) if cursor is not None and page.more else page


class LostLastPage(Vk):
    """The walk ends one page early."""

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Messages:
        page = await super().comments(c, post_id, cursor, since)
        return replace(page, more=False)


class Replacing(Vk):
    """The first item comes again in the place of the last."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        page = await super().posts(c, cursor, since)
        return replace(page, items=(*page.items[:-1], page.items[0])) if page.items else page


class TwoNames(Mastodon):
    """An item has another id each time."""

    async def conversations(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Messages:
        page = await super().conversations(c, cursor, since)
        return replace(page, items=tuple(replace(one, external_id=f"{one.external_id}/{n}") for n, one in
                                         enumerate((*page.items, *page.items[:1]))))  # fmt: skip


class Swallowing(Mastodon):
    """A failure is an empty page."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        try:
            return await super().posts(c, cursor, since)
        except PlatformError:
            return Page((), cursor, more=False)


class Forgetful(Mastodon):
    """Cursors mean something only to the object that gave them."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__(http)
        self._given: list[str | None] = [None]

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        place = int(cursor or 0)
        page = await super().posts(c, self._given[place] if place < len(self._given) else None, since)
        self._given.append(page.cursor)
        return replace(page, cursor=str(len(self._given) - 1))


class Counting(Mastodon):
    """What a cursor brings depends on how often it was asked."""

    asked = 0

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        page = await super().posts(c, cursor, since)
        Counting.asked += 1
        return replace(page, items=page.items[Counting.asked % 2 :])


class StaleCursor(Vk):
    """The cursor of a walk that ended passes over what came since."""

    async def conversations(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Messages:
        return Page((), cursor, more=False) if cursor == "done" else await self._first(c, cursor, since)

    async def _first(self, c: Credentials, cursor: str | None, since: datetime | None) -> Messages:
        page = await super().conversations(c, cursor, since)
        return page if page.more else replace(page, cursor="done")


class ByOffset(Vk):
    """Pages by offset alone, as if nothing ever vanished."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        offset = int(cursor or 0)
        query = {"owner_id": -int(c.external_id or 0), "filter": "owner", "offset": offset, "count": 50}
        wall = await self._call(c, shapes.WALL, "wall.get", (Token.USER,), query)
        done = offset + 50 >= wall.count
        items = tuple(translate.post(one) for one in wall.items)
        return Page(items, None if done else str(offset + 50), more=not done)


class SinceIgnored(Mastodon):
    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        return await super().posts(c, cursor)


class SinceTooMuch(Vk):
    """An answer to an old comment is left out with it."""

    async def conversations(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Messages:
        page = await super().conversations(c, cursor, since)
        return replace(page, items=tuple(one for one in page.items if since is None or one.sent_at > since))


class NothingForGone(Mastodon):
    """No comments, of a post that is not there."""

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Messages:
        try:
            return await super().comments(c, post_id, cursor, since)
        except Gone:
            return Page((), "{}", more=False)


class RoundSize(Mastodon):
    async def community(self, c: Credentials) -> CommunitySnapshot:
        found = await super().community(c)
        return replace(found, size=(found.size or 0) // 100 * 100)


class ZeroForUnknown(Vk):
    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return tuple(
            PostMetrics(one.external_id, {**dict.fromkeys(Metric, 0), **one.counters}, gone=one.gone)
            for one in await super().metrics(c, ids)
        )


class Silent(Vk):
    """A metric is neither there nor missing."""

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return tuple(replace(one, missing={}) for one in await super().metrics(c, ids))


class Swapped(Vk):
    """Comments are told as reactions, and reactions as comments."""

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        swap = {Metric.REACTIONS: Metric.COMMENTS, Metric.COMMENTS: Metric.REACTIONS}
        return tuple(
            replace(one, counters={swap.get(name, name): count for name, count in one.counters.items()})
            for one in await super().metrics(c, ids)
        )


class ZerosForGone(Mastodon):
    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return tuple(
            PostMetrics(one.external_id, dict.fromkeys(Metric, 0)) if one.gone else one
            for one in await super().metrics(c, ids)
        )


class AnyBatch(Mastodon):
    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return (await super().metrics(c, ids[:20])) + (await super().metrics(c, ids[20:]))


class Telling(Mastodon):
    """A refusal repeats the token."""

    def classify(self, response: httpx.Response) -> PlatformError | None:
        said = super().classify(response)
        if said is not None:
            said.args = (f"{said.message} with {response.request.headers.get('authorization')}",)
        return said


class Logging(Vk):
    """The token is logged, where only somebody who debugs would look."""

    async def community(self, c: Credentials) -> CommunitySnapshot:
        logging.getLogger("vk").debug("asking with %s", c.tokens)
        return await super().community(c)


class InAddress(Mastodon):
    """The token is in the query."""

    async def community(self, c: Credentials) -> CommunitySnapshot:
        where = f"{c.base_url}/api/v1/accounts/{c.external_id}"
        await self._http.get(where, params={"access_token": c.tokens[Token.COMMUNITY]})
        return await super().community(c)


class Sure(Mastodon):
    """A lost answer is a failure."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> Sent:
        try:
            return await super().reply(c, to, text, key)
        except OutcomeUnknown as error:
            raise Transient(error.message) from None


class Insisting(Vk):
    """A lost answer is asked for again, with another key."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> Sent:
        try:
            return await super().reply(c, to, text, key)
        except OutcomeUnknown:
            return await super().reply(c, to, text, f"{key} again")


class Keyless(Vk):
    """The key is not handed on."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> Sent:
        return await super().reply(c, to, text, uuid4().hex)


class Elsewhere(Vk):
    """The comment is written below the post, and not below the question."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> Sent:
        form = {"owner_id": f"-{c.external_id}", "post_id": to.post_id, "from_group": c.external_id, "message": text}
        made = await self._call(c, shapes.NEW_COMMENT, "wall.createComment", (Token.COMMUNITY,), form)
        return Sent(external_id=f"comment-{made.comment_id}")


class OtherId(Vk):
    """A message that was sent has another id than in lists."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> Sent:
        sent = await super().reply(c, to, text, key)
        return replace(sent, external_id=sent.external_id.removeprefix("message-"))


def _said(change: Callable[[PlatformError], PlatformError]) -> type[Adapter]:
    """What VK says went wrong is told in another way."""

    class Changed(Vk):
        def classify(self, response: httpx.Response) -> PlatformError | None:
            said = super().classify(response)
            return None if said is None else change(said)

    return Changed


def _throttled(retry_after: float | None, scope: Scope) -> Callable[[PlatformError], PlatformError]:
    def changed(said: PlatformError) -> PlatformError:
        return Throttled(said.message, retry_after=retry_after, scope=scope) if isinstance(said, Throttled) else said

    return changed


class Blaming(Vk):
    """The token that ended is taken for the other one."""

    async def conversations(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Messages:
        try:
            return await super().conversations(c, cursor, since)
        except AuthExpired as error:
            raise AuthExpired(error.message, token=Token.USER) from None


class Trusting(Vk):
    """The secret is not looked at."""

    @classmethod
    def receive(cls, call: Call, secrets: Mapping[str, str]) -> Received:
        given = orjson.loads(call.body).get("secret", "")
        return super().receive(call, {**secrets, "secret": given})


class Mumbling(Vk):
    """Events are acknowledged, and nothing is made of them."""

    @classmethod
    def receive(cls, call: Call, secrets: Mapping[str, str]) -> Received:
        got = super().receive(call, secrets)
        return replace(got, events=tuple(replace(event, messages=()) for event in got.events))


class Unthreaded(Vk):
    """A comment that a hook tells belongs to another conversation than in lists."""

    @classmethod
    def receive(cls, call: Call, secrets: Mapping[str, str]) -> Received:
        got = super().receive(call, secrets)
        return replace(
            got,
            events=tuple(
                replace(event, messages=tuple(replace(one, thread_id=one.external_id) for one in event.messages))
                for event in got.events
            ),
        )


class Crashing(Vk):
    """What is not understood is not told."""

    @classmethod
    def receive(cls, call: Call, secrets: Mapping[str, str]) -> Received:
        if not call.body.startswith(b'{"group_id"'):
            return Received("ok")
        return super().receive(call, secrets)


class Unconfirmed(Vk):
    @classmethod
    def receive(cls, call: Call, secrets: Mapping[str, str]) -> Received:
        return replace(super().receive(call, secrets), answer="ok")


WHOLE: Final = "whole, once, newest first"

PLANTED: Final[tuple[tuple[str, type[Adapter], str], ...]] = (
    (f"posts: {WHOLE}", WrongOrder, "not newest first"),
    (f"posts: {WHOLE}", LostPage, "passed over"),
    (f"comments: {WHOLE}", LostLastPage, "passed over"),
    (f"posts: {WHOLE}", Replacing, "passed over"),
    (f"conversations: {WHOLE}", TwoNames, "under two ids"),
    ("errors: unwell is not over", Swallowing, "posts: None"),
    ("posts: cursors survive a restart", Forgetful, "in circles"),
    (f"posts: {WHOLE}", Forgetful, "in circles"),
    ("posts: cursors survive a restart", Counting, "something else"),
    ("conversations: late items", StaleCursor, "passed over"),
    ("conversations: cursors survive a restart", StaleCursor, "does not start the next one"),
    ("conversations: nothing there", StaleCursor, "passes something over"),
    ("posts: deleted items", ByOffset, "passed over"),
    ("posts: since", SinceIgnored, "do not stand"),
    ("posts: nothing there", SinceIgnored, "older than `since`"),
    ("conversations: since", SinceTooMuch, "passed over"),
    ("comments: none of a deleted post", NothingForGone, "DID NOT RAISE"),
    ("community", RoundSize, "not the ledger's"),
    ("metrics: the ledger's, never 0 for unknown", ZeroForUnknown, "not to be had"),
    ("metrics: the ledger's, never 0 for unknown", Silent, "neither there nor missing"),
    ("metrics: the ledger's, never 0 for unknown", Swapped, "reactions: "),
    ("metrics: deleted posts are gone", ZerosForGone, "is gone"),
    ("metrics: a batch, and no more", AnyBatch, "DID NOT RAISE"),
    ("no secret in any message, log or address", Telling, "a secret stands"),
    ("no secret in any message, log or address", Logging, "a secret stands"),
    ("no secret in any message, log or address", InAddress, "a secret stands"),
    ("reply to a comment: a lost answer is unknown, and sent once", Sure, "the change was sent"),
    ("reply to a message: a lost answer is unknown, and sent once", Sure, "the change was sent"),
    ("reply to a comment: a lost answer is unknown, and sent once", Insisting, "it happened 2 times"),
    ("reply to a message: a lost answer is unknown, and sent once", Keyless, "harmless"),
    ("reply to a comment: arrives once, where it belongs", Elsewhere, "something else was answered"),
    ("reply to a message: arrives once, where it belongs", OtherId, "another id"),
    ("limits: throttled, whom it concerns, until when", _said(_throttled(None, Scope.TOKEN)), "wait for None"),
    ("limits: throttled, whom it concerns, until when", _said(_throttled(0.5, Scope.TOKEN)), "too short"),
    ("limits: throttled, whom it concerns, until when", _said(_throttled(60.0, Scope.TOKEN)), "too long"),
    ("limits: throttled, whom it concerns, until when", _said(_throttled(1.0, Scope.ADDRESS)), "concerns the token"),
    ("limits: throttled, whom it concerns, until when", _said(lambda said: Transient(said.message)), "Transient"),
    ("errors: the platform's codes", _said(lambda said: Transient(said.message)), "is Transient"),
    ("tokens: one that ended is told", _said(lambda said: Transient(said.message)), "nobody says"),
    ("tokens: one that ended is told", Blaming, "blamed"),
    ("tokens: one that may not is told", _said(lambda said: AuthExpired(said.message)), "said to have ended"),
    ("hooks: a missing or wrong signature is refused", Trusting, "DID NOT RAISE"),
    ("hooks: events are what the lists show", Mumbling, "tells of none"),
    ("hooks: events are what the lists show", Unthreaded, "differently"),
    ("hooks: garbage is told", Crashing, "DID NOT RAISE"),
    ("hooks: the address is confirmed", Unconfirmed, "does not take"),
)


@pytest.mark.parametrize(("name", "planted", "because"), PLANTED)
async def test_a_planted_fault_is_found(name: str, planted: type[Adapter], because: str) -> None:
    with pytest.raises(RED, match=because):
        await run(name, planted.spec.key, planted)
    sound = next(kind for kind in planted.__mro__ if kind.__module__.startswith("app.platforms.adapters."))
    await run(name, planted.spec.key, sound)


def test_the_table_shows_what_is_not_there() -> None:
    lines = table({("mastodon", "community"): "ok", ("vk", "community"): "FAILED"}).splitlines()
    assert lines[0].split() == ["mastodon", "vk"]
    assert lines[1].split() == ["community", "ok", "FAILED"]
    (hooks,) = (line for line in lines if line.startswith("hooks: garbage"))
    assert hooks.split()[-1] == NOT_ASKED
    assert len(lines) == len(CHECKS) + 1
