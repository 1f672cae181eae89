"""How long it takes to resolve an inquiry."""

from collections.abc import Sequence
from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.durations import VARIANTS, durations
from app.kpis.inputs.episodes import RESOLVED, Episode, ResolvedEpisodes
from app.kpis.values import AddsUp, Direction, Excluded, GoalType, Term, Unit, Value

NOTHING_RESOLVED: Final = "nothing-resolved"
AUTOMATIC: Final = "resolved-automatically"


def value(episodes: Sequence[Episode], automatic: int) -> Value:
    """The median, in working seconds, of the episodes that people resolved in the window."""
    excluded = (Excluded(automatic, AUTOMATIC),) if automatic else ()
    if not episodes:
        return Value(None, NOTHING_RESOLVED, excluded=excluded)
    working, by_clock, targets = zip(*episodes, strict=True)
    took = durations(working, by_clock, "inquiries that a person resolved")
    within = [seconds <= target for seconds, target in zip(working, targets, strict=True) if target is not None]
    terms = (
        *took.terms,
        Term("T", "Of them with a target for the resolution", len(within)),
        Term("I", "Of these resolved within it", sum(within)),
    )
    return Value(took.median, excluded=excluded, evidence=terms, variants=took.variants)


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
        recount="The median of `working_seconds`: the middle one in order, or the mean of the two in the middle. "
        "That of `seconds` is `wall_clock`; the smallest `working_seconds` that 90 of 100 do not exceed is `p90`.",
        caveats=(
            "A reopening, or a message after the resolution, begins another episode, which counts on its own.",
            (
                "An automatic resolution is no answer: such episodes are excluded, and reported as such. Where a "
                "person confirms one, the episode ends with the confirmation."
            ),
            "An episode counts in the window in which it was resolved; what is open counts in the open backlog.",
            "Without resolutions there is no time.",
        ),
    ),
    variants=VARIANTS,
)
