"""How many people went on to the client's site."""

from dataclasses import replace
from typing import Final

from app.kpis.arithmetic import add_up
from app.kpis.contract import Direction, Doc, Excluded, GoalType, Kpi, Unit, Value, Window
from app.kpis.inputs.clicks import CLICKS, PEOPLE, ClickCount


def _people(row: ClickCount) -> int:
    return row.people


def compute(window: Window) -> Value:
    """People's clicks in the window; bots and repeats are told beside."""
    value = add_up(window, CLICKS, _people, "C", "People's clicks")
    rows = [row for community in window.communities(CLICKS) for row in window.rows(CLICKS, community)]
    left_out = {"bot": sum(row.bots for row in rows), "repeat": sum(row.repeats for row in rows)}
    return replace(value, excluded=tuple(Excluded(amount, why) for why, amount in left_out.items() if amount))


KPI: Final = Kpi(
    key="clicks",
    title="Clicks",
    unit=Unit.COUNT,
    goal=GoalType.TRAFFIC,
    version=1,
    direction=Direction.HIGHER,
    needs=(CLICKS,),
    compute=compute,
    evidence=(PEOPLE,),
    additive=True,
    doc=Doc(
        formula="How often people followed the project's tracked links within the window.",
        symbols="{C}",
        source="Every call of a tracked link, as it comes.",
        recount="Count the rows.",
        caveats=(
            (
                "Bots and link previews are told from people by what they say they are and by how they act; a bot that "
                "hides well counts as a person."
            ),
            "A person who follows the same link again at once counts once.",
        ),
    ),
)
