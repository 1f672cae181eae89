"""The parts of Bluesky's responses that are read. Source: the lexicons of bluesky-social/atproto.

Records are written by other people's software and may violate the lexicons: a record, counter or list entry that is
not valid must not make the rest of a page unreadable.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

from app.kit import instants
from app.platforms import wire

Did = Annotated[str, Field(max_length=500, pattern=r"^did:[a-z]+:[A-Za-z0-9._:%-]+$")]
Uri = Annotated[
    str,
    Field(max_length=1500, pattern=r"^at://did:[a-z]+:[A-Za-z0-9._:%-]+/[A-Za-z0-9.-]+/[A-Za-z0-9._:~-]+$"),
]
"""`at://<did>/<collection>/<rkey>`: a record in somebody's repository."""


def _moment(value: object) -> datetime:
    """Servers pass on what an author's software wrote, years before the first included: these are `EARLIEST`."""
    text = value if isinstance(value, str) else None
    if text is not None and text.startswith(("-", "0000-")):
        return instants.EARLIEST
    moment = wire.iso(text)
    if moment is None:
        raise ValueError("not a moment")
    return instants.EARLIEST if moment < instants.EARLIEST else wire.bounded(moment)


Moment = Annotated[datetime, BeforeValidator(_moment)]


def _or(fallback: Callable[[], object]) -> WrapValidator:
    """A value that is not valid is replaced by `fallback`."""

    def validate(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            return fallback()

    return WrapValidator(validate)


INVALID_COUNTER: Final = -1
"""In place of a counter that is not a valid number."""
Counter = Annotated[int | None, Field(ge=0, le=2**63 - 1), _or(lambda: INVALID_COUNTER)]


class Lex(wire.NullIsAbsent):
    """An object of a lexicon, whose field names are in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class Ref(Lex):
    """A reference to one version of a record."""

    uri: wire.StorableText
    cid: wire.StorableText


class Author(Lex):
    did: Did
    handle: wire.StorableText = ""
    display_name: wire.StorableText | None = None


class Profile(Author):
    followers_count: wire.Count | None = None


class Profiles(Lex):
    profiles: wire.LenientList[Author]


class ReplyRefs(Lex):
    root: Ref
    parent: Ref


class Record(Lex):
    """A post's record, as its author's software wrote it."""

    text: Annotated[wire.StorableText, _or(str)] = ""
    created_at: Annotated[wire.StorableText | None, _or(lambda: None)] = None
    reply: Annotated[ReplyRefs | None, _or(lambda: None)] = None
    embed: object = None


RecordOrEmpty = Annotated[Record, _or(Record)]


class Counted(Lex):
    """A post's counters."""

    uri: Uri
    like_count: Counter = None
    reply_count: Counter = None
    repost_count: Counter = None
    quote_count: Counter = None
    bookmark_count: Counter = None


class Post(Counted):
    cid: wire.StorableText
    author: Author
    record: RecordOrEmpty
    indexed_at: Moment


class Measured(Lex):
    posts: list[Counted]


class Posts(Lex):
    posts: list[Post]


class Reason(Lex):
    """Why a post is in a feed other than as a post of the account's: a repost, or a pin."""

    indexed_at: Annotated[Moment | None, wire.NONE_IF_OUT_OF_BOUNDS] = None


class FeedEntry(Lex):
    post: Post
    reason: Reason | None = None


class Feed(Lex):
    feed: wire.LenientList[FeedEntry]
    cursor: wire.StorableText | None = None


class Thread(Lex):
    """A post and its answers; without a post where it is deleted, blocked, or not visible."""

    post: Post | None = None
    replies: "list[ThreadOrEmpty] | None" = None


ThreadOrEmpty = Annotated[Thread, _or(Thread)]


class Threads(Lex):
    thread: Thread


class Notification(Lex):
    uri: Uri
    author: Author
    reason: wire.StorableText
    record: RecordOrEmpty
    indexed_at: Moment


class Notifications(Lex):
    notifications: wire.LenientList[Notification]
    cursor: wire.StorableText | None = None


class Member(Lex):
    did: Did
    handle: wire.StorableText = ""
    display_name: wire.StorableText | None = None


class Message(Lex):
    """A direct message; a deleted one has no text, one of the system's no sender."""

    id: wire.Id
    rev: wire.Id
    text: wire.StorableText | None = None
    embed: object = None
    sender: Member | None = None
    sent_at: Moment


class Convo(Lex):
    id: wire.Id
    rev: wire.Id
    members: list[Member]
    last_message: Annotated[Message | None, _or(lambda: None)] = None


class Convos(Lex):
    convos: wire.LenientList[Convo]
    cursor: wire.StorableText | None = None


class Messages(Lex):
    messages: wire.LenientList[Message]
    cursor: wire.StorableText | None = None


class Session(Lex):
    access_jwt: Annotated[str, Field(min_length=1, repr=False)]
    refresh_jwt: Annotated[str, Field(min_length=1, repr=False)]
    did: Did


class SessionOwner(Lex):
    """The account of a session."""

    did: Did


class Uploaded(Lex):
    blob: dict[str, object]
    """Copied unchanged into the record."""


class Stored(Lex):
    """A record in a repository."""

    uri: Uri


class Complaint(Lex):
    error: Annotated[wire.StorableText, _or(str)] = ""
    message: Annotated[wire.StorableText, _or(str)] = ""


PROFILE: Final = TypeAdapter(Profile)
PROFILES: Final = TypeAdapter(Profiles)
POSTS: Final = TypeAdapter(Posts)
MEASURED: Final = TypeAdapter(Measured)
FEED: Final = TypeAdapter(Feed)
THREADS: Final = TypeAdapter(Threads)
NOTIFICATIONS: Final = TypeAdapter(Notifications)
CONVOS: Final = TypeAdapter(Convos)
MESSAGES: Final = TypeAdapter(Messages)
MESSAGE: Final = TypeAdapter(Message)
SESSION: Final = TypeAdapter(Session)
SESSION_OWNER: Final = TypeAdapter(SessionOwner)
UPLOADED: Final = TypeAdapter(Uploaded)
STORED: Final = TypeAdapter(Stored)
