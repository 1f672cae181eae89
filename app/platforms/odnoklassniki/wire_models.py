"""Wire models of Odnoklassniki's responses, as far as they are used.

There is no schema. Sources: apiok.ru (pages of the methods), github.com/apiok/documentation, and public
clients in use. What none of them shows is marked "unverified" where it is assumed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, BeforeValidator, Field, TypeAdapter, model_validator

from app.platforms import buttons, wire
from app.platforms.attachments import Objects

T = TypeVar("T")

MOSCOW: Final = ZoneInfo("Europe/Moscow")
NO_NUL: Final = r"^[^\x00]{1,200}$"
"""The pattern of ids, whose form is not documented: any text that PostgreSQL can store."""


def _milliseconds(value: object) -> object:
    if type(value) is not int:
        raise ValueError("not milliseconds since 1970")
    return wire.since_1970(value, 1000)


def _checked_milliseconds(value: object) -> object:
    _milliseconds(value)
    return value


def _moscow_time(value: object) -> object:
    written = datetime.fromisoformat(value if isinstance(value, str) else "")
    return wire.bounded(written if written.tzinfo is not None else written.replace(tzinfo=MOSCOW))


def _groups(value: object) -> object:
    """The list of groups: a bare list, or (as documented) in an object; null where it is empty."""
    groups = value["groups"] if isinstance(value, dict) and "groups" in value else value
    return () if groups is None else groups


def _id_of_made(value: object) -> object:
    """The id: bare, or in an object."""
    node = value
    while isinstance(node, dict):
        node = next((node[name] for name in ("comment_id", "id", "comment") if name in node), None)
    return wire.as_text(node)


OptionalList = Annotated[
    tuple[T, ...], Field(strict=False), BeforeValidator(lambda value: () if value is None else value)
]
"""A list; where it is empty OK leaves it out or returns null."""
Id = Annotated[str, BeforeValidator(wire.as_text), Field(pattern=NO_NUL)]
"""OK returns ids as strings; clients may choose numbers."""
Millis = Annotated[datetime, BeforeValidator(_milliseconds)]
CheckedMillis = Annotated[int, BeforeValidator(_checked_milliseconds)]
"""Milliseconds as OK returns them, because they are sent back; checked to be within the bounds."""
MoscowTime = Annotated[datetime, BeforeValidator(_moscow_time)]
"""`2026-11-23 09:00:00`, without a zone, in Moscow."""
MadeId = Annotated[str, BeforeValidator(_id_of_made), Field(pattern=NO_NUL)]


class Failure(wire.Model):
    """An error of either API; mostly with status 200."""

    error_code: wire.Number


class OAuthFailure(wire.Model):
    error: wire.StorableText


class IssuedToken(wire.Model):
    access_token: Annotated[str, Field(min_length=1)] = Field(repr=False)
    refresh_token: Annotated[str, Field(min_length=1)] | None = Field(default=None, repr=False)
    expires_in: Annotated[wire.Count, Field(strict=False)] | None = None
    """Seconds; OK returns a string."""


class Target(wire.Model):
    """The object at an address. Unverified: the names of its fields."""

    type: wire.StorableText
    id: Id = Field(validation_alias=AliasChoices("objectId", "objectIdStr", "id"))


class Group(wire.Model):
    uid: Id
    name: wire.StorableText
    shortname: wire.OptionalText = ""
    members_count: wire.PositiveCount = None


class Stat(wire.Model):
    """A topic in the group's statistics."""

    id: Id
    created_ms: Annotated[CheckedMillis | None, wire.NONE_IF_OUT_OF_BOUNDS] = None
    reach: wire.PositiveCount = None


class Listing(wire.Model):
    """A page. At least one of its fields is present: a response without any is not a page."""

    anchor: wire.StorableText | None = None
    has_more: bool | None = None

    @model_validator(mode="after")
    def _has_a_field(self) -> "Listing":
        if not self.model_fields_set:
            raise ValueError("neither items nor an end")
        return self


