"""Rate limits, counted in real time as a server does it, whatever the speed of the world."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_KEYS: Final = 10_000


@dataclass(slots=True)
class Limits:
    """What callers may do; changed through the control API."""

    mastodon_calls: int = 300
    mastodon_seconds: int = 300
    vk_user_rps: int = 3
    vk_community_rps: int = 20


@dataclass(frozen=True, slots=True)
class Allowance:
    """How a caller stands within the present window."""

    limit: int
    remaining: int
    reset_at: float
    """Real seconds since 1970."""
    refused: bool


class Counter:
    """Counts calls by key; the least recently seen keys are forgotten."""

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real
        self._windows: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._recent: OrderedDict[str, deque[float]] = OrderedDict()

    def window(self, key: str, limit: int, seconds: int) -> Allowance:
        """Count a call in fixed windows of `seconds`, as Rack::Attack does."""
        number = int(self._real() // seconds)
        last, calls = self._windows.get(key, (number, 0))
        calls = calls + 1 if last == number else 1
        self._windows[key] = (number, calls)
        self._windows.move_to_end(key)
        if len(self._windows) > _KEYS:
            self._windows.popitem(last=False)
        return Allowance(limit, max(limit - calls, 0), float((number + 1) * seconds), calls > limit)

    def second(self, key: str, limit: int) -> bool:
        """Whether one more call keeps to `limit` in any one second; a refused one is not counted."""
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
