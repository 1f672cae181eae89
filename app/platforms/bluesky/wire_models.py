"""The parts of Bluesky's answers that we read. Source: the lexicons of bluesky-social/atproto.

Nobody has promised that what strangers' software writes is right: one odd record, counter or entry must
not hide a page of others.
"""

from collections.abc import Callable, Mapping
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
    model_validator,
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
    """A server shows what an author's software wrote, and a year before the first with it: as early as can be."""
    text = value if isinstance(value, str) else None
    if text is not None and text.startswith(("-", "0000-")):
        return instants.EARLIEST
    found = wire.iso(text)
    if found is None:
        raise ValueError("not a moment")
    return instants.EARLIEST if found < instants.EARLIEST else wire.bounded(found)


Moment = Annotated[datetime, BeforeValidator(_moment)]


def _or(fallback: Callable[[], object]) -> WrapValidator:
    """What is not understood is taken for `fallback`."""

    def validate(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            return fallback()

    return WrapValidator(validate)


INVALID_COUNTER: Final = -1
"""A counter that is none."""
Counter = Annotated[int | None, Field(ge=0, le=2**63 - 1), _or(lambda: INVALID_COUNTER)]


class Lex(wire.Shape):
    """A lexicon's object: its names are in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _told(cls, raw: Any) -> Any:
        """Some servers write null where the lexicons have nothing."""
        return {name: value for name, value in raw.items() if value is not None} if isinstance(raw, Mapping) else raw


class Ref(Lex):
    """A record as it was when somebody referred to it."""

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
    """What its author's software wrote."""

    text: Annotated[wire.StorableText, _or(str)] = ""
    created_at: Annotated[wire.StorableText | None, _or(lambda: None)] = None
    reply: Annotated[ReplyRefs | None, _or(lambda: None)] = None


Written = Annotated[Record, _or(Record)]


class Counted(Lex):
    """What a post's counters need."""

    uri: Uri
    like_count: Counter = None
    reply_count: Counter = None
    repost_count: Counter = None
    quote_count: Counter = None
    bookmark_count: Counter = None


class Post(Counted):
    cid: wire.StorableText
    author: Author
    record: Written
    indexed_at: Moment


class Measured(Lex):
    posts: list[Counted]


class Posts(Lex):
    posts: list[Post]


class Reason(Lex):
    """Why a post stands in a feed, if it is not for being its author's: a repost, or a pin."""

    indexed_at: Annotated[Moment | None, wire.NONE_IF_OUT_OF_BOUNDS] = None


class FeedEntry(Lex):
    post: Post
    reason: Reason | None = None


class Feed(Lex):
    feed: wire.LenientList[FeedEntry]
    cursor: wire.StorableText | None = None


class Thread(Lex):
    """A post and what answers it; without one where it is deleted, blocked, or not for us."""

    post: Post | None = None
    replies: "list[Below] | None" = None


Below = Annotated[Thread, _or(Thread)]


class Threads(Lex):
    thread: Thread


class Notification(Lex):
    uri: Uri
    author: Author
    reason: wire.StorableText
    record: Written
    indexed_at: Moment


class Notifications(Lex):
    notifications: wire.LenientList[Notification]
    cursor: wire.StorableText | None = None


class Member(Lex):
    did: Did
    handle: wire.StorableText = ""
    display_name: wire.StorableText | None = None


class Message(Lex):
    """A message; one that was deleted has no text, one of the system's no sender."""

    id: wire.Id
    rev: wire.Id
    text: wire.StorableText | None = None
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
    """Whose session a token is of."""

    did: Did


class Uploaded(Lex):
    blob: dict[str, object]
    """As it goes into a record, unchanged."""


class Stored(Lex):
    """A record that stands in a repository."""

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
