"""What rows prove for campaigns: which clicks, redemptions and joins count. The rules are those of docs/attribution.md.

Each statement-part here takes tables of rows as they were at an instant: a link, an invite link or a row of spend
counts from when it was recorded until it was ended or voided.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Select, and_, func, literal, literal_column, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased

from app.campaigns.models import Campaign, CampaignLink, InviteLink, Spend
from app.campaigns.service import DAYS_AFTER
from app.metrics.models import MemberChange
from app.projects.models import Project

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
    is_repeated = (
        select(earlier.at)
        .where(
            earlier.workspace_id == MemberChange.workspace_id,
            earlier.community_id == MemberChange.community_id,
            earlier.member == MemberChange.member,
            earlier.at < MemberChange.at,
            # Not `IS TRUE`: of a further column of the key behind a range PostgreSQL expects a search for each instant,
            # and reads all changes of the community instead.
            earlier.joined.is_not(False),
            earlier.recorded_at <= at,
        )
        .limit(1)
        .correlate(MemberChange)
        .scalar_subquery()
    )
    # A look-up for each row, by the key: joined, it may become a comparison with all changes of the workspace.
    return and_(MemberChange.joined.is_(True), MemberChange.recorded_at <= at, is_repeated.is_(None))


def through_a_link() -> ColumnElement[bool]:
    """Whether the platform names the link through which `MemberChange` came: an index has these alone."""
    return MemberChange.invite_link.is_not(None)


def first_joins(
    *,
    workspace_id: Any,
    project_id: Any,
    at: Any,
    day: ColumnElement[date],
    start: Any,
    end: Any,
    first: Any,
    last: Any,
    conditions: Sequence[ColumnElement[bool]] = (),
    attributed: bool = True,
) -> Select[Any]:
    """The first joins of a project through invite links of its campaigns, a row each.

    A statement around it may have `Project`, and what is passed may be of its row.
    With `community_id`, `member`, `at`, `day`, `invite_link` and `campaign_id`: the first by id, where several fit.

    Args:
        at: As far as it was known at this instant.
        day: The local day of `MemberChange.at`, of which those from `first` to `last` are returned.
        start: Nothing before this instant is looked at,
        end: and nothing from this one on: they enclose the days.
        conditions: Those for which `Campaign` counts.
        attributed: False: all first joins; the campaign of those that came otherwise is null.
    """
    # Materialised: the campaigns in time are few, and read once, not again for each join.
    link = (
        select(
            InviteLink.community_id, InviteLink.address, InviteLink.campaign_id, Campaign.first_day, Campaign.last_day
        )
        .join(Campaign, and_(Campaign.workspace_id == InviteLink.workspace_id, Campaign.id == InviteLink.campaign_id))
        .where(
            InviteLink.workspace_id == workspace_id,
            InviteLink.project_id == project_id,
            invite_counts(at),
            Campaign.project_id == project_id,
            Campaign.first_day <= last,
            Campaign.last_day + literal(DAYS_AFTER.days, Integer) >= first,
            *conditions,
        )
        .correlate(Project)
        .cte("link_of_campaign", nesting=True)
        .prefix_with("MATERIALIZED")
    )
    join = (
        select(
            MemberChange.community_id,
            MemberChange.member,
            MemberChange.at,
            day.label("day"),
            MemberChange.invite_link,
        )
        .where(
            MemberChange.workspace_id == workspace_id,
            MemberChange.project_id == project_id,
            MemberChange.at >= start,
            MemberChange.at < end,
            *((through_a_link(),) if attributed else ()),
            first_join(at),
        )
        .correlate(Project)
        .offset(literal_column("0"))  # keeps it apart, so that each local day is looked up once
        .subquery("first_join")
    )
    return (
        select(*join.c, link.c.campaign_id)
        .join_from(
            join,
            link,
            and_(
                link.c.community_id == join.c.community_id,
                # Of a link that somebody else made the platform shows only the beginning.
                func.left(link.c.address, func.length(join.c.invite_link)) == join.c.invite_link,
                join.c.day >= link.c.first_day,
                join.c.day <= link.c.last_day + literal(DAYS_AFTER.days, Integer),
            ),
            isouter=not attributed,
        )
        .where(join.c.day.between(first, last))
        # Nobody joins a community for the first time twice.
        .ext(distinct_on(join.c.community_id, join.c.member))
        .order_by(join.c.community_id, join.c.member, link.c.campaign_id)
        .correlate(Project)
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
