"""How many people the communities gained."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.sizes import GROWTH, SizesOfGrowth
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value


def value(start: int, end: int) -> Value:
    """The sizes at the end minus those at the start."""
    terms = (Term("N_start", "Members at the start", start), Term("N_end", "Members at the end", end))
    return Value(end - start, evidence=terms)


KPI: Final = Kpi(
    key="net_growth",
    title="Net growth",
    unit=Unit.COUNT,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.FLOW,
    least=None,
    measures=(SizesOfGrowth(),),
    value=value,
    evidence=(GROWTH,),
    doc=Doc(
        formula="The communities' sizes at the end of the window less their sizes at its start.",
        symbols="{N_end} - {N_start}",
        source="Followers, subscribers or members as the platforms give them, polled several times a day.",
        recount="Add up `size` of the rows with role end; take away the sum of those with role start.",
        caveats=(
            "The difference of joins and leaves: neither is known alone.",
            (
                "The start is the last size seen before the window. A community connected within the window begins "
                "with its first size, and what it gained before is missing: the value is then partial."
            ),
            "A day without a poll has no growth of its own; it counts on the next polled day.",
        ),
    ),
)
