"""How YouTube's lists are paged, and the contents of the cursors.

Pages have tokens. The token of a page of comments names a comment (this is seen when it is decoded), and the page
begins right below it, whatever appears or vanishes. The token of a page of a playlist is an offset (`CAoQAA` is 10):
when a video on an earlier page is deleted, the next page begins one video too late, and that video would be skipped.
So pages of playlists begin `OVERLAP` items before the end of the one before, and must contain one of these items
again; a page that does not restarts the scan from the head of the list, with twice the overlap.

A response does not contain the token of such a page. It is the `nextPageToken` of a page that is shorter by the
overlap, which is requested only for that. This costs one unit for each page but the last; most scans have one page.
A token that YouTube no longer accepts restarts the scan too; YouTube may report it as a failure of its own
(`processingFailure`). It has been observed to ignore the tokens of answers to comments (in 2024), so a page whose
next token is its own is taken for the last.
Unverified: that a token may be used with another `maxResults` than that of the response it came from.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Generic, TypeVar

import httpx
from pydantic import TypeAdapter

from app.platforms import wire
from app.platforms.contract import Bypass, Rejected, Transient
from app.platforms.youtube import wire_models as youtube
from app.platforms.youtube.errors import FAILED, STALE_PAGE

T = TypeVar("T")

OVERLAP: Final = 5
MOST_RESTARTS: Final = 4
"""After so many restarts pages are accepted without the overlap: YouTube does not page as described above."""
PUBLISHING_DELAY: Final = timedelta(days=30)
"""For how long after its upload a video that becomes public is found."""


class ListPosition(wire.Model):
    """Where in a list the next page begins."""

    token: wire.StorableText | None = None
    tail: tuple[str, ...] = ()
    """The ids of the last items read, one of which the next page must contain."""
    restarts: wire.Count = 0
    """How often the scan was restarted."""

    def from_start(self) -> "ListPosition":
        """The head of the list, after one more restart."""
        return ListPosition(restarts=self.restarts + 1)


@dataclass(frozen=True, slots=True)
class ListPage(Generic[T]):
    """A page of a list."""

    items: tuple[T, ...]
    next_token: str | None
    received_at: datetime | None
    """By YouTube's clock."""


@dataclass(frozen=True, slots=True)
class PagedList(Generic[T]):
    """One of the lists, and how its pages are requested."""

    fetch: Callable[[Mapping[str, object]], Awaitable[httpx.Response]]
    """Requests a page, with the parameters `maxResults` and `pageToken`."""
    response_model: TypeAdapter[youtube.Listing[T]]
    size: int
    item_id: Callable[[T], str]
    by_offset: bool = False
    """Whether a page token is an offset, so that pages must overlap."""

    async def page(self, position: ListPosition) -> ListPage[T] | None:
        """The page at a position; None where the scan must restart."""
        try:
            response = await self.fetch(self._query(position, self.size))
        except (Rejected, Transient) as error:
            stale = error.platform_code == STALE_PAGE or (
                error.platform_code == FAILED and position.restarts < MOST_RESTARTS
            )
            if position.token is None or not stale:
                raise
            return None
        listing = wire.parse_lenient(self.response_model, response)
        next_token = listing.next_page if listing.next_page != position.token else None
        ids = {self.item_id(item) for item in listing.items}
        if position.tail and ids.isdisjoint(position.tail) and position.restarts < MOST_RESTARTS:
            return None
        return ListPage(listing.items, next_token or None, wire.response_date(response))

    async def after(self, position: ListPosition, page: ListPage[T]) -> ListPosition:
        """The position after a page that is not the last."""
        overlap = OVERLAP << min(position.restarts, MOST_RESTARTS)
        shorter = max(1, len(page.items) - overlap)
        if not self.by_offset or len(page.items) < 2:
            return ListPosition(token=page.next_token, restarts=position.restarts)
        response = await self.fetch({**self._query(position, shorter), "part": "id"})
        next_token = wire.parse(youtube.NEXT_TOKEN, response).next_page
        if next_token is None:
            return position.from_start()
        tail = tuple(self.item_id(item) for item in page.items[shorter:])
        return ListPosition(token=next_token, tail=tail, restarts=position.restarts)

    def _query(self, position: ListPosition, size: int) -> dict[str, object]:
        return {"maxResults": size, **({} if position.token is None else {"pageToken": position.token})}


