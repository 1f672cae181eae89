"""What share of the planned posts was published when it should have been."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.plans import ON_TIME_AND_PLANNED, PLANNED, TOLERANCE
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value

NO_PLANNED_POSTS: Final = "no-planned-posts"
_MINUTES: Final = int(TOLERANCE.total_seconds() // 60)


def value(on_time: int, planned: int) -> Value:
    """The share of the posts planned for the window that were published on time."""
    terms = (Term("I", "Of them published on time", on_time), Term("P", "Posts planned for the window", planned))
    if not planned:
        return Value(None, NO_PLANNED_POSTS, evidence=terms)
    return Value(on_time / planned, evidence=terms)


KPI: Final = Kpi(
    key="published_on_time",
    title="Published on time",
    unit=Unit.RATIO,
    goal=GoalType.PROCESS,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.RATIO,
    most=1,
    measures=(ON_TIME_AND_PLANNED,),
    value=value,
    evidence=(PLANNED,),
    doc=Doc(
        formula="Of the posts planned for a time within the window, the share that was published at most "
        f"{_MINUTES} minutes before or after it.",
        symbols="{I} / {P}",
        source="The content plan; when posts were published, as found on the platforms or as a person said.",
        recount="Count the rows whose `on_time` is true; divide by the number of all rows.",
        caveats=(
            (
                f"A post that is not published {_MINUTES} minutes after its plan counts as late; before that it is not "
                "counted yet."
            ),
            "By the plan as it is now: moving a post to another time moves it here too.",
            "Drafts, and posts without a plan, are left out.",
            "Without planned posts there is no share.",
        ),
    ),
)
