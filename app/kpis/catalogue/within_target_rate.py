"""What share of the answers came in time."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.due_waits import DECIDED_ROWS, IN_TIME_MISSED_RESOLVED
from app.kpis.values import AddsUp, Direction, Excluded, GoalType, Term, Unit, Value

NOTHING_DUE: Final = "nothing-due"
NO_ANSWER_NEEDED: Final = "resolved-without-answer"


def value(in_time: int, missed: int, resolved: int) -> Value:
    """The share of the waits decided in the window that were answered in time."""
    excluded = (Excluded(resolved, NO_ANSWER_NEEDED),) if resolved else ()
    terms = (
        Term("I", "Waits answered within the target", in_time),
        Term("M", "Waits not answered within it", missed),
    )
    if not in_time + missed:
        return Value(None, NOTHING_DUE, excluded=excluded, evidence=terms)
    return Value(in_time / (in_time + missed), excluded=excluded, evidence=terms)


KPI: Final = Kpi(
    key="within_target_rate",
    title="Within-target rate",
    unit=Unit.RATIO,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.RATIO,
    most=1,
    measures=(IN_TIME_MISSED_RESOLVED,),
    value=value,
    evidence=(DECIDED_ROWS,),
    doc=Doc(
        formula="Of the waits for an answer that were decided within the window, the share that was answered within "
        "the project's response target. A wait is decided by the answer, or else when it is due.",
        symbols="{I} / ({I} + {M})",
        source="Waits as in first_response_time, follow-up ones too; targets in working time, of the day on which the "
        "wait began.",
        recount="Count the rows whose `in_time` is true; divide by the number of all rows.",
        caveats=(
            (
                "A wait that is open counts as missed from when it is due on; before that it is not counted yet. So "
                "the rate of a past window does not change."
            ),
            (
                "A wait that ended in time without an answer, because a person or a rule resolved the inquiry, is "
                "excluded, and reported as such."
            ),
            "Before the first day for which a target is agreed there is no rate.",
            "Where working hours change, those who wait are due by the new ones; nobody becomes overdue in the past.",
        ),
    ),
)
