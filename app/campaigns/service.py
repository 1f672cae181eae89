"""Making, changing and cancelling campaigns, and moving their status on with the days."""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.campaigns import utm
from app.campaigns.events import (
    CampaignCancelled,
    CampaignChanged,
    CampaignCreated,
    CampaignEnded,
    CampaignStarted,
)
from app.campaigns.models import Campaign, CampaignCommunity, CampaignStatus, PromoCode, Redemption, Spend
from app.campaigns.schemas import CampaignCreate
from app.communities.models import Community
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, Invalid, NotFound, invalid_field
from app.kit.events import publish
from app.kit.jobs import enqueue
from app.kit.money import MoneyAmount
from app.projects.models import Project

ADVANCE: Final = "campaigns.advance"
DAYS_AFTER: Final = timedelta(days=31)
"""How long after a campaign's last day its clicks, redemptions, joins and spend still count."""
MAX_DAYS: Final = 366
_DAY: Final = timedelta(days=1)


def start_of(day: date, zone: str) -> datetime:
    """The instant at which a local day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def local_day(at: datetime, zone: str) -> date:
    """The local day of an instant."""
    return at.astimezone(ZoneInfo(zone)).date()


def counted_days(campaign: Campaign) -> tuple[date, date]:
    """The first and the last day that count for a campaign."""
    return campaign.first_day, campaign.last_day + DAYS_AFTER


def require_counted(campaign: Campaign, day: date, field: str) -> None:
    """Raise `Invalid` (`outside-period`) for a day that does not count for the campaign."""
    first, last = counted_days(campaign)
    if not first <= day <= last:
        raise invalid_field(
            field,
            "outside-period",
            f"{day} is outside of the campaign's days and the {DAYS_AFTER.days} after them: {first} to {last}.",
        )


def status_at(campaign: Campaign, at: datetime) -> CampaignStatus:
    """A campaign's status at an instant."""
    if campaign.cancelled_at is not None:
        return CampaignStatus.CANCELLED
    if at < campaign.starts_at:
        return CampaignStatus.PLANNED
    return CampaignStatus.RUNNING if at < campaign.ends_at else CampaignStatus.ENDED


async def create(session: AsyncSession, actor: Actor, new: CampaignCreate) -> Campaign:
    """Create a campaign. `NotFound` for an unknown project or community."""
    project = await fetch(session, Project, new.project_id)
    _require_period(new.first_day, new.last_day)
    await _require_communities(session, project.id, new.community_ids)
    budget, currency = _budget(new.budget)
    campaign = Campaign(
        workspace_id=workspace_of(session),
        project_id=project.id,
        type=new.type.value,
        title=new.title,
        slug=new.slug or utm.slug_of(new.title),
        first_day=new.first_day,
        last_day=new.last_day,
        all_communities=new.community_ids is None,
        budget=budget,
        currency=currency,
        created_at=now(session),
        cancelled_at=None,
    )
    _set_instants(campaign, project.timezone, now(session))
    session.add(campaign)
    await session.flush()
    await _set_communities(session, campaign, new.community_ids or ())
    await _wait_for_turn(session, campaign)
    audit.record(session, actor, "campaigns.create", campaign_id=campaign.id)
    await publish(session, CampaignCreated(campaign.id, campaign.project_id))
    return campaign


async def change(session: AsyncSession, actor: Actor, *, campaign_id: UUID, changes: dict[str, Any]) -> Campaign:
    """Apply a merge patch: `title`, `first_day`, `last_day`, `community_ids`, `budget`.

    `Conflict` for a cancelled campaign, and for days that leave out spend or redemptions which are recorded.
    """
    campaign = await lock_for_update(session, campaign_id)
    require_not_cancelled(campaign)
    if "title" in changes:
        campaign.title = changes["title"]
    if "budget" in changes:
        budget = changes["budget"]
        campaign.budget, campaign.currency = _budget(None if budget is None else MoneyAmount(**budget))
    if "community_ids" in changes:
        community_ids = changes["community_ids"]
        await _require_communities(session, campaign.project_id, community_ids)
        campaign.all_communities = community_ids is None
        await _set_communities(session, campaign, community_ids or ())
    if "first_day" in changes or "last_day" in changes:
        campaign.first_day = changes.get("first_day", campaign.first_day)
        campaign.last_day = changes.get("last_day", campaign.last_day)
        _require_period(campaign.first_day, campaign.last_day)
        await _move(session, campaign)
    await session.flush()
    audit.record(session, actor, "campaigns.update", campaign_id=campaign.id)
    await publish(session, CampaignChanged(campaign.id, campaign.project_id))
    return campaign


async def cancel(session: AsyncSession, actor: Actor, *, campaign_id: UUID) -> Campaign:
    """Cancel a campaign and retire its promo codes; what was recorded stays, and counts. `Conflict` the second time."""
    campaign = await lock_for_update(session, campaign_id)
    require_not_cancelled(campaign)
    campaign.cancelled_at = now(session)
    campaign.status = CampaignStatus.CANCELLED.value
    await session.execute(
        update(PromoCode)
        .where(in_workspace(PromoCode, campaign.workspace_id), PromoCode.campaign_id == campaign.id)
        .where(PromoCode.retired_at.is_(None))
        .values(retired_at=now(session))
    )
    await session.flush()
    audit.record(session, actor, "campaigns.cancel", campaign_id=campaign.id)
    await publish(session, CampaignCancelled(campaign.id, campaign.project_id))
    return campaign


