"""How many people joined for the first time."""

from typing import Final

from app.campaigns.expected_growth import LEVEL
from app.kpis.contract import Doc, Kpi, Variant
from app.kpis.inputs.growth_in_campaigns import EstimatedGrowth, GrowthAbove
from app.kpis.inputs.joins import JOIN_ROWS, TOLERATED, TOLERATED_OF_JOINS, TOLERATED_OF_SIZE, JoinAmounts, Joined
from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value

ATTRIBUTED: Final = Variant("attributed", "Of them through invite links of campaigns: proven to be theirs")
UNEXPLAINED: Final = Variant(
    "unexplained_growth", "Growth of the polled size beyond the joins less the leaves that were received"
)
ESTIMATED: Final = Variant(
    "estimated_growth", "Growth above the expected path on days of campaigns, an estimate", independent=True
)
LOW: Final = Variant("estimated_low", f"The lower end of the {LEVEL:.0%} interval of the estimate", independent=True)
HIGH: Final = Variant("estimated_high", f"The upper end of the {LEVEL:.0%} interval of the estimate", independent=True)


def value(joined: JoinAmounts | None, above: GrowthAbove | None) -> Value:
    """First joins, and beside them those of campaigns, what was missed at least, and the estimated growth."""
    estimates = () if above is None else (above.value, above.low, above.high)
    beside: dict[str, float | None] = {
        one.key: amount for one, amount in zip((ESTIMATED, LOW, HIGH), estimates, strict=False)
    }
    if joined is None:
        return Value(None, variants=_without_unknown(beside))
    beside |= {ATTRIBUTED.key: joined.attributed, UNEXPLAINED.key: joined.unexplained}
    terms = (
        Term("J", "People who joined for the first time", joined.first_joins),
        Term("A", "Of them through invite links of campaigns", joined.attributed, joined.not_attributed),
        Term("U", "Growth of the polled size that joins less leaves do not explain", joined.unexplained),
    )
    return Value(joined.first_joins, evidence=terms, variants=_without_unknown(beside))


def _without_unknown(amounts: dict[str, float | None]) -> dict[str, float]:
    return {key: amount for key, amount in amounts.items() if amount is not None}


KPI: Final = Kpi(
    key="attracted_users",
    title="Attracted users",
    unit=Unit.COUNT,
    goal=GoalType.AWARENESS,
    version=2,
    direction=Direction.HIGHER,
    adds_up=AddsUp.FLOW,
    measures=(Joined(), EstimatedGrowth()),
    value=value,
    evidence=(JOIN_ROWS,),
    doc=Doc(
        formula="The people who joined within the window for the first time that is known, whatever made them join.",
        symbols="{J}",
        source="The platforms' events of who joins and who leaves; the polled sizes, to see whether any are missing.",
        recount="Count the rows. Those with a `campaign_id` are `attributed`.",
        caveats=(
            (
                "Not only what campaigns brought: `attributed` is the part that came through campaigns' invite links, "
                "and the only one that costs (`cost_per_attracted_user`) and campaigns' results count. It is null "
                "where the platform does not say through which link somebody joined (`joins-not-attributed`, VK) or "
                "no campaign has an invite link (`no-invite-links`); `inputs` of the explanation says which."
            ),
            (
                "Growth above the expected path is an estimate, stands beside the value, and is never added to it: "
                "docs/attribution.md says how it is made."
            ),
            (
                "Unknown where the platform does not say who joins (`joins-not-counted`), and before the first join "
                "or leave was received (`no-join-seen`). After a hook was closed (`no-hook`), or while the platform "
                "says that it sends nothing to it (`hook-not-delivering`), later days are missing."
            ),
            (
                "Events can be lost, so the joins less the leaves are compared with the growth of the polled size, "
                "from poll to poll. Days on which it grew by more are missing (`joins-missed`), and "
                "`unexplained_growth` says by how much: so many joins at least were not received. Less than "
                f"{TOLERATED} members, {TOLERATED_OF_JOINS:.0%} of the joins and {TOLERATED_OF_SIZE:.2%} of the size, "
                "whichever is most, is tolerated. Where as many leaves were lost, or the platform removed accounts, "
                "it cannot be seen."
            ),
            (
                "Who leaves and joins again counts once. Who had been a member before joins were received, left and "
                "joins again counts as new. VK does not say when somebody joined: the day is that of the receipt."
            ),
        ),
    ),
    variants=(ATTRIBUTED, UNEXPLAINED, ESTIMATED, LOW, HIGH),
)
