"""The parts of Mastodon's responses that are read.

What other servers and versions send is accepted too: ids were numbers before Mastodon 2, and counters could fall
below zero before 4; glitch-soc hides a size as -1, Pleroma as 0 with a flag; Pixelfed has pictures without a text;
some counters are absent. Pixelfed and Sharkey hide a size as 0 without a flag, which cannot be distinguished from
having no followers.
"""

from datetime import datetime
from typing import Annotated, Final

from pydantic import BeforeValidator, Discriminator, Field, Tag, TypeAdapter

from app.platforms import wire
from app.platforms.attachments import Objects

Id = Annotated[wire.Id, BeforeValidator(wire.as_text)]


class Hidden(wire.Model):
    """Further fields of an account on Pleroma and Akkoma."""

    hide_followers_count: bool | None = None


class Account(wire.Model):
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


class Author(wire.Model):
    id: Id
    acct: wire.StorableText
    display_name: wire.StorableText | None = None
    url: wire.StorableText | None = None

    @property
    def is_remote(self) -> bool:
        """Whether the account is on another server, which dates its statuses."""
        return "@" in self.acct


class Counted(wire.Model):
    """A status's counters."""

    id: Id
    uri: wire.StorableText
    favourites_count: wire.PositiveCount = None
    reblogs_count: wire.PositiveCount = None
    replies_count: wire.PositiveCount = None
    quotes_count: wire.PositiveCount = None


def _claimed(value: object) -> datetime | None:
    return wire.iso_date(value) if isinstance(value, str) else None


class Status(Counted):
    created_at: Annotated[datetime | None, BeforeValidator(_claimed)] = None
    """None where it is no date: a server passes on what another one claims."""
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


class OwnStatus(Status):
    """A status in an account's own list, which its server has dated."""

    created_at: wire.Moment
    in_reply_to_account_id: object = None
    mentions: Objects = ()

    def customer(self, own_id: str) -> str | None:
        """The id of the account to which a direct status is addressed; None for a note to oneself."""
        addressed = (self.in_reply_to_account_id, *(one.get("id") for one in self.mentions))
        ids = [str(one) for one in addressed if isinstance(one, str | int)]
        return next((one for one in ids if one and one != own_id), None)


class Context(wire.Model):
    ancestors: list[Status]
    descendants: list[Status]


class Other(wire.Model):
    """A notification that is read for paging only."""

    id: Id
    type: wire.StorableText
    created_at: wire.LenientMoment = None


class Mention(Other):
    """A mention, or a quote (since Mastodon 4.5), whose status is the one that quotes."""

    status: Status | None = None


MENTIONS: Final = ("mention", "quote")
"""The kinds of notification that are read."""


def _notice_tag(value: object) -> str:
    return "mention" if isinstance(value, dict) and value.get("type") in MENTIONS else "other"


Notice = Annotated[Annotated[Mention, Tag("mention")] | Annotated[Other, Tag("other")], Discriminator(_notice_tag)]
"""A notification. The contents of kinds other than `MENTIONS` are not validated."""


class Created(wire.Model):
    id: Id
    created_at: wire.Moment
    url: wire.StorableText | None = None


class Media(wire.Model):
    """An uploaded file."""

    id: Id


class Application(wire.Model):
    name: wire.StorableText
    scopes: tuple[wire.StorableText, ...] | None = None


ACCOUNT: Final = TypeAdapter(Account)
STATUS: Final = TypeAdapter(Status)
COUNTED: Final = TypeAdapter(Counted)
CREATED: Final = TypeAdapter(Created)
MEDIA: Final = TypeAdapter(Media)
APPLICATION: Final = TypeAdapter(Application)
