"""How far Odnoklassniki's lists have been read: what its cursors hold."""

from app.platforms import wire
from app.platforms.contract import Malformed
from app.platforms.odnoklassniki import wire_models as ok


class Topics(wire.Shape):
    """Reads a group's topics from the present back to `known`, page by page."""

    anchor: wire.Words | None = None
    newest: wire.Count | None = None
    known: wire.Count | None = None
    """Milliseconds: of the newest topic that an earlier walk has seen."""


class Comments(wire.Shape):
    """Reads the comments of a topic from the last one back to `known`."""

    anchor: wire.Words | None = None
    newest: wire.Count | None = None
    known: wire.Count | None = None
    """Seconds, as precise as OK tells when a comment was written."""


class Mail(wire.Shape):
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
    marker: wire.Words | None = None
    long: bool = False
    read: bool = False
    chats: tuple[wire.Words, ...] = ()
    until: wire.Count | None = None
    """Within the first of `chats`: the next page ends here."""


def after(mail: Mail) -> tuple[Mail, bool]:
    """What follows, and whether the walk goes on."""
    if mail.chats or not mail.read:
        return mail, True
    top = mail.floor if mail.top is None else max(mail.top, mail.floor)
    again = mail.long and top > mail.floor
    return (Mail(known=mail.known, floor=top), True) if again else (Mail(known=top, floor=top), False)


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
