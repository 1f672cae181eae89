"""How long customers wait for the first answer."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.durations import VARIANTS, durations
from app.kpis.inputs.waits import ANSWERED, OpeningWaits
from app.kpis.values import AddsUp, Direction, Excluded, GoalType, Unit, Value

NO_ANSWERS: Final = "no-answers"
NO_ANSWER_NEEDED: Final = "resolved-without-answer"


def value(seconds: list[int], unanswered: list[int], by_clock: list[int]) -> Value:
    """The median, in working seconds, of the opening waits that an answer ended in the window."""
    excluded = (Excluded(len(unanswered), NO_ANSWER_NEEDED),) if unanswered else ()
    if not seconds:
        return Value(None, NO_ANSWERS, excluded=excluded)
    took = durations(seconds, by_clock, "waits that an answer ended")
    return Value(took.median, excluded=excluded, evidence=took.terms, variants=took.variants)


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
        "That of `seconds` is `wall_clock`; the smallest `working_seconds` that 90 of 100 do not exceed is `p90`.",
        caveats=(
            "A wait counts in the window in which it ended: who still waits counts in the open backlog, not here.",
            "Only working time counts, so 0 s is right for an answer before opening; `wall_clock` counts all of it.",
            "A bot's message is no answer. Waits that ended without an answer are excluded, and reported as such.",
            "Without answers there is no time.",
        ),
    ),
    variants=VARIANTS,
)
