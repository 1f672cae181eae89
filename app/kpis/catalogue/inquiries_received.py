"""How many inquiries customers began."""

from typing import Final

from app.kpis.arithmetic import add_up
from app.kpis.contract import Direction, Doc, GoalType, Kpi, Unit, Value, Window
from app.kpis.inputs.inquiries import INQUIRIES, RECEIVED, InquiryDay


def _received(row: InquiryDay) -> int:
    return row.received


def compute(window: Window) -> Value:
    """Inquiries that began in the window."""
    return add_up(window, INQUIRIES, _received, "R", "Inquiries received")


KPI: Final = Kpi(
    key="inquiries_received",
    title="Inquiries received",
    unit=Unit.COUNT,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.NEUTRAL,
    needs=(INQUIRIES,),
    compute=compute,
    evidence=(RECEIVED,),
    additive=True,
    doc=Doc(
        formula="The number of inquiries in which a customer first wrote within the window.",
        symbols="{R}",
        source="Comments, messages, mentions and reviews as polled; one conversation with one customer is one inquiry.",
        recount="Count the rows.",
        caveats=("A customer who writes again in the same conversation does not begin a new inquiry.",),
    ),
)
