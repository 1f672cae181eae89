"""What a KPI was before a change, and after it. Pure.

The days before are as many as those after. How far both differ where nothing was changed is read from the past: the
same two windows, moved back day by day. What usually lies between them is taken off, and what is left has an interval
that the past would leave in 80 of 100 cases. It is a comparison, and no experiment: other things change too.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import ceil
from statistics import median
from typing import Any, Final

from app.campaigns.attribution import SEVERAL_CURRENCIES
from app.goals.forecast import COVERAGE
from app.kpis.comparing import gaps, is_cut, why_unlike
from app.kpis.contract import DAY, Kpi
from app.kpis.values import Direction, Reason, Value
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
    before_value: Value
    after_value: Value
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
            "before": _side(self.before, self.before_value),
            "after": _side(self.after, self.after_value),
            "difference": self.difference,
            "usual_difference": self.usual,
            "low": self.low,
            "high": self.high,
            "compared": self.moves,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "caveat": CAVEAT,
        }


def _side(days: Days, value: Value) -> dict[str, Any]:
    return {
        "from": days.first.isoformat(),
        "to": days.last.isoformat(),
        "value": None if value.amount is None else float(value.amount),
        "currency": value.currency,
        "status": value.status.value,
        "reason": value.status_reason,
    }


def is_early(values: Sequence[Value]) -> bool:
    """Whether something of the days after the change is still to come from a platform that tells it late."""
    return any(one.reason == Reason.PENDING for one in values[1].missing)


def windows(changed_on: date, review_on: date) -> list[Days]:
    """The days before and after the change, then of each pair in the past the days before and after its middle."""
    length = review_on - changed_on

    def pair(middle: date) -> list[Days]:
        return [Days(middle - length, middle - DAY), Days(middle, middle + length - DAY)]

    # In the past the later window ends before the change.
    moved = [pair(changed_on - length - number * DAY) for number in range(MAX_MOVES)]
    return [*pair(changed_on), *(window for both in moved for window in both)]


def effect(
    kpi: Kpi, changed_on: date, review_on: date, values: Sequence[Value], ended: Collection[date] = ()
) -> Effect:
    """The effect, from the KPI's values over `windows`. `ended`: days on which communities were disconnected."""
    first, second, *past = values
    before, after, *days = windows(changed_on, review_on)
    sides = before, after, first, second
    usual_gaps = gaps(first, before) & gaps(second, after)
    unlike = why_unlike((before, first), (after, second), ended)
    # What a platform never tells is missing everywhere. Windows of which more is missing, as before the first poll, are
    # smaller than they would be.
    moves = sorted(
        float(later.amount) - float(earlier.amount)
        for earlier, later, of_earlier, of_later in zip(past[::2], past[1::2], days[::2], days[1::2], strict=True)
        if earlier.amount is not None
        and later.amount is not None
        and earlier.currency == later.currency == second.currency
        and gaps(earlier, of_earlier) | gaps(later, of_later) <= usual_gaps
        and not is_cut(of_earlier, of_later, ended)
    )
    if first.amount is None or second.amount is None:
        side = first if first.amount is None else second
        return _unclear(sides, None, len(moves), side.status_reason)
    if first.currency != second.currency:
        return _unclear(sides, None, len(moves), SEVERAL_CURRENCIES)
    difference = float(second.amount) - float(first.amount)
    if unlike is not None:
        return _unclear(sides, difference, len(moves), unlike)
    if len(moves) < LEAST_MOVES:
        return _unclear(sides, difference, len(moves), "too-little-history")
    rank = ceil(len(moves) * (1 + COVERAGE) / 2) - 1
    low, high = difference - moves[rank], difference - moves[len(moves) - 1 - rank]
    return Effect(*sides, difference, median(moves), low, high, len(moves), _verdict(kpi, low, high), None)


def _unclear(
    sides: tuple[Days, Days, Value, Value], difference: float | None, moves: int, reason: str | None
) -> Effect:
    return Effect(*sides, difference, None, None, None, moves, EffectVerdict.UNCLEAR, reason)


def _verdict(kpi: Kpi, low: float, high: float) -> EffectVerdict:
    if low <= 0 <= high or kpi.direction is Direction.NEUTRAL:
        return EffectVerdict.UNCLEAR
    return EffectVerdict.BETTER if (low > 0) == (kpi.direction is Direction.HIGHER) else EffectVerdict.WORSE
