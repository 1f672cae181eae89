"""What rows prove for campaigns: which clicks, redemptions and joins count. The rules are those of docs/attribution.md.

Each statement-part here takes tables of rows as they were at an instant: a link, an invite link or a row of spend
counts from when it was recorded until it was ended or voided.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Select, and_, exists, func, literal, or_, select
from sqlalchemy.orm import aliased

from app.campaigns.models import Campaign, CampaignLink, InviteLink, Spend
from app.campaigns.service import DAYS_AFTER
from app.metrics.models import MemberChange

NO_LINKS: Final = "no-links"
NO_PROMO_CODES: Final = "no-promo-codes"
NO_SPEND: Final = "no-spend"
SEVERAL_CURRENCIES: Final = "several-currencies"
NO_CLICKS: Final = "no-clicks"
NO_REDEMPTIONS: Final = "no-redemptions"
NO_JOINS: Final = "no-joins"
NO_INVITE_LINKS: Final = "no-invite-links"
NOT_COUNTED: Final = "joins-not-counted"
"""The platform does not say who joins."""
NOT_ATTRIBUTED: Final = "joins-not-attributed"
"""It says who joins, but not through which link."""
NONE_SEEN: Final = "no-join-seen"
"""No join and no leave of this community was ever received: the bot may not be allowed to see them."""


def link_counts(at: Any) -> ColumnElement[bool]:
    """Whether a tracked link belonged to its campaign at an instant."""
    return and_(CampaignLink.set_at <= at, or_(CampaignLink.ended_at.is_(None), CampaignLink.ended_at > at))


def invite_counts(at: Any) -> ColumnElement[bool]:
    """Whether an invite link belonged to its campaign at an instant."""
    return and_(InviteLink.set_at <= at, or_(InviteLink.ended_at.is_(None), InviteLink.ended_at > at))


def spend_counts(at: Any) -> ColumnElement[bool]:
    """Whether a row of spend counted at an instant."""
    return and_(Spend.recorded_at <= at, or_(Spend.voided_at.is_(None), Spend.voided_at > at))


def day_counts(day: Any) -> ColumnElement[bool]:
    """Whether a local day counts for `Campaign`."""
    return and_(day >= Campaign.first_day, day <= Campaign.last_day + literal(DAYS_AFTER.days, Integer))


def first_join(at: Any) -> ColumnElement[bool]:
    """Whether `MemberChange` is somebody's first join of the community that is known at an instant."""
    earlier = aliased(MemberChange)
    return and_(
        MemberChange.joined.is_(True),
        MemberChange.recorded_at <= at,
        ~exists().where(
            earlier.workspace_id == MemberChange.workspace_id,
            earlier.community_id == MemberChange.community_id,
            earlier.member == MemberChange.member,
            earlier.at < MemberChange.at,
            earlier.joined.is_(True),
            earlier.recorded_at <= at,
        ),
    )


def through_a_link() -> ColumnElement[bool]:
    """Whether the platform names the link through which `MemberChange` came: an index has these alone."""
    return MemberChange.invite_link.is_not(None)


def campaigns_of_join(at: Any, day: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
    """The campaigns through whose invite links `MemberChange` came on this local day.

    Of a link that somebody else made the platform shows only the beginning.
    """
    return (
        select(InviteLink.campaign_id)
        .join(
            Campaign,
            and_(Campaign.workspace_id == InviteLink.workspace_id, Campaign.id == InviteLink.campaign_id),
        )
        .where(
            InviteLink.workspace_id == MemberChange.workspace_id,
            InviteLink.community_id == MemberChange.community_id,
            func.left(InviteLink.address, func.length(MemberChange.invite_link)) == MemberChange.invite_link,
            invite_counts(at),
            day_counts(day),
            *conditions,
        )
        .correlate(MemberChange)
    )


def has_spend(at: Any) -> ColumnElement[bool]:
    """Whether anything was spent on `Campaign`, by what was recorded at an instant."""
    return (
        select(Spend.id)
        .where(
            Spend.workspace_id == Campaign.workspace_id,
            Spend.campaign_id == Campaign.id,
            spend_counts(at),
        )
        .correlate(Campaign)
        .exists()
    )


def has_link(at: Any) -> ColumnElement[bool]:
    """Whether `Campaign` had a tracked link at an instant."""
    return (
        select(CampaignLink.id)
        .where(
            CampaignLink.workspace_id == Campaign.workspace_id,
            CampaignLink.campaign_id == Campaign.id,
            link_counts(at),
        )
        .correlate(Campaign)
        .exists()
    )


def has_invite_link(at: Any) -> ColumnElement[bool]:
    """Whether `Campaign` had an invite link at an instant."""
    return (
        select(InviteLink.id)
        .where(
            InviteLink.workspace_id == Campaign.workspace_id,
            InviteLink.campaign_id == Campaign.id,
            invite_counts(at),
        )
        .correlate(Campaign)
        .exists()
    )


def joins_reason(*, counts: bool, attributes: bool, seen: bool, has_invites: bool) -> str | None:
    """Why the joins of a community cannot be attributed to campaigns; None where they can."""
    if not counts:
        return NOT_COUNTED
    reason = attributed_reason(attributes=attributes, has_invites=has_invites)
    return reason if reason is not None or seen else NONE_SEEN


def attributed_reason(*, attributes: bool, has_invites: bool) -> str | None:
    """Why joins that are known cannot be attributed to campaigns; None where they can."""
    if not attributes:
        return NOT_ATTRIBUTED
    return None if has_invites else NO_INVITE_LINKS
