"""What people did with the posts."""

from typing import Final

from app.kpis.arithmetic import total_gained
from app.kpis.contract import Direction, Doc, GoalType, Kpi, Unit, Value, Window
from app.kpis.inputs.engagement import ENGAGED, ENGAGEMENT, gains


def compute(window: Window) -> Value:
    """Reactions, comments, shares, quotes and saves gained in the window."""
    return total_gained(window, ENGAGED, "E", "Engagement gained")


KPI: Final = Kpi(
    key="engagement",
    title="Engagement",
    unit=Unit.COUNT,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    needs=(ENGAGEMENT,),
    compute=compute,
    evidence=(gains(*ENGAGED),),
    additive=True,
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
