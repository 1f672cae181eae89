"""How YouTube's lists are walked, and what its cursors hold.

A list is paged by tokens. Those of comments stand for a comment, so that the next page begins right
below it, whatever appears or vanishes (their text, decoded, names it). Those of playlists stand for an
offset (`CAoQAA` is 10): when a video is deleted meanwhile, another slips onto the page already read,
and would be passed over. So there the next page begins `OVERLAP` items before the last one's end, and
must show one of those again; where it does not, the walk starts again at the top, and overlaps more.

The token for such a page is not given: it is that of a page which is so much shorter, asked for by
itself. That costs one more unit for each page but the last, and most walks have one page alone.
A token that YouTube no longer takes has the walk start again as well; it may call that a failure of its
own (`processingFailure`). Of comments, YouTube has been seen to take no notice of a token (answers, in
2024): a page that leads to itself is the last.
Unverified: that a token may be used with another `maxResults` than the one it came with.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Generic, TypeVar

import httpx
from pydantic import TypeAdapter

from app.platforms import wire
from app.platforms.contract import Rejected, Transient
from app.platforms.youtube import wire_models as youtube
from app.platforms.youtube.errors import FAILED, STALE_PAGE

T = TypeVar("T")

OVERLAP: Final = 5
WAIT_TIMEOUT: Final = 4
"""After so many starts the pages are taken as they come: YouTube does not page as we think it does."""
LATE: Final = timedelta(days=30)
"""For so long after its upload, a video that becomes public is found."""


class ListPosition(wire.Shape):
    """Where in a list the next page begins."""

    token: wire.StorableText | None = None
    tail: tuple[str, ...] = ()
    """The last items read, one of which must come again."""
    starts: wire.Count = 0
    """How often the walk had to start again."""

    def from_start(self) -> "ListPosition":
        return ListPosition(starts=self.starts + 1)


@dataclass(frozen=True, slots=True)
class ListPage(Generic[T]):
    """A page of a list."""

    items: tuple[T, ...]
    next_token: str | None
    asked_at: datetime | None
    """By YouTube's clock."""


@dataclass(frozen=True, slots=True)
class PagedList(Generic[T]):
    """One of the lists, and how it is asked for."""

    ask: Callable[[Mapping[str, object]], Awaitable[httpx.Response]]
    answer: TypeAdapter[youtube.Listing[T]]
    size: int
    name: Callable[[T], str]
    by_offset: bool = False

    async def page(self, at: ListPosition) -> ListPage[T] | None:
        """The page at a place; None where the walk must start again."""
        try:
            response = await self.ask(self._query(at, self.size))
        except (Rejected, Transient) as error:
            stale = error.platform_code == STALE_PAGE or (error.platform_code == FAILED and at.starts < WAIT_TIMEOUT)
            if at.token is None or not stale:
                raise
            return None
        found = wire.parse_lenient(self.answer, response)
        next_token = found.next_page if found.next_page != at.token else None
        names = {self.name(item) for item in found.items}
        if at.tail and names.isdisjoint(at.tail) and at.starts < WAIT_TIMEOUT:
            return None
        return ListPage(found.items, next_token or None, wire.response_date(response))

    async def after(self, at: ListPosition, page: ListPage[T]) -> ListPosition:
        """The place that follows a page which is not the last."""
        overlap = OVERLAP << min(at.starts, WAIT_TIMEOUT)
        shorter = max(1, len(page.items) - overlap)
        if not self.by_offset or len(page.items) < 2:
            return ListPosition(token=page.next_token, starts=at.starts)
        ahead = wire.parse(youtube.AHEAD, await self.ask({**self._query(at, shorter), "part": "id"}))
        if ahead.next_page is None:
            return at.from_start()
        tail = tuple(self.name(item) for item in page.items[shorter:])
        return ListPosition(token=ahead.next_page, tail=tail, starts=at.starts)

    def _query(self, at: ListPosition, size: int) -> dict[str, object]:
        return {"maxResults": size, **({} if at.token is None else {"pageToken": at.token})}


class UploadPaginator(wire.Shape):
    """Reads a channel's uploads down to what an earlier walk has seen.

    The list is ordered by upload, and a video that becomes public later stands where it was uploaded.
    So the first walk of each day goes `LATE` further down.
    """

    at: ListPosition = ListPosition()
    playlist: wire.Id | None = None
    """The list's id, where it does not follow from the channel's."""
    newest: wire.LenientMoment = None
    """The newest upload seen by this walk."""
    floor: wire.LenientMoment = None
    """How far down this walk goes."""
    known: wire.LenientMoment = None
    """The newest upload seen by the walks before."""
    day: date | None = None
    """Of the last walk that went further down."""

    def seen(self, page: ListPage[youtube.Entry]) -> "UploadPaginator":
        """The walk once it has read a page, whose first sets how far it goes."""
        changed: dict[str, object] = {}
        if self.newest is None:
            changed["newest"] = max((entry.snippet.added_at for entry in page.items), default=self.known)
            today = page.asked_at.date() if page.asked_at is not None else None
            looks_far = self.known is not None and today != self.day
            changed["floor"] = self.known - LATE if self.known is not None and looks_far else self.known
            changed["day"] = today
        return self.model_copy(update=changed)

    def reached(self, page: ListPage[youtube.Entry], since: datetime | None) -> bool:
        """Whether what follows was read before, or is older than wanted."""
        bounds = [bound for bound in (self.floor, None if since is None else since - LATE) if bound is not None]
        return any(entry.snippet.added_at < bound for entry in page.items[-1:] for bound in bounds)

    def done(self) -> "UploadPaginator":
        return UploadPaginator(known=self.newest, day=self.day, playlist=self.playlist)


class LongThread(wire.Shape):
    """A comment not all answers to which came with it."""

    root_id: youtube.CommentId
    author: wire.StorableText
    post: wire.Id | None = None


class ThreadPaginator(wire.Shape):
    """Reads comments newest first, and then those answers that are too many to come with them."""

    at: ListPosition = ListPosition()
    read: bool = False
    long: tuple[LongThread, ...] = ()
    inside: ListPosition = ListPosition()
    newest: wire.LenientMoment = None
    known: wire.LenientMoment = None
    """Comments up to here were read by the walks before."""
