"""How many clicks on tracked links are bots'."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.clicks import BOTS, BOTS_CLICKS
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value


def value(bots: int) -> Value:
    """Bots' clicks in the window."""
    return Value(bots, evidence=(Term("B", "Bots' clicks", bots),))


KPI: Final = Kpi(
    key="bot_clicks",
    title="Bot clicks",
    unit=Unit.COUNT,
    goal=GoalType.TRAFFIC,
    version=1,
    direction=Direction.NEUTRAL,
    adds_up=AddsUp.FLOW,
    measures=(BOTS_CLICKS,),
    value=value,
    evidence=(BOTS,),
    doc=Doc(
        formula="How often bots and link previews followed the project's tracked links within the window.",
        symbols="{B}",
        source="Every request of a tracked link, as it comes.",
        recount="Count the rows.",
        caveats=("A bot in disguise counts as a person.",),
    ),
)
