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


class Answer(wire.Shape, Generic[T]):
    """The envelope of every good answer."""

    ok: Literal[True]
    result: T


class Parameters(wire.Shape):
    migrate_to_chat_id: wire.Number | None = None
    retry_after: wire.Count | None = None


class Failure(wire.Shape):
    """The envelope of every refusal; the status says the same as `error_code`."""

    ok: Literal[False]
    error_code: wire.Count
    description: wire.Words = ""
    parameters: Parameters = Parameters()


class Chat(wire.Shape):
    id: wire.Number
    type: wire.Words
    """`private`, `group`, `supergroup` or `channel`."""
    title: wire.Words = ""
    username: wire.Words = ""
    is_direct_messages: bool = False
    """The chat in which people write to a channel itself."""


class FullChat(Chat):
    linked_chat_id: wire.Number | None = None


class User(wire.Shape):
    id: wire.Count
    first_name: wire.Words
    last_name: wire.Words = ""
    username: wire.Words = ""
    can_read_all_group_messages: bool = False


class Member(wire.Shape):
    """Somebody's place in a chat."""

    status: wire.Words
    can_post_messages: bool | None = None
    """Told of administrators of channels alone."""


class Origin(wire.Shape):
    """Where a forwarded message stood first; `chat` and `message_id` only where that was a channel."""

    type: wire.Words
    chat: Chat | None = None
    message_id: wire.Count | None = None


class Message(wire.Shape):
    message_id: wire.Count
    date: wire.UnixTime
    chat: Chat
    sender: User | None = Field(None, validation_alias="from")
    """Where `sender_chat` is told, a bot that stands in for it."""
    sender_chat: Chat | None = None
    message_thread_id: wire.Count | None = None
    reply_to_message: "Message | None" = None
    is_automatic_forward: bool = False
    """A channel's post, as its discussion group shows it."""
    forward_origin: Origin | None = None
    media_group_id: wire.Words | None = None
    """What the parts of an album share."""
    edit_date: wire.UnixTime | None = None
    text: wire.Words = ""
    caption: wire.Words = ""
    rich_message: Annotated[wire.Words, BeforeValidator(_plain)] = ""
    has_content: bool = False

    @model_validator(mode="before")
    @classmethod
    def _says_something(cls, raw: Any) -> Any:
        return {**raw, "has_content": bool(CONTENT & raw.keys())} if isinstance(raw, Mapping) else raw

    @property
    def words(self) -> str:
        return (self.text or self.caption or self.rich_message).strip()


class ReactionCount(wire.Shape):
    total_count: wire.Count


class Reactions(wire.Shape):
    """How often each reaction stands at a message now."""

    chat: Chat
    message_id: wire.Count
    date: wire.UnixTime
    reactions: list[ReactionCount]


class Membership(wire.Shape):
    """The bot's place in a chat has changed."""

    chat: Chat
    date: wire.UnixTime


class Update(wire.Shape):
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


class Webhook(wire.Shape):
    url: wire.Words
    pending_update_count: wire.Count
    last_error_date: wire.UnixTime | None = None
    last_error_message: wire.Words = ""


FAILURE: Final = TypeAdapter(Failure)
CHAT: Final = TypeAdapter(Answer[FullChat])
COUNT: Final = TypeAdapter(Answer[wire.Count])
ME: Final = TypeAdapter(Answer[User])
MEMBER: Final = TypeAdapter(Answer[Member])
STREAM: Final = TypeAdapter(Answer[list[Update]])
SENT: Final = TypeAdapter(Answer[Message])
SENT_ALBUM: Final = TypeAdapter(Answer[Annotated[list[Message], Field(min_length=1)]])
WEBHOOK: Final = TypeAdapter(Answer[Webhook])
DONE: Final = TypeAdapter(Answer[Literal[True]])
UPDATE: Final = TypeAdapter(Update)
