"""The parts of the Bot API's responses that are read. Source: Bot API 10.1.

Of the fields that the API requires, only those are required here without which the rest is of no use.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from app.platforms import wire
from app.platforms.contract import Attachment
from app.platforms.telegram import attachments

T = TypeVar("T")

CONTENT: Final = frozenset({
    "text", "rich_message", "animation", "audio", "document", "live_photo", "paid_media", "photo", "sticker", "story",
    "video", "video_note", "voice", "caption", "checklist", "contact", "dice", "game", "poll", "venue", "location",
    "invoice", "giveaway", "giveaway_winners",
})  # fmt: skip
"""The fields of a message's content. One with none of them is a service message: a user joined, left, pinned …"""

TELEGRAM: Final = 777000
"""The account that copies a channel's posts into its discussion group."""
BASIC_GROUP_IDS: Final = range(-(10**12), 0)
"""The ids of groups that are not supergroups."""

_INLINE: Final = ("label", "summary", "text", "alternative_text", "expression", "credit", "caption")
_BLOCKS: Final = ("blocks", "items", "cells")


def _plain(rich: object, between: str = "") -> str:
    """The text of a rich message, or of a part of one, with each block on a line of its own."""
    if isinstance(rich, str):
        return rich
    if isinstance(rich, list):
        return between.join(filter(None, (_plain(part, between) for part in rich)))
    if isinstance(rich, dict):
        inline = [_plain(rich[name]) for name in _INLINE if name in rich]
        return "\n".join(filter(None, (*inline, *(_plain(rich[name], "\n") for name in _BLOCKS if name in rich))))
    return ""


class Success(wire.Model, Generic[T]):
    """The envelope of every successful response."""

    ok: Literal[True]
    result: T


class Parameters(wire.NullIsAbsent):
    migrate_to_chat_id: wire.Number | None = None
    retry_after: wire.Count | None = None


class Failure(wire.NullIsAbsent):
    """The envelope of every error. `error_code` is the same as the status, and may be absent."""

    ok: Literal[False]
    error_code: wire.Count | None = None
    description: wire.StorableText = ""
    parameters: Parameters = Parameters()


class Chat(wire.NullIsAbsent):
    id: wire.Number
    type: wire.StorableText
    """`private`, `group`, `supergroup` or `channel`."""
    title: wire.StorableText = ""
    username: wire.StorableText = ""
    is_direct_messages: bool = False
    """The chat holds the direct messages of a channel."""


class MessageChat(Chat):
    """The chat of a message."""

    @model_validator(mode="before")
    @classmethod
    def _with_type(cls, raw: Any) -> Any:
        """Updates of 2015, and Telegram's examples of webhook requests, have no `type`; it follows from the id."""
        if not isinstance(raw, Mapping) or "type" in raw or type(number := raw.get("id")) is not int:
            return raw
        if number > 0:
            return {**raw, "type": "private"}
        return {**raw, "type": "group"} if number in BASIC_GROUP_IDS else raw


class FullChat(Chat):
    linked_chat_id: wire.Number | None = None


class User(wire.NullIsAbsent):
    id: wire.Count
    first_name: wire.StorableText
    last_name: wire.StorableText = ""
    username: wire.StorableText = ""
    can_read_all_group_messages: bool = False


class Member(wire.NullIsAbsent):
    """A user's membership in a chat."""

    status: wire.StorableText
    can_post_messages: bool | None = None
    """Only for administrators of channels."""


class Origin(wire.NullIsAbsent):
    """The origin of a forwarded message; `chat` and `message_id` only where that is a channel."""

    type: wire.StorableText
    chat: Chat | None = None
    message_id: wire.Count | None = None


