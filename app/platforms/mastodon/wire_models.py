"""The parts of Mastodon's responses that are read.

What other servers and versions send is accepted too: ids were numbers before Mastodon 2, and counters could fall
below zero before 4; glitch-soc hides a size as -1, Pleroma as 0 with a flag; Pixelfed has pictures without a text;
some counters are absent. Pixelfed and Sharkey hide a size as 0 without a flag, which cannot be distinguished from
having no followers.
"""

from typing import Annotated, Final

from pydantic import BeforeValidator, Discriminator, Field, Tag, TypeAdapter

from app.platforms import wire
from app.platforms.attachments import Objects

Id = Annotated[wire.Id, BeforeValidator(wire.as_text)]


class Hidden(wire.Shape):
    """Further fields of an account on Pleroma and Akkoma."""

    hide_followers_count: bool | None = None


class Account(wire.Shape):
    id: Id
    username: wire.StorableText
    display_name: wire.StorableText | None = None
    url: wire.StorableText | None = None
    followers_count: wire.PositiveCount = None
    hidden: Hidden | None = Field(None, alias="pleroma")
    suspended: bool | None = None

    @property
    def size(self) -> int | None:
        """The number of followers; None where the account hides it (from its own token it does not)."""
        hides = self.hidden is not None and self.hidden.hide_followers_count
        return None if hides and not self.followers_count else self.followers_count


class Author(wire.Shape):
    id: Id
    acct: wire.StorableText
    display_name: wire.StorableText | None = None
    url: wire.StorableText | None = None


class Counted(wire.Shape):
    """A status's counters."""

    id: Id
    uri: wire.StorableText
    favourites_count: wire.PositiveCount = None
    reblogs_count: wire.PositiveCount = None
    replies_count: wire.PositiveCount = None
    quotes_count: wire.PositiveCount = None


class Status(Counted):
    created_at: wire.Moment
    edited_at: wire.LenientMoment = None
    in_reply_to_id: Id | None = None
    visibility: wire.StorableText
    spoiler_text: wire.StorableText | None = None
    content: wire.StorableText | None
    url: wire.StorableText | None = None
    account: Author
    reblog: object = None
    media_attachments: Objects = ()
    poll: object = None


class Context(wire.Shape):
    ancestors: list[Status]
    descendants: list[Status]


class Other(wire.Shape):
    """A notification that is read for paging only."""

    id: Id
    type: wire.StorableText
    created_at: wire.LenientMoment = None


class Mention(Other):
    status: Status | None = None


def _notice_tag(value: object) -> str:
    return "mention" if isinstance(value, dict) and value.get("type") == "mention" else "other"


Notice = Annotated[Annotated[Mention, Tag("mention")] | Annotated[Other, Tag("other")], Discriminator(_notice_tag)]
"""A notification. The contents of kinds other than mentions are not validated."""


class Created(wire.Shape):
    id: Id
    created_at: wire.Moment
    url: wire.StorableText | None = None


class Media(wire.Shape):
    """An uploaded file."""

    id: Id


class Application(wire.Shape):
    name: wire.StorableText
    scopes: tuple[wire.StorableText, ...] | None = None


ACCOUNT: Final = TypeAdapter(Account)
STATUS: Final = TypeAdapter(Status)
COUNTED: Final = TypeAdapter(Counted)
CREATED: Final = TypeAdapter(Created)
MEDIA: Final = TypeAdapter(Media)
APPLICATION: Final = TypeAdapter(Application)
