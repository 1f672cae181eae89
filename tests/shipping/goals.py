"""The worked examples of docs/goals.md, computed by the code that measures goals."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from app.goals import effects, progress
from app.goals.baselines import WINDOW_DAYS
from app.goals.progress import Progress, Promise
from app.kpis import all_kpis
from app.kpis.contract import DAY
from app.kpis.values import Value
from app.kpis.windows import Days

WEEK: Final = (9, 8, 7, 8, 10, 4, 3)
"""Inquiries handled from Monday to Sunday in an ordinary week."""
UNUSUAL: Final = (0, 4, -3, 5, -1, -3, 2, 6, -3, 4, -2, 0, -3, 1, 3, -2, 5)
"""What days have more than that, or less, again and again."""
MORE_FROM: Final = date(2026, 9, 19)
"""From this day on one more is handled each day."""
FIRST_DAY: Final = date(2026, 8, 1)
PERIOD: Final = Days(date(2026, 10, 1), date(2026, 10, 30))
YESTERDAY: Final = date(2026, 10, 16)
TARGETS: Final = (260, 275, 300)
CHANGED_ON: Final = date(2026, 10, 17)
REVIEW_ON: Final = date(2026, 10, 24)
AFTER: Final = (9, 6, 12, 13, 12, 12, 15)
"""On the days after the change."""


def handled(day: date) -> int:
    """The inquiries handled on a day of the example."""
    if day >= CHANGED_ON:
        return AFTER[(day - CHANGED_ON).days]
    return WEEK[day.weekday()] + UNUSUAL[(day - FIRST_DAY).days % len(UNUSUAL)] + (day >= MORE_FROM)


def total(days: Days) -> int:
    """The inquiries handled in some days."""
    return sum(handled(days.first + number * DAY) for number in range((days.last - days.first).days + 1))


def measured(target: float) -> Progress:
    """How far a goal with this target is at the end of `YESTERDAY`."""
    history = progress.history_window(PERIOD, YESTERDAY + DAY)
    days = [history.first + number * DAY for number in range((history.last - history.first).days + 1)]
    daily = [Value(handled(day) if day >= FIRST_DAY else None) for day in days]
    return progress.progress(
        all_kpis()["inquiries_handled"],
        Promise(target, level(), PERIOD),
        so_far=Value(total(Days(PERIOD.first, YESTERDAY))),
        history=history,
        whole=Value(total(Days(FIRST_DAY, YESTERDAY))),
        daily=daily,
    )


def level() -> float:
    """The baseline's level: of the 28 days before the period, in as many days as the period has."""
    return total(_before()) / WINDOW_DAYS * ((PERIOD.last - PERIOD.first).days + 1)


def _before() -> Days:
    last = PERIOD.first - DAY
    return Days(last - (WINDOW_DAYS - 1) * DAY, last)


def goal_example() -> str:
    """A goal on a flow, for three targets."""
    before, so_far = total(_before()), total(Days(PERIOD.first, YESTERDAY))
    one = measured(TARGETS[0])
    assert one.outlook.value is not None
    to_come = one.outlook.value - so_far
    period = f"{PERIOD.first} to {PERIOD.last}: 30 days"
    stated = f"{before} in the {WINDOW_DAYS} days before, so {before} / {WINDOW_DAYS} × 30 = {level():.1f}"
    forecast = f"{so_far} + {to_come:.0f} = {one.outlook.value:.0f}"
    interval = f"between {one.outlook.low:.0f} and {one.outlook.high:.0f}"
    lines = [
        f"*Inquiries handled* from {period}, of which 16 are over on the morning of {YESTERDAY + DAY}.",
        "",
        f"- Baseline: {stated} in as many days as the period has.",
        f"- So far: {so_far} in 16 days.",
        f"- Still to come in 14 days, by the median of the last four weeks: {to_come:.0f}.",
        f"- Forecast: {forecast}, and in 80 of 100 cases {interval}.",
        "",
        "| Target | Expected by now | So far | Forecast | Pace | Because |",
        "|---|---|---|---|---|---|",
        *map(_row, TARGETS),
    ]
    return "\n".join(lines)


def _row(target: int) -> str:
    one = measured(target)
    because = {
        "on_track": "the forecast reaches the target",
        "at_risk": "the forecast does not, the upper end of its interval does",
        "off_track": "not even the upper end does",
    }[one.pace]
    assert one.expected is not None
    return (
        f"| {target} | {one.expected:.1f} | {one.value:.0f} | {one.outlook.value:.0f} "
        f"({one.outlook.low:.0f}–{one.outlook.high:.0f}) | `{one.pace}` | {because} |"
    )


def correction_example() -> str:
    """A correction of that goal's KPI, at its review."""
    windows: Sequence[Days] = effects.windows(CHANGED_ON, REVIEW_ON)
    values = [Value(total(one) if one.first >= FIRST_DAY else None) for one in windows]
    effect = effects.effect(all_kpis()["inquiries_handled"], CHANGED_ON, REVIEW_ON, values)
    assert effect.before_value.amount is not None
    assert effect.after_value.amount is not None
    return "\n".join(_effect(effect))


def _effect(effect: effects.Effect) -> Iterator[str]:
    yield (
        f"Changed on {CHANGED_ON}, reviewed on {REVIEW_ON}: {effect.before_value.amount:.0f} in the seven days before, "
        f"{effect.after_value.amount:.0f} in the seven days after, a difference of {effect.difference:+.0f}."
    )
    usual = f"the difference was {effect.usual:+.0f} in the middle"
    interval = f"between {effect.low:+.0f} and {effect.high:+.0f}: `{effect.verdict}`"
    yield f"Of {effect.moves} such pairs of weeks before, {usual}."
    yield f"What the change leaves beyond what is usual lies, in 80 of 100 cases, {interval}."
