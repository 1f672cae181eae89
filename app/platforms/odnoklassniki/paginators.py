"""How far Odnoklassniki's lists have been read: the contents of the adapter's cursors."""

from collections.abc import Iterable
from datetime import datetime

from app.platforms import wire
from app.platforms.contract import Malformed
from app.platforms.odnoklassniki import wire_models as ok


class AnchorPaginator(wire.Model):
    """Reads a list paged by anchors, latest first, down to the items that earlier scans have read.

    Times are in the precision of the list: milliseconds for topics, seconds for comments.
    """

    anchor: wire.StorableText | None = None
    latest: wire.Count | None = None
    """The time of the latest item of this scan."""
    read_up_to: wire.Count | None = None
    """The time of the latest item of all earlier scans."""

    def past(self, times: Iterable[int], anchor: str | None) -> "tuple[AnchorPaginator, bool]":
        """The paginator after a page whose items have these times, and whether the scan continues: at `anchor`."""
        reached = latest(*times, self.latest, self.read_up_to)
        if anchor is None:
            return AnchorPaginator(read_up_to=reached), False
        return AnchorPaginator(anchor=anchor, latest=reached, read_up_to=self.read_up_to), True


class MessagePaginator(wire.Model):
    """Reads messages by passes over the list of chats, the one with the latest message first. Times are in
    milliseconds.

    Everything before `read_up_to` was read by earlier scans. A pass reads the chats that have changed since
    `floor`, each down to `read_up_to`, and `pass_start` is the time of the latest chat when it began. A chat that
    changes meanwhile moves to the list's start. If the list was one page, the next scan finds the chat there. If
    it was `several_pages`, the chat may have moved past the pages still to be read with unread messages, so
    another pass follows, from `pass_start` on, until a pass finds no chat later than its `floor`.
    """

    read_up_to: wire.Count = 0
    floor: wire.Count = 0
    pass_start: wire.Count | None = None
    marker: wire.StorableText | None = None
    """OK's cursor of the list of chats."""
    several_pages: bool = False
    read: bool = False
    """The list of chats has been read."""
    chats: tuple[wire.StorableText, ...] = ()
    """The chats whose messages are still to be read."""
    until: wire.Count | None = None
    """Within the first of `chats`: the next page ends here."""

    def only_chat(self) -> "MessagePaginator":
        """A paginator that reads the first of `chats` alone, from its start."""
        return MessagePaginator(
            read_up_to=self.read_up_to, floor=self.floor, pass_start=self.floor, read=True, chats=self.chats[:1]
        )

    def next(self) -> "tuple[MessagePaginator, bool]":
        """The next pass when this one is complete; and whether the scan continues."""
        if self.chats or not self.read:
            return self, True
        start = self.floor if self.pass_start is None else max(self.pass_start, self.floor)
        if self.several_pages and start > self.floor:
            return MessagePaginator(read_up_to=self.read_up_to, floor=start), True
        return MessagePaginator(read_up_to=start, floor=start), False


def next_anchor(listing: ok.Listing, before: str | None, *, filled: bool) -> str | None:
    """Where the next page starts; None at the list's end. `filled`: the page has items.

    Raises `Malformed` where the list continues without a new anchor.
    """
    more = listing.has_more if listing.has_more is not None else filled and listing.anchor is not None
    if not more:
        return None
    if listing.anchor is None or listing.anchor == before:
        raise Malformed("there is said to be more, but not where")
    return listing.anchor


def latest(*times: int | None) -> int | None:
    """The latest of the times that are known; None where none is."""
    return max((at for at in times if at is not None), default=None)


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970."""
    return round(at.timestamp() * 1000)
