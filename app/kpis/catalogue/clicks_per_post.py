"""How many people a post brings to the client's site."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.clicks import PEOPLE, PEOPLES_CLICKS
from app.kpis.inputs.columns import Counted
from app.kpis.inputs.publications import PUBLICATIONS, PUBLISHED
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value

NO_POSTS: Final = "no-posts"


def value(clicks: int, posts: int) -> Value:
    """People's clicks on a community's links for each of its posts."""
    terms = (Term("C", "People's clicks", clicks), Term("P", "Posts that appeared", posts))
    return Value(clicks / posts, evidence=terms)


KPI: Final = Kpi(
    key="clicks_per_post",
    title="Clicks per post",
    unit=Unit.RATIO,
    goal=GoalType.TRAFFIC,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.RATIO,
    measures=(PEOPLES_CLICKS, Counted(PUBLICATIONS, 1, empty=NO_POSTS)),
    value=value,
    evidence=(PEOPLE, PUBLISHED),
    doc=Doc(
        formula="People's clicks on the links placed in a community, divided by the posts that appeared in it within "
        "the window.",
        symbols="{C} / {P}",
        source="Every request of a tracked link, as it comes; posts as found on the platforms.",
        recount="Count the rows of kind click; divide by the number of rows of kind publication.",
        caveats=(
            "Links that belong to no single community are left out, and so are communities without posts.",
            "Clicks on older posts count in the window in which they come.",
        ),
    ),
)
