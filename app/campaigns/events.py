"""Domain events of campaigns."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from app.kit.events import Event


@dataclass(frozen=True, slots=True)
class CampaignCreated(Event):
    """A project has a new campaign."""

    topic: ClassVar[str | None] = "campaign.created"
    campaign_id: UUID
    project_id: UUID


@dataclass(frozen=True, slots=True)
class CampaignChanged(Event):
    """A person changed a campaign."""

    topic: ClassVar[str | None] = "campaign.changed"
    campaign_id: UUID
    project_id: UUID


@dataclass(frozen=True, slots=True)
class CampaignCancelled(Event):
    """A person cancelled a campaign."""

    topic: ClassVar[str | None] = "campaign.cancelled"
    campaign_id: UUID
    project_id: UUID


@dataclass(frozen=True, slots=True)
class CampaignStarted(Event):
    """The first day of a campaign has begun."""

    topic: ClassVar[str | None] = "campaign.started"
    campaign_id: UUID
    project_id: UUID


@dataclass(frozen=True, slots=True)
class CampaignEnded(Event):
    """The last day of a campaign is over."""

    topic: ClassVar[str | None] = "campaign.ended"
    campaign_id: UUID
    project_id: UUID


@dataclass(frozen=True, slots=True)
class SpendRecorded(Event):
    """Spend of a campaign was recorded: this many new rows."""

    topic: ClassVar[str | None] = "spend.recorded"
    campaign_id: UUID
    project_id: UUID
    rows: int


@dataclass(frozen=True, slots=True)
class SpendVoided(Event):
    """A row of spend does not count any more."""

    topic: ClassVar[str | None] = "spend.voided"
    campaign_id: UUID
    project_id: UUID
    spend_id: UUID


@dataclass(frozen=True, slots=True)
class CampaignLinkSet(Event):
    """A tracked link belongs to a campaign now."""

    topic: ClassVar[str | None] = "campaign.link-set"
    campaign_id: UUID
    project_id: UUID
    link_id: UUID


@dataclass(frozen=True, slots=True)
class PromoCodeCreated(Event):
    """A campaign has a new promo code."""

    topic: ClassVar[str | None] = "promo-code.created"
    campaign_id: UUID
    project_id: UUID
    promo_code_id: UUID


@dataclass(frozen=True, slots=True)
class RedemptionsRecorded(Event):
    """Redemptions of a promo code were recorded: this many new rows."""

    topic: ClassVar[str | None] = "redemption.recorded"
    campaign_id: UUID
    project_id: UUID
    promo_code_id: UUID
    rows: int
