"""The parts of Bluesky's answers that we read. Source: the lexicons of bluesky-social/atproto."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.alias_generators import to_camel

from app.platforms import wire

Did = Annotated[str, Field(max_length=500, pattern=r"^did:[a-z]+:[A-Za-z0-9._:%-]+$")]
Uri = Annotated[
    str,
    Field(max_length=1500, pattern=r"^at://did:[a-z]+:[A-Za-z0-9._:%-]+/[A-Za-z0-9.-]+/[A-Za-z0-9._:~-]+$"),
]
"""`at://<did>/<collection>/<rkey>`: a record in somebody's repository."""


class Lex(wire.Shape):
    """A lexicon's object: its names are in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class Ref(Lex):
    """A record as it was when somebody referred to it."""

    uri: wire.Words
    cid: wire.Words


class Author(Lex):
    did: Did
    handle: wire.Words
    display_name: wire.Words | None = None


class Profile(Author):
    followers_count: wire.Count | None = None


class Profiles(Lex):
    profiles: list[Author]


class ReplyRefs(Lex):
    root: Ref
    parent: Ref


class Record(Lex):
    """What its author's software wrote."""

    text: wire.Words = ""
    created_at: wire.Words | None = None
    reply: ReplyRefs | None = None


def _or_nothing(value: object, handler: ValidatorFunctionWrapHandler) -> Record:
    try:
        understood: Record = handler(value)
    except ValidationError:
        return Record()
    return understood


Written = Annotated[Record, WrapValidator(_or_nothing)]
"""Nobody has promised that a stranger's record is right, and one that is not must not hide a page of others."""


class Post(Lex):
    uri: Uri
    cid: wire.Words
    author: Author
    record: Written
    indexed_at: wire.Moment
    like_count: wire.Count | None = None
    reply_count: wire.Count | None = None
    repost_count: wire.Count | None = None
    quote_count: wire.Count | None = None
    bookmark_count: wire.Count | None = None


class Posts(Lex):
    posts: list[Post]


class Reason(Lex):
    """Why a post stands in a feed, if it is not for being its author's: a repost, or a pin."""

    indexed_at: wire.Moment | None = None


class FeedEntry(Lex):
    post: Post
    reason: Reason | None = None


class Feed(Lex):
    feed: list[FeedEntry]
    cursor: wire.Words | None = None


class Thread(Lex):
    """A post and what answers it; without one where it is deleted, blocked, or not for us."""

    post: Post | None = None
    replies: "list[Thread] | None" = None


class Threads(Lex):
    thread: Thread


class Notification(Lex):
    uri: Uri
    author: Author
    reason: wire.Words
    record: Written
    indexed_at: wire.Moment


class Notifications(Lex):
    notifications: list[Notification]
    cursor: wire.Words | None = None


class Member(Lex):
    did: Did
    handle: wire.Words = ""
    display_name: wire.Words | None = None


class Message(Lex):
    """A message; one that was deleted has no text, one of the system's no sender."""

    id: wire.Id
    rev: wire.Id
    text: wire.Words | None = None
    sender: Member | None = None
    sent_at: wire.Moment


class Convo(Lex):
    id: wire.Id
    rev: wire.Id
    members: list[Member]
    last_message: Message | None = None


class Convos(Lex):
    convos: list[Convo]
    cursor: wire.Words | None = None


class Messages(Lex):
    messages: list[Message]
    cursor: wire.Words | None = None


class Session(Lex):
    access_jwt: Annotated[str, Field(min_length=1, repr=False)]
    refresh_jwt: Annotated[str, Field(min_length=1, repr=False)]
    did: Did


class Whose(Lex):
    """Whose session a token is of."""

    did: Did


class Uploaded(Lex):
    blob: dict[str, object]
    """As it goes into a record, unchanged."""


class Stored(Lex):
    """A record that stands in a repository."""

    uri: Uri


class Complaint(Lex):
    error: wire.Words = ""
    message: wire.Words = ""


PROFILE: Final = TypeAdapter(Profile)
PROFILES: Final = TypeAdapter(Profiles)
POSTS: Final = TypeAdapter(Posts)
FEED: Final = TypeAdapter(Feed)
THREADS: Final = TypeAdapter(Threads)
NOTIFICATIONS: Final = TypeAdapter(Notifications)
CONVOS: Final = TypeAdapter(Convos)
MESSAGES: Final = TypeAdapter(Messages)
MESSAGE: Final = TypeAdapter(Message)
SESSION: Final = TypeAdapter(Session)
WHOSE: Final = TypeAdapter(Whose)
UPLOADED: Final = TypeAdapter(Uploaded)
STORED: Final = TypeAdapter(Stored)
