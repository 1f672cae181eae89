"""What share of the inquiries was handled."""

from typing import Final

from app.kpis.arithmetic import rows_of, unknown
from app.kpis.contract import Direction, Doc, GoalType, Kpi, Term, Unit, Value, Window
from app.kpis.inputs.inquiries import INQUIRIES, RECEIVED

NO_INQUIRIES: Final = "no-inquiries"


def compute(window: Window) -> Value:
    """Of the inquiries that came in the window, those that are handled by now."""
    rows, missing, has_data = rows_of(window, INQUIRIES)
    if not has_data:
        return unknown(window, missing, INQUIRIES)
    received = sum(row.received for row in rows)
    handled = sum(row.received_handled for row in rows)
    terms = (Term("H", "Of them handled by now", handled), Term("R", "Inquiries received", received))
    if not received:
        return Value(None, NO_INQUIRIES, missing, evidence=terms)
    return Value(handled / received, missing=missing, evidence=terms)


KPI: Final = Kpi(
    key="handled_rate",
    title="Handled rate",
    unit=Unit.RATIO,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.HIGHER,
    needs=(INQUIRIES,),
    compute=compute,
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
