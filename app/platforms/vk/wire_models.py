"""The parts of VK's responses that are read. Source: VK's API schema 5.199.

Live responses lack some of the fields that the schema requires, so here only those are required without which the
rest is of no use.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from app.platforms import buttons, wire
from app.platforms.attachments import Objects

T = TypeVar("T")


def _flag(value: object) -> object:
    if value is None:
        return False
    return bool(value) if type(value) is int and value in {0, 1} else value


Flag = Annotated[bool, BeforeValidator(_flag)]
"""VK writes `1` in some responses and `true` in others; false is mostly left out."""


SomeTime = Annotated[wire.LenientUnixTime, BeforeValidator(lambda value: None if value == 0 else value)]
"""An instant in seconds since 1970; 0 for none."""
OptionalText = Annotated[wire.StorableText, BeforeValidator(lambda value: "" if value is None else value)]
"""A text that may be absent or null."""
Several = Annotated[tuple[T, ...], Field(strict=False), BeforeValidator(lambda value: () if value is None else value)]
"""A list that may be absent or null."""
ItemId = Annotated[int, Field(gt=0, le=2**63 - 1)]
"""The id of a group, a post, a comment or a message."""
CHATS: Final = 2_000_000_000
"""Peer ids from this one on are chats of several people."""


class Success(wire.Model, Generic[T]):
    """The envelope of every successful response."""

    response: T


class Fault(wire.Model):
    error_code: wire.Number


class Failure(wire.Model):
    """The envelope of every error; VK sends it with status 200."""

    error: Fault


class Executed(wire.Model, Generic[T]):
    """The results of the calls in an `execute`, in their order: `false` for one that failed."""

    response: list[T | Literal[False]]
    execute_errors: tuple[Fault, ...] = ()


class Counted(wire.Model):
    count: wire.PositiveCount = None


class Group(wire.Model):
    id: ItemId
    name: wire.StorableText
    screen_name: OptionalText = ""
    members_count: wire.PositiveCount = None
    deactivated: wire.StorableText | None = None


class Groups(wire.Model):
    """In older API versions a bare list."""

    groups: list[Group]

    @model_validator(mode="before")
    @classmethod
    def _from_bare_list(cls, raw: Any) -> Any:
        return {"groups": raw} if isinstance(raw, list) else raw


class User(wire.Model):
    id: wire.Number
    first_name: OptionalText = ""
    last_name: OptionalText = ""


class NamedGroup(wire.Model):
    id: wire.Number
    name: OptionalText = ""


class Extended(wire.Model):
    """The people and groups whose ids stand elsewhere in the response."""

    profiles: Several[User] = ()
    groups: Several[NamedGroup] = ()

    def names(self) -> Mapping[int, str]:
        """Names by id, communities' ids being negative."""
        people = {user.id: f"{user.first_name} {user.last_name}".strip() for user in self.profiles}
        return people | {-abs(group.id): group.name for group in self.groups}


class Post(wire.Model):
    id: ItemId
    owner_id: wire.Number
    from_id: wire.Number | None = None
    date: wire.UnixTime
    edited: SomeTime = None
    text: OptionalText = ""
    post_type: wire.StorableText = "post"
    is_pinned: Flag = False
    is_deleted: Flag = False
    likes: Counted | None = None
    comments: Counted | None = None
    reposts: Counted | None = None
    views: Counted | None = None


class DeletedPost(wire.Model):
    """A deleted post, which may lack everything but its id."""

    id: ItemId
    is_deleted: Literal[True]


class Wall(wire.Model):
    count: wire.Count
    items: list[Post]


class PostsById(wire.Model):
    """In older API versions a bare list."""

    items: list[DeletedPost | Post]

    @model_validator(mode="before")
    @classmethod
    def _from_bare_list(cls, raw: Any) -> Any:
        return {"items": raw} if isinstance(raw, list) else raw


class Reach(wire.Model):
    post_id: wire.Number | None = None
    reach_total: wire.PositiveCount = None


