"""How many inquiries were handled."""

from typing import Final

from app.kpis.arithmetic import add_up
from app.kpis.contract import Direction, Doc, GoalType, Kpi, Unit, Value, Window
from app.kpis.inputs.inquiries import HANDLED, INQUIRIES, InquiryDay


def _handled(row: InquiryDay) -> int:
    return row.handled


def compute(window: Window) -> Value:
    """Inquiries that a person first answered, or resolved, in the window."""
    return add_up(window, INQUIRIES, _handled, "H", "Inquiries handled")


KPI: Final = Kpi(
    key="inquiries_handled",
    title="Inquiries handled",
    unit=Unit.COUNT,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.HIGHER,
    needs=(INQUIRIES,),
    compute=compute,
    evidence=(HANDLED,),
    additive=True,
    doc=Doc(
        formula="The number of inquiries that a person of the agency first answered, or resolved with a reason, within "
        "the window, whenever they came.",
        symbols="{H}",
        source="Answers sent through Instep or found on the platforms, and resolutions.",
        recount="Count the rows.",
        caveats=("An automatic answer or resolution does not handle an inquiry.",),
    ),
)
