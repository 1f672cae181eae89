"""The Bot API's answers, as far as we read them. Source: Bot API 10.1.

Required here is what the API calls required and we cannot do without.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from app.platforms import wire

T = TypeVar("T")

CONTENT: Final = frozenset({
    "text", "rich_message", "animation", "audio", "document", "live_photo", "paid_media", "photo", "sticker", "story",
    "video", "video_note", "voice", "caption", "checklist", "contact", "dice", "game", "poll", "venue", "location",
    "invoice", "giveaway", "giveaway_winners",
})  # fmt: skip
"""A message with none of these says nothing: somebody came, went, pinned …"""

TELEGRAM: Final = 777000
"""The account in whose name Telegram copies a channel's posts into its discussion group."""
BASIC: Final = range(-(10**12), 0)
"""The ids of groups that are not supergroups."""

_LINE: Final = ("label", "summary", "text", "alternative_text", "expression", "credit", "caption")
_BLOCKS: Final = ("blocks", "items", "cells")


def _plain(rich: object, between: str = "") -> str:
    """The words of a rich message, or of a part of one; blocks stand on lines of their own."""
    if isinstance(rich, str):
        return rich
    if isinstance(rich, list):
        return between.join(filter(None, (_plain(part, between) for part in rich)))
    if isinstance(rich, dict):
        inside = [_plain(rich[name]) for name in _LINE if name in rich]
        return "\n".join(filter(None, (*inside, *(_plain(rich[name], "\n") for name in _BLOCKS if name in rich))))
    return ""


class Api(wire.Shape):
    """Telegram leaves out what is not there; libraries and servers between us may write null."""

    @model_validator(mode="before")
    @classmethod
    def _told(cls, raw: Any) -> Any:
        return {name: value for name, value in raw.items() if value is not None} if isinstance(raw, Mapping) else raw


class Answer(wire.Shape, Generic[T]):
    """The envelope of every good answer."""

    ok: Literal[True]
    result: T


class Parameters(Api):
    migrate_to_chat_id: wire.Number | None = None
    retry_after: wire.Count | None = None


class Failure(Api):
    """The envelope of every refusal; the status says the same as `error_code`, which may be absent."""

    ok: Literal[False]
    error_code: wire.Count | None = None
    description: wire.StorableText = ""
    parameters: Parameters = Parameters()


class Chat(Api):
    id: wire.Number
    type: wire.StorableText
    """`private`, `group`, `supergroup` or `channel`."""
    title: wire.StorableText = ""
    username: wire.StorableText = ""
    is_direct_messages: bool = False
    """The chat in which people write to a channel itself."""


class LinkedChat(Chat):
    """The chat of a message."""

    @model_validator(mode="before")
    @classmethod
    def _of_a_type(cls, raw: Any) -> Any:
        """Updates of 2015, and Telegram's examples of a webhook's calls, leave it out where the id says it."""
        if not isinstance(raw, Mapping) or "type" in raw or type(number := raw.get("id")) is not int:
            return raw
        if number > 0:
            return {**raw, "type": "private"}
        return {**raw, "type": "group"} if number in BASIC else raw


class FullChat(Chat):
    linked_chat_id: wire.Number | None = None


class User(Api):
    id: wire.Count
    first_name: wire.StorableText
    last_name: wire.StorableText = ""
    username: wire.StorableText = ""
    can_read_all_group_messages: bool = False


class Member(Api):
    """Somebody's place in a chat."""

    status: wire.StorableText
    can_post_messages: bool | None = None
    """Told of administrators of channels alone."""


class Origin(Api):
    """Where a forwarded message stood first; `chat` and `message_id` only where that was a channel."""

    type: wire.StorableText
    chat: Chat | None = None
    message_id: wire.Count | None = None


class Message(Api):
    message_id: wire.Count
    date: wire.UnixTime
    chat: LinkedChat
    sender: User | None = Field(None, validation_alias="from")
    """Where `sender_chat` is told, a bot that stands in for it."""
    sender_chat: Chat | None = None
    message_thread_id: wire.Count | None = None
    reply_to_message: "Message | None" = None
    is_automatic_forward: bool = False
    """A channel's post, as its discussion group shows it."""
    forward_origin: Origin | None = None
    media_group_id: wire.StorableText | None = None
    """What the parts of an album share."""
    edit_date: wire.LenientUnixTime = None
    text: wire.StorableText = ""
    caption: wire.StorableText = ""
    rich_message: Annotated[wire.StorableText, BeforeValidator(_plain)] = ""
    has_content: bool = False

    @model_validator(mode="before")
    @classmethod
    def _says_something(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        return {**_of_before(raw), **raw, "has_content": any(raw.get(name) is not None for name in CONTENT)}

    @property
    def words(self) -> str:
        return (self.text or self.caption or self.rich_message).strip()


class ReactionCount(Api):
    total_count: wire.Count


def _of_before(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What servers before Bot API 7.0 tell of a forwarded message, and those before 5.5 of a channel's copied post."""
    chat, sender = raw.get("forward_from_chat"), raw.get("from")
    if "forward_origin" in raw or not isinstance(chat, Mapping):
        return {}
    origin = {"type": "channel", "chat": chat, "message_id": raw.get("forward_from_message_id")}
    copied = isinstance(sender, Mapping) and sender.get("id") == TELEGRAM
    return {"forward_origin": origin, "is_automatic_forward": copied}


class Reactions(Api):
    """How often each reaction stands at a message now."""

    chat: Chat
    message_id: wire.Count
    date: wire.UnixTime
    reactions: list[ReactionCount]


class Membership(Api):
    """The bot's place in a chat has changed."""

    chat: Chat
    date: wire.UnixTime


class Update(Api):
    """Something that happened: at most one of the fields besides its id is there."""

    update_id: wire.Count
    message: Message | None = None
    edited_message: Message | None = None
    channel_post: Message | None = None
    edited_channel_post: Message | None = None
    message_reaction_count: Reactions | None = None
    my_chat_member: Membership | None = None


UPDATES: Final = tuple(name for name in Update.model_fields if name != "update_id")
"""The kinds that we ask for; `message_reaction_count` comes only to those who name it."""


class Webhook(Api):
    url: wire.StorableText
    pending_update_count: wire.Count
    last_error_date: wire.LenientUnixTime = None
    last_error_message: wire.StorableText = ""


FAILURE: Final = TypeAdapter(Failure)
CHAT: Final = TypeAdapter(Answer[FullChat])
COUNT: Final = TypeAdapter(Answer[wire.Count])
ME: Final = TypeAdapter(Answer[User])
MEMBER: Final = TypeAdapter(Answer[Member])
STREAM: Final = TypeAdapter(Answer[list[Any]])
SENT: Final = TypeAdapter(Answer[Message])
SENT_ALBUM: Final = TypeAdapter(Answer[Annotated[list[Message], Field(min_length=1)]])
WEBHOOK: Final = TypeAdapter(Answer[Webhook])
DONE: Final = TypeAdapter(Answer[Literal[True]])
UPDATE: Final = TypeAdapter(Update)
