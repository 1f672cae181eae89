"""How fast the communities grow."""

from typing import Final

from app.kpis.arithmetic import missing_whole_window, sizes_of_growth, unknown
from app.kpis.contract import Direction, Doc, GoalType, Kpi, Missing, Term, Unit, Value, Window
from app.kpis.inputs.sizes import GROWTH, SIZES

EMPTY: Final = "empty-at-start"
"""Nothing can be divided by a size of 0."""


def compute(window: Window) -> Value:
    """Growth as a share of the size at the start."""
    start = end = 0
    missing: list[Missing] = []
    for community in window.communities(SIZES):
        sizes, gaps = sizes_of_growth(window, community)
        missing += gaps
        if sizes is not None and sizes[0] == 0:
            missing.insert(0, missing_whole_window(community, EMPTY, window))
        elif sizes is not None:
            start, end = start + sizes[0], end + sizes[1]
    if not start:
        return unknown(window, missing, SIZES)
    terms = (Term("N_start", "Members at the start", start), Term("N_end", "Members at the end", end))
    return Value((end - start) / start, missing=missing, evidence=terms)


KPI: Final = Kpi(
    key="growth_rate",
    title="Growth rate",
    unit=Unit.RATIO,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    needs=(SIZES,),
    compute=compute,
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
