"""How often the posts were seen."""

from typing import Final

from app.kpis.arithmetic import total_gained
from app.kpis.contract import Direction, Doc, GoalType, Kpi, Unit, Value, Window
from app.kpis.inputs.engagement import ENGAGEMENT, VIEWED, gains


def compute(window: Window) -> Value:
    """Views gained in the window, where platforms give them."""
    return total_gained(window, VIEWED, "V", "Views gained")


KPI: Final = Kpi(
    key="reach",
    title="Reach",
    unit=Unit.COUNT,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    needs=(ENGAGEMENT,),
    compute=compute,
    evidence=(gains(*VIEWED),),
    additive=True,
    doc=Doc(
        formula="The views that the communities' posts gained within the window.",
        symbols="{V}",
        source="Counters of views as the platforms give them, polled; each day has what it added.",
        recount="Add up `difference`.",
        caveats=(
            "Views, not different people: who sees two posts counts twice.",
            (
                "Some platforms give no views (Mastodon); their communities are named in the coverage, and where no "
                "other one is left the value is unknown."
            ),
            "What a post had gained before it was first polled counts for the day it was published.",
        ),
    ),
)
