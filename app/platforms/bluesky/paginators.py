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


class ListPaginator(wire.Shape):
    """Reads a list down to what an earlier walk has seen, which is everything up to `known`."""

    known: wire.LenientMoment = None
    newest: wire.LenientMoment = None
    below: wire.StorableText | None = None

    def query(self) -> dict[str, str]:
        return {} if self.below is None else {"cursor": self.below}

    def after(
        self, times: Sequence[datetime], cursor: str | None, since: datetime | None
    ) -> "tuple[ListPaginator, bool]":
        """The walk after a page of items of these `times`, and whether there is more to it."""
        newest = max([*times, *(one for one in (self.newest, self.known) if one is not None)], default=None)
        # What was written by clocks that were never set must not be counted below the first year.
        bounds = [bound for bound in (since, self.known and max(self.known, EPOCH) - OVERLAP) if bound is not None]
        reached = bool(times) and any(times[-1] < bound for bound in bounds)
        # A server that ignores where we are would show the same page for ever.
        if cursor is None or reached or cursor == self.below:
            return ListPaginator(known=newest), False
        again = _just_above(cursor)
        return ListPaginator(known=self.known, newest=newest, below=cursor if again == self.below else again), True


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


class CommentPaginator(wire.Shape):
    """Posts whose answers stand deeper than one call shows."""

    below: tuple[Uri, ...] = ()


class PendingConversation(wire.Shape):
    """A conversation that waits to be read, and with whom it is."""

    id: wire.Id
    did: wire.StorableText
    name: wire.StorableText


class MessagePaginator(wire.Shape):
    """Reads messages by passes over the list of conversations, newest first.

    A `rev` grows with everything that happens in the chat. Every message up to `known` was read by
    earlier walks. A pass reads the conversations whose rev is above `floor`, each down to `known`. One
    in which something happens meanwhile jumps to the top, past us; it then stands above `pass_start`, where
    the pass began, and the next pass, with that as its floor, reads it. A pass that finds nothing
    proves everything up to its floor to be read.
    """

    known: str = ""
    floor: str = ""
    pass_start: str | None = None
    at: wire.StorableText | None = None
    read: bool = False
    waiting: tuple[PendingConversation, ...] = ()
    inside: wire.StorableText | None = None

    def after_list(
        self, convos: Sequence[Convo], cursor: str | None, own_id: str, since: datetime | None
    ) -> "tuple[MessagePaginator, bool]":
        """The walk after a page of the list, and whether there is more to it."""
        new = [one for one in convos if one.rev > self.floor and not _too_old(one.last_message, since)]
        read = cursor is None or cursor == self.at or len(new) < len(convos)
        pass_start = self.pass_start if self.pass_start is not None else max((one.rev for one in convos), default=None)
        if self.pass_start is None and read and (pass_start or "") <= self.floor:
            return MessagePaginator(known=self.floor, floor=self.floor), False
        waiting = tuple(conversation for one in new if (conversation := _conversation(one, own_id)) is not None)
        messages = MessagePaginator(
            known=self.known, floor=self.floor, pass_start=pass_start, at=cursor, read=read, waiting=waiting
        )
        return messages.next_pass(), True

    def after_messages(
        self, messages: Sequence[Message], cursor: str | None, since: datetime | None
    ) -> "tuple[MessagePaginator, list[Message]]":
        """The walk after a page of the first conversation that waits, and what in it is new."""
        new = [one for one in messages if one.rev > self.known and not _too_old(one, since)]
        if cursor is None or cursor == self.inside or len(new) < len(messages):
            rest = self.model_copy(update={"waiting": self.waiting[1:], "inside": None})
            return rest.next_pass(), new
        return self.model_copy(update={"inside": cursor}), new

    def next_pass(self) -> "MessagePaginator":
        """When the list is read and no conversation waits, the next pass starts where this one did."""
        if not self.read or self.waiting:
            return self
        return MessagePaginator(known=self.known, floor=self.pass_start or self.floor)


class InboxPaginator(wire.Shape):
    """Notifications first, then direct messages."""

    notifications: ListPaginator = ListPaginator()
    messages: MessagePaginator = MessagePaginator()
    reading: Literal["notifications", "messages"] = "notifications"


def _too_old(message: Message | None, since: datetime | None) -> bool:
    return since is not None and message is not None and message.sent_at < since


def _conversation(convo: Convo, own_id: str) -> PendingConversation | None:
    """A conversation with one person; groups are nobody's alone."""
    others = [one for one in convo.members if one.did != own_id]
    if len(others) != 1:
        return None
    return PendingConversation(id=convo.id, did=others[0].did, name=others[0].display_name or others[0].handle)