class Stats(Listing):
    topics: OptionalList[Stat] = ()


class Summary(wire.Model):
    count: wire.PositiveCount = None


class Discussed(wire.Model):
    comments_count: wire.PositiveCount = None


class Part(wire.Model):
    """A part of a topic: a text, photos, a link …"""

    type: wire.OptionalText = ""
    text: wire.OptionalText = ""


class Topic(wire.Model):
    id: Id
    created_ms: Annotated[CheckedMillis | None, wire.NONE_IF_OUT_OF_BOUNDS]
    """None where it is out of bounds; such a topic is then left out, like one that is gone."""
    author_ref: wire.StorableText | None = None
    is_on_behalf_of_group: bool | None = None
    media: OptionalList[Part] = ()
    like_summary: Summary | None = None
    discussion_summary: Discussed | None = None
    reshare_summary: Summary | None = None
    views_count: wire.PositiveCount = None


class Topics(wire.Model):
    media_topics: OptionalList[Topic]


class Comment(wire.Model):
    id: Id
    type: wire.OptionalText = ""
    """`ACTIVE_MESSAGE`, or that it is removed."""
    date: MoscowTime
    text: wire.OptionalText = ""
    author_id: Id | None = None
    author_ref: wire.StorableText | None = None
    author_name: wire.OptionalText = ""
    reply_to_comment_id: Id | None = None
    reply_to_id: Id | None = None
    attachments: Objects = ()

    @property
    def is_removed(self) -> bool:
        return any(word in self.type.upper() for word in ("REMOVED", "DELETED"))


class Comments(Listing):
    comments: OptionalList[Comment] = ()


class Upload(wire.Model):
    upload_url: Annotated[str, Field(pattern=r"^https?://")] = Field(repr=False)
    photo_ids: Annotated[tuple[Id, ...], Field(min_length=1)]


class Photo(wire.Model):
    token: Annotated[str, Field(min_length=1)]


class Uploaded(wire.Model):
    photos: Mapping[str, Photo]


class Owner(wire.Model):
    """The owner of a Graph API token: a group, or a person without `group_id`."""

    group_id: Id | None = None
    user_id: Id | None = None
    name: wire.OptionalText = ""

    @model_validator(mode="after")
    def _has_an_owner(self) -> "Owner":
        if self.group_id is None and self.user_id is None:
            raise ValueError("no owner")
        return self


class Chat(wire.Model):
    chat_id: Id
    type: wire.OptionalText = ""
    last: CheckedMillis = Field(validation_alias="lastEventTime")


class Chats(wire.Model):
    chats: OptionalList[Chat]
    marker: wire.StorableText | None = None


class Sender(wire.Model):
    """A person, or the group itself. Unverified: how the group is named."""

    id: Id = Field(validation_alias=AliasChoices("user_id", "group_id", "chat_id"))
    name: wire.OptionalText = ""


class Recipient(wire.Model):
    chat_id: Id


class Body(wire.Model):
    mid: Id
    text: wire.OptionalText = ""
    reply_to: Id | None = None
    attachment: Objects = ()
    attachments: Objects = ()


class Message(wire.Model):
    """A message, in a chat's history and in a webhook request alike."""

    sender: Sender
    recipient: Recipient
    message: Body
    timestamp: Annotated[Millis | None, wire.NONE_IF_OUT_OF_BOUNDS]
    """None where it is out of bounds; such a message is then left out, but counts towards a full page."""


class Button(wire.Model):
    text: wire.OptionalText = ""
    payload: Any = None


class Keyboard(wire.Model):
    buttons: OptionalList[OptionalList[Button]] = ()


class KeyboardPayload(wire.Model):
    keyboard: Keyboard | None = None


class Attachment(wire.Model):
    """An attachment of a message with buttons; other kinds have no keyboard."""

    payload: KeyboardPayload | None = None


class ButtonMessage(wire.Model):
    """The message below which a button was pressed."""

    mid: Id | None = None
    attachments: OptionalList[Attachment] = ()


