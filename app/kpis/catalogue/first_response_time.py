"""How long customers wait for the first answer."""

from statistics import median
from typing import Final

from app.kpis.arithmetic import percentile
from app.kpis.contract import Doc, Kpi, Variant
from app.kpis.inputs.waits import ANSWERED, OpeningWaits
from app.kpis.values import AddsUp, Direction, Excluded, GoalType, Term, Unit, Value

NO_ANSWERS: Final = "no-answers"
NO_ANSWER_NEEDED: Final = "resolved-without-answer"
WALL_CLOCK: Final = Variant("wall_clock", "By the clock, the hours included in which nobody works")


def value(seconds: list[int], unanswered: list[int], by_clock: list[int]) -> Value:
    """The median, in working seconds, of the opening waits that an answer ended in the window."""
    excluded = (Excluded(len(unanswered), NO_ANSWER_NEEDED),) if unanswered else ()
    if not seconds:
        return Value(None, NO_ANSWERS, excluded=excluded)
    middle, middle_by_clock = float(median(seconds)), float(median(by_clock))
    terms = (
        Term("W", "Median working seconds of the waits", middle),
        Term("n", "Waits that an answer ended", len(seconds)),
        Term("p90", "90 of 100 waits were not longer than", percentile(seconds, 0.9)),
        Term("C", "Median of the same waits by the clock, in seconds", middle_by_clock),
    )
    return Value(middle, excluded=excluded, evidence=terms, variants={WALL_CLOCK.key: middle_by_clock})


KPI: Final = Kpi(
    key="first_response_time",
    title="First response time",
    unit=Unit.SECONDS,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.LOWER,
    adds_up=AddsUp.RATIO,
    measures=(OpeningWaits(),),
    value=value,
    evidence=(ANSWERED,),
    doc=Doc(
        formula="The median of the working seconds between a customer's first message (the first one after a reopening "
        "too) and the agency's next answer, over the waits that an answer ended within the window.",
        symbols="median of {n} waits = {W}",
        source="Times of messages as the platforms give them, counted in the project's working hours in force when "
        "the wait ended.",
        recount="The median of `working_seconds`: the middle one in order, or the mean of the two in the middle. "
        "That of `seconds` is `wall_clock`.",
        caveats=(
            "A wait counts in the window in which it ended: who still waits counts in the open backlog, not here.",
            "Only working time counts, so 0 s is right for an answer before opening; `wall_clock` counts all of it.",
            "A bot's message is no answer. Waits that ended without an answer are excluded, and reported as such.",
            "Without answers there is no time.",
        ),
    ),
    variants=(WALL_CLOCK,),
)