class Comment(wire.Model):
    id: ItemId
    from_id: wire.Number = 0
    post_id: wire.Number | None = None
    date: wire.UnixTime
    text: OptionalText = ""
    attachments: Objects = ()
    deleted: Flag = False
    parents_stack: Several[wire.Number] = ()
    reply_to_user: wire.Number | None = None
    reply_to_comment: wire.Number | None = None
    thread: "Thread | None" = None

    @property
    def answers(self) -> "tuple[Comment, ...]":
        """The answers that came with the comment: all of them, or the first few."""
        return self.thread.items if self.thread is not None else ()


class Thread(wire.Model):
    count: wire.Count
    items: Several[Comment] = ()


class Comments(Extended):
    count: wire.Count
    current_level_count: wire.Count | None = None
    items: list[Comment]


class Peer(wire.Model):
    id: wire.Number
    type: wire.StorableText


class Message(wire.Model):
    id: wire.Count
    date: wire.UnixTime
    update_time: SomeTime = None
    from_id: wire.Number
    """0 for a community's own message in events of API versions before 5.80."""
    out: Flag = False
    """The community wrote it; but see `translate.message`."""
    admin_author_id: wire.Number | None = None
    """Of a community's message: the administrator who wrote it."""
    peer_id: wire.Number
    conversation_message_id: wire.Count = 0
    text: OptionalText = ""
    attachments: Objects = ()
    geo: object = None
    fwd_messages: Objects = ()
    deleted: Flag = False

    @model_validator(mode="before")
    @classmethod
    def _from_older_version(cls, raw: Any) -> Any:
        """Before API version 5.80 a message has its text in `body`, and its customer in `user_id`, whoever wrote it."""
        if not isinstance(raw, Mapping) or "body" not in raw or "peer_id" in raw:
            return raw
        customer, chat = raw.get("user_id"), raw.get("chat_id")
        author = raw.get("from_id", 0 if raw.get("out") == 1 else customer)
        peer = CHATS + chat if type(chat) is int else customer
        return {**raw, "text": raw["body"], "from_id": author, "peer_id": peer}


class Conversation(wire.Model):
    peer: Peer
    last_message_id: wire.Count


class ConversationItem(wire.Model):
    conversation: Conversation
    last_message: Message | None = None


class Conversations(Extended):
    count: wire.Count
    items: list[ConversationItem]


class History(Extended):
    count: wire.Count
    items: list[Message]


class NewComment(wire.Model):
    comment_id: ItemId


class NewPost(wire.Model):
    post_id: ItemId


class UploadServer(wire.Model):
    upload_url: wire.StorableText


class Uploaded(wire.Model):
    """The response to an upload, which is passed on to `photos.saveWallPhoto`."""

    server: wire.Number
    photo: wire.StorableText
    hash: wire.StorableText


class Photo(wire.Model):
    id: ItemId
    owner_id: wire.Number
    access_key: wire.StorableText | None = None

    @property
    def attachment(self) -> str:
        """As `wall.post` takes it; the key allows others than its owner to attach it."""
        key = "" if self.access_key is None else f"_{self.access_key}"
        return f"photo{self.owner_id}_{self.id}{key}"


class IssuedToken(wire.Model):
    """New tokens of VK ID."""

    access_token: Annotated[str, Field(min_length=1, repr=False)]
    refresh_token: Annotated[str, Field(min_length=1, repr=False)]
    expires_in: wire.Count
    """Seconds; 0 for a token that does not expire."""


class Refused(wire.Model):
    """An error of VK ID, or of the servers that take uploads."""

    error: wire.StorableText


class Permission(wire.Model):
    name: wire.StorableText


class Permissions(wire.Model):
    permissions: tuple[Permission, ...]


class Server(wire.Model):
    """An address to which a community's events are sent."""

    id: wire.Number
    url: wire.StorableText
    secret_key: Annotated[str, Field(repr=False)] = ""
    status: wire.StorableText


class Servers(wire.Model):
    items: list[Server]


class NewServer(wire.Model):
    server_id: wire.Number


class Settings(wire.Model):
    events: dict[str, Flag]


class Confirmation(wire.Model):
    code: Annotated[str, Field(min_length=1, repr=False)]


