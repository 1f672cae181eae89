"""The parts of Mastodon's answers that we read."""

from typing import Final

from pydantic import TypeAdapter

from app.platforms import wire


class Account(wire.Shape):
    id: wire.Id
    acct: wire.Words
    username: wire.Words
    display_name: wire.Words | None = None
    url: wire.Words
    followers_count: wire.Count
    suspended: bool | None = None


class Author(wire.Shape):
    id: wire.Id
    acct: wire.Words
    display_name: wire.Words | None = None
    url: wire.Words | None = None


class Status(wire.Shape):
    id: wire.Id
    created_at: wire.Moment
    edited_at: wire.Moment | None = None
    in_reply_to_id: wire.Id | None = None
    visibility: wire.Words
    spoiler_text: wire.Words | None = None
    content: wire.Words
    uri: wire.Words
    url: wire.Words | None = None
    account: Author
    reblog: object = None
    favourites_count: wire.Count
    reblogs_count: wire.Count
    replies_count: wire.Count
    quotes_count: wire.Count | None = None


class Context(wire.Shape):
    ancestors: list[Status]
    descendants: list[Status]


class Notification(wire.Shape):
    id: wire.Id
    type: wire.Words
    created_at: wire.Moment
    status: Status | None = None


class Created(wire.Shape):
    id: wire.Id
    created_at: wire.Moment
    url: wire.Words | None = None


class Media(wire.Shape):
    """A file that was uploaded."""

    id: wire.Id


class Application(wire.Shape):
    name: wire.Words
    scopes: tuple[wire.Words, ...] | None = None


class Complaint(wire.Shape):
    error: wire.Words


ACCOUNT: Final = TypeAdapter(Account)
STATUS: Final = TypeAdapter(Status)
STATUSES: Final = TypeAdapter(list[Status])
CONTEXT: Final = TypeAdapter(Context)
NOTIFICATIONS: Final = TypeAdapter(list[Notification])
CREATED: Final = TypeAdapter(Created)
MEDIA: Final = TypeAdapter(Media)
APPLICATION: Final = TypeAdapter(Application)
