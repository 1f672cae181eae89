"""Read a list that is paged by offset while items are added to it and deleted from it.

When an item is deleted, those after it move towards the list's start, so that the item at the next
offset may move onto a page already read, and would be skipped. So each page overlaps the one before and
must *join* it: it contains the last item read, or starts with one of a higher rank. Where it does not,
earlier offsets are read until one does. Reading an item twice is harmless.

The list must be ordered by a rank that falls from item to item and does not change; items of the
same rank keep their order. Items outside the order (a pinned post) have no sort key.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from app.platforms import wire

T = TypeVar("T")

OVERLAP: Final = 5
"""Items of a page that are read again with the next one."""

SortKey = tuple[int, int]
"""Rank and id. A list in rising order has the negative value as its rank."""


class Position(wire.Model):
    """Where the next page starts, and the last item read."""

    offset: wire.Count = 0
    last: tuple[wire.Number, wire.Number] | None = None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page as the platform returns it: its items, and the number of items of the whole list."""

    items: Sequence[T]
    count: int


@dataclass(frozen=True, slots=True)
class OffsetPage(Generic[T]):
    """The next page of a scan."""

    items: Sequence[T]
    sort_keys: tuple[SortKey, ...]
    position: Position
    end: bool


async def step(
    fetch: Callable[[int], Awaitable[Listing[T]]],
    at: Position,
    sort_key: Callable[[T], SortKey | None],
    *,
    size: int,
) -> OffsetPage[T]:
    """The page of a list that follows `at`; `fetch` returns up to `size` items from an offset."""
    offset = at.offset
    while True:
        listing = await fetch(offset)
        sort_keys = tuple(key for item in listing.items if (key := sort_key(item)) is not None)
        if offset == 0 or at.last is None or _joins(sort_keys, at.last):
            break
        if not listing.items and offset < listing.count:
            break  # all items of the page are hidden from the token
        offset = max(0, offset - size)
    # The count may include hidden items; a short page that ends where the one before did is the list's end
    # nevertheless.
    idle = len(listing.items) < size and bool(sort_keys) and sort_keys[-1] == at.last
    last = _after(sort_keys, at.last)
    read = offset + len(listing.items)
    position = Position(offset=offset + max(1, len(listing.items) - OVERLAP), last=last)
    return OffsetPage(listing.items, sort_keys, position, end=read >= listing.count or idle or not listing.items)


def _joins(sort_keys: Sequence[SortKey], last: SortKey) -> bool:
    return bool(sort_keys) and (sort_keys[0][0] > last[0] or last in sort_keys)


def _after(sort_keys: Sequence[SortKey], last: SortKey | None) -> SortKey | None:
    if not sort_keys:
        return last
    final = sort_keys[-1]
    return final if last is None or final[0] <= last[0] else last
