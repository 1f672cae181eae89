"""How long it takes to resolve an inquiry."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from app.kpis.arithmetic import percentile
from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.episodes import RESOLVED, Episode, ResolvedEpisodes
from app.kpis.values import AddsUp, Direction, Excluded, GoalType, Term, Unit, Value

NOTHING_RESOLVED: Final = "nothing-resolved"
AUTOMATIC: Final = "resolved-automatically"


def value(episodes: Sequence[Episode], automatic: int) -> Value:
    """The median, in working seconds, of the episodes that people resolved in the window."""
    excluded = (Excluded(automatic, AUTOMATIC),) if automatic else ()
    if not episodes:
        return Value(None, NOTHING_RESOLVED, excluded=excluded)
    seconds = [working for working, _, _ in episodes]
    targets = [(working, target) for working, _, target in episodes if target is not None]
    middle = float(median(seconds))
    terms = (
        Term("W", "Median working seconds until the resolution", middle),
        Term("n", "Inquiries that a person resolved", len(seconds)),
        Term("p90", "90 of 100 were not longer than", percentile(seconds, 0.9)),
        Term("C", "Median of the same by the clock, in seconds", float(median(clock for _, clock, _ in episodes))),
        Term("T", "Of them with a target for the resolution", len(targets)),
        Term("I", "Of these resolved within it", sum(working <= target for working, target in targets)),
    )
    return Value(middle, excluded=excluded, evidence=terms)


KPI: Final = Kpi(
    key="resolution_time",
    title="Resolution time",
    unit=Unit.SECONDS,
    goal=GoalType.SUPPORT,
    version=1,
    direction=Direction.LOWER,
    adds_up=AddsUp.RATIO,
    measures=(ResolvedEpisodes(),),
    value=value,
    evidence=(RESOLVED,),
    doc=Doc(
        formula="The median of the working seconds between a customer's opening message (or the reopening) and the "
        "resolution, over the inquiries that a person resolved within the window.",
        symbols="median of {n} inquiries = {W}",
        source="Times of messages as the platforms give them, and resolutions, counted in the project's working hours "
        "in force at the resolution.",
        recount="The median of `working_seconds`: the middle one in order, or the mean of the two in the middle.",
        caveats=(
            "A reopening, or a message after the resolution, begins another episode, which counts on its own.",
            (
                "An automatic resolution is no answer: such episodes are excluded, and reported as such. Where a person "
                "confirms one, the episode ends with the confirmation."
            ),
            "An episode counts in the window in which it was resolved; what is open counts in the open backlog.",
            "Without resolutions there is no time.",
        ),
    ),
)
