"""How many customers are waiting."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.waits import OPEN, OpenWaits
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value


def value(waiting: int) -> Value:
    """Waits that were open at the end of the window."""
    return Value(waiting, evidence=(Term("B", "Customers waiting at the end", waiting),))


KPI: Final = Kpi(
    key="open_backlog",
    title="Open backlog",
    unit=Unit.COUNT,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.LOWER,
    adds_up=AddsUp.STOCK,
    measures=(OpenWaits(),),
    value=value,
    evidence=(OPEN,),
    doc=Doc(
        formula="The number of inquiries in which a customer was waiting for an answer when the window ended.",
        symbols="{B}",
        source="Times of messages as the platforms give them.",
        recount="Count the rows.",
        caveats=("For a window that has not ended: those who wait now.",),
    ),
)
