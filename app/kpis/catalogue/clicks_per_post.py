"""How many people a post sends on to the client's site."""

from typing import Final

from app.kpis.arithmetic import known_communities, missing_whole_window, unknown
from app.kpis.contract import Direction, Doc, GoalType, Kpi, Term, Unit, Value, Window
from app.kpis.inputs.clicks import CLICKS, PEOPLE
from app.kpis.inputs.publications import PUBLICATIONS, PUBLISHED

NO_POSTS: Final = "no-posts"


def compute(window: Window) -> Value:
    """People's clicks on a community's links for each of its posts."""
    clicks = posts = 0
    communities, missing = known_communities(window, CLICKS, PUBLICATIONS)
    for community in communities:
        published = sum(row.posts for row in window.rows(PUBLICATIONS, community))
        if not published:
            missing.insert(0, missing_whole_window(community, NO_POSTS, window))
            continue
        posts += published
        clicks += sum(row.people for row in window.rows(CLICKS, community))
    if not posts:
        return unknown(window, missing, CLICKS, PUBLICATIONS)
    terms = (Term("C", "People's clicks", clicks), Term("P", "Posts that appeared", posts))
    return Value(clicks / posts, missing=missing, evidence=terms)


KPI: Final = Kpi(
    key="clicks_per_post",
    title="Clicks per post",
    unit=Unit.RATIO,
    goal=GoalType.TRAFFIC,
    version=1,
    direction=Direction.HIGHER,
    needs=(CLICKS, PUBLICATIONS),
    compute=compute,
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
