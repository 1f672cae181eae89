"""Request and response bodies of campaigns."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from app.campaigns import utm
from app.campaigns.models import CampaignStatus, CampaignType
from app.kit.bulk_results import BulkResult, BulkResults
from app.kit.days import DayRangeRead
from app.kit.money import Currency, MoneyAmount, MoneyRead
from app.kit.openapi_schemas import ITEMS_OF
from app.kit.schemas import EXAMPLE_ID, Day, Id, Input, Instant, Output, Patch, ShortText, example

MAX_ITEMS = 500
MAX_COMMUNITIES = 200

Slug = Annotated[
    str,
    Field(
        strict=True,
        pattern=r"^[\w-]{1,64}$",
        description="`{campaign}` in the UTM parameters of its links. Left out, it is made of the title.",
        examples=["autumn-2026"],
    ),
]
CommunityIds = Annotated[list[Id], Field(min_length=1, max_length=MAX_COMMUNITIES)]
ExternalId = Annotated[
    str,
    Field(
        strict=True,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*[^\x00\s][^\x00]*$",
        description="Your own id of it: sent again with the same content, it is stored once.",
        examples=["ads-4711-2026-10-02"],
    ),
]
Code = Annotated[
    str,
    Field(
        strict=True,
        pattern=r"^[\w-]{2,40}$",
        description="What customers name. Upper and lower case make no difference.",
        examples=["AUTUMN10"],
    ),
]
_COMMUNITIES = "The communities in which it runs; null: all of the project, later ones included."
_BUDGET = "What may be spent on it; null: nothing was agreed."


class CampaignSort(StrEnum):
    """The order of a list of campaigns, latest first."""

    CREATED = "created_at"
    STARTS = "starts_at"


class CampaignCreate(Input):
    """A new campaign."""

    model_config = ConfigDict(
        populate_by_name=True,
        **example(
            {
                "project_id": EXAMPLE_ID,
                "type": "ad",
                "title": "Autumn beans",
                "from": "2026-10-01",
                "to": "2026-10-31",
                "budget": {"amount": "50000.00", "currency": "RUB"},
            }
        ),
    )

    project_id: Id = Field(description="The client's project.")
    type: CampaignType = Field(description="What it is.")
    title: ShortText = Field(description="Its name, for people.", examples=["Autumn beans"])
    slug: Slug | None = None
    first_day: Day = Field(alias="from", description="Its first day, in the project's time zone.")
    last_day: Day = Field(alias="to", description="Its last day, included.")
    community_ids: CommunityIds | None = Field(None, description=_COMMUNITIES)
    budget: MoneyAmount | None = Field(None, description=_BUDGET)


class CampaignUpdate(Patch):
    """What may change of a campaign; what is left out stays as it is."""

    model_config = ConfigDict(populate_by_name=True, **example({"title": "Autumn beans, second week"}))

    title: ShortText = Field(description="Its name, for people.")
    first_day: Day = Field(alias="from", description="Its first day, in the project's time zone.")
    last_day: Day = Field(alias="to", description="Its last day, included.")
    community_ids: CommunityIds | None = Field(description=_COMMUNITIES)
    budget: MoneyAmount | None = Field(description=_BUDGET)


class CampaignRead(Output):
    """A campaign."""

    model_config = ConfigDict(populate_by_name=True)

    id: Id = Field(description="The campaign's id.")
    project_id: Id = Field(description="The client's project.")
    type: CampaignType = Field(description="What it is.")
    title: str = Field(description="Its name, for people.", examples=["Autumn beans"])
    slug: str = Field(description="`{campaign}` in the UTM parameters of its links.", examples=["autumn-2026"])
    first_day: date = Field(alias="from", description="Its first day, in the project's time zone.")
    last_day: date = Field(alias="to", description="Its last day, included.")
    timezone: str = Field(description="The project's time zone, in which these are days.", examples=["Europe/Minsk"])
    starts_at: Instant = Field(description="The instant at which its first day begins.")
    ends_at: Instant = Field(description="The instant at which its last day is over.")
    community_ids: list[Id] | None = Field(description=_COMMUNITIES)
    budget: MoneyRead | None = Field(description=_BUDGET)
    status: CampaignStatus = Field(
        description="By its days, unless it was cancelled. It changes within moments of the project's midnight."
    )
    created_at: Instant = Field(description="When it was made.")
    cancelled_at: Instant | None = Field(description="When it was cancelled; null: it was not.")


# ── spend ─────────────────────────────────────────────────────────────────────────────────────────


class SpendItem(Input):
    """Money spent on one day."""

    model_config = example({"day": "2026-10-02", "amount": "1250.50", "currency": "RUB", "external_id": "ads-4711"})

    day: Day = Field(
        description="The day for which it was spent, in the project's time zone: within the campaign's days, or up to "
        "31 days after them."
    )
    amount: str = Field(
        strict=True,
        max_length=24,
        pattern=r"^[^\x00]*$",
        description="A decimal number as text, not negative, with no more decimal places than the currency has.",
        examples=["1250.50"],
    )
    currency: Currency
    note: ShortText | None = Field(None, description="What it was for.", examples=["VK Ads, look-alike"])
    external_id: ExternalId | None = None


class SpendBulk(Input):
    """Spend of a campaign."""

    model_config = example(
        {"items": [{"day": "2026-10-02", "amount": "1250.50", "currency": "RUB", "external_id": "ads-4711-2"}]}
    )

    items: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=MAX_ITEMS,
        description="Rows: `day`, `amount`, `currency`, and where there are any `note` and `external_id`. Errors of "
        "one are in its result.",
        json_schema_extra={ITEMS_OF: "SpendItem"},
    )


class SpendVoid(Input):
    """Why a row of spend is wrong."""

    model_config = example({"reason": "Counted twice"})

    reason: ShortText = Field(description="Kept beside the row.", examples=["Counted twice"])


class SpendRead(Output):
    """Money spent on a campaign on one day."""

    id: Id = Field(description="The row's id.")
    campaign_id: Id = Field(description="The campaign.")
    day: date = Field(description="In the project's time zone.")
    amount: str = Field(description="A decimal number as text.", examples=["1250.50"])
    currency: str = Field(description="ISO 4217.", examples=["RUB"])
    note: str | None = Field(description="What it was for.")
    external_id: str | None = Field(description="The caller's own id of it.")
    recorded_at: Instant = Field(description="When it was recorded.")
    voided_at: Instant | None = Field(description="Since when it does not count any more; null: it counts.")
    void_reason: str | None = Field(description="Why; null: it counts.")


class SpendResult(BulkResult):
    """What became of one row."""

    spend: SpendRead | None = Field(
        description="The stored row, the earlier one where it is a repeat; null where there is a problem."
    )


class SpendResults(BulkResults):
    """What became of the rows, in their order."""

    data: list[SpendResult] = Field(description="One result for each row.")


# ── links ─────────────────────────────────────────────────────────────────────────────────────────


class CampaignLinkSet(Input):
    """A tracked link that is to belong to a campaign."""

    model_config = example({"link_id": EXAMPLE_ID})

    link_id: Id = Field(description="A tracked link of the same project.")
    utm: bool = Field(
        True,
        strict=True,
        description="Add the project's UTM parameters to its target, as a new version of it; those that it has stay.",
    )


class CampaignLinkRead(Output):
    """A tracked link of a campaign."""

    link_id: Id = Field(description="The link's id.")
    campaign_id: Id = Field(description="The campaign.")
    slug: str = Field(description="The last part of its short address.", examples=["autumn-sale"])
    target: str = Field(description="Where it leads now, with UTM parameters.")
    set_at: Instant = Field(description="Since when it belongs to the campaign.")


class InviteLinkCreate(Input):
    """An invite link of a platform that is to belong to a campaign."""

    model_config = example({"community_id": EXAMPLE_ID, "address": "https://t.me/+AbCdEfGhIjKlMnOp"})

    community_id: Id = Field(description="The community that one joins through it; one of the campaign's.")
    address: str = Field(
        strict=True,
        max_length=200,
        pattern=r"^https://[^\s\x00]{4,190}$",
        description="The link as the platform shows it, whole.",
        examples=["https://t.me/+AbCdEfGhIjKlMnOp"],
    )


class InviteLinkRead(Output):
    """An invite link of a campaign."""

    id: Id = Field(description="Its id.")
    campaign_id: Id = Field(description="The campaign.")
    community_id: Id = Field(description="The community that one joins through it.")
    address: str = Field(description="The link.", examples=["https://t.me/+AbCdEfGhIjKlMnOp"])
    set_at: Instant = Field(description="Since when it belongs to the campaign.")


class UtmTemplateSet(Input):
    """A project's template of UTM parameters."""

    model_config = example({"template": utm.DEFAULT})

    template: Annotated[str, AfterValidator(utm.check)] = Field(
        strict=True,
        max_length=utm.MAX_LENGTH,
        pattern=r"^[^\x00]*$",
        description="Parameters as in a query string. Placeholders: `{platform}` (of the link's community; `link` "
        "where it belongs to no single one), `{campaign}` (its slug), `{type}`, `{link}` (the link's slug).",
        examples=[utm.DEFAULT],
    )


