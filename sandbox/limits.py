"""Rate limits, counted in real time whatever the speed of virtual time."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """A caller's usage in the current window."""

    limit: int
    remaining: int
    reset_at: float
    """Real seconds since 1970."""
    refused: bool


class Counter:
    """Counts requests by key; drops the least recently used keys."""

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real
        self._windows: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._recent: OrderedDict[str, deque[float]] = OrderedDict()

    def window(self, key: str, limit: int, seconds: int, *, cost: int = 1, start: float = 0) -> Quota:
        """Count a request by its `cost` in fixed windows of `seconds`, as Rack::Attack does.

        Windows are aligned to `start`, in seconds since 1970.
        """
        number = int((self._real() - start) // seconds)
        last, calls = self._windows.get(key, (number, 0))
        calls = calls + cost if last == number else cost
        self._windows[key] = (number, calls)
        self._windows.move_to_end(key)
        if len(self._windows) > _KEYS:
            self._windows.popitem(last=False)
        return Quota(limit, max(limit - calls, 0), start + float((number + 1) * seconds), calls > limit)

    def second(self, key: str, limit: int) -> bool:
        """Whether one more request is within `limit` in the last second; a refused one is not counted."""
        now, recent = self._real(), self._recent.setdefault(key, deque())
        self._recent.move_to_end(key)
        if len(self._recent) > _KEYS:
            self._recent.popitem(last=False)
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= limit:
            return False
        recent.append(now)
        return True
