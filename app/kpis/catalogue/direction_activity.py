"""How much the directions of the team do."""

from typing import Final

from app.directions.deeds import ANSWER, DEEDS, TITLES, WorkDirection
from app.kpis.contract import Doc, Kpi, Variant
from app.kpis.inputs.deeds import ANSWERS, DEEDS_OF_DIRECTIONS, DIRECTIONS, RECORDED
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value

_VARIANTS: Final = tuple(Variant(one.value, f"Deeds of the direction {TITLES[one].lower()}") for one in DIRECTIONS)
_SYMBOLS: Final = tuple(f"D_{number + 1}" for number in range(len(DIRECTIONS)))


def _listed(direction: WorkDirection) -> str:
    deeds = [deed.title.lower() for deed in DEEDS.values() if deed.direction is direction]
    return f"{TITLES[direction]}: {', '.join(deeds)}."


def value(*deeds: int) -> Value:
    """The deeds of all directions, and beside them those of each."""
    return Value(
        sum(deeds),
        evidence=tuple(map(Term, _SYMBOLS, (one.title for one in _VARIANTS), deeds)),
        variants={one.key: amount for one, amount in zip(_VARIANTS, deeds, strict=True)},
    )


KPI: Final = Kpi(
    key="direction_activity",
    title="Activity of the directions",
    unit=Unit.COUNT,
    goal=GoalType.PROCESS,
    version=1,
    direction=Direction.NEUTRAL,
    adds_up=AddsUp.FLOW,
    measures=(DEEDS_OF_DIRECTIONS,),
    value=value,
    evidence=(RECORDED, ANSWERS),
    doc=Doc(
        formula="What people of the agency did for the project within the window, counted: of all directions, and "
        "beside it of each. " + " ".join(map(_listed, DIRECTIONS)),
        symbols=" + ".join(f"{{{symbol}}}" for symbol in _SYMBOLS),
        source="The record of changes, by whoever is signed in and by API keys; answers as they are on the platforms.",
        recount="Count the rows; of one direction those of its `work_direction`, and for community the answers too.",
        caveats=(
            "How much is done, not how well: it shows a direction that stands still.",
            "What the service does by itself, what clients do, and what bots write does not count.",
            "Answers given in the platform's own app count; what else is done there, such as publishing, does not.",
            f"An answer counts when it was written, once: not also when it was ordered (`{ANSWER}`).",
            "Nothing is known before the project was made.",
        ),
    ),
    variants=_VARIANTS,
)
