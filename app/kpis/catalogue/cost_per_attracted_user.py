"""What somebody costs who joined because of a campaign."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.campaigns import (
    JOIN_ROWS_OF_SPEND,
    JOINS_OF_CAMPAIGNS,
    SPEND_ON_INVITES,
    SPEND_ROWS_OF_INVITES,
    Spent,
)
from app.kpis.inputs.costs import cost
from app.kpis.values import AddsUp, Direction, GoalType, Unit, Value


def value(spend: dict[str, int], joined: int) -> Value:
    """Spend for each person who joined."""
    return cost(spend, joined, "J", "People who joined through the campaigns' invite links")


KPI: Final = Kpi(
    key="cost_per_attracted_user",
    title="Cost per attracted user",
    unit=Unit.MONEY,
    goal=GoalType.AWARENESS,
    version=1,
    direction=Direction.LOWER,
    adds_up=AddsUp.RATIO,
    measures=(Spent(SPEND_ON_INVITES), JOINS_OF_CAMPAIGNS),
    value=value,
    evidence=(SPEND_ROWS_OF_INVITES, JOIN_ROWS_OF_SPEND),
    doc=Doc(
        formula="What was spent within the window on campaigns that have invite links, divided by the people who "
        "joined for the first time through the invite links of campaigns with spend within the window.",
        symbols="{M} / {J}",
        source="Spend as it was recorded; joins as the platforms say.",
        recount="Add up `minor` of the rows of kind spend; divide by the number of rows of kind campaign_join, and by "
        "100 for a currency with two decimal places.",
        caveats=(
            (
                "In the currency of the spend, which stands beside the value. Spend in several currencies is not "
                "added: the value is unknown then (`several-currencies`), and `inputs` of the explanation has each."
            ),
            (
                "Only proven joins count, never estimated growth, and never the others of `attracted_users`: of these "
                "nothing says that a campaign brought them. A campaign that runs on platforms which do not "
                "attribute joins, too, costs more by this figure than it did: make a campaign for each platform."
            ),
            "Of the project as a whole: spend belongs to campaigns, not to communities.",
        ),
    ),
)
