"""How many people joined because of campaigns."""

from typing import Final

from app.campaigns.expected_growth import LEVEL
from app.kpis.contract import Doc, Kpi, Variant
from app.kpis.inputs.joins import JOIN_ROWS, EstimatedGrowth, GrowthAbove, Joined
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value

ESTIMATED: Final = Variant(
    "estimated_growth", "Growth above the expected path on days of campaigns, an estimate", independent=True
)
LOW: Final = Variant("estimated_low", f"The lower end of the {LEVEL:.0%} interval of the estimate", independent=True)
HIGH: Final = Variant("estimated_high", f"The upper end of the {LEVEL:.0%} interval of the estimate", independent=True)


def value(joined: int | None, above: GrowthAbove | None) -> Value:
    """Proven joins, and beside them the estimated growth."""
    estimates = () if above is None else (above.value, above.low, above.high)
    variants = {one.key: amount for one, amount in zip((ESTIMATED, LOW, HIGH), estimates, strict=False)}
    if joined is None:
        return Value(None, variants=variants)
    terms = (Term("J", "People who joined through invite links of campaigns", joined),)
    return Value(joined, evidence=terms, variants=variants)


KPI: Final = Kpi(
    key="attracted_users",
    title="Attracted users",
    unit=Unit.COUNT,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.HIGHER,
    adds_up=AddsUp.FLOW,
    measures=(Joined(), EstimatedGrowth()),
    value=value,
    evidence=(JOIN_ROWS,),
    doc=Doc(
        formula="The people who joined for the first time through an invite link of a campaign within the window.",
        symbols="{J}",
        source="The platforms' events of who joins, with the invite link that was used.",
        recount="Count the rows.",
        caveats=(
            (
                "Proven joins alone. Growth above the expected path is an estimate, stands beside the value, and is "
                "never added to it: docs/attribution.md says how it is made."
            ),
            (
                "Unknown where the platform does not say who joins (`joins-not-counted`) or through which link "
                "(`joins-not-attributed`), where no campaign has an invite link (`no-invite-links`), and before the "
                "first join or leave was received (`no-join-seen`)."
            ),
            (
                "Who leaves and joins again counts once. Joins count from the campaign's first day until 31 days after "
                "its last one."
            ),
        ),
    ),
    variants=(ESTIMATED, LOW, HIGH),
)
