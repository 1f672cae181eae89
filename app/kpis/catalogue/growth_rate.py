"""How fast the communities grow."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.sizes import GROWTH, SizesOfGrowth
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value

EMPTY: Final = "empty-at-start"
"""Reason: the size at the start is 0, and the growth cannot be divided by it."""


def value(start: int, end: int) -> Value:
    """Growth as a share of the size at the start."""
    terms = (Term("N_start", "Members at the start", start), Term("N_end", "Members at the end", end))
    return Value((end - start) / start, evidence=terms)


KPI: Final = Kpi(
    key="growth_rate",
    title="Growth rate",
    unit=Unit.RATIO,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.RATIO,
    accrues=True,
    least=None,
    measures=(SizesOfGrowth(empty=EMPTY),),
    value=value,
    evidence=(GROWTH,),
    doc=Doc(
        formula="Net growth divided by the communities' sizes at the start of the window.",
        symbols="({N_end} - {N_start}) / {N_start}",
        source="Followers, subscribers or members as the platforms give them, polled several times a day.",
        recount="Add up `size` by role: (end - start) / start.",
        caveats=(
            "As for net growth.",
            "A community of size 0 at the start has no rate and is left out.",
        ),
    ),
)
