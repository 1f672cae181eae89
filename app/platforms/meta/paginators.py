"""How far Graph's lists have been read: the contents of the adapters' cursors, and how a page is requested.

Graph's own cursor (`after`) points to an item. It stays valid whatever appears or vanishes, but
ends with the item it points to; then the scan begins again at the list's start. Some lists are
paged by time (`until`), which only the URL of their next page shows.
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

SMALLER_PAGE: Final = 5
"""By what a page's size is divided after `TooMuch`."""
RESTARTS: Final = 5
"""How often a scan may begin again without progress: else one whose cursors are always refused would not end."""


class ListPosition(wire.Model):
    """Where in a list the next page begins."""

    after: wire.StorableText | None = None
    restarts: wire.Count = 0
    deepest: wire.LenientMoment = None
    """The time of the oldest item of the scan."""

    def from_start(self) -> Self:
        """The paginator at the list's start, after its cursor was refused."""
        return self.model_copy(update={"after": None, "restarts": self.restarts + 1})

    def seen(self, times: Sequence[datetime]) -> Self:
        """The paginator after a page whose items have these times."""
        oldest = min(times, default=None)
        if oldest is None or (self.deepest is not None and self.deepest <= oldest):
            return self
        return self.model_copy(update={"deepest": oldest, "restarts": 0})


async def page(
    fetch: Callable[[str | None, int], Awaitable[Listing[T]]], at: ListPosition, limit: int
) -> Listing[T] | None:
    """The page of a list that begins at `at`, requested by `fetch` with a cursor and a limit.

    None where Graph no longer accepts the cursor. A page is smaller than `limit` where Graph refuses so many items.
    """
    while True:
        try:
            return await fetch(at.after, limit)
        except TooMuch:
            if limit == 1:
                raise
            limit = max(1, limit // SMALLER_PAGE)
        except Rejected:
            if at.after is None or at.restarts >= RESTARTS:
                raise
            return None


def page_query(fields: str, limit: int, after: str | None) -> dict[str, str]:
    """The query of a page of a list."""
    query = {"fields": fields, "limit": str(limit)}
    if after is None:
        return query
    return query | (dict(parse_qsl(after[1:])) if after.startswith("?") else {"after": after})


class ListPaginator(ListPosition):
    """Reads a list, latest first, down to the items that earlier scans have read."""

    latest: wire.LenientMoment = None
    """The time of the latest item of this scan."""
    read_up_to: wire.LenientMoment = None
    """The time of the latest item of all earlier scans."""

    def past(
        self, times: Sequence[datetime], after: str | None, since: datetime | None
    ) -> "tuple[ListPaginator, bool]":
        """The paginator after a page whose items have these times, and whether the scan continues.

        Only the page's last item decides whether the scan has gone back far enough: an item out of order
        before it must not end the scan.
        """
        latest = self.latest or max(times, default=self.read_up_to)
        bound = max((moment for moment in (self.read_up_to, since) if moment is not None), default=None)
        if after is None or (bound is not None and any(time < bound for time in times[-1:])):
            return ListPaginator(read_up_to=latest), False
        return self.seen(times).model_copy(update={"after": after, "latest": latest}), True


async def next_items(
    fetch: Callable[[str | None, int], Awaitable[Listing[T]]],
    paginator: ListPaginator,
    limit: int,
    time_of: Callable[[T], datetime],
    since: datetime | None,
) -> tuple[tuple[T, ...], ListPaginator, bool]:
    """The items of the next page, the paginator after it, and whether the scan continues.

    Each scan starts at the list's start, so its first `limit` items come again with current values.
    """
    listing = await page(fetch, paginator, limit)
    if listing is None:
        return (), paginator.from_start(), True
    items = tuple(item for item in listing.data if since is None or time_of(item) >= since)
    return items, *paginator.past([time_of(item) for item in listing.data], listing.after, since)


class UnreadThread(ListPosition):
    """A thread of which a part is yet to be read; of the customer `customer_id`."""

    id: wire.StorableText
    customer_id: wire.StorableText = ""


class CommentPaginator(ListPosition):
    """Reads a whole list of comments, then those replies that are too many to come with their comment."""

    read: bool = False
    unread_threads: tuple[UnreadThread, ...] = ()

    @property
    def more(self) -> bool:
        return not self.read or bool(self.unread_threads)


class MessagePaginator(ListPosition):
    """Reads messages by passes over the list of threads, the one with the latest message first.

    Everything up to `read_up_to` was read by earlier scans. A pass reads the threads that have messages
    since `floor`, each down to `read_up_to`. A thread that gets a message meanwhile moves to the list's start,
    which this pass has already read; the next pass, whose `floor` is this one's `pass_start`, reads it. A pass
    that begins at the same moment as the one before it is the scan's last.
    """

    read_up_to: wire.LenientMoment = None
    floor: wire.LenientMoment = None
    pass_start: wire.LenientMoment = None
    read: bool = False
    unread_threads: tuple[UnreadThread, ...] = ()
    ids_only: bool = False
    """The next page of threads is requested without their messages, which are then read thread by thread."""

    def only_thread(self) -> "MessagePaginator":
        """A paginator that reads the first unread thread alone."""
        return MessagePaginator(
            read_up_to=self.read_up_to,
            floor=self.floor,
            pass_start=self.floor,
            read=True,
            unread_threads=(self.unread_threads[0].model_copy(update={"after": None}),),
        )

    def next(self) -> "tuple[MessagePaginator, bool]":
        """The next pass when this one is complete; and whether the scan continues."""
        if not self.read or self.unread_threads:
            return self, True
        if self.pass_start == self.floor:
            return MessagePaginator(read_up_to=self.pass_start, floor=self.pass_start), False
        return MessagePaginator(read_up_to=self.read_up_to, floor=self.pass_start), True
