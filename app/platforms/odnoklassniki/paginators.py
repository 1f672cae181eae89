"""How far Odnoklassniki's lists have been read: what its cursors hold."""

from app.platforms import wire
from app.platforms.contract import Malformed
from app.platforms.odnoklassniki import wire_models as ok


class TopicPaginator(wire.Shape):
    """Reads a group's topics from the present back to `known`, page by page."""

    anchor: wire.StorableText | None = None
    newest: wire.Count | None = None
    known: wire.Count | None = None
    """Milliseconds: of the newest topic that an earlier walk has seen."""


class CommentPaginator(wire.Shape):
    """Reads the comments of a topic from the last one back to `known`."""

    anchor: wire.StorableText | None = None
    newest: wire.Count | None = None
    known: wire.Count | None = None
    """Seconds, as precise as OK tells when a comment was written."""


class MessagePaginator(wire.Shape):
    """Reads messages by passes over the list of chats, which begins with the one that was written in last.

    Everything before the moment `known` was read by earlier walks. A pass reads the chats that changed
    at `floor` or later, each down to `known`, and begins at `top`. A chat that changes meanwhile jumps
    to the list's beginning. Where the list was read at once, the next walk finds it there; where it
    took several pages (`long`), it may have jumped past us with messages unread, so that one more pass
    follows, from `top` on, until a pass finds nothing that is newer than its `floor`.
    """

    known: wire.Count = 0
    floor: wire.Count = 0
    top: wire.Count | None = None
    marker: wire.StorableText | None = None
    long: bool = False
    read: bool = False
    chats: tuple[wire.StorableText, ...] = ()
    until: wire.Count | None = None
    """Within the first of `chats`: the next page ends here."""


def after(paginator: MessagePaginator) -> tuple[MessagePaginator, bool]:
    """What follows, and whether the walk goes on."""
    if paginator.chats or not paginator.read:
        return paginator, True
    top = paginator.floor if paginator.top is None else max(paginator.top, paginator.floor)
    again = paginator.long and top > paginator.floor
    return (
        (MessagePaginator(known=paginator.known, floor=top), True)
        if again
        else (MessagePaginator(known=top, floor=top), False)
    )


def next_anchor(listing: ok.Listing, before: str | None, *, filled: bool) -> str | None:
    """Where the next page starts; None at the list's end."""
    more = listing.has_more if listing.has_more is not None else filled and listing.anchor is not None
    if not more:
        return None
    if listing.anchor is None or listing.anchor == before:
        raise Malformed("there is said to be more, but not where")
    return listing.anchor


def latest(*moments: int | None) -> int | None:
    return max((at for at in moments if at is not None), default=None)
