"""What share of the inquiries was handled."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.inquiries import RECEIVED, RECEIVED_AND_HANDLED
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value

NO_INQUIRIES: Final = "no-inquiries"


def value(handled: int, received: int) -> Value:
    """The share of the inquiries received in the window that are handled by now."""
    terms = (Term("H", "Of them handled by now", handled), Term("R", "Inquiries received", received))
    if not received:
        return Value(None, NO_INQUIRIES, evidence=terms)
    return Value(handled / received, evidence=terms)


KPI: Final = Kpi(
    key="handled_rate",
    title="Handled rate",
    unit=Unit.RATIO,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.RATIO,
    most=1,
    measures=(RECEIVED_AND_HANDLED,),
    value=value,
    evidence=(RECEIVED,),
    doc=Doc(
        formula="Of the inquiries that came within the window, the share that is handled by now: a person of the "
        "agency answered, or resolved it with a reason.",
        symbols="{H} / {R}",
        source="Comments, messages, mentions and reviews as polled; answers and resolutions.",
        recount="Count the rows whose `handled_at` is not null; divide by the number of all rows.",
        caveats=(
            "By now, not by the end of the window: the rate of a past window rises when late inquiries are handled.",
            "Without inquiries there is no rate.",
        ),
    ),
)
