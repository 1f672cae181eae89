"""How many people went on to the client's site."""

from typing import Final

from app.kpis.arithmetic import rows_of, unknown
from app.kpis.contract import Direction, Doc, Excluded, GoalType, Kpi, Term, Unit, Value, Window
from app.kpis.inputs.clicks import CLICKS, PEOPLE


def compute(window: Window) -> Value:
    """People's clicks in the window; bots and repeats are reported as excluded."""
    rows, missing, has_data = rows_of(window, CLICKS)
    if not has_data:
        return unknown(window, missing, CLICKS)
    people = bots = repeats = 0
    for row in rows:
        people, bots, repeats = people + row.people, bots + row.bots, repeats + row.repeats
    excluded = tuple(Excluded(amount, why) for amount, why in ((bots, "bot"), (repeats, "repeat")) if amount)
    return Value(people, missing=missing, excluded=excluded, evidence=(Term("C", "People's clicks", people),))


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
        source="Every request of a tracked link, as it comes.",
        recount="Count the rows.",
        caveats=(
            (
                "Bots and link previews are recognised by their user agent and by how they request; a bot in "
                "disguise counts as a person."
            ),
            "A person who follows the same link again within 5 s counts once.",
        ),
    ),
)