class Event(wire.Model):
    """The envelope of a Callback API request; its object is parsed once the secret is verified."""

    type: wire.StorableText
    group_id: wire.Count
    event_id: wire.StorableText | None = None
    secret: wire.StorableText | None = None


class NewMessage(wire.Model):
    """Servers that were set by hand to an API version before 5.103 get the message without this envelope."""

    message: Message

    @model_validator(mode="before")
    @classmethod
    def _from_bare_message(cls, raw: Any) -> Any:
        return raw if not isinstance(raw, Mapping) or "message" in raw else {"message": raw}


class PressedButton(wire.Model):
    """A press of a callback button. VK does not say when it was, nor what is written on the button."""

    user_id: wire.Number
    peer_id: wire.Number
    event_id: wire.StorableText
    payload: Any = None
    """What the author of the keyboard has put there: any JSON, or a text of it."""

    @property
    def label(self) -> str:
        """The text of the press, as far as the payload has one."""
        return buttons.text_of(self.payload)


class DeletedComment(wire.Model):
    id: ItemId


class GroupJoin(wire.Model):
    """Somebody's answer to a community. VK does not say when it was."""

    user_id: ItemId
    join_type: Literal["join", "accepted", "approved", "unsure", "request"]

    @property
    def is_member(self) -> bool:
        """Whether the answer makes them a member: they joined, accepted an invitation, or were let in.

        `request` asks to be let in, and is followed by `approved` where that happens; `unsure` is "Maybe" to an event.
        """
        return self.join_type in {"join", "accepted", "approved"}


class GroupLeave(wire.Model):
    """Somebody left a community, or was removed from it. VK does not say when it was."""

    user_id: ItemId


class EventOf(wire.Model, Generic[T]):
    object: T


FAILURE: Final = TypeAdapter(Failure)
GROUPS: Final = TypeAdapter(Success[Groups])
WALL: Final = TypeAdapter(Success[Wall])
POSTS_BY_ID: Final = TypeAdapter(Success[PostsById])
REACH: Final = TypeAdapter(Executed[list[Reach]])
COMMENTS: Final = TypeAdapter(Success[Comments])
CONVERSATIONS: Final = TypeAdapter(Success[Conversations])
HISTORY: Final = TypeAdapter(Success[History])
NEW_COMMENT: Final = TypeAdapter(Success[NewComment])
SENT_MESSAGE: Final = TypeAdapter(Success[wire.Count])
NEW_POST: Final = TypeAdapter(Success[NewPost])
UPLOAD_SERVER: Final = TypeAdapter(Success[UploadServer])
UPLOADED: Final[TypeAdapter[Uploaded | Refused]] = TypeAdapter(Uploaded | Refused)
SAVED: Final = TypeAdapter(Success[list[Photo]])
ISSUED_TOKENS: Final = TypeAdapter(IssuedToken)
REFUSED: Final = TypeAdapter(Refused)
MASK: Final = TypeAdapter(Success[wire.Count])
PERMISSIONS: Final = TypeAdapter(Success[Permissions])
CONFIRMATION: Final = TypeAdapter(Success[Confirmation])
SERVERS: Final = TypeAdapter(Success[Servers])
NEW_SERVER: Final = TypeAdapter(Success[NewServer])
SETTINGS: Final = TypeAdapter(Success[Settings])
DONE: Final = TypeAdapter(Success[Literal[1]])
EVENT: Final = TypeAdapter(Event)
EVENT_MESSAGE_NEW: Final = TypeAdapter(EventOf[NewMessage])
EVENT_BUTTON: Final = TypeAdapter(EventOf[PressedButton])
EVENT_MESSAGE: Final = TypeAdapter(EventOf[Message])
EVENT_COMMENT: Final = TypeAdapter(EventOf[Comment])
EVENT_COMMENT_DELETED: Final = TypeAdapter(EventOf[DeletedComment])
EVENT_POST: Final = TypeAdapter(EventOf[Post])
EVENT_GROUP_JOIN: Final = TypeAdapter(EventOf[GroupJoin])
EVENT_GROUP_LEAVE: Final = TypeAdapter(EventOf[GroupLeave])
