"""How many people went on to the client's site."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.clicks import CLICKS_OF_ALL, PEOPLE
from app.kpis.values import AddsUp, Direction, Excluded, GoalType, Term, Unit, Value


def value(people: int, bots: int, repeats: int) -> Value:
    """People's clicks in the window; bots and repeats are reported as excluded."""
    excluded = tuple(Excluded(amount, reason) for amount, reason in ((bots, "bot"), (repeats, "repeat")) if amount)
    return Value(people, excluded=excluded, evidence=(Term("C", "People's clicks", people),))


KPI: Final = Kpi(
    key="clicks",
    title="Clicks",
    unit=Unit.COUNT,
    goal=GoalType.TRAFFIC,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.FLOW,
    measures=(CLICKS_OF_ALL,),
    value=value,
    evidence=(PEOPLE,),
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
