"""How long something took: the median, and what stands beside it."""

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

from app.kpis.arithmetic import percentile
from app.kpis.contract import Variant
from app.kpis.values import Term

P90: Final = Variant("p90", "90 of 100 did not take longer; the value itself is the median, p50")
WALL_CLOCK: Final = Variant("wall_clock", "By the clock, the hours included in which nobody works")
VARIANTS: Final = (P90, WALL_CLOCK)


class Durations(NamedTuple):
    """The figures of some durations, in seconds."""

    median: float
    terms: tuple[Term, ...]
    variants: dict[str, float]
    """Those of `VARIANTS`."""


def durations(working: Sequence[int], by_clock: Sequence[int], of: str) -> Durations:
    """The figures of at least one duration, in working seconds and by the clock; `of`: what took so long."""
    middle, high, clock = float(median(working)), float(percentile(working, 0.9)), float(median(by_clock))
    terms = (
        Term("W", f"Median (p50) of the working seconds of the {of}", middle),
        Term("n", f"How many {of}", len(working)),
        Term("p90", "90 of 100 did not take longer than", high),
        Term("C", "Median of the same by the clock, in seconds", clock),
    )
    return Durations(middle, terms, {P90.key: high, WALL_CLOCK.key: clock})
