"""Virtual time: real time scaled by a speed. It can be moved forward and never goes back."""

from collections.abc import Callable


class Clock:
    """The current virtual time, in milliseconds since 1970.

    `real` returns real seconds since 1970; `epoch` is where virtual time starts (by default the real
    time); `speed` is virtual seconds per real second; 0 stops virtual time.
    """

    def __init__(self, real: Callable[[], float], *, epoch: int | None = None, speed: float = 1.0) -> None:
        self._real = real
        self._since = real()
        self._base = round(self._since * 1000) if epoch is None else epoch
        self._latest = self._base
        self._speed = _checked(speed)

    @property
    def speed(self) -> float:
        return self._speed

    def now(self) -> int:
        """Virtual milliseconds since 1970. Never decreases, even if the real clock is set back."""
        elapsed = max(self._real() - self._since, 0.0)
        self._latest = max(self._latest, self._base + int(elapsed * 1000 * self._speed))
        return self._latest

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on. Raises `ValueError` outside 0 to 1000000."""
        checked = _checked(speed)
        self._anchor(self.now())
        self._speed = checked

    def set(self, at: int) -> None:
        """Jump forward to `at`, in milliseconds since 1970. Raises `ValueError` if that is in the past."""
        if at < self.now():
            raise ValueError("time cannot go back: earlier responses must stay true")
        self._anchor(at)

    def advance(self, milliseconds: int) -> None:
        """Jump forward by `milliseconds`. Raises `ValueError` if negative."""
        self.set(self.now() + milliseconds)

    def _anchor(self, at: int) -> None:
        self._base = self._latest = at
        self._since = self._real()


def _checked(speed: float) -> float:
    if not 0 <= speed <= 1_000_000:
        raise ValueError("speed must be 0 (stopped) to 1000000 virtual seconds per second")
    return speed