class Message(wire.NullIsAbsent):
    message_id: wire.Count
    date: wire.UnixTime
    chat: MessageChat
    sender: User | None = Field(None, validation_alias="from")
    """A bot in place of the real author where there is a `sender_chat`."""
    sender_chat: Chat | None = None
    message_thread_id: wire.Count | None = None
    reply_to_message: "Message | None" = None
    is_automatic_forward: bool = False
    """A channel's post, copied into its discussion group."""
    forward_origin: Origin | None = None
    media_group_id: wire.StorableText | None = None
    """Equal for the parts of one album."""
    edit_date: wire.LenientUnixTime = None
    text: wire.StorableText = ""
    caption: wire.StorableText = ""
    rich_message: Annotated[wire.StorableText, BeforeValidator(_plain)] = ""
    has_content: bool = False
    attachments: tuple[Attachment, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_derived_fields(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        derived = {
            "has_content": any(raw.get(name) is not None for name in CONTENT),
            "attachments": attachments.read(raw),
        }
        return {**_from_older_server(raw), **raw, **derived}

    @property
    def content_text(self) -> str:
        """The text of the message, from whichever field has it."""
        return (self.text or self.caption or self.rich_message).strip()


class Button(wire.NullIsAbsent):
    text: wire.StorableText
    callback_data: wire.StorableText | None = None


class Keyboard(wire.NullIsAbsent):
    inline_keyboard: list[list[Button]] = Field(default_factory=list)


class KeyboardMessage(wire.NullIsAbsent):
    """The message whose button was pressed. One that the bot cannot see any more has only its ids."""

    message_id: wire.Count
    chat: MessageChat
    message_thread_id: wire.Count | None = None
    reply_markup: Keyboard = Keyboard()

    def label(self, data: str) -> str:
        """What is written on the button with this data; the data, where no button has it."""
        buttons = (button for row in self.reply_markup.inline_keyboard for button in row)
        return next((button.text for button in buttons if button.callback_data == data), data)


class CallbackQuery(wire.NullIsAbsent):
    """A press of a button. Telegram does not say when it was."""

    id: wire.StorableText
    sender: User = Field(validation_alias="from")
    message: KeyboardMessage | None = None
    data: wire.StorableText = ""
    """Empty for a game's button."""


class ReactionCount(wire.NullIsAbsent):
    total_count: wire.Count


def _from_older_server(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The fields for which servers before Bot API 7.0 (forwards) and 5.5 (copied posts) send others."""
    chat, sender = raw.get("forward_from_chat"), raw.get("from")
    if "forward_origin" in raw or not isinstance(chat, Mapping):
        return {}
    origin = {"type": "channel", "chat": chat, "message_id": raw.get("forward_from_message_id")}
    copied = isinstance(sender, Mapping) and sender.get("id") == TELEGRAM
    return {"forward_origin": origin, "is_automatic_forward": copied}


class Reactions(wire.NullIsAbsent):
    """The current count of each reaction to a message."""

    chat: Chat
    message_id: wire.Count
    date: wire.UnixTime
    reactions: list[ReactionCount]


class Membership(wire.NullIsAbsent):
    """A change of the bot's membership in a chat."""

    chat: Chat
    date: wire.UnixTime


class InviteLink(wire.NullIsAbsent):
    invite_link: wire.StorableText
    """Its second part is an ellipsis, where another administrator made it."""


class MemberState(wire.NullIsAbsent):
    """What a user is in a chat."""

    status: wire.StorableText
    user: User
    is_member: bool = False
    """Only of restricted users."""

    @property
    def belongs(self) -> bool:
        """Whether the user is a member."""
        return self.status in {"creator", "administrator", "member"} or (self.status == "restricted" and self.is_member)


class MemberUpdate(wire.NullIsAbsent):
    """A change of another user's membership in a chat."""

    chat: Chat
    date: wire.UnixTime
    old_chat_member: MemberState
    new_chat_member: MemberState
    invite_link: InviteLink | None = None


class Update(wire.NullIsAbsent):
    """One update: at most one of the fields besides the id is present."""

    update_id: wire.Count
    message: Message | None = None
    edited_message: Message | None = None
    channel_post: Message | None = None
    edited_channel_post: Message | None = None
    message_reaction_count: Reactions | None = None
    my_chat_member: Membership | None = None
    chat_member: MemberUpdate | None = None
    callback_query: CallbackQuery | None = None


UPDATES: Final = tuple(name for name in Update.model_fields if name != "update_id")
"""The kinds of update that are requested; `message_reaction_count` and `chat_member` are sent only on request."""


class Webhook(wire.NullIsAbsent):
    url: wire.StorableText
    allowed_updates: list[wire.StorableText] = Field(default_factory=list)
    pending_update_count: wire.Count
    last_error_date: wire.LenientUnixTime = None
    last_error_message: wire.StorableText = ""


FAILURE: Final = TypeAdapter(Failure)
CHAT: Final = TypeAdapter(Success[FullChat])
COUNT: Final = TypeAdapter(Success[wire.Count])
ME: Final = TypeAdapter(Success[User])
MEMBER: Final = TypeAdapter(Success[Member])
STREAM: Final = TypeAdapter(Success[list[Any]])
SENT: Final = TypeAdapter(Success[Message])
SENT_ALBUM: Final = TypeAdapter(Success[Annotated[list[Message], Field(min_length=1)]])
WEBHOOK: Final = TypeAdapter(Success[Webhook])
DONE: Final = TypeAdapter(Success[Literal[True]])
UPDATE: Final = TypeAdapter(Update)
