"""Writing many small things in few commits.

Items that arrive while a commit is under way are written together in the next one: under load many share
a commit, and a single item does not wait at all. An item is done when the commit with it is.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

from app.kit.errors import is_refusal

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class QueueFull(Exception):
    """More is queued than may be kept in memory."""


class GroupWriter(Generic[K, T]):
    """Writes the items of each group (a workspace) in shared commits; one for each process and database.

    `write` stores a batch in one commit and raises where it did not. Where the database refuses a batch,
    each item is written in a commit of its own, so that one bad item does not fail the others. At most `writers`
    commits of a group are under way at once.

    `select` returns the positions, of at least one, of the queued items that are written next. Items of the
    total `size` `max_queued` are kept in memory.
    """

    def __init__(
        self,
        write: Callable[[K, Sequence[T]], Awaitable[None]],
        select: Callable[[Sequence[T]], Sequence[int]],
        *,
        max_queued: int,
        size: Callable[[T], int] = lambda _: 1,
        writers: int = 1,
    ) -> None:
        self._write = write
        self._select = select
        self._size = size
        self._max_queued: Final = max_queued
        self._writers: Final = writers
        self._queues: defaultdict[K, list[tuple[T, asyncio.Future[None]]]] = defaultdict(list)
        self._tasks: defaultdict[K, set[asyncio.Task[None]]] = defaultdict(set)
        self._size_in_memory = 0

    def queued(self, group: K) -> Sequence[T]:
        """The items of a group that are in no commit yet."""
        return [item for item, _ in self._queues.get(group, [])]

    def submit(self, group: K, item: T) -> asyncio.Future[None]:
        """Queue an item. The future is done once it is committed, or holds the exception that prevented that.

        Raises `QueueFull` where as much as `max_queued` is queued or being written.
        """
        if self._size_in_memory >= self._max_queued:
            raise QueueFull
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._size_in_memory += self._size(item)
        self._queues[group].append((item, done))
        if len(self._tasks[group]) < self._writers:
            self._tasks[group].add(asyncio.create_task(self._write_queued(group)))
        return done

    async def _write_queued(self, group: K) -> None:
        """Write a group's queued items until there are none."""
        try:
            while batch := self._next(group):
                await self._write_batch(group, batch)
        finally:
            # In the step that found the queue empty: an item that arrives afterwards starts another task.
            tasks = self._tasks[group]
            if (task := asyncio.current_task()) is not None:
                tasks.discard(task)
            if not tasks:
                del self._tasks[group]

    async def _write_batch(self, group: K, batch: Sequence[tuple[T, asyncio.Future[None]]]) -> None:
        try:
            failures = await self._failures(group, [item for item, _ in batch])
        except BaseException:  # this task was cancelled: what was stored cannot be told
            for _, done in batch:
                done.cancel()
            raise
        finally:
            self._size_in_memory -= sum(self._size(item) for item, _ in batch)
        for (_, done), failure in zip(batch, failures, strict=True):
            if done.done():  # the caller was cancelled
                continue
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

    def _next(self, group: K) -> list[tuple[T, asyncio.Future[None]]]:
        queue = self._queues.pop(group, [])
        if not queue:
            return []
        selected = set(self._select([item for item, _ in queue]))
        rest = [entry for position, entry in enumerate(queue) if position not in selected]
        if rest:
            self._queues[group] = rest
        return [entry for position, entry in enumerate(queue) if position in selected]

    async def _failures(self, group: K, items: Sequence[T]) -> list[Exception | None]:
        """Write items; for each what kept it from being stored, or None."""
        try:
            await self._write(group, items)
        except Exception as error:  # set on the future of each item
            if len(items) == 1 or not is_refusal(error):
                return [error for _ in items]
        else:
            return [None for _ in items]
        return [failure for item in items for failure in await self._failures(group, [item])]


def up_to(most: int, size: Callable[[T], int] = lambda _: 1) -> Callable[[Sequence[T]], Sequence[int]]:
    """Select the first items, up to the total size `most`; the first one also where it alone is larger."""

    def select(items: Sequence[T]) -> Sequence[int]:
        total = 0
        for position, item in enumerate(items):
            total += size(item)
            if total > most and position:
                return range(position)
        return range(len(items))

    return select
