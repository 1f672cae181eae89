"""How many customers are waiting."""

from typing import Final

from app.kpis.arithmetic import known_communities, unknown
from app.kpis.contract import DAY, Direction, Doc, GoalType, Kpi, Term, Unit, Value, Window
from app.kpis.inputs.waits import NOT_ENDED, OPEN, WAITS


def compute(window: Window) -> Value:
    """Waits that were going on when the window ended."""
    communities, missing = known_communities(window, WAITS)
    if not communities:
        return unknown(window, missing, WAITS)
    loaded = window.of(WAITS)
    waiting = sum(
        row.started <= window.last
        for community in communities
        for row in loaded.between(community, window.last + DAY, NOT_ENDED)
    )
    return Value(waiting, missing=missing, evidence=(Term("B", "Customers waiting at the end", waiting),))


KPI: Final = Kpi(
    key="open_backlog",
    title="Open backlog",
    unit=Unit.COUNT,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.LOWER,
    needs=(WAITS,),
    compute=compute,
    evidence=(OPEN,),
    doc=Doc(
        formula="The number of inquiries in which a customer was waiting for an answer when the window ended.",
        symbols="{B}",
        source="Times of messages as the platforms give them.",
        recount="Count the rows.",
        caveats=("For a window that has not ended: those who wait now.",),
    ),
)
