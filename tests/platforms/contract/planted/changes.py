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


class Sure(Mastodon):
    """A lost response is reported as a failure."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        try:
            return await super().reply(c, to, text, key)
        except OutcomeUnknown as error:
            raise Transient(error.message) from None


class Insisting(Vk):
    """After a lost response the reply is sent again with another key."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        try:
            return await super().reply(c, to, text, key)
        except OutcomeUnknown:
            return await super().reply(c, to, text, f"{key} again")


class Keyless(Vk):
    """The idempotency key is not passed on."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        return await super().reply(c, to, text, uuid4().hex)


class Elsewhere(Vk):
    """The reply is written below the post, not below the comment."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        form = {"owner_id": f"-{c.external_id}", "post_id": to.post_id, "from_group": c.external_id, "message": text}
        made = await self._calls.call(c, wire_models.NEW_COMMENT, "wall.createComment", (Token.COMMUNITY,), form)
        return SendReceipt(external_id=f"comment-{made.comment_id}")


class OtherId(Vk):
    """The id of a sent message differs from its id in lists."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        sent = await super().reply(c, to, text, key)
        return replace(sent, external_id=sent.external_id.removeprefix("message-"))


class OnePicture(Telegram):
    """Only the first picture of an album is published."""

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        return await super().publish(c, replace(draft, pictures=draft.pictures[:1]), key)


class Twice(Telegram):
    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        await super().publish(c, draft, key)
        return await super().publish(c, draft, key)


class Repeating(Telegram):
    """After a lost response the post is published again."""

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        try:
            return await super().publish(c, draft, key)
        except OutcomeUnknown:
            return await super().publish(c, draft, key)


class Cutting(Telegram):
    """A text that is too long is truncated."""

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        return await super().publish(c, replace(draft, text=draft.text[:100]), key)


class WorthlessTokens(YouTube):
    """The renewed tokens are invalid."""

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        return {kind: IssuedToken("token", one.lifetime) for kind, one in (await super().refresh(c)).items()}


class Unmoved(YouTube):
    """A refused renewal is reported as one without new tokens."""

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        try:
            return await super().refresh(c)
        except AuthExpired:
            return {}


class Resending(YouTube):
    """After a lost response a single-use refresh token is sent again."""

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        try:
            return await super().refresh(c)
        except OutcomeUnknown:
            return await super().refresh(c)


PLANTED: Final[tuple[Planted, ...]] = (
    ("reply to a comment: a lost answer is unknown, and sent once", Sure, "the change was sent"),
    ("reply to a message: a lost answer is unknown, and sent once", Sure, "the change was sent"),
    ("reply to a comment: a lost answer is unknown, and sent once", Insisting, "it happened 2 times"),
    ("reply to a message: a lost answer is unknown, and sent once", Keyless, "harmless"),
    ("reply to a comment: arrives once, where it belongs", Elsewhere, "another message was answered"),
    ("reply to a message: arrives once, where it belongs", OtherId, "another id"),
    ("publish: arrives once, with its pictures", OnePicture, "1 pictures instead of 2"),
    ("publish: arrives once, with its pictures", Twice, "it happened 2 times"),
    ("publish: a lost answer is unknown, and sent once", Repeating, "it happened 2 times"),
    ("publish: what the platform would not take is not sent", Cutting, "DID NOT RAISE"),
    ("refresh: new tokens are good", WorthlessTokens, "a new token is invalid"),
    ("refresh: refused, a person must reconnect", Unmoved, "DID NOT RAISE"),
    ("refresh: a lost answer is unknown", Resending, "must be sent once"),
)
