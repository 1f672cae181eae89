"""Caches of a process for what it reads from the database: bounded in size and time, cleared when it changes.

A `Cache` holds values by key. Other processes are not told of a change, so a value is kept for seconds;
this process forgets it after the commit that changed it. `Recent` holds what was put into it. `OnePer` holds one
object for each `Resources`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from cachetools import TTLCache
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.clock import Clock
from app.kit.db import after_commit

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    fresh_until: float


class Cache(Generic[K, V]):
    """Values that `load` returned, kept for `seconds`; the least recently used of more than `size` are dropped.

    Concurrent misses of a key share one load. What a load raises is raised to all of them and not kept.

    With `stale_seconds` a value serves for so much longer while it is being loaded again, and where the load
    raises one of `unavailable`; it is then loaded again after another `seconds`.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        seconds: float,
        size: int,
        stale_seconds: float = 0.0,
        unavailable: tuple[type[Exception], ...] = (),
    ) -> None:
        self._clock = clock
        self._seconds: Final = seconds
        self._unavailable = unavailable
        self._entries: TTLCache[K, _Entry[V], float] = TTLCache(size, seconds + stale_seconds, clock.monotonic)
        self._loading: dict[K, asyncio.Task[V]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """The value of a key, loaded where none is kept."""
        entry = self._entries.get(key)
        if entry is not None and self._clock.monotonic() < entry.fresh_until:
            return entry.value
        loading = self._loading.get(key)
        if loading is None:
            loading = self._loading[key] = asyncio.create_task(self._load(key, load))
        elif entry is not None:
            return entry.value
        try:
            # A caller that is cancelled does not cancel the load of the others.
            return await asyncio.shield(loading)
        except self._unavailable:
            if entry is None:
                raise
            return entry.value

    async def _load(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        task, fresh_until = asyncio.current_task(), self._clock.monotonic() + self._seconds
        try:
            value = await load()
        except self._unavailable:
            entry = self._entries.get(key)
            if entry is not None:
                entry.fresh_until = fresh_until
            raise
        except Exception:
            self._entries.pop(key, None)
            raise
        else:
            if self._loading.get(key) is task:  # else it was forgotten meanwhile, and this may be the old value
                self._entries[key] = _Entry(value, fresh_until)
            return value
        finally:
            if self._loading.get(key) is task:
                del self._loading[key]

    def forget(self, key: K) -> None:
        """Drop a key's value; a load that is under way is not kept either."""
        self._entries.pop(key, None)
        self._loading.pop(key, None)

    def clear(self) -> None:
        """Drop all values; loads that are under way are not kept either."""
        self._entries.clear()
        self._loading.clear()

    def forget_after_commit(self, session: AsyncSession, key: K) -> None:
        """Drop a key's value once this transaction is committed: before that, a load would find the old one again."""

        async def forget() -> None:
            self.forget(key)

        after_commit(session, forget)

    def clear_after_commit(self, session: AsyncSession) -> None:
        """Drop all values once this transaction is committed."""

        async def clear() -> None:
            self.clear()

        after_commit(session, clear)


class Recent(Generic[K, V]):
    """Values kept for `seconds` after they were put; the least recently used of more than `size` are dropped."""

    def __init__(self, clock: Clock, *, seconds: float, size: int) -> None:
        self._values: TTLCache[K, V, float] = TTLCache(size, seconds, clock.monotonic)

    def put(self, key: K, value: V) -> None:
        """Keep a value from now on."""
        self._values[key] = value

    def get(self, key: K) -> V | None:
        """The value of a key; None where none is kept."""
        return self._values.get(key)


class OnePer(Generic[K, T]):
    """One object for each owner (a process' `Resources`, say), made at the first use; it goes with its owner."""

    def __init__(self, make: Callable[[K], T]) -> None:
        self._make = make
        self._objects: WeakKeyDictionary[K, T] = WeakKeyDictionary()

    def __call__(self, owner: K) -> T:
        """Return the owner's object."""
        existing = self._objects.get(owner)
        if existing is None:
            existing = self._objects[owner] = self._make(owner)
        return existing

    def clear(self) -> None:
        """Drop all objects; they are made again at their next use."""
        self._objects.clear()