class UploadPaginator(wire.Model):
    """Reads a channel's uploads from the latest back to those of earlier scans.

    The list is ordered by time of upload, also for a video that becomes public later. So the first scan of each day
    reads `PUBLISHING_DELAY` further back.
    """

    position: ListPosition = ListPosition()
    playlist: wire.Id | None = None
    """The list's id, where it does not follow from the channel's."""
    latest: wire.LenientMoment = None
    """The latest upload that this scan has seen."""
    floor: wire.LenientMoment = None
    """The time of upload at which this scan ends."""
    seen_until: wire.LenientMoment = None
    """The latest upload that earlier scans have seen."""
    day: date | None = None
    """The day of the last scan that read further back."""

    def seen(self, page: ListPage[youtube.Entry]) -> "UploadPaginator":
        """The paginator after a page. The first page of a scan sets `floor`."""
        changed: dict[str, object] = {}
        if self.latest is None:
            changed["latest"] = max((entry.snippet.added_at for entry in page.items), default=self.seen_until)
            today = page.received_at.date() if page.received_at is not None else None
            reads_further = self.seen_until is not None and today != self.day
            changed["floor"] = (
                self.seen_until - PUBLISHING_DELAY if self.seen_until is not None and reads_further else self.seen_until
            )
            changed["day"] = today
        return self.model_copy(update=changed)

    def reached(self, page: ListPage[youtube.Entry], since: datetime | None) -> bool:
        """Whether all that follows the page is below `floor`, or too old to have been published after `since`."""
        bounds = [
            bound for bound in (self.floor, None if since is None else since - PUBLISHING_DELAY) if bound is not None
        ]
        return any(entry.snippet.added_at < bound for entry in page.items[-1:] for bound in bounds)

    def restarted(self) -> "UploadPaginator":
        """The paginator at the head of the list, after one more restart."""
        return self.model_copy(update={"position": self.position.from_start()})

    def done(self) -> "UploadPaginator":
        """The paginator for the next scan."""
        return UploadPaginator(seen_until=self.latest, day=self.day, playlist=self.playlist)


class LongThread(wire.Model):
    """A comment with more answers than came with it."""

    root_id: youtube.CommentId
    author: wire.StorableText
    post: wire.Id | None = None


class ThreadPaginator(wire.Model):
    """Reads comments latest first; after each page, the answers that did not come with them."""

    position: ListPosition = ListPosition()
    list_done: bool = False
    long_threads: tuple[LongThread, ...] = ()
    """The threads whose answers are still to be read."""
    thread_position: ListPosition = ListPosition()
    """In the first of `long_threads`."""
    latest: wire.LenientMoment = None
    """The latest comment that this scan has seen."""
    seen_until: wire.LenientMoment = None
    """The latest comment that earlier scans have seen."""

    def thread_done(self) -> "ThreadPaginator":
        """The paginator once the first of `long_threads` is read."""
        return self.model_copy(update={"long_threads": self.long_threads[1:], "thread_position": ListPosition()})

    def done(self) -> "ThreadPaginator":
        """The paginator for the next scan."""
        return ThreadPaginator(seen_until=self.latest or self.seen_until)

    def bypass(self) -> Bypass:
        """How the scan goes on without the first of `long_threads`."""
        following = self.thread_done()
        complete = following.list_done and not following.long_threads
        retry = ThreadPaginator(list_done=True, long_threads=self.long_threads[:1], seen_until=self.seen_until)
        return Bypass(
            wire.dump(following.done() if complete else following),
            self.long_threads[0].root_id,
            wire.dump(retry),
            complete=complete,
        )
