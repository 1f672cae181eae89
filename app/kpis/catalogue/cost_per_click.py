"""What a person's click on a campaign's link costs."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.campaigns import CLICK_ROWS, CLICKS_OF_CAMPAIGNS, SPEND_ON_LINKS, SPEND_ROWS_OF_LINKS, Spent
from app.kpis.inputs.costs import cost
from app.kpis.values import AddsUp, Direction, GoalType, Unit, Value


def value(spend: dict[str, int], clicks: int) -> Value:
    """Spend for each click."""
    return cost(spend, clicks, "C", "People's clicks on the campaigns' links")


KPI: Final = Kpi(
    key="cost_per_click",
    title="Cost per click",
    unit=Unit.MONEY,
    goal=GoalType.TRAFFIC,
    version=1,
    direction=Direction.LOWER,
    adds_up=AddsUp.RATIO,
    measures=(Spent(SPEND_ON_LINKS), CLICKS_OF_CAMPAIGNS),
    value=value,
    evidence=(SPEND_ROWS_OF_LINKS, CLICK_ROWS),
    doc=Doc(
        formula="What was spent within the window on campaigns that have tracked links, divided by people's clicks on "
        "the links of campaigns with spend within the window.",
        symbols="{M} / {C}",
        source="Spend as it was recorded; every request of a tracked link, as it comes.",
        recount="Add up `minor` of the rows of kind spend; divide by the number of rows of kind campaign_click, and by "
        "100 for a currency with two decimal places.",
        caveats=(
            (
                "In the currency of the spend, which stands beside the value. Spend in several currencies is not "
                "added: the value is unknown then (`several-currencies`), and `inputs` of the explanation has each."
            ),
            "A link's clicks count from the campaign's first day until 31 days after its last one.",
            "Spend and its clicks may fall into different windows: a longer window compares better.",
            "Of the project as a whole: spend belongs to campaigns, not to communities.",
        ),
    ),
)
