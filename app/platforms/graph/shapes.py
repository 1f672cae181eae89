"""Graph's answers, as far as both its platforms share them.

Live answers leave out what is empty and what the token may not see, so only what we cannot do
without is required. Source: Meta's business SDK (`api_specs`), python-facebook's recordings.
"""

from typing import Annotated, Final, Generic, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter

from app.platforms import wire
from app.platforms.contract import Malformed

T = TypeVar("T")

NodeId = Annotated[str, BeforeValidator(wire.as_text), Field(pattern=r"^[A-Za-z0-9_.:$=+/-]{1,500}$")]
"""Ids are numbers, numbers joined by `_`, or (of messages and their threads) something like Base64.
Some hooks write those that are numbers as numbers."""

Present = Annotated[bool, BeforeValidator(lambda value: value is not None)]
"""Whether something is there: the address of a next page holds the token, so it is not kept."""


class Cursors(wire.Shape):
    after: wire.Words | None = None


class Paging(wire.Shape):
    cursors: Cursors = Cursors()
    next: Present = False


class Listing(wire.Shape, Generic[T]):
    """A page of a list. It may be short, or empty, and have another after it."""

    data: tuple[T, ...]
    paging: Paging = Paging()

    @property
    def after(self) -> str | None:
        """Where the next page begins; None at the list's end."""
        if not self.paging.next:
            return None
        if self.paging.cursors.after is None:
            raise Malformed("the list goes on, and does not say where")
        return self.paging.cursors.after


class Total(wire.Shape):
    total_count: wire.Count


class Summed(wire.Shape):
    """A list of which the size alone was asked for."""

    summary: Total | None = None

    @property
    def count(self) -> int | None:
        return None if self.summary is None else self.summary.total_count


class Person(wire.Shape):
    id: NodeId
    name: wire.Words = ""
    username: wire.Words = ""


class Value(wire.Shape):
    value: object = None


class Insight(wire.Shape):
    """A metric. What is not counted yet has no values, or is not among the insights at all."""

    name: wire.Words
    values: tuple[Value, ...] = ()
    total_value: Value | None = None

    @property
    def count(self) -> int | None:
        told = self.total_value or (self.values[-1] if self.values else None)
        return told.value if told is not None and type(told.value) is int and told.value >= 0 else None


class Insights(wire.Shape):
    """A post with its insights, which are left out where there are none yet."""

    id: NodeId
    insights: Listing[Insight] = Listing[Insight](data=())


class Message(wire.Shape):
    """A direct message. Of those before the newest twenty of a thread, Meta tells the id alone."""

    id: NodeId
    created_time: wire.Moment | None = None
    author: Person | None = Field(default=None, alias="from")
    to: Listing[Person] = Listing[Person](data=())
    message: wire.Words = ""


class Thread(wire.Shape):
    id: NodeId
    updated_time: wire.Moment
    participants: Listing[Person] = Listing[Person](data=())
    messages: Listing[Message] = Listing[Message](data=())


class Part(wire.Shape):
    """An answer of a batch; its body is JSON in a text."""

    code: Annotated[int, Field(ge=100, le=599)]
    body: wire.Words


class Made(wire.Shape):
    id: NodeId


class SentMessage(wire.Shape):
    message_id: NodeId


class Done(wire.Shape):
    success: bool


class Granted(wire.Shape):
    """A token endpoint's answer; a token that does not end may come without `expires_in`."""

    access_token: Annotated[wire.Words, Field(min_length=1)]
    expires_in: wire.Count | None = None


class Inspected(wire.Shape):
    """What is said of a token; a moment of 0 is none."""

    is_valid: bool
    scopes: tuple[wire.Words, ...] = ()
    expires_at: wire.UnixTime | None = None
    data_access_expires_at: wire.UnixTime | None = None


class Debugged(wire.Shape):
    data: Inspected


class Subscribed(wire.Shape):
    """An application that a Page, or an account, sends events to."""

    id: NodeId | None = None
    subscribed_fields: tuple[wire.Words, ...] = ()


class AppField(wire.Shape):
    name: wire.Words


class AppSubscription(wire.Shape):
    """Where an application has the events of one kind of object sent to."""

    object: wire.Words
    callback_url: wire.Words = ""
    active: bool = True
    fields: tuple[AppField, ...] = ()


MESSAGES: Final = TypeAdapter(Listing[Message])
THREADS: Final = TypeAdapter(Listing[Thread])
BATCH: Final = TypeAdapter(list[Part | None])
INSIGHTS: Final = TypeAdapter(Insights)
MADE: Final = TypeAdapter(Made)
SENT_MESSAGE: Final = TypeAdapter(SentMessage)
DONE: Final = TypeAdapter(Done)
GRANTED: Final = TypeAdapter(Granted)
DEBUGGED: Final = TypeAdapter(Debugged)
SUBSCRIBED: Final = TypeAdapter(Listing[Subscribed])
APP_SUBSCRIPTIONS: Final = TypeAdapter(Listing[AppSubscription])
