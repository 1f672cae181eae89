"""How long customers wait for the first answer."""

from statistics import median
from typing import Final

from app.kpis.arithmetic import percentile, rows_of, unknown
from app.kpis.contract import Direction, Doc, Excluded, GoalType, Kpi, Term, Unit, Value, Window
from app.kpis.inputs.waits import ANSWER, ANSWERED, WAITS

NO_ANSWERS: Final = "no-answers"
NO_ANSWER_NEEDED: Final = "resolved-without-answer"


def compute(window: Window) -> Value:
    """The median of the opening waits that an answer ended in the window."""
    rows, missing, has_data = rows_of(window, WAITS)
    if not has_data:
        return unknown(window, missing, WAITS)
    ended = [row for row in rows if row.opening]
    waits = [row.seconds for row in ended if row.ended_by == ANSWER and row.seconds is not None]
    resolved = sum(row.ended_by != ANSWER for row in ended)
    excluded = (Excluded(resolved, NO_ANSWER_NEEDED),) if resolved else ()
    if not waits:
        return Value(None, NO_ANSWERS, missing, excluded)
    middle = float(median(waits))
    terms = (
        Term("W", "Median working seconds of the waits", middle),
        Term("n", "Waits that an answer ended", len(waits)),
        Term("p90", "90 of 100 waits were not longer than", percentile(waits, 0.9)),
    )
    return Value(middle, missing=missing, excluded=excluded, evidence=terms)


KPI: Final = Kpi(
    key="first_response_time",
    title="First response time",
    unit=Unit.SECONDS,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.LOWER,
    needs=(WAITS,),
    compute=compute,
    evidence=(ANSWERED,),
    doc=Doc(
        formula="The median of the working seconds between a customer's first message (the first one after a reopening "
        "too) and the agency's next answer, over the waits that an answer ended within the window.",
        symbols="median of {n} waits = {W}",
        source="Times of messages as the platforms give them, counted in the project's working hours in force when "
        "the wait ended.",
        recount="The median of `working_seconds`: the middle one in order, or the mean of the two in the middle.",
        caveats=(
            "A wait counts in the window in which it ended: who still waits counts in the open backlog, not here.",
            "A bot's message is no answer. Waits that ended without an answer are excluded, and reported as such.",
            "Without answers there is no time.",
        ),
    ),
)
