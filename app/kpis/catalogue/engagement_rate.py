"""Engagement per follower."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.engagement import ENGAGED, Gained, gains, included
from app.kpis.inputs.sizes import OF_DAYS, AverageSize
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value

EMPTY: Final = "empty"
"""Reason: the size is 0, and the engagement cannot be divided by it."""


def value(engagement: int, before_connection: int, late: int, size: float) -> Value:
    """Engagement for each member."""
    terms = (Term("E", "Engagement gained", engagement), Term("S", "Average size of the communities", size))
    return Value(engagement / size, included=included(before_connection, late), evidence=terms)


KPI: Final = Kpi(
    key="engagement_rate",
    title="Engagement rate",
    unit=Unit.RATIO,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.RATIO,
    accrues=True,
    least=None,
    measures=(Gained(*ENGAGED), AverageSize(empty=EMPTY)),
    value=value,
    evidence=(gains(*ENGAGED), OF_DAYS),
    doc=Doc(
        formula="The engagement gained in the window divided by the communities' average size over the window: the sum "
        "of the communities' engagement by the sum of their average sizes.",
        symbols="{E} / {S}",
        source="Counters of posts and sizes of communities as the platforms give them, polled.",
        recount="Add up `difference` of the rows of kind gain. For each community take the mean of `size` of its rows "
        "of kind size_of_day; add up these means. Divide the first sum by the second.",
        caveats=(
            "A longer window has a higher rate: compare windows of one length.",
            "The average is taken over the days on which the size was seen.",
            "Communities of which either engagement or size is not known are left out of both sums.",
        ),
    ),
)
