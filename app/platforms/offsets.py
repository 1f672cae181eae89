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

Place = tuple[int, int]
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
class Part(Generic[T]):
    """The next part of a walk."""

    items: Sequence[T]
    places: tuple[Place, ...]
    position: Position
    end: bool


async def step(
    fetch: Callable[[int], Awaitable[Listing[T]]],
    at: Position,
    place: Callable[[T], Place | None],
    *,
    size: int,
) -> Part[T]:
    """The part of a list that follows `at`; `fetch` reads up to `size` items from an offset."""
    offset = at.offset
    while True:
        listing = await fetch(offset)
        places = tuple(found for item in listing.items if (found := place(item)) is not None)
        if offset == 0 or at.last is None or _joins(places, at.last):
            break
        if not listing.items and offset < listing.count:
            break  # all of it is hidden from us
        offset = max(0, offset - size)
    # The count may take in what is hidden from us; a short page that stops where the last one did
    # is the list's end all the same.
    idle = len(listing.items) < size and bool(places) and places[-1] == at.last
    last = _after(places, at.last)
    read = offset + len(listing.items)
    position = Position(offset=offset + max(1, len(listing.items) - OVERLAP), last=last)
    return Part(listing.items, places, position, end=read >= listing.count or idle or not listing.items)


def _joins(places: Sequence[Place], last: Place) -> bool:
    return bool(places) and (places[0][0] > last[0] or last in places)


def _after(places: Sequence[Place], last: Place | None) -> Place | None:
    if not places:
        return last
    final = places[-1]
    return final if last is None or final[0] <= last[0] else last
