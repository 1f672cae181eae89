"""What people did with the posts."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.engagement import ENGAGED, Gained, gains, included
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value


def value(engagement: int, before_connection: int, late: int) -> Value:
    """Reactions, comments, shares, quotes and saves gained in the window."""
    terms = (Term("E", "Engagement gained", engagement),)
    return Value(engagement, included=included(before_connection, late), evidence=terms)


KPI: Final = Kpi(
    key="engagement",
    title="Engagement",
    unit=Unit.COUNT,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.FLOW,
    least=None,
    measures=(Gained(*ENGAGED),),
    value=value,
    evidence=(gains(*ENGAGED),),
    doc=Doc(
        formula="The reactions, comments, shares, quotes and saves that the communities' posts gained in the window.",
        symbols="{E}",
        source="Counters of posts as the platforms give them, polled; each day has what it added.",
        recount="Add up `difference`.",
        caveats=(
            "Each platform counts what it has: VK has no quotes and no saves.",
            "A reaction that is taken back counts against the day on which that is seen.",
            "What a post had gained before it was first polled counts for the day it was published.",
        ),
    ),
)
