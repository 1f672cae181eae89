"""Items that arrive during a commit share the next one; each is done with its own."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.kit.group_commit import GroupWriter, QueueFull, up_to


class Store:
    """Takes batches; holds them up, and refuses those with a bad item, on demand."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.proceed = asyncio.Event()
        self.proceed.set()
        self.bad: dict[int, Exception] = {}
        self.under_way = self.most_under_way = 0

    async def write(self, group: str, items: Sequence[int]) -> None:
        assert group == "g"
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            self.batches.append(list(items))
            await self.proceed.wait()
            for item in items:
                if item in self.bad:
                    raise self.bad[item]
        finally:
            self.under_way -= 1


def refusal() -> DBAPIError:
    """The database refuses a row."""
    return IntegrityError("INSERT", None, asyncpg.CheckViolationError("a check constraint"))


async def test_a_single_item_is_written_at_once() -> None:
    store = Store()
    writer = GroupWriter[str, int](store.write, up_to(10), max_queued=100)
    await writer.submit("g", 1)
    assert store.batches == [[1]]


@pytest.mark.parametrize("writers", [1, 2])
async def test_what_arrives_during_a_commit_shares_the_next(writers: int) -> None:
    store = Store()
    store.proceed.clear()
    writer = GroupWriter[str, int](store.write, up_to(3), max_queued=100, writers=writers)
    futures = []
    for item in range(9):
        futures.append(writer.submit("g", item))
        await asyncio.sleep(0)
    assert [len(batch) for batch in store.batches] == [1] * writers
    assert list(writer.queued("g")) == list(range(writers, 9))
    assert not any(future.done() for future in futures)
    store.proceed.set()
    await asyncio.gather(*futures)
    assert [item for batch in store.batches for item in batch] == list(range(9))
    assert max(map(len, store.batches)) == 3
    assert store.most_under_way == writers


async def test_a_bad_item_harms_no_other() -> None:
    store = Store()
    store.proceed.clear()
    writer = GroupWriter[str, int](store.write, up_to(10), max_queued=100)
    first = writer.submit("g", 0)
    await asyncio.sleep(0)
    rest = [writer.submit("g", item) for item in (1, 2, 3)]
    store.bad[2] = refusal()
    store.proceed.set()
    await first
    outcomes = await asyncio.gather(*rest, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), IntegrityError, type(None)]
    assert store.batches == [[0], [1, 2, 3], [1], [2], [3]]


async def test_an_outage_is_not_tried_item_by_item() -> None:
    store = Store()
    store.proceed.clear()
    writer = GroupWriter[str, int](store.write, up_to(10), max_queued=100)
    first = writer.submit("g", 0)
    await asyncio.sleep(0)
    rest = [writer.submit("g", item) for item in (1, 2)]
    store.bad[1] = OperationalError("INSERT", None, ConnectionError("away"))
    store.proceed.set()
    await first
    outcomes = await asyncio.gather(*rest, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OperationalError, OperationalError]
    assert store.batches == [[0], [1, 2]]


async def test_more_than_the_memory_may_hold_is_refused() -> None:
    store = Store()
    store.proceed.clear()
    writer = GroupWriter[str, int](store.write, up_to(10), max_queued=2)
    futures = [writer.submit("g", 1), writer.submit("g", 2)]
    with pytest.raises(QueueFull):
        writer.submit("g", 3)
    store.proceed.set()
    await asyncio.gather(*futures)
    await writer.submit("g", 4)


async def test_an_item_whose_caller_left_is_written_all_the_same() -> None:
    store = Store()
    store.proceed.clear()
    writer = GroupWriter[str, int](store.write, up_to(1), max_queued=100)
    left, stayed = writer.submit("g", 1), writer.submit("g", 2)
    left.cancel()
    store.proceed.set()
    await stayed
    assert store.batches == [[1], [2]]


async def test_an_item_that_arrives_as_the_last_commit_ends_is_not_left_behind() -> None:
    store = Store()
    writer = GroupWriter[str, int](store.write, up_to(10), max_queued=100)
    chained: list[asyncio.Future[None]] = []
    first = writer.submit("g", 1)
    first.add_done_callback(lambda _: chained.append(writer.submit("g", 2)))
    await first
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await chained[0]
    assert store.batches == [[1], [2]]


@given(sizes=st.lists(st.integers(0, 20), min_size=1), most=st.integers(1, 30))
def test_the_first_items_up_to_a_total_are_selected(sizes: list[int], most: int) -> None:
    selected = up_to(most, sizes.__getitem__)(list(range(len(sizes))))
    count = len(selected)
    assert list(selected) == list(range(count))
    assert count >= 1
    assert count == 1 or sum(sizes[:count]) <= most
    assert count == len(sizes) or sum(sizes[: count + 1]) > most
