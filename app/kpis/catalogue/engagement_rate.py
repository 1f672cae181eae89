"""Engagement per follower."""

from typing import Final

from app.kpis.arithmetic import (
    average_size,
    average_sizes,
    gained,
    gained_if_complete,
    missing_whole_window,
    pre_tracking_gains,
    unknown,
)
from app.kpis.contract import Direction, Doc, GoalType, Kpi, Missing, Term, Unit, Value, Window
from app.kpis.inputs.engagement import ENGAGED, ENGAGEMENT, gains
from app.kpis.inputs.sizes import OF_DAYS, SIZES

EMPTY: Final = "empty"
"""Nothing can be divided by a size of 0."""


def compute(window: Window) -> Value:
    """Engagement for each member."""
    engagement, size = gained_if_complete(window, ENGAGED), average_sizes(window)
    missing: list[Missing] = []
    if engagement is None or size is None:
        engagement, size, missing = _of_each(window)
    if not size:
        return unknown(window, missing, ENGAGEMENT, SIZES)
    terms = (Term("E", "Engagement gained", engagement), Term("S", "Average size of the communities", size))
    return Value(engagement / size, missing=missing, included=pre_tracking_gains(window, ENGAGED), evidence=terms)


def _of_each(window: Window) -> tuple[int, float, list[Missing]]:
    """Both sums over the communities of which both are known, and what is missing of the others."""
    engagement, size = 0, 0.0
    missing: list[Missing] = []
    for community in window.communities(ENGAGEMENT, SIZES):
        acts, gaps = gained(window, community, ENGAGED)
        average, unsized = average_size(window, community)
        missing += gaps
        missing += unsized
        if average == 0:
            missing.insert(0, missing_whole_window(community, EMPTY, window))
        elif acts is not None and average is not None:
            engagement, size = engagement + acts, size + average
    return engagement, size, missing


KPI: Final = Kpi(
    key="engagement_rate",
    title="Engagement rate",
    unit=Unit.RATIO,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    needs=(ENGAGEMENT, SIZES),
    compute=compute,
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