class UtmTemplateRead(Output):
    """A project's template of UTM parameters."""

    project_id: Id = Field(description="The project.")
    template: str = Field(description="Parameters with placeholders.", examples=[utm.DEFAULT])
    is_default: bool = Field(description="Nobody has set another one.", examples=[True])


# ── promo codes ───────────────────────────────────────────────────────────────────────────────────


class PromoCodeCreate(Input):
    """A new promo code."""

    model_config = example({"code": "AUTUMN10"})

    code: Code


class PromoCodeRead(Output):
    """A promo code of a campaign."""

    id: Id = Field(description="Its id.")
    campaign_id: Id = Field(description="The campaign.")
    code: str = Field(description="As it was written.", examples=["AUTUMN10"])
    created_at: Instant = Field(description="When it was made.")
    retired_at: Instant | None = Field(
        description="Since when it takes no redemptions and is free for another campaign; null: it is active."
    )


class RedemptionItem(Input):
    """A customer used a promo code."""

    model_config = example(
        {"at": "2026-10-12T09:30:00Z", "amount": {"amount": "990.00", "currency": "RUB"}, "external_id": "order-1001"}
    )

    at: Instant = Field(
        description="When: within the campaign's days, or up to 31 days after them; not later than now."
    )
    amount: MoneyAmount | None = Field(None, description="What the customer paid; null: it is not said.")
    external_id: ExternalId | None = None


