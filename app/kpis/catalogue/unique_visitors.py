"""How many different people went on to the client's site."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.clicks import VISITS
from app.kpis.inputs.visitors import DifferentVisitors
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value


def value(visitors: frozenset[str]) -> Value:
    """Distinct visitors in the window."""
    return Value(len(visitors), evidence=(Term("U", "Different visitors", len(visitors)),))


KPI: Final = Kpi(
    key="unique_visitors",
    title="Unique visitors",
    unit=Unit.COUNT,
    goal=GoalType.TRAFFIC,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.RATIO,
    accrues=True,
    measures=(DifferentVisitors(),),
    value=value,
    evidence=(VISITS,),
    doc=Doc(
        formula="How many different people followed the project's tracked links within the window.",
        symbols="{U}",
        source="Every request of a tracked link, as it comes.",
        recount="Count the different values of `visitor`.",
        caveats=(
            (
                "People are told apart by a keyed hash of address and browser: two people behind one address with the "
                "same browser count as one, one person with two devices as two."
            ),
            "Who comes on two days is one visitor of the window and one of each day: days do not add up.",
        ),
    ),
)
