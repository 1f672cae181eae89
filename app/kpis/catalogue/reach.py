"""How often the posts were seen."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.engagement import VIEWED, Gained, gains, included
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value


def value(views: int, before_connection: int, late: int) -> Value:
    """Views gained in the window, on platforms that report them."""
    return Value(views, included=included(before_connection, late), evidence=(Term("V", "Views gained", views),))


KPI: Final = Kpi(
    key="reach",
    title="Reach",
    unit=Unit.COUNT,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.FLOW,
    least=None,
    measures=(Gained(*VIEWED),),
    value=value,
    evidence=(gains(*VIEWED),),
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
