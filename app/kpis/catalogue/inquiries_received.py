"""How many inquiries customers started."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.inquiries import INQUIRIES_RECEIVED, RECEIVED
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value


def value(received: int) -> Value:
    """Inquiries received in the window."""
    return Value(received, evidence=(Term("R", "Inquiries received", received),))


KPI: Final = Kpi(
    key="inquiries_received",
    title="Inquiries received",
    unit=Unit.COUNT,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.NEUTRAL,
    adds_up=AddsUp.FLOW,
    measures=(INQUIRIES_RECEIVED,),
    value=value,
    evidence=(RECEIVED,),
    doc=Doc(
        formula="The number of inquiries in which a customer first wrote within the window.",
        symbols="{R}",
        source="Comments, messages, mentions and reviews as polled; one conversation with one customer is one inquiry.",
        recount="Count the rows.",
        caveats=("A customer who writes again in the same conversation does not begin a new inquiry.",),
    ),
)
