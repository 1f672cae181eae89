"""What a KPI was before a change, and after it. Pure.

The days before are as many as those after. How far both differ where nothing was changed is read from the past: the
same two windows, moved back day by day. What usually lies between them is taken off, and what is left has an interval
that the past would leave in 80 of 100 cases. It is a comparison, and no experiment: other things change too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import ceil
from statistics import median
from typing import Any, Final

from app.goals.forecast import COVERAGE
from app.kpis.contract import DAY, Kpi
from app.kpis.values import Direction, Value
from app.kpis.windows import Days

MAX_MOVES: Final = 60
LEAST_MOVES: Final = 14
"""Differences of the past without which there is no interval."""
CAVEAT: Final = (
    "This compares the days after the change with as many days before it. It is no experiment: whatever else changed "
    "in these days is in it too."
)


class EffectVerdict(StrEnum):
    """What the comparison says."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"
    """The interval holds 0, or there is none."""


@dataclass(frozen=True, slots=True)
class Effect:
    """The KPI before and after."""

    before: Days
    after: Days
    before_value: float | None
    after_value: float | None
    difference: float | None
    usual: float | None
    """The median difference of such windows in the past."""
    low: float | None
    """With `high` the interval of the difference less the usual one."""
    high: float | None
    moves: int
    verdict: EffectVerdict
    reason: str | None

    @property
    def as_json(self) -> dict[str, Any]:
        """The effect, as the database and the API have it."""
        return {
            "before": {**_days(self.before), "value": self.before_value},
            "after": {**_days(self.after), "value": self.after_value},
            "difference": self.difference,
            "usual_difference": self.usual,
            "low": self.low,
            "high": self.high,
            "compared": self.moves,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "caveat": CAVEAT,
        }


def _days(days: Days) -> dict[str, str]:
    return {"from": days.first.isoformat(), "to": days.last.isoformat()}


def windows(changed_on: date, review_on: date) -> list[Days]:
    """The days before and after the change, then of each pair in the past the days before and after its middle."""
    length = review_on - changed_on

    def pair(middle: date) -> list[Days]:
        return [Days(middle - length, middle - DAY), Days(middle, middle + length - DAY)]

    # In the past the later window ends before the change.
    moved = [pair(changed_on - length - number * DAY) for number in range(MAX_MOVES)]
    return [*pair(changed_on), *(window for both in moved for window in both)]


def effect(kpi: Kpi, changed_on: date, review_on: date, values: Sequence[Value]) -> Effect:
    """The effect, from the KPI's values over `windows`."""
    before, after, *_ = windows(changed_on, review_on)
    amounts = [None if one.amount is None else float(one.amount) for one in values]
    first, second, *past = amounts
    # Windows of which a part lies before the first poll are smaller than they would be.
    is_whole = [value.status_reason is None for value in values[2:]]
    moves = sorted(
        later - earlier
        for earlier, later, *whole in zip(past[::2], past[1::2], is_whole[::2], is_whole[1::2], strict=True)
        if earlier is not None and later is not None and all(whole)
    )
    if first is None or second is None:
        side = values[0] if first is None else values[1]
        return Effect(
            *(before, after, first, second, None, None, None, None, len(moves)),
            *(EffectVerdict.UNCLEAR, side.status_reason),
        )
    difference = second - first
    if len(moves) < LEAST_MOVES:
        return Effect(
            *(before, after, first, second, difference, None, None, None, len(moves)),
            *(EffectVerdict.UNCLEAR, "too-little-history"),
        )
    rank = ceil(len(moves) * (1 + COVERAGE) / 2) - 1
    low, high = difference - moves[rank], difference - moves[len(moves) - 1 - rank]
    return Effect(
        *(before, after, first, second, difference, median(moves), low, high, len(moves)),
        *(_verdict(kpi, low, high), None),
    )


def _verdict(kpi: Kpi, low: float, high: float) -> EffectVerdict:
    if low <= 0 <= high or kpi.direction is Direction.NEUTRAL:
        return EffectVerdict.UNCLEAR
    return EffectVerdict.BETTER if (low > 0) == (kpi.direction is Direction.HIGHER) else EffectVerdict.WORSE