async def advance(session: AsyncSession, actor: Actor, *, campaign_id: UUID) -> datetime | None:
    """Give a campaign the status of this instant; when the next one is due, None: it has had its last."""
    campaign = await lock_for_update(session, campaign_id)
    before, after = campaign.status, status_at(campaign, now(session))
    if after.value != before:
        campaign.status = after.value
        await session.flush()
        audit.record(session, actor, "campaigns.advance", campaign_id=campaign.id)
        if before == CampaignStatus.PLANNED:
            await publish(session, CampaignStarted(campaign.id, campaign.project_id))
        if after is CampaignStatus.ENDED:
            await publish(session, CampaignEnded(campaign.id, campaign.project_id))
    return _next_turn(campaign)


async def redate(session: AsyncSession, actor: Actor, *, project_id: UUID, zone: str) -> None:
    """Recompute the instants of a project's campaigns, whose days are of another zone now."""
    campaigns = await session.scalars(
        select(Campaign)
        .where(in_workspace(Campaign, workspace_of(session)), Campaign.project_id == project_id)
        .order_by(Campaign.id)
        .with_for_update()
    )
    for campaign in campaigns.all():
        _set_instants(campaign, zone, now(session))
        await _wait_for_turn(session, campaign)
        audit.record(session, actor, "campaigns.redate", campaign_id=campaign.id)
    await session.flush()


async def lock_for_update(session: AsyncSession, campaign_id: UUID) -> Campaign:
    """The campaign, locked: what is recorded for it is recorded by one transaction at a time."""
    return await fetch(session, Campaign, campaign_id, for_update=True)


def require_not_cancelled(campaign: Campaign) -> None:
    """Raise `Conflict` (`campaign-cancelled`) for a cancelled campaign."""
    if campaign.cancelled_at is not None:
        raise Conflict("This campaign is cancelled; make a new one.", code="campaign-cancelled")


def _require_period(first: date, last: date) -> None:
    if last < first:
        raise invalid_field("to", "invalid-period", "The campaign ends before it begins.")
    if (last - first).days >= MAX_DAYS:
        raise invalid_field("to", "period-too-long", f"A campaign has at most {MAX_DAYS} days.")


def _budget(budget: MoneyAmount | None) -> tuple[int | None, str | None]:
    return (None, None) if budget is None else (budget.minor("budget.amount"), budget.currency)


def _set_instants(campaign: Campaign, zone: str, at: datetime) -> None:
    campaign.starts_at = start_of(campaign.first_day, zone)
    campaign.ends_at = start_of(campaign.last_day + _DAY, zone)
    campaign.status = status_at(campaign, at).value


async def _move(session: AsyncSession, campaign: Campaign) -> None:
    """Give a campaign the instants of its new days."""
    zone = (await fetch(session, Project, campaign.project_id)).timezone
    first, last = counted_days(campaign)
    own_spend = (in_workspace(Spend, campaign.workspace_id), Spend.campaign_id == campaign.id)
    own_redemptions = (in_workspace(Redemption, campaign.workspace_id), Redemption.campaign_id == campaign.id)
    begin, end = start_of(first, zone), start_of(last + _DAY, zone)
    outside = await session.scalar(
        select(
            select(Spend.id)
            .where(*own_spend, Spend.voided_at.is_(None), or_(Spend.day < first, Spend.day > last))
            .union_all(select(Redemption.id).where(*own_redemptions, or_(Redemption.at < begin, Redemption.at >= end)))
            .exists()
        )
    )
    if outside:
        raise Conflict(
            f"Spend or redemptions are recorded outside of {first} to {last}: void them first, or choose other days.",
            code="recorded-outside-period",
        )
    _set_instants(campaign, zone, now(session))
    await _wait_for_turn(session, campaign)


async def _require_communities(session: AsyncSession, project_id: UUID, community_ids: list[UUID] | None) -> None:
    """`NotFound` for an unknown community, `Invalid` for one of another project."""
    if community_ids is None:
        return
    rows = await session.execute(
        select(Community.id, Community.project_id).where(
            in_workspace(Community, workspace_of(session)), Community.id.in_(set(community_ids))
        )
    )
    projects = {row.id: row.project_id for row in rows}
    if set(community_ids) - projects.keys():
        raise NotFound("There is no such community here.")
    if set(projects.values()) - {project_id}:
        raise Invalid("This community belongs to another project.", code="community-of-another-project")


async def _set_communities(session: AsyncSession, campaign: Campaign, community_ids: Collection[UUID]) -> None:
    own = CampaignCommunity.workspace_id == campaign.workspace_id, CampaignCommunity.campaign_id == campaign.id
    await session.execute(delete(CampaignCommunity).where(*own))
    rows = [
        {"workspace_id": campaign.workspace_id, "campaign_id": campaign.id, "community_id": community_id}
        for community_id in sorted(set(community_ids))
    ]
    if rows:
        await session.execute(insert(CampaignCommunity), rows)


def _next_turn(campaign: Campaign) -> datetime | None:
    """When the status changes next; None: it does not change by itself any more."""
    if campaign.status == CampaignStatus.PLANNED:
        return campaign.starts_at
    return campaign.ends_at if campaign.status == CampaignStatus.RUNNING else None


async def _wait_for_turn(session: AsyncSession, campaign: Campaign) -> None:
    """Have a job move the status on when it is due."""
    if (at := _next_turn(campaign)) is not None:
        await enqueue(
            session,
            ADVANCE,
            workspace_id=campaign.workspace_id,
            key=str(campaign.id),
            at=at,
            campaign_id=campaign.id,
        )
