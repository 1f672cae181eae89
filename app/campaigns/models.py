"""Tables of campaigns.

Amounts of money are whole numbers of the currency's smallest unit (`app.kit.money`), each with its currency. Days are
local days of the project. A row of spend, a link or an invite link of a campaign is never changed: it is ended, so
that what was counted at any earlier instant can be counted again.
"""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base, Owned, belongs_to


class CampaignType(StrEnum):
    """What a campaign is."""

    AD = "ad"
    GIVEAWAY = "giveaway"
    DISCOUNT = "discount"
    PROMO_CODE = "promo_code"


class CampaignStatus(StrEnum):
    """Where a campaign stands; by its days, unless a person has cancelled it."""

    PLANNED = "planned"
    RUNNING = "running"
    ENDED = "ended"
    CANCELLED = "cancelled"


def _listed(*columns: str) -> tuple[Index, Index]:
    """The indexes of a filter of the list, for each of its sorts."""
    return (
        Index(None, "workspace_id", *columns, "created_at", "id"),
        Index(None, "workspace_id", *columns, "starts_at", "id"),
    )


class Campaign(Owned, Base):
    """A promotion of a project for some days."""

    __tablename__ = "campaign"
    __table_args__ = (
        belongs_to("project", "project_id"),
        *_listed(),
        *_listed("project_id"),
        *_listed("type"),
        *_listed("status"),
    )

    project_id: Mapped[UUID]
    type: Mapped[str]
    title: Mapped[str]
    slug: Mapped[str]
    """`{campaign}` in the UTM parameters of its links."""
    first_day: Mapped[date]
    last_day: Mapped[date]
    starts_at: Mapped[datetime]
    """The instant at which the first day begins,"""
    ends_at: Mapped[datetime]
    """and that at which the last one is over, in the project's zone."""
    all_communities: Mapped[bool]
    """Of all communities of the project, later ones included; else of those in `CampaignCommunity`."""
    budget: Mapped[int | None]
    currency: Mapped[str | None]
    """Of the budget."""
    status: Mapped[str]
    created_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]


class CampaignCommunity(Base):
    """A community in which a campaign runs."""

    __tablename__ = "campaign_community"
    __table_args__ = (
        belongs_to("campaign", "campaign_id"),
        belongs_to("community", "community_id"),
        Index(None, "workspace_id", "community_id", "campaign_id"),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)


_COUNTS = text("voided_at IS NULL")
_SET = text("ended_at IS NULL")


class Spend(Owned, Base):
    """Money spent on a campaign on one day."""

    __tablename__ = "campaign_spend"
    __table_args__ = (
        belongs_to("campaign", "campaign_id"),
        Index(None, "workspace_id", "campaign_id", "day", "id"),
        Index(None, "workspace_id", "project_id", "day", "id"),
        Index(
            "uq_campaign_spend_external_id",
            *("workspace_id", "campaign_id", "external_id"),
            unique=True,
            postgresql_where=_COUNTS,
        ),
    )

    project_id: Mapped[UUID]
    campaign_id: Mapped[UUID]
    day: Mapped[date]
    amount: Mapped[int]
    currency: Mapped[str]
    note: Mapped[str | None]
    external_id: Mapped[str | None]
    """The caller's id: the same row sent again is stored once."""
    recorded_at: Mapped[datetime]
    voided_at: Mapped[datetime | None]
    """Since when it does not count any more; the row stays."""
    void_reason: Mapped[str | None]


class CampaignLink(Owned, Base):
    """That a tracked link belongs to a campaign, and until when it did."""

    __tablename__ = "campaign_link"
    __table_args__ = (
        belongs_to("campaign", "campaign_id"),
        belongs_to("link", "link_id"),
        Index(None, "workspace_id", "campaign_id", "id"),
        Index(None, "workspace_id", "project_id"),
        Index("uq_campaign_link_link_id", "workspace_id", "link_id", unique=True, postgresql_where=_SET),
    )

    project_id: Mapped[UUID]
    campaign_id: Mapped[UUID]
    link_id: Mapped[UUID]
    set_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class InviteLink(Owned, Base):
    """A platform's own invite link that belongs to a campaign: who joins through it was attracted by the campaign."""

    __tablename__ = "campaign_invite_link"
    __table_args__ = (
        belongs_to("campaign", "campaign_id"),
        belongs_to("community", "community_id"),
        Index(None, "workspace_id", "campaign_id", "id"),
        Index(None, "workspace_id", "project_id"),
        Index(None, "workspace_id", "community_id"),
        Index(
            "uq_campaign_invite_link_address",
            *("workspace_id", "community_id", "address"),
            unique=True,
            postgresql_where=_SET,
        ),
    )

    project_id: Mapped[UUID]
    campaign_id: Mapped[UUID]
    community_id: Mapped[UUID]
    address: Mapped[str]
    """As the platform writes it: `https://t.me/+AbCdEfGh…`."""
    set_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class PromoCode(Owned, Base):
    """A code that customers name to get the campaign's offer."""

    __tablename__ = "promo_code"
    __table_args__ = (
        belongs_to("campaign", "campaign_id"),
        Index(None, "workspace_id", "campaign_id", "created_at", "id"),
        Index(
            "uq_promo_code_code_key",
            *("workspace_id", "project_id", "code_key"),
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )

    project_id: Mapped[UUID]
    campaign_id: Mapped[UUID]
    code: Mapped[str]
    """As it was written,"""
    code_key: Mapped[str]
    """and as codes are compared: without a difference of upper and lower case."""
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    """Since when it takes no redemptions, and is free for another campaign."""


class Redemption(Owned, Base):
    """A customer used a promo code."""

    __tablename__ = "promo_redemption"
    __table_args__ = (
        belongs_to("campaign", "campaign_id"),
        belongs_to("promo_code", "promo_code_id"),
        Index(None, "workspace_id", "promo_code_id", "at", "id"),
        Index(None, "workspace_id", "campaign_id", "at"),
        Index(None, "workspace_id", "project_id"),
        Index(
            "uq_promo_redemption_external_id",
            *("workspace_id", "promo_code_id", "external_id"),
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    project_id: Mapped[UUID]
    campaign_id: Mapped[UUID]
    promo_code_id: Mapped[UUID]
    at: Mapped[datetime]
    amount: Mapped[int | None]
    """What the customer paid, where it was said."""
    currency: Mapped[str | None]
    external_id: Mapped[str | None]
    recorded_at: Mapped[datetime]


class UtmTemplate(Base):
    """A project's own template of UTM parameters; `utm.DEFAULT` without one."""

    __tablename__ = "utm_template"
    __table_args__ = (belongs_to("project", "project_id"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    template: Mapped[str]
    updated_at: Mapped[datetime]
