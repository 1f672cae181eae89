"""How often the posts were seen."""

from typing import Final

from app.kpis.arithmetic import gained, gathered, total_of, unknown
from app.kpis.contract import Community, Direction, Doc, GoalType, Kpi, Missing, Term, Unit, Value, Window
from app.kpis.inputs.engagement import ENGAGEMENT, gains
from app.platforms.contract import Metric


def _views(window: Window, community: Community) -> tuple[int | None, list[Missing]]:
    return gained(window, community, (Metric.VIEWS,))


def compute(window: Window) -> Value:
    """Views gained in the window, where platforms give them."""
    views, missing = total_of(window, ENGAGEMENT, _views)
    if not views:
        return unknown(window, missing, ENGAGEMENT)
    terms = (Term("V", "Views gained", sum(views)),)
    return Value(sum(views), missing=missing, included=gathered(window, (Metric.VIEWS,)), evidence=terms)


KPI: Final = Kpi(
    key="reach",
    title="Reach",
    unit=Unit.COUNT,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    needs=(ENGAGEMENT,),
    compute=compute,
    evidence=(gains(Metric.VIEWS),),
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
            "What a post had gathered before it was first seen counts for the day it was published.",
        ),
    ),
)
