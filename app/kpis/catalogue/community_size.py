"""How many people follow the communities."""

from typing import Final

from app.kpis.arithmetic import size_at_end, total_of, unknown
from app.kpis.contract import Direction, Doc, GoalType, Kpi, Term, Unit, Value, Window
from app.kpis.inputs.sizes import AT_END, SIZES


def compute(window: Window) -> Value:
    """The last known sizes up to the window's end."""
    sizes, missing = total_of(window, SIZES, size_at_end)
    if not sizes:
        return unknown(window, missing, SIZES)
    return Value(sum(sizes), missing=missing, evidence=(Term("N", "Members at the end of the window", sum(sizes)),))


KPI: Final = Kpi(
    key="community_size",
    title="Community size",
    unit=Unit.COUNT,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    needs=(SIZES,),
    compute=compute,
    evidence=(AT_END,),
    doc=Doc(
        formula="The sum of the communities' last known sizes up to the end of the window.",
        symbols="{N}",
        source="Followers, subscribers or members as the platforms give them, polled several times a day.",
        recount="Add up `size`.",
        caveats=(
            "A person who follows two communities counts twice.",
            "A size older than three days makes the value partial.",
        ),
    ),
)
