"""What share of the inquiries says thanks."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.inquiries import RECEIVED
from app.kpis.inputs.kinds import THANKS_AND_RECEIVED
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value

NO_INQUIRIES: Final = "no-inquiries"


def value(thanks: int, received: int) -> Value:
    """The share of the inquiries received in the window that are of thanks."""
    terms = (Term("T", "Of them thanks", thanks), Term("R", "Inquiries received", received))
    if not received:
        return Value(None, NO_INQUIRIES, evidence=terms)
    return Value(thanks / received, evidence=terms)


KPI: Final = Kpi(
    key="thanks_share",
    title="Share of thanks",
    unit=Unit.RATIO,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.RATIO,
    most=1,
    measures=(THANKS_AND_RECEIVED,),
    value=value,
    evidence=(RECEIVED,),
    doc=Doc(
        formula="Of the inquiries that came within the window, the share in which the customer thanks.",
        symbols="{T} / {R}",
        source="Comments, messages, mentions and reviews as polled; their kind by rules, or as a person classified it.",
        recount="Count the rows whose `wants` is `thanks`; divide by the number of all rows.",
        caveats=(
            "By the kind that an inquiry has now: a later classification changes the share of a past window.",
            "Without inquiries there is no share.",
        ),
    ),
)
