"""Walk a list that is paged by offset while items appear in it and vanish from it.

An offset counts from an end that moves: when an item before it is deleted, the item at the offset
slips onto a page already read, and would be passed over. So each page starts a little before the
last one's end and must *join* it: it holds the last item read, or starts with one of a higher rank.
Where it does not, the walk steps back until it does. What is read twice is harmless.

The list must be ordered by a rank that falls from item to item and does not change; items of the
same rank keep their order. Items that stand outside the order (a pinned post) have no place.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.platforms import wire

T = TypeVar("T")

OVERLAP = 5

SortKey = tuple[int, int]
"""Rank and id. A list in rising order has the negative as its rank."""


class Position(wire.Shape):
    """Where the next page starts, and the last item read."""

    offset: wire.Count = 0
    last: tuple[wire.Number, wire.Number] | None = None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page as the platform answers it: its items, and how many the whole list has."""

    items: Sequence[T]
    count: int


@dataclass(frozen=True, slots=True)
class OffsetPage(Generic[T]):
    """The next part of a walk."""

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
    """The part of a list that follows `at`; `fetch` reads up to `size` items from an offset."""
    offset = at.offset
    while True:
        listing = await fetch(offset)
        sort_keys = tuple(found for item in listing.items if (found := sort_key(item)) is not None)
        if offset == 0 or at.last is None or _joins(sort_keys, at.last):
            break
        if not listing.items and offset < listing.count:
            break  # all of it is hidden from us
        offset = max(0, offset - size)
    # The count may take in what is hidden from us; a short page that stops where the last one did
    # is the list's end all the same.
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
