"""How far Bluesky's lists have been read: what its cursors hold.

Feeds and notifications come newest first, below a moment. The moment is the one at which a record was
indexed or, if that is earlier, the one its author's software wrote into it; so what is new need not
stand on top. Each walk reads on to an `OVERLAP` below what earlier walks have seen.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from app.platforms import wire
from app.platforms.bluesky.wire_models import Convo, Message, Uri

OVERLAP: Final = timedelta(hours=1)
STEP: Final = timedelta(milliseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Walk(wire.Shape):
    """Reads a list down to what an earlier walk has seen, which is everything up to `known`."""

    known: wire.SomeMoment = None
    newest: wire.SomeMoment = None
    below: wire.Words | None = None

    def query(self) -> dict[str, str]:
        return {} if self.below is None else {"cursor": self.below}

    def after(self, times: Sequence[datetime], cursor: str | None, since: datetime | None) -> "tuple[Walk, bool]":
        """The walk after a page of items of these `times`, and whether there is more to it."""
        newest = max([*times, *(one for one in (self.newest, self.known) if one is not None)], default=None)
        # What was written by clocks that were never set must not be counted below the first year.
        bounds = [bound for bound in (since, self.known and max(self.known, EPOCH) - OVERLAP) if bound is not None]
        reached = bool(times) and any(times[-1] < bound for bound in bounds)
        # A server that ignores where we are would show the same page for ever.
        if cursor is None or reached or cursor == self.below:
            return Walk(known=newest), False
        again = _just_above(cursor)
        return Walk(known=self.known, newest=newest, below=cursor if again == self.below else again), True


def _just_above(cursor: str) -> str:
    """A cursor that is a moment leaves out others of the same: the next page starts a little above it."""
    moment = wire.iso_date(cursor)
    try:
        above = None if moment is None else moment.astimezone(UTC) + STEP
    except OverflowError:
        above = None
    if above is None:
        return cursor
    return above.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Tree(wire.Shape):
    """Posts whose answers stand deeper than one call shows."""

    below: tuple[Uri, ...] = ()


class Talk(wire.Shape):
    """A conversation that waits to be read, and with whom it is."""

    id: wire.Id
    did: wire.Words
    name: wire.Words


class Mail(wire.Shape):
    """Reads messages by passes over the list of conversations, newest first.

    A `rev` grows with everything that happens in the chat. Every message up to `known` was read by
    earlier walks. A pass reads the conversations whose rev is above `floor`, each down to `known`. One
    in which something happens meanwhile jumps to the top, past us; it then stands above `top`, where
    the pass began, and the next pass, with that as its floor, reads it. A pass that finds nothing
    proves everything up to its floor to be read.
    """

    known: str = ""
    floor: str = ""
    top: str | None = None
    at: wire.Words | None = None
    read: bool = False
    waiting: tuple[Talk, ...] = ()
    inside: wire.Words | None = None

    def listed(
        self, convos: Sequence[Convo], cursor: str | None, us: str, since: datetime | None
    ) -> "tuple[Mail, bool]":
        """The walk after a page of the list, and whether there is more to it."""
        fresh = [one for one in convos if one.rev > self.floor and not _too_old(one.last_message, since)]
        read = cursor is None or cursor == self.at or len(fresh) < len(convos)
        top = self.top if self.top is not None else max((one.rev for one in convos), default=None)
        if self.top is None and read and (top or "") <= self.floor:
            return Mail(known=self.floor, floor=self.floor), False
        waiting = tuple(talk for one in fresh if (talk := _talk(one, us)) is not None)
        mail = Mail(known=self.known, floor=self.floor, top=top, at=cursor, read=read, waiting=waiting)
        return mail.next_pass(), True

    def heard(
        self, messages: Sequence[Message], cursor: str | None, since: datetime | None
    ) -> "tuple[Mail, list[Message]]":
        """The walk after a page of the first conversation that waits, and what in it is new."""
        fresh = [one for one in messages if one.rev > self.known and not _too_old(one, since)]
        if cursor is None or cursor == self.inside or len(fresh) < len(messages):
            rest = self.model_copy(update={"waiting": self.waiting[1:], "inside": None})
            return rest.next_pass(), fresh
        return self.model_copy(update={"inside": cursor}), fresh

    def next_pass(self) -> "Mail":
        """When the list is read and no conversation waits, the next pass starts where this one did."""
        if not self.read or self.waiting:
            return self
        return Mail(known=self.known, floor=self.top or self.floor)


class Inbox(wire.Shape):
    """Notifications first, then direct messages."""

    told: Walk = Walk()
    mail: Mail = Mail()
    reading: Literal["told", "mail"] = "told"


def _too_old(message: Message | None, since: datetime | None) -> bool:
    return since is not None and message is not None and message.sent_at < since


def _talk(convo: Convo, us: str) -> Talk | None:
    """A conversation with one person; groups are nobody's alone."""
    others = [one for one in convo.members if one.did != us]
    if len(others) != 1:
        return None
    return Talk(id=convo.id, did=others[0].did, name=others[0].display_name or others[0].handle)
