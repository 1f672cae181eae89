"""Faults in replies, publications and the renewal of tokens."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from uuid import uuid4

from app.platforms.capabilities import IssuedToken, OutgoingPost, ReplyTo
from app.platforms.contract import AuthExpired, Credentials, OutcomeUnknown, SendReceipt, Token, Transient
from app.platforms.mastodon.adapter import Mastodon
from app.platforms.telegram.adapter import Telegram
from app.platforms.vk import wire_models
from app.platforms.vk.adapter import Vk
from app.platforms.youtube.adapter import YouTube
from tests.platforms.contract.planted import Planted


class LostIsFailed(Mastodon):
    """A lost response is reported as a failure."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        try:
            return await super().reply(c, to, text, key)
        except OutcomeUnknown as error:
            raise Transient(error.message) from None


class ResendsReply(Vk):
    """After a lost response the reply is sent again with another key."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        try:
            return await super().reply(c, to, text, key)
        except OutcomeUnknown:
            return await super().reply(c, to, text, f"{key} again")


class IgnoresKey(Vk):
    """The idempotency key is not passed on."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        return await super().reply(c, to, text, uuid4().hex)


class RepliesToPost(Vk):
    """The reply is written below the post, not below the comment."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        form = {"owner_id": f"-{c.external_id}", "post_id": to.post_id, "from_group": c.external_id, "message": text}
        made = await self._calls.call(c, wire_models.NEW_COMMENT, "wall.createComment", (Token.COMMUNITY,), form)
        return SendReceipt(external_id=f"comment-{made.comment_id}")


class OtherIdInLists(Vk):
    """The id of a sent message differs from its id in lists."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        sent = await super().reply(c, to, text, key)
        return replace(sent, external_id=sent.external_id.removeprefix("message-"))


class OnePictureOnly(Telegram):
    """Only the first picture of an album is published."""

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        return await super().publish(c, replace(draft, pictures=draft.pictures[:1]), key)


class PublishesTwice(Telegram):
    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        await super().publish(c, draft, key)
        return await super().publish(c, draft, key)


class RepublishesLost(Telegram):
    """After a lost response the post is published again."""

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        try:
            return await super().publish(c, draft, key)
        except OutcomeUnknown:
            return await super().publish(c, draft, key)


class Truncates(Telegram):
    """A text that is too long is truncated."""

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        return await super().publish(c, replace(draft, text=draft.text[:100]), key)


class InvalidTokens(YouTube):
    """The renewed tokens are invalid."""

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        return {kind: IssuedToken("token", one.lifetime) for kind, one in (await super().refresh(c)).items()}


class RefusedIsEmpty(YouTube):
    """A refused renewal is reported as one without new tokens."""

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        try:
            return await super().refresh(c)
        except AuthExpired:
            return {}


class ResendsRefresh(YouTube):
    """After a lost response a single-use refresh token is sent again."""

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        try:
            return await super().refresh(c)
        except OutcomeUnknown:
            return await super().refresh(c)


PLANTED: Final[tuple[Planted, ...]] = (
    ("reply to a comment: a lost response is unknown, sent once", LostIsFailed, "the change was sent"),
    ("reply to a message: a lost response is unknown, sent once", LostIsFailed, "the change was sent"),
    ("reply to a comment: a lost response is unknown, sent once", ResendsReply, "it happened 2 times"),
    ("reply to a message: a lost response is unknown, sent once", IgnoresKey, "harmless"),
    ("reply to a comment: created once, in the right place", RepliesToPost, "another message was answered"),
    ("reply to a message: created once, in the right place", OtherIdInLists, "another id"),
    ("publish: created once, with its pictures", OnePictureOnly, "1 pictures instead of 2"),
    ("publish: created once, with its pictures", PublishesTwice, "it happened 2 times"),
    ("publish: a lost response is unknown, sent once", RepublishesLost, "it happened 2 times"),
    ("publish: an invalid post is not sent", Truncates, "DID NOT RAISE"),
    ("refresh: new tokens are valid", InvalidTokens, "a new token is invalid"),
    ("refresh: a refusal expires the token", RefusedIsEmpty, "DID NOT RAISE"),
    ("refresh: a lost response is unknown", ResendsRefresh, "must be sent once"),
)
