"""How far Bluesky's lists have been read: the contents of the cursors.

Feeds and notifications are listed latest first, and a page's cursor is a time: the next page lies below it. An item
is listed by the time at which it was indexed or, if that is earlier, the time that its author's software wrote into
it; so new items are not always at the head of the list. Each scan therefore reads on to `OVERLAP` below the latest
item of earlier scans.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from app.platforms import wire
from app.platforms.bluesky.wire_models import Convo, Message, Uri

OVERLAP: Final = timedelta(hours=1)
STEP: Final = timedelta(milliseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ListPaginator(wire.Model):
    """Reads a list from the latest item back to `seen_until`, less the overlap."""

    seen_until: wire.LenientMoment = None
    """The latest item of earlier scans."""
    latest: wire.LenientMoment = None
    """The latest item that this scan has seen."""
    cursor: wire.StorableText | None = None
    """The server's cursor of the next page."""

    def query(self) -> dict[str, str]:
        return {} if self.cursor is None else {"cursor": self.cursor}

    def after(
        self, times: Sequence[datetime], cursor: str | None, since: datetime | None
    ) -> "tuple[ListPaginator, bool]":
        """The paginator after a page of items with these `times`, and whether the scan goes on."""
        latest = max([*times, *(time for time in (self.latest, self.seen_until) if time is not None)], default=None)
        # Below `EPOCH` (a clock that was never set) the subtraction could underflow.
        lowest = self.seen_until and max(self.seen_until, EPOCH) - OVERLAP
        bounds = [bound for bound in (since, lowest) if bound is not None]
        reached = bool(times) and any(times[-1] < bound for bound in bounds)
        # A server that ignores the cursor returns the same page again and again.
        if cursor is None or reached or cursor == self.cursor:
            return ListPaginator(seen_until=latest), False
        above = _just_above(cursor)
        next_cursor = cursor if above == self.cursor else above
        return ListPaginator(seen_until=self.seen_until, latest=latest, cursor=next_cursor), True


def _just_above(cursor: str) -> str:
    """The cursor, moved up by `STEP` if it is a time: the next page would skip other items with the same time."""
    moment = wire.iso_date(cursor)
    try:
        above = None if moment is None else moment.astimezone(UTC) + STEP
    except OverflowError:
        above = None
    if above is None:
        return cursor
    return above.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class CommentPaginator(wire.Model):
    """Reads a post's tree of answers, then those below the posts at which the tree was cut off."""

    pending: tuple[Uri, ...] = ()


class PendingConversation(wire.Model):
    """A conversation that is still to be read, and the other member's DID and name."""

    id: wire.Id
    did: wire.StorableText
    name: wire.StorableText


class MessagePaginator(wire.Model):
    """Reads messages in passes over the list of conversations, which is ordered by `rev`, latest first.

    A `rev` grows with every change in the chat. All messages up to `read_until` were read by earlier scans. A pass
    reads the conversations whose rev is above `floor`, each back to `read_until`. A conversation that changes
    meanwhile moves to the head of the list, which is already read; its rev is then above `pass_start`, the highest
    rev when the pass began, and the next pass, whose floor that is, reads it. A pass that finds no such conversation
    completes the scan: everything up to its floor is read.
    """

    read_until: str = ""
    floor: str = ""
    pass_start: str | None = None
    list_cursor: wire.StorableText | None = None
    list_done: bool = False
    pending: tuple[PendingConversation, ...] = ()
    """The conversations that are still to be read."""
    history_cursor: wire.StorableText | None = None
    """In the first of `pending`."""

    def after_list(
        self, convos: Sequence[Convo], cursor: str | None, own_id: str, since: datetime | None
    ) -> "tuple[MessagePaginator, bool]":
        """The paginator after a page of the list, and whether the scan goes on."""
        changed = [convo for convo in convos if convo.rev > self.floor and not _too_old(convo.last_message, since)]
        list_done = cursor is None or cursor == self.list_cursor or len(changed) < len(convos)
        highest_rev = max((convo.rev for convo in convos), default=None)
        pass_start = self.pass_start if self.pass_start is not None else highest_rev
        if self.pass_start is None and list_done and (pass_start or "") <= self.floor:
            return MessagePaginator(read_until=self.floor, floor=self.floor), False
        conversations = (_conversation(convo, own_id) for convo in changed)
        paginator = MessagePaginator(
            read_until=self.read_until,
            floor=self.floor,
            pass_start=pass_start,
            list_cursor=cursor,
            list_done=list_done,
            pending=tuple(conversation for conversation in conversations if conversation is not None),
        )
        return paginator.next_pass(), True

    def after_messages(
        self, messages: Sequence[Message], cursor: str | None, since: datetime | None
    ) -> "tuple[MessagePaginator, list[Message]]":
        """The paginator after a page of the first pending conversation, and the new messages in it."""
        new = [message for message in messages if message.rev > self.read_until and not _too_old(message, since)]
        if cursor is None or cursor == self.history_cursor or len(new) < len(messages):
            return self.history_done(), new
        return self.model_copy(update={"history_cursor": cursor}), new

    def history_done(self) -> "MessagePaginator":
        """The paginator once the first pending conversation is read."""
        return self.model_copy(update={"pending": self.pending[1:], "history_cursor": None}).next_pass()

    def only_pending(self) -> "MessagePaginator":
        """A paginator that reads the first pending conversation from its start, and no other of this pass."""
        return self.model_copy(update={"pending": self.pending[:1], "history_cursor": None, "list_done": True})

    def next_pass(self) -> "MessagePaginator":
        """The start of the next pass where this one is complete, else the paginator itself."""
        if not self.list_done or self.pending:
            return self
        return MessagePaginator(read_until=self.read_until, floor=self.pass_start or self.floor)


def _too_old(message: Message | None, since: datetime | None) -> bool:
    return since is not None and message is not None and message.sent_at < since


def _conversation(convo: Convo, own_id: str) -> PendingConversation | None:
    """A conversation with one other member; None for a group."""
    others = [member for member in convo.members if member.did != own_id]
    if len(others) != 1:
        return None
    return PendingConversation(id=convo.id, did=others[0].did, name=others[0].display_name or others[0].handle)
