"""How many clicks on tracked links are bots'."""

from typing import Final

from app.kpis.arithmetic import add_up
from app.kpis.contract import Direction, Doc, GoalType, Kpi, Unit, Value, Window
from app.kpis.inputs.clicks import BOTS, CLICKS, ClickCount


def _bots(row: ClickCount) -> int:
    return row.bots


def compute(window: Window) -> Value:
    """Bots' clicks in the window."""
    return add_up(window, CLICKS, _bots, "B", "Bots' clicks")


KPI: Final = Kpi(
    key="bot_clicks",
    title="Bot clicks",
    unit=Unit.COUNT,
    goal=GoalType.TRAFFIC,
    version=1,
    direction=Direction.NEUTRAL,
    needs=(CLICKS,),
    compute=compute,
    evidence=(BOTS,),
    additive=True,
    doc=Doc(
        formula="How often bots and link previews followed the project's tracked links within the window.",
        symbols="{B}",
        source="Every request of a tracked link, as it comes.",
        recount="Count the rows.",
        caveats=("A bot in disguise counts as a person.",),
    ),
)
