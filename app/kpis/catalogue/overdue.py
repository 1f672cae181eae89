"""How many customers wait longer than agreed."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.due_waits import OVERDUE_ROWS, OverdueAtEnd
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value


def value(overdue: int) -> Value:
    """Inquiries whose wait exceeded its target at the end of the window."""
    return Value(overdue, evidence=(Term("O", "Inquiries overdue at the end of the window", overdue),))


KPI: Final = Kpi(
    key="overdue",
    title="Overdue inquiries",
    unit=Unit.COUNT,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.LOWER,
    adds_up=AddsUp.STOCK,
    measures=(OverdueAtEnd(),),
    value=value,
    evidence=(OVERDUE_ROWS,),
    doc=Doc(
        formula="The number of inquiries in which, at the end of the window, a customer had waited for an answer "
        "longer than the project's response target.",
        symbols="{O}",
        source="Waits as in open_backlog; targets in working time, of the day on which the wait began.",
        recount="Count the rows.",
        caveats=(
            "Of a window that is not over, its end is now.",
            "Answers alone: `overdue=true` of `GET /v1/inquiries` also finds those whose resolution is overdue.",
            "`overdue=true` also finds inquiries of disconnected communities, which are not counted here.",
            "Waits that began before the first day for which a target is agreed have none, and are not counted.",
        ),
    ),
)
