"""How far Graph's lists have been read: what the cursors of walks hold.

Graph's own cursor (`after`) points to an item. It stays right whatever appears or vanishes, but
ends with the item it points to; then the walk begins again at the list's start. Some lists are
paged by time (`until`), and say so in the address of their next page alone.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, Self, TypeVar
from urllib.parse import parse_qsl

from app.platforms import wire
from app.platforms.contract import Rejected
from app.platforms.meta.errors import TooMuch
from app.platforms.meta.wire_models import Listing

T = TypeVar("T")

FEWER: Final = 5
RESTARTS: Final = 5
"""How often a walk begins again without coming further: else one whose cursors are never taken would not end."""


class ListPosition(wire.Shape):
    """Where in a list the next page begins."""

    after: wire.StorableText | None = None
    restarts: wire.Count = 0
    deepest: wire.LenientMoment = None
    """The oldest item of the walk."""

    def from_start(self) -> Self:
        """The list's start."""
        return self.model_copy(update={"after": None, "restarts": self.restarts + 1})

    def seen(self, times: Sequence[datetime]) -> Self:
        """After a page of items of these times."""
        oldest = min(times, default=None)
        if oldest is None or (self.deepest is not None and self.deepest <= oldest):
            return self
        return self.model_copy(update={"deepest": oldest, "restarts": 0})


async def page(
    ask: Callable[[str | None, int], Awaitable[Listing[T]]], at: ListPosition, limit: int
) -> Listing[T] | None:
    """The page of a list that begins there; None where the cursor is good no more.

    It has at most `limit` items, and fewer where so many are too much for Graph at once.
    """
    while True:
        try:
            return await ask(at.after, limit)
        except TooMuch:
            if limit == 1:
                raise
            limit = max(1, limit // FEWER)
        except Rejected:
            if at.after is None or at.restarts >= RESTARTS:
                raise
            return None


def part(fields: str, limit: int, after: str | None) -> dict[str, str]:
    """What a page of a list is asked for by."""
    query = {"fields": fields, "limit": str(limit)}
    if after is None:
        return query
    return query | (dict(parse_qsl(after[1:])) if after.startswith("?") else {"after": after})


class ListPaginator(ListPosition):
    """Reads a list, newest first, down to what an earlier walk has seen: everything from `known` on."""

    newest: wire.LenientMoment = None
    known: wire.LenientMoment = None

    def past(
        self, times: Sequence[datetime], after: str | None, since: datetime | None
    ) -> "tuple[ListPaginator, bool]":
        """The walk after a page of items of these times, and whether there is more to it.

        Its last item alone tells whether the page reaches far enough: one that stands out of its
        order above must not end the walk.
        """
        newest = self.newest or max(times, default=self.known)
        bound = max((moment for moment in (self.known, since) if moment is not None), default=None)
        if after is None or (bound is not None and any(time < bound for time in times[-1:])):
            return ListPaginator(known=newest), False
        return self.seen(times).model_copy(update={"after": after, "newest": newest}), True


class UnreadThread(ListPosition):
    """A thread of which a part is yet to be read; `key` says whose it is."""

    id: wire.StorableText
    key: wire.StorableText = ""


class CommentPaginator(ListPosition):
    """Reads a list whole, then the branches of its items that are too long to come with them."""

    read: bool = False
    unread_threads: tuple[UnreadThread, ...] = ()

    @property
    def more(self) -> bool:
        return not self.read or bool(self.unread_threads)


class MessagePaginator(ListPosition):
    """Reads messages by passes over the list of threads, the last written to first.

    Everything up to `known` was read by earlier walks. A pass reads the threads that were written to
    since `floor`, each down to `known`. One that is written to meanwhile jumps to the top, past us;
    the next pass, whose floor is where this one began (`pass_start`), reads it. A pass that begins where the
    one before it began is the walk's last.
    """

    known: wire.LenientMoment = None
    floor: wire.LenientMoment = None
    pass_start: wire.LenientMoment = None
    read: bool = False
    unread_threads: tuple[UnreadThread, ...] = ()

    def next(self) -> "tuple[MessagePaginator, bool]":
        """The next pass when this one is done; and whether there is more to the walk."""
        if not self.read or self.unread_threads:
            return self, True
        if self.pass_start == self.floor:
            return MessagePaginator(known=self.pass_start, floor=self.pass_start), False
        return MessagePaginator(known=self.known, floor=self.pass_start), True


class InboxPaginator(wire.Shape):
    """Reads messages, then media in which the account is tagged."""

    messages: wire.StorableText | None = None
    tags: ListPaginator = ListPaginator()
    tags_next: bool = False
