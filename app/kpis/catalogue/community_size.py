"""How many people follow the communities."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.sizes import AT_END, SizeAtEnd
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value


def value(size: int) -> Value:
    """The last known sizes up to the window's end."""
    return Value(size, evidence=(Term("N", "Members at the end of the window", size),))


KPI: Final = Kpi(
    key="community_size",
    title="Community size",
    unit=Unit.COUNT,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.STOCK,
    measures=(SizeAtEnd(),),
    value=value,
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
