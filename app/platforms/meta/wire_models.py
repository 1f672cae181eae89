"""Wire models of Graph's responses that Facebook and Instagram share.

Real responses leave out what is empty and what the token may not see, so only what is indispensable
is required. Source: Meta's business SDK (`api_specs`), python-facebook's recordings.
"""

from typing import Annotated, Final, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import BeforeValidator, Field, TypeAdapter

from app.platforms import wire
from app.platforms.contract import Malformed

T = TypeVar("T")

NodeId = Annotated[str, BeforeValidator(wire.as_text), Field(pattern=r"^[A-Za-z0-9_.:$=+/-]{1,500}$")]
"""Ids are numbers, numbers joined by `_`, or (of messages and their threads) something like Base64.
Some webhook events have numeric ids as JSON numbers."""

PAGE_PARAMETERS: Final = ("after", "until", "__paging_token", "offset")
"""The query parameters of a URL that say where a page begins."""


def _page_start(address: object) -> object:
    """Where the page at a URL begins, without the rest of the URL, which contains the token.

    A cursor, or for a list paged by time its query, with a question mark in front.
    """
    if not isinstance(address, str) or not address:
        return address or None
    query = dict(parse_qsl(urlsplit(address).query))
    where: dict[str, str] = {name: query[name] for name in PAGE_PARAMETERS if name in query}
    return where.get("after") or f"?{urlencode(where)}"


class Cursors(wire.Model):
    after: wire.StorableText | None = None


class Paging(wire.Model):
    cursors: Cursors | None = None
    next: Annotated[wire.StorableText | None, BeforeValidator(_page_start)] = None


class Listing(wire.Model, Generic[T]):
    """A page of a list. It may be short, or empty, and have another after it."""

    data: tuple[T, ...]
    paging: Paging | None = None

    @property
    def after(self) -> str | None:
        """Where the next page begins; None at the list's end."""
        if self.paging is None or self.paging.next is None:
            return None
        where = (None if self.paging.cursors is None else self.paging.cursors.after) or self.paging.next
        if where == "?":
            raise Malformed("the list goes on, and does not say where")
        return where


class Total(wire.Model):
    """`total_count` is left out where the token may not see it."""

    total_count: wire.Count | None = None


class Summed(wire.Model):
    """A list of which only the size was requested."""

    summary: Total | None = None

    @property
    def count(self) -> int | None:
        return None if self.summary is None else self.summary.total_count


class Person(wire.Model):
    id: NodeId
    name: wire.OptionalText = ""
    username: wire.OptionalText = ""


def _none_without_id(value: object) -> object:
    return None if isinstance(value, dict) and not value.get("id") else value


OptionalPerson = Annotated[Person | None, BeforeValidator(_none_without_id)]
"""An author; None where the response names none, or none with an id."""


class Value(wire.Model):
    value: object = None


class Insight(wire.Model):
    """A metric. What is not counted yet has no values, or is not among the insights at all."""

    name: wire.StorableText
    period: wire.OptionalText = "lifetime"
    values: tuple[Value, ...] | None = None
    total_value: Value | None = None

    @property
    def count(self) -> int | None:
        """The count since the post appeared; None for any other period."""
        if self.period not in {"", "lifetime"}:
            return None
        counted = self.total_value or (self.values[-1] if self.values else None)
        if counted is None or type(counted.value) is not int or not 0 <= counted.value < 2**63:
            return None
        return counted.value


class Insights(wire.Model):
    """A post with its insights, which are left out where there are none yet."""

    id: NodeId
    insights: Listing[Insight] | None = None


class Message(wire.Model):
    """A direct message. Of those before the latest twenty of a thread, Meta returns only the id."""

    id: NodeId
    created_time: wire.Moment | None = None
    author: OptionalPerson = Field(default=None, alias="from")
    to: Listing[OptionalPerson] | None = None
    message: wire.OptionalText = ""
    attachments: object = None
    shares: object = None

    @property
    def people(self) -> tuple[Person, ...]:
        return tuple(one for one in (self.author, *(self.to.data if self.to is not None else ())) if one is not None)


class Thread(wire.Model):
    id: NodeId
    updated_time: wire.Moment
    participants: Listing[OptionalPerson] | None = None
    messages: Listing[Message] | None = None

    @property
    def people(self) -> tuple[Person, ...]:
        listed = () if self.participants is None else self.participants.data
        return tuple(one for one in listed if one is not None)

    @property
    def latest_messages(self) -> Listing[Message]:
        """The messages that come with the thread."""
        return self.messages or Listing[Message](data=())


class Part(wire.Model):
    """One response of a batch; its body is JSON in a string."""

    code: Annotated[int, Field(ge=100, le=599)]
    body: wire.OptionalText = ""


class Made(wire.Model):
    id: NodeId


class SentMessage(wire.Model):
    message_id: NodeId


def _success(value: object) -> object:
    """Older edges return a bare `true`."""
    return {"success": value} if isinstance(value, bool) else value


class Done(wire.Model):
    success: bool


class IssuedToken(wire.Model):
    """A token endpoint's response; a token that does not expire may come without `expires_in`."""

    access_token: Annotated[wire.StorableText, Field(min_length=1)]
    expires_in: wire.Count | None = None


class Inspected(wire.Model):
    """The state of a token; a time of 0 means none."""

    is_valid: bool
    scopes: tuple[wire.StorableText, ...] | None = None
    expires_at: wire.LenientUnixTime = None
    data_access_expires_at: wire.LenientUnixTime = None


class Debugged(wire.Model):
    data: Inspected


class Subscribed(wire.Model):
    """An application that a Page, or an account, sends events to."""

    id: NodeId | None = None
    subscribed_fields: tuple[wire.StorableText, ...] = ()


def _field(value: object) -> object:
    """A bare name, as before v3.2, as a field of a subscription."""
    return {"name": value} if isinstance(value, str) else value


class AppField(wire.Model):
    name: wire.StorableText


class AppSubscription(wire.Model):
    """The address to which an application has the events of one kind of object sent."""

    object: wire.StorableText
    callback_url: wire.OptionalText = ""
    active: bool = True
    fields: tuple[Annotated[AppField, BeforeValidator(_field)], ...] = ()


MESSAGES: Final = TypeAdapter(Listing[Message])
THREADS: Final = TypeAdapter(Listing[Thread])
BATCH: Final = TypeAdapter(list[Part | None])
INSIGHTS: Final = TypeAdapter(Insights)
MADE: Final = TypeAdapter(Made)
SENT_MESSAGE: Final = TypeAdapter(SentMessage)
DONE: Final[TypeAdapter[Done]] = TypeAdapter(Annotated[Done, BeforeValidator(_success)])
GRANTED: Final = TypeAdapter(IssuedToken)
DEBUGGED: Final = TypeAdapter(Debugged)
SUBSCRIBED: Final = TypeAdapter(Listing[Subscribed])
APP_SUBSCRIPTIONS: Final = TypeAdapter(Listing[AppSubscription])
