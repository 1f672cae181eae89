"""How many of those who see the posts go on to the client's site."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.clicks import PEOPLE, PEOPLES_CLICKS
from app.kpis.inputs.engagement import VIEWED, Gained, gains, included
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value

NO_VIEWS: Final = "no-views"
"""The posts gained no views in the window, and clicks cannot be divided by that."""


class _Views(Gained):
    empty = NO_VIEWS


def value(clicks: int, views: int, before_connection: int, late: int) -> Value:
    """People's clicks for each view; unknown where the platforms took back as many views as were gained."""
    if views <= 0:
        return Value(None, NO_VIEWS)
    terms = (Term("C", "People's clicks", clicks), Term("V", "Views gained", views))
    return Value(clicks / views, included=included(before_connection, late), evidence=terms)


KPI: Final = Kpi(
    key="click_through_rate",
    title="Click-through rate",
    unit=Unit.RATIO,
    goal=GoalType.TRAFFIC,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.RATIO,
    least=None,
    measures=(PEOPLES_CLICKS, _Views(*VIEWED)),
    value=value,
    evidence=(PEOPLE, gains(*VIEWED)),
    doc=Doc(
        formula="People's clicks on the links placed in the communities, divided by the views that their posts gained "
        "within the window: the sum of the communities' clicks by the sum of their views.",
        symbols="{C} / {V}",
        source="Every request of a tracked link, as it comes; counters of views as the platforms give them, polled.",
        recount="Count the rows of kind click; divide by the sum of `difference` of the rows of kind gain.",
        caveats=(
            (
                "Where a platform gives no views (Telegram, Mastodon), the rate is unknown; such communities are left "
                "out of both sums, and named in the coverage."
            ),
            "Links that belong to no single community are left out.",
            "All views count, those of posts without a link too.",
        ),
    ),
)
