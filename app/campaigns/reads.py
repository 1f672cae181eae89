"""Reads of campaigns, in the one form in which all operations return them."""

from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Text, and_, cast, exists, func, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.campaigns.models import (
    Campaign,
    CampaignCommunity,
    CampaignLink,
    CampaignStatus,
    CampaignType,
    InviteLink,
    PromoCode,
    Redemption,
    Spend,
)
from app.campaigns.schemas import CampaignSort
from app.communities.models import Community
from app.kit import money
from app.kit.db import in_workspace, workspace_of
from app.kit.errors import NotFound
from app.kit.lists import WORKSPACE, Filter, Listing, Row, Sort, equal, parameter
from app.kit.paging import Keyset
from app.links.models import Link
from app.projects.models import Project

_PLAIN: Final = (
    *("id", "project_id", "type", "title", "slug", "starts_at", "ends_at", "status", "created_at", "cancelled_at"),
)
_OWN: Final = (*_PLAIN, "first_day", "last_day", "budget", "currency", "all_communities")

_COMMUNITY_IDS: Final = (
    select(
        func.json_agg(aggregate_order_by(cast(CampaignCommunity.community_id, Text), CampaignCommunity.community_id))
    )
    .where(CampaignCommunity.workspace_id == WORKSPACE, CampaignCommunity.campaign_id == Campaign.id)
    .correlate(Campaign)
    .scalar_subquery()
)


def _filters() -> dict[str, Filter]:
    community_id = parameter("community_id", Community.id)
    its_project = (
        select(Community.project_id)
        .where(in_workspace(Community, WORKSPACE), Community.id == community_id)
        .scalar_subquery()
    )
    runs_there = exists().where(
        CampaignCommunity.workspace_id == WORKSPACE,
        CampaignCommunity.campaign_id == Campaign.id,
        CampaignCommunity.community_id == community_id,
    )
    filters: dict[str, Filter] = {
        **equal(project_id=Campaign.project_id),
        "type": {one.value: Campaign.type == one.value for one in CampaignType},
        "status": {one.value: Campaign.status == one.value for one in CampaignStatus},
        # Its project's campaigns, in the order of the list, until a page is full.
        "community_id": and_(Campaign.project_id == its_project, or_(Campaign.all_communities.is_(True), runs_there)),
    }
    for sort in CampaignSort:
        column = getattr(Campaign, sort.value)
        filters[f"since_{sort.value}"] = column >= parameter(f"since_{sort.value}", column)
        filters[f"until_{sort.value}"] = column < parameter(f"until_{sort.value}", column)
    return filters


CAMPAIGNS: Final = Listing(
    select(
        *(getattr(Campaign, name) for name in _OWN),
        Project.timezone,
        cast(_COMMUNITY_IDS, Text).label("community_ids"),
    )
    .join(Project, and_(Project.workspace_id == Campaign.workspace_id, Project.id == Campaign.project_id))
    .where(in_workspace(Campaign, WORKSPACE)),
    Campaign.id,
    sorts={sort: Sort(Keyset((getattr(Campaign, sort.value), Campaign.id))) for sort in CampaignSort},
    filters=_filters(),
    ids_first=True,
)


def campaign_read(row: Row) -> dict[str, Any]:
    """A campaign as `CampaignRead` describes it."""
    return {
        **{name: row[name] for name in _PLAIN},
        "from": row["first_day"],
        "to": row["last_day"],
        "timezone": row["timezone"],
        "community_ids": None if row["all_communities"] else orjson.loads(row["community_ids"] or "[]"),
        "budget": None if row["budget"] is None else money.money(row["budget"], row["currency"]),
    }


async def changed(session: AsyncSession, campaign: Campaign) -> dict[str, Any]:
    """A campaign with the changes of this transaction."""
    await session.flush()
    return campaign_read(await CAMPAIGNS.one(await session.connection(), workspace_of(session), campaign.id))


async def require_campaign(connection: AsyncConnection, workspace_id: UUID, campaign_id: UUID) -> None:
    """`NotFound` where there is no such campaign."""
    row = await connection.scalar(
        select(Campaign.id).where(in_workspace(Campaign, workspace_id), Campaign.id == campaign_id)
    )
    if row is None:
        raise NotFound


_SPEND: Final = ("id", "campaign_id", "day", "amount", "currency", "note", "external_id", "recorded_at", "voided_at")
SPEND: Final = Listing(
    select(*(getattr(Spend, name) for name in _SPEND), Spend.void_reason).where(in_workspace(Spend, WORKSPACE)),
    Spend.id,
    sorts={"day": Sort(Keyset((Spend.day, Spend.id)))},
    filters=equal(campaign_id=Spend.campaign_id),
)


def spend_read(row: Row) -> dict[str, Any]:
    """A row of spend as `SpendRead` describes it."""
    return {
        **{name: row[name] for name in _SPEND},
        "void_reason": row["void_reason"],
        "amount": money.written(row["amount"], row["currency"]),
    }


LINKS: Final = Listing(
    select(
        *(getattr(CampaignLink, name) for name in ("id", "link_id", "campaign_id", "set_at")),
        *(getattr(Link, name) for name in ("slug", "target")),
    )
    .join(Link, and_(Link.workspace_id == CampaignLink.workspace_id, Link.id == CampaignLink.link_id))
    .where(in_workspace(CampaignLink, WORKSPACE), CampaignLink.ended_at.is_(None)),
    CampaignLink.id,
    sorts={"id": Sort(Keyset((CampaignLink.id,)))},
    filters=equal(campaign_id=CampaignLink.campaign_id),
)


def link_read(row: Row) -> dict[str, Any]:
    """A campaign's link as `CampaignLinkRead` describes it."""
    return {name: row[name] for name in ("link_id", "campaign_id", "slug", "target", "set_at")}


_INVITE_LINK: Final = ("id", "campaign_id", "community_id", "address", "set_at")
INVITE_LINKS: Final = Listing(
    select(*(getattr(InviteLink, name) for name in _INVITE_LINK)).where(
        in_workspace(InviteLink, WORKSPACE), InviteLink.ended_at.is_(None)
    ),
    InviteLink.id,
    sorts={"id": Sort(Keyset((InviteLink.id,)))},
    filters=equal(campaign_id=InviteLink.campaign_id),
)
_PROMO_CODE: Final = ("id", "campaign_id", "code", "created_at", "retired_at")
PROMO_CODES: Final = Listing(
    select(*(getattr(PromoCode, name) for name in _PROMO_CODE)).where(in_workspace(PromoCode, WORKSPACE)),
    PromoCode.id,
    sorts={"created_at": Sort(Keyset((PromoCode.created_at, PromoCode.id)))},
    filters=equal(campaign_id=PromoCode.campaign_id),
)
_REDEMPTION: Final = ("id", "at", "amount", "currency", "external_id", "recorded_at")
REDEMPTIONS: Final = Listing(
    select(*(getattr(Redemption, name) for name in _REDEMPTION)).where(in_workspace(Redemption, WORKSPACE)),
    Redemption.id,
    sorts={"at": Sort(Keyset((Redemption.at, Redemption.id)))},
    filters=equal(promo_code_id=Redemption.promo_code_id),
)


def redemption_read(row: Row) -> dict[str, Any]:
    """A redemption as `RedemptionRead` describes it."""
    amount = None if row["amount"] is None else money.money(row["amount"], row["currency"])
    return {**{name: row[name] for name in ("id", "at", "external_id", "recorded_at")}, "amount": amount}
