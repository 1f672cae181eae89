"""Paging by offset through a list while items are added and removed."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from app.platforms.offsets import Listing, OffsetPage, Position, SortKey, step

Item = tuple[int, int]
CHANGES = st.lists(
    st.lists(st.tuples(st.sampled_from(["add", "add", "remove", "remove"]), st.integers(0, 10**6)), max_size=12),
    max_size=40,
)


class ChangingList:
    """A list, newest first; several items may have the same second."""

    def __init__(self, size: int, per_second: int) -> None:
        self.per_second = per_second
        self.made = 0
        self.items: list[Item] = []
        for _ in range(size):
            self.add()

    def add(self) -> None:
        self.made += 1
        self.items.insert(0, (self.made // self.per_second, self.made))

    def remove(self, at: int) -> None:
        if self.items:
            del self.items[at % len(self.items)]

    async def page(self, offset: int, size: int) -> Listing[Item]:
        return Listing(self.items[offset : offset + size], len(self.items))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 90), st.integers(1, 12), st.integers(8, 20), CHANGES)
def test_items_that_stay_are_never_skipped(
    size: int, per_second: int, page: int, changes: Sequence[Sequence[tuple[str, int]]]
) -> None:
    wall = ChangingList(size, per_second)
    there = set(wall.items)
    seen: set[Item] = set()
    at, todo = Position(), list(changes)

    def sort_key(item: Item) -> SortKey:
        return item

    async def read_all() -> None:
        nonlocal at, there
        for _ in range(500):
            part: OffsetPage[Item] = await step(lambda offset: wall.page(offset, page), at, sort_key, size=page)
            seen.update(part.items)
            if part.end:
                return
            at = Position.model_validate_json(part.position.model_dump_json())
            for what, where in todo.pop() if todo else ():
                if what == "add":
                    wall.add()
                else:
                    wall.remove(where)
            there &= set(wall.items)
        raise AssertionError("paging does not end")

    asyncio.run(read_all())
    assert there <= seen


async def test_items_of_the_same_second_are_distinguished() -> None:
    wall = ChangingList(30, 30)
    first = await step(lambda offset: wall.page(offset, 10), Position(), lambda item: item, size=10)
    for _ in range(8):
        wall.remove(0)
    second = await step(lambda offset: wall.page(offset, 10), first.position, lambda item: item, size=10)
    assert set(wall.items[2:10]) <= {*first.items, *second.items}


async def test_a_list_of_one_second_is_read_to_its_end() -> None:
    wall, at, seen = ChangingList(60, 60), Position(), set[Item]()
    for _ in range(20):
        part = await step(lambda offset: wall.page(offset, 12), at, lambda item: item, size=12)
        at, seen = part.position, seen | set(part.items)
        if part.end:
            break
    assert part.end
    assert seen == set(wall.items)


async def test_an_unchanged_list_takes_one_request_for_each_page() -> None:
    wall, calls, at, end = ChangingList(500, 1), 0, Position(), False

    async def fetch(offset: int) -> Listing[Item]:
        nonlocal calls
        calls += 1
        return await wall.page(offset, 100)

    while not end:
        part = await step(fetch, at, lambda item: item, size=100)
        at, end = part.position, part.end
    assert calls == 6


async def test_a_total_that_includes_hidden_items_causes_no_endless_loop() -> None:
    wall = ChangingList(150, 1)

    async def fetch(offset: int) -> Listing[Item]:
        return Listing(wall.items[offset : offset + 100], 10_000)

    at, seen = Position(), set()
    for _ in range(6):
        part = await step(fetch, at, lambda item: item, size=100)
        seen |= set(part.items)
        at = part.position
        if part.end:
            break
    assert part.end
    assert len(seen) == 150
