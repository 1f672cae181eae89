"""The results of one campaign: what is proven, what is estimated beside it, and what it cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.campaigns import attribution, expected_growth
from app.campaigns.expected_growth import HISTORY, LEVEL, GrowthEstimate
from app.campaigns.models import Campaign, CampaignCommunity, CampaignLink, InviteLink, PromoCode, Redemption, Spend
from app.campaigns.schemas import (
    CampaignCosts,
    CampaignResults,
    CommunityEstimate,
    CommunityJoins,
    CostRead,
    EstimatedResults,
    ProvenClicks,
    ProvenJoins,
    ProvenRedemptions,
    ProvenResults,
)
from app.campaigns.service import DAYS_AFTER, local_day, start_of
from app.communities.models import Community
from app.kit import money
from app.kit.days import DayRangeRead
from app.kit.db import in_workspace
from app.kit.errors import NotFound
from app.kit.money import MoneyRead
from app.kit.statement import one_snapshot
from app.links.models import ClickDay
from app.metrics.models import CommunityDay, MemberChange
from app.platforms import adapters
from app.projects.models import Project

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Subject:
    """The campaign whose results are read."""

    row: Any
    timezone: str
    now: datetime
    communities: Sequence[Any]
    """Those in which it runs: id and platform."""

    @property
    def today(self) -> date:
        return local_day(self.now, self.timezone)


async def of_campaign(
    connection: AsyncConnection, workspace_id: UUID, campaign_id: UUID, at: datetime
) -> CampaignResults:
    """The results as of `at`. `NotFound` where there is no such campaign."""
    async with one_snapshot(connection):
        subject = await _subject(connection, workspace_id, campaign_id, at)
        clicks = await _clicks(connection, subject)
        redemptions = await _redemptions(connection, subject)
        joins = await _joins(connection, subject)
        estimated = await _estimated(connection, subject)
        spend = await _spend(connection, subject)
    row, zone = subject.row, subject.timezone
    return CampaignResults(
        campaign_id=row.id,
        period=DayRangeRead(first=row.first_day, last=row.last_day, timezone=zone),
        counted=DayRangeRead(first=row.first_day, last=row.last_day + DAYS_AFTER, timezone=zone),
        proven=ProvenResults(clicks=clicks, redemptions=redemptions, joins=joins),
        estimated=estimated,
        costs=_costs(subject, spend, clicks, redemptions, joins),
    )


async def _subject(connection: AsyncConnection, workspace_id: UUID, campaign_id: UUID, at: datetime) -> _Subject:
    row = (
        await connection.execute(
            select(Campaign.__table__, Project.timezone)
            .join(Project, and_(Project.workspace_id == Campaign.workspace_id, Project.id == Campaign.project_id))
            .where(in_workspace(Campaign, workspace_id), Campaign.id == campaign_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    query = select(Community.id, Community.platform).where(
        in_workspace(Community, workspace_id), Community.project_id == row.project_id
    )
    if not row.all_communities:
        selected = select(CampaignCommunity.community_id).where(
            CampaignCommunity.workspace_id == workspace_id, CampaignCommunity.campaign_id == campaign_id
        )
        query = query.where(Community.id.in_(selected))
    communities = (await connection.execute(query.order_by(Community.created_at, Community.id))).all()
    return _Subject(row, row.timezone, at, communities)


async def _clicks(connection: AsyncConnection, subject: _Subject) -> ProvenClicks:
    row = (
        await connection.execute(
            select(func.count(CampaignLink.id.distinct()).label("links"), func.sum(ClickDay.people).label("people"))
            .select_from(CampaignLink)
            .join(Campaign, _of_campaign(CampaignLink))
            .outerjoin(
                ClickDay,
                and_(
                    ClickDay.workspace_id == CampaignLink.workspace_id,
                    ClickDay.link_id == CampaignLink.link_id,
                    attribution.day_counts(ClickDay.day),
                ),
            )
            .where(
                in_workspace(CampaignLink, subject.row.workspace_id),
                CampaignLink.campaign_id == subject.row.id,
                attribution.link_counts(subject.now),
            )
        )
    ).one()
    if not row.links:
        return ProvenClicks(people=None, reason=attribution.NO_LINKS)
    return ProvenClicks(people=int(row.people or 0), reason=None)


def _of_campaign(model: Any) -> Any:
    return and_(Campaign.workspace_id == model.workspace_id, Campaign.id == model.campaign_id)


async def _redemptions(connection: AsyncConnection, subject: _Subject) -> ProvenRedemptions:
    own = in_workspace(Redemption, subject.row.workspace_id), Redemption.campaign_id == subject.row.id
    rows = (
        await connection.execute(
            select(Redemption.currency, func.count().label("uses"), func.sum(Redemption.amount).label("amount"))
            .where(*own, Redemption.recorded_at <= subject.now)
            .group_by(Redemption.currency)
        )
    ).all()
    has_codes = await connection.scalar(
        select(
            select(PromoCode.id)
            .where(in_workspace(PromoCode, subject.row.workspace_id), PromoCode.campaign_id == subject.row.id)
            .exists()
        )
    )
    if not has_codes:
        return ProvenRedemptions(count=None, amounts=[], reason=attribution.NO_PROMO_CODES)
    amounts = {row.currency: int(row.amount) for row in rows if row.currency is not None}
    return ProvenRedemptions(count=sum(row.uses for row in rows), amounts=_moneys(amounts), reason=None)


def _moneys(amounts: Mapping[str, int]) -> list[MoneyRead]:
    return [MoneyRead.model_validate(one) for one in money.by_currency(amounts)]


async def _joins(connection: AsyncConnection, subject: _Subject) -> ProvenJoins:
    workspace_id, ids = subject.row.workspace_id, [one.id for one in subject.communities]
    invited = select(InviteLink.community_id).where(
        in_workspace(InviteLink, workspace_id),
        InviteLink.campaign_id == subject.row.id,
        attribution.invite_counts(subject.now),
    )
    with_invites = set((await connection.scalars(invited)).all())
    seen = set(
        (
            await connection.scalars(
                select(Community.id).where(
                    in_workspace(Community, workspace_id),
                    Community.id.in_(ids),
                    select(MemberChange.at)
                    .where(
                        MemberChange.workspace_id == Community.workspace_id,
                        MemberChange.community_id == Community.id,
                        MemberChange.recorded_at <= subject.now,
                    )
                    .exists(),
                )
            )
        ).all()
    )
    begin = start_of(subject.row.first_day, subject.timezone)
    end = start_of(subject.row.last_day + DAYS_AFTER + _DAY, subject.timezone)
    through = (
        select(InviteLink.id)
        .where(
            InviteLink.workspace_id == MemberChange.workspace_id,
            InviteLink.community_id == MemberChange.community_id,
            InviteLink.campaign_id == subject.row.id,
            attribution.invite_counts(subject.now),
            func.left(InviteLink.address, func.length(MemberChange.invite_link)) == MemberChange.invite_link,
        )
        .correlate(MemberChange)
        .exists()
    )
    counted = await connection.execute(
        select(MemberChange.community_id, func.count().label("joined"))
        .where(
            MemberChange.workspace_id == workspace_id,
            MemberChange.community_id.in_(ids),
            MemberChange.at >= begin,
            MemberChange.at < end,
            attribution.through_a_link(),
            attribution.first_join(subject.now),
            through,
        )
        .group_by(MemberChange.community_id)
    )
    joined = {row.community_id: row.joined for row in counted}
    communities = []
    for one in subject.communities:
        spec = adapters()[one.platform].spec if one.platform in adapters() else None
        reason = attribution.joins_reason(
            counts=spec is not None and spec.counts_joins,
            attributes=spec is not None and spec.attributes_joins,
            seen=one.id in seen,
            has_invites=one.id in with_invites,
        )
        communities.append(
            CommunityJoins(
                community_id=one.id,
                platform=one.platform,
                joined=joined.get(one.id, 0) if reason is None else None,
                reason=reason,
            )
        )
    total = [one.joined for one in communities if one.joined is not None]
    reason = None if total else _first(one.reason for one in communities)
    return ProvenJoins(joined=sum(total) if total else None, reason=reason, communities=communities)


def _first(reasons: Iterable[str | None]) -> str:
    return next((reason for reason in reasons if reason is not None), "no-communities")


async def _spend(connection: AsyncConnection, subject: _Subject) -> dict[str, int]:
    rows = await connection.execute(
        select(Spend.currency, func.sum(Spend.amount).label("amount"))
        .where(in_workspace(Spend, subject.row.workspace_id), Spend.campaign_id == subject.row.id)
        .where(attribution.spend_counts(subject.now))
        .group_by(Spend.currency)
    )
    return {row.currency: int(row.amount) for row in rows}


def _costs(
    subject: _Subject,
    spend: Mapping[str, int],
    clicks: ProvenClicks,
    redemptions: ProvenRedemptions,
    joins: ProvenJoins,
) -> CampaignCosts:
    row = subject.row
    agreed = remaining = None
    if row.budget is not None:
        agreed = MoneyRead.model_validate(money.money(row.budget, row.currency))
        remaining = MoneyRead.model_validate(money.money(row.budget - spend.get(row.currency, 0), row.currency))
    return CampaignCosts(
        spend=_moneys(spend),
        budget=agreed,
        remaining=remaining,
        per_click=_cost(spend, clicks.people, clicks.reason, attribution.NO_CLICKS),
        per_redemption=_cost(spend, redemptions.count, redemptions.reason, attribution.NO_REDEMPTIONS),
        per_attracted_user=_cost(spend, joins.joined, joins.reason, attribution.NO_JOINS),
    )


def _cost(spend: Mapping[str, int], amount: int | None, reason: str | None, nothing: str) -> CostRead:
    if amount is None:
        return CostRead(value=None, currency=None, reason=reason)
    if not spend or len(spend) > 1:
        why = attribution.SEVERAL_CURRENCIES if spend else attribution.NO_SPEND
        return CostRead(value=None, currency=None, reason=why)
    if amount == 0:
        return CostRead(value=None, currency=None, reason=nothing)
    ((currency, minor),) = spend.items()
    return CostRead(value=money.major(minor / amount, currency), currency=currency, reason=None)


async def _estimated(connection: AsyncConnection, subject: _Subject) -> EstimatedResults:
    row, ids = subject.row, [one.id for one in subject.communities]
    begin = row.first_day - timedelta(days=HISTORY)
    end = min(row.last_day, subject.today - _DAY)
    if row.cancelled_at is not None:
        end = min(end, local_day(row.cancelled_at, subject.timezone))
    sizes = await _growth(connection, row.workspace_id, ids, begin, end)
    busy = await _other_campaigns(connection, subject, begin, end)
    communities = [
        _community_estimate(one, sizes.get(one.id, {}), busy.get(one.id, set()) | busy.get(None, set()), row, end)
        for one in subject.communities
    ]
    estimates = [one for one in communities if one.value is not None]
    return EstimatedResults(
        value=sum(one.value or 0 for one in estimates) if estimates else None,
        # Whether the communities err together is not known: their intervals are added.
        low=sum(one.low or 0 for one in estimates) if estimates else None,
        high=sum(one.high or 0 for one in estimates) if estimates else None,
        level=LEVEL,
        reason=None if estimates else _first(one.reason for one in communities),
        communities=communities,
    )


def _community_estimate(
    community: Any, growth: Mapping[date, int], busy: set[date], row: Any, end: date
) -> CommunityEstimate:
    days = _days(row.first_day, end)
    free = [day for day in days if day not in busy]
    before = [day for day in _days(row.first_day - timedelta(days=HISTORY), row.first_day - _DAY) if day not in busy]
    result: GrowthEstimate | str = (
        expected_growth.OVERLAPPING if days and not free else expected_growth.estimate(growth, before, free)
    )
    common = {"community_id": community.id, "platform": community.platform}
    history = sum(day in growth for day in before)
    if isinstance(result, str):
        return CommunityEstimate(
            **common,
            growth=None,
            expected=None,
            value=None,
            low=None,
            high=None,
            days=sum(day in growth for day in free),
            history=history,
            reason=result,
        )
    return CommunityEstimate(
        **common,
        growth=result.growth,
        expected=result.expected,
        value=result.value,
        low=result.low,
        high=result.high,
        days=result.days,
        history=history,
        reason=None,
    )


def _days(first: date, last: date) -> list[date]:
    return [date.fromordinal(day) for day in range(first.toordinal(), last.toordinal() + 1)]


async def _growth(
    connection: AsyncConnection, workspace_id: UUID, ids: Sequence[UUID], first: date, last: date
) -> dict[UUID, dict[date, int]]:
    """The net growth of each day on which a community's size was read, and on the day before."""
    rows = await connection.execute(
        select(CommunityDay.community_id, CommunityDay.day, CommunityDay.last)
        .where(CommunityDay.workspace_id == workspace_id, CommunityDay.community_id.in_(ids))
        .where(CommunityDay.day.between(first - _DAY, last))
        .order_by(CommunityDay.community_id, CommunityDay.day)
    )
    sizes: dict[UUID, dict[date, int]] = {}
    for community_id, day, size in rows:
        sizes.setdefault(community_id, {})[day] = size
    return {
        community_id: {day: size - by_day[day - _DAY] for day, size in by_day.items() if day - _DAY in by_day}
        for community_id, by_day in sizes.items()
    }


async def _other_campaigns(
    connection: AsyncConnection, subject: _Subject, first: date, last: date
) -> dict[UUID | None, set[date]]:
    """The days of other campaigns by community; None: of all communities."""
    rows = await connection.execute(
        select(
            Campaign.first_day,
            Campaign.last_day,
            Campaign.cancelled_at,
            CampaignCommunity.community_id,
        )
        .outerjoin(
            CampaignCommunity,
            and_(CampaignCommunity.workspace_id == Campaign.workspace_id, CampaignCommunity.campaign_id == Campaign.id),
        )
        .where(in_workspace(Campaign, subject.row.workspace_id), Campaign.project_id == subject.row.project_id)
        .where(Campaign.id != subject.row.id, Campaign.first_day <= max(first, last), Campaign.last_day >= first)
        .where(or_(Campaign.all_communities.is_(True), CampaignCommunity.community_id.is_not(None)))
    )
    busy: dict[UUID | None, set[date]] = {}
    for begin, end, cancelled_at, community_id in rows:
        until = end if cancelled_at is None else min(end, local_day(cancelled_at, subject.timezone))
        busy.setdefault(community_id, set()).update(_days(begin, until))
    return busy
