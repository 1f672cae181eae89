"""How many inquiries were handled."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.inquiries import HANDLED, INQUIRIES_HANDLED
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value


def value(handled: int) -> Value:
    """Inquiries that a person of the agency first answered or resolved in the window."""
    return Value(handled, evidence=(Term("H", "Inquiries handled", handled),))


KPI: Final = Kpi(
    key="inquiries_handled",
    title="Inquiries handled",
    unit=Unit.COUNT,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.FLOW,
    measures=(INQUIRIES_HANDLED,),
    value=value,
    evidence=(HANDLED,),
    doc=Doc(
        formula="The number of inquiries that a person of the agency first answered, or resolved with a reason, within "
        "the window, whenever they came.",
        symbols="{H}",
        source="Answers sent through Instep or found on the platforms, and resolutions.",
        recount="Count the rows.",
        caveats=("An automatic answer or resolution does not handle an inquiry.",),
    ),
)