class RedemptionBulk(Input):
    """Redemptions of a promo code."""

    model_config = example({"items": [{"at": "2026-10-12T09:30:00Z", "external_id": "order-1002"}]})

    items: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=MAX_ITEMS,
        description="Rows: `at`, and where there are any `amount` and `external_id`. Errors of one are in its result.",
        json_schema_extra={ITEMS_OF: "RedemptionItem"},
    )


class RedemptionRead(Output):
    """One use of a promo code."""

    id: Id = Field(description="Its id.")
    at: Instant = Field(description="When the code was used.")
    amount: MoneyRead | None = Field(description="What the customer paid; null: it was not said.")
    external_id: str | None = Field(description="The caller's own id of it.")
    recorded_at: Instant = Field(description="When it was recorded.")


class RedemptionResult(BulkResult):
    """What became of one redemption."""

    redemption: RedemptionRead | None = Field(
        description="The stored row, the earlier one where it is a repeat; null where there is a problem."
    )


class RedemptionResults(BulkResults):
    """What became of the redemptions, in their order."""

    data: list[RedemptionResult] = Field(description="One result for each row.")


# ── results ───────────────────────────────────────────────────────────────────────────────────────

_REASON = "Why it is not known, in kebab-case; null where it is."


class ProvenClicks(Output):
    """Clicks on the campaign's tracked links."""

    people: int | None = Field(description="People's, each counted once; null: not known.", examples=[412])
    reason: str | None = Field(description=_REASON, examples=["no-links"])