class Pressed(wire.Model):
    """A press of a button. Unverified: its fields; public clients read `callbackId` and `payload`."""

    callback_id: Id = Field(validation_alias="callbackId")
    payload: Any = None
    """What the author of the keyboard has put there."""
    sender: Sender
    recipient: Recipient
    message: ButtonMessage | None = None
    timestamp: Annotated[Millis | None, wire.NONE_IF_OUT_OF_BOUNDS] = None

    @property
    def label(self) -> str:
        """What is written on the button; its payload, where the event does not show the button."""
        attachments = () if self.message is None else self.message.attachments
        keyboards = (one.payload.keyboard for one in attachments if one.payload is not None)
        rows = (row for keyboard in keyboards if keyboard is not None for row in keyboard.buttons)
        texts = (button.text for row in rows for button in row if button.payload == self.payload is not None)
        return next(filter(None, texts), buttons.text_of(self.payload))


class Messages(wire.Model):
    messages: OptionalList[Message]


class SentMessage(wire.Model):
    message_id: Id


class Hook(wire.Model):
    url: str


class Hooks(wire.Model):
    subscriptions: OptionalList[Hook]


class Done(wire.Model):
    success: bool


class HookCall(wire.Model):
    """The envelope of a webhook request; older ones do not name their kind, which may be a change of the chat."""

    kind: wire.StorableText | None = Field(default=None, validation_alias="webhookType")
    recipient: Any = None
    message: Any = None

    @model_validator(mode="after")
    def _has_content(self) -> "HookCall":
        if self.kind is self.recipient is self.message is None:
            raise ValueError("neither a kind nor a chat")
        return self

    @property
    def brings_message(self) -> bool:
        return self.kind == "MESSAGE_CREATED" or (self.kind is None and self.message is not None)


class Notice(wire.Model):
    """The JSON in the text of a message by which the chat reports its own changes.

    Seen in public clients: `{"ai":1,"pa":[2],"ty":"CHAT_CREATED"}`, `{"ui":1,"ty":"JOIN_BY_LINK"}`.
    """

    ty: Annotated[str, Field(pattern=r"^[A-Z_]{2,60}$")]
    ai: wire.Number | None = None
    ui: wire.Number | None = None

    @model_validator(mode="after")
    def _has_an_actor(self) -> "Notice":
        if self.ai is None and self.ui is None:
            raise ValueError("no actor")
        return self


FAILURE: Final = TypeAdapter(Failure)
OAUTH_FAILURE: Final = TypeAdapter(OAuthFailure)
GRANTED: Final = TypeAdapter(IssuedToken)
TARGET: Final = TypeAdapter(Target)
GROUPS: Final[TypeAdapter[tuple[Group, ...]]] = TypeAdapter(
    Annotated[tuple[Group, ...], Field(strict=False), BeforeValidator(_groups)]
)
STATS: Final = TypeAdapter(Stats)
TOPICS: Final = TypeAdapter(Topics)
COMMENTS: Final = TypeAdapter(Comments)
MADE_COMMENT: Final = TypeAdapter(MadeId)
MADE_TOPIC: Final = TypeAdapter(Id)
UPLOAD: Final = TypeAdapter(Upload)
UPLOADED: Final = TypeAdapter(Uploaded)
PERMITTED: Final[TypeAdapter[bool]] = TypeAdapter(bool)
OWNER: Final = TypeAdapter(Owner)
CHATS: Final = TypeAdapter(Chats)
MESSAGES: Final = TypeAdapter(Messages)
SENT_MESSAGE: Final = TypeAdapter(SentMessage)
HOOKS: Final = TypeAdapter(Hooks)
DONE: Final = TypeAdapter(Done)
PRESSED: Final = TypeAdapter(Pressed)
HOOK_CALL: Final = TypeAdapter(HookCall)
MESSAGE: Final = TypeAdapter(Message)
NOTICE: Final = TypeAdapter(Notice)