class ProvenRedemptions(Output):
    """Uses of the campaign's promo codes."""

    count: int | None = Field(description="How many; null: not known.", examples=[31])
    amounts: list[MoneyRead] = Field(description="What these customers paid, where it was said, by currency.")
    reason: str | None = Field(description=_REASON, examples=["no-promo-codes"])


class CommunityJoins(Output):
    """Joins of one community that its platform attributes to the campaign."""

    community_id: Id = Field(description="The community.")
    platform: str = Field(description="The `key` of its platform.", examples=["telegram"])
    joined: int | None = Field(
        description="People who joined for the first time through an invite link of the campaign; null: not known.",
        examples=[57],
    )
    reason: str | None = Field(description=_REASON, examples=["joins-not-attributed"])


class ProvenJoins(Output):
    """Joins that platforms attribute to the campaign."""

    joined: int | None = Field(description="The sum of the communities that are known; null: none is.", examples=[57])
    reason: str | None = Field(description=_REASON, examples=["joins-not-attributed"])
    communities: list[CommunityJoins] = Field(description="The campaign's communities.")


class ProvenResults(Output):
    """What is proven: each row names the campaign."""

    clicks: ProvenClicks = Field(description="Clicks on its tracked links.")
    redemptions: ProvenRedemptions = Field(description="Uses of its promo codes.")
    joins: ProvenJoins = Field(description="Joins through its invite links.")


class CommunityEstimate(Output):
    """Growth of one community beyond what was to be expected."""

    community_id: Id = Field(description="The community.")
    platform: str = Field(description="The `key` of its platform.", examples=["vk"])
    growth: int | None = Field(description="What it grew by in the counted days; null: not known.", examples=[240])
    expected: float | None = Field(description="What it was expected to grow by; null: not known.", examples=[90.0])
    value: float | None = Field(description="The difference; null: not known.", examples=[150.0])
    low: float | None = Field(description="The lower end of the interval.", examples=[110.0])
    high: float | None = Field(description="The upper end of the interval.", examples=[185.0])
    days: int = Field(description="How many days of the campaign were counted.", examples=[14])
    history: int = Field(description="How many days before it were known and free of campaigns.", examples=[28])
    reason: str | None = Field(description=_REASON, examples=["short-history"])


class EstimatedResults(Output):
    """What is estimated: growth above the expected path. It is never added to what is proven."""

    value: float | None = Field(description="The sum of the communities that are known; null: none is.", examples=[150])
    low: float | None = Field(description="The lower end of the interval.", examples=[110.0])
    high: float | None = Field(description="The upper end of the interval.", examples=[185.0])
    level: float = Field(description="The share of such intervals that hold the true value.", examples=[0.8])
    reason: str | None = Field(description=_REASON, examples=["short-history"])
    communities: list[CommunityEstimate] = Field(description="The campaign's communities.")


class CostRead(Output):
    """What one of something cost."""

    value: float | None = Field(description="In whole units of the currency; null: not known.", examples=[12.5])
    currency: str | None = Field(description="ISO 4217; null where there is no value.", examples=["RUB"])
    reason: str | None = Field(description=_REASON, examples=["no-spend"])


class CampaignCosts(Output):
    """What the campaign cost, for each thing that is proven."""

    spend: list[MoneyRead] = Field(description="What was spent, by currency: never added across currencies.")
    budget: MoneyRead | None = Field(description="What may be spent; null: nothing was agreed.")
    remaining: MoneyRead | None = Field(
        description="The budget less what was spent in its currency, negative where it is overspent; null without one."
    )
    per_click: CostRead = Field(description="Spend by people's clicks.")
    per_redemption: CostRead = Field(description="Spend by redemptions.")
    per_attracted_user: CostRead = Field(description="Spend by people who joined through its invite links.")


class CampaignResults(Output):
    """What is attributed to a campaign."""

    campaign_id: Id = Field(description="The campaign.")
    period: DayRangeRead = Field(description="Its days.")
    counted: DayRangeRead = Field(description="The days that count for what is proven: up to 31 days longer.")
    proven: ProvenResults = Field(description="What rows prove.")
    estimated: EstimatedResults = Field(description="Growth that is not explained otherwise; never added to the above.")
    costs: CampaignCosts = Field(description="What it cost.")
