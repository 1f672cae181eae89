"""What is read of joins, by community: the parts of the statement of `joins.Joins`."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Text, and_, case, func, or_, select
from sqlalchemy import cast as sql_cast

from app.campaigns import attribution
from app.campaigns.models import InviteLink
from app.communities.inbound.models import Hook
from app.communities.models import Community as CommunityRow
from app.kit.db import in_workspace
from app.kpis.inputs.campaigns import joins_of_project
from app.kpis.inputs.parameters import (
    AS_OF,
    END,
    FIRST,
    LAST,
    PROJECT,
    PROJECTS,
    START,
    WORKSPACE,
    columns_by_community,
    local_day,
    position,
)
from app.metrics.models import CommunityDay, MemberChange, MemberDay
from app.projects.models import Project as ProjectRow

_own_communities: Final = and_(in_workspace(CommunityRow, WORKSPACE), CommunityRow.project_id == PROJECT.c.id)


def by_community(amount: ColumnElement[Any]) -> ColumnElement[Any]:
    """An amount of each of the project's communities, as a JSON object by the community's id."""
    return (
        select(func.json_object_agg(sql_cast(CommunityRow.id, Text), amount))
        .where(_own_communities)
        .correlate(PROJECT)
        .scalar_subquery()
    )


def received(*, last: bool) -> ColumnElement[Any]:
    """When a community's first, or last, join or leave was received."""
    return (
        select(func.max(MemberChange.at) if last else func.min(MemberChange.at))
        .where(
            MemberChange.workspace_id == CommunityRow.workspace_id,
            MemberChange.community_id == CommunityRow.id,
            MemberChange.recorded_at <= AS_OF,
        )
        .correlate(CommunityRow)
        .scalar_subquery()
    )


def hook() -> ColumnElement[Any]:
    """Whether the platform says that a community's hook gets no events; null: the community has no hook."""
    return (
        select(or_(Hook.subscribed.is_(False), Hook.delivering.is_(False)))
        .where(Hook.workspace_id == CommunityRow.workspace_id, Hook.community_id == CommunityRow.id)
        .correlate(CommunityRow)
        .scalar_subquery()
    )


def with_invites() -> ColumnElement[Any]:
    """The communities that have invite links of campaigns."""
    return (
        select(func.json_agg(sql_cast(InviteLink.community_id, Text).distinct()))
        .where(
            in_workspace(InviteLink, WORKSPACE),
            InviteLink.project_id == PROJECT.c.id,
            attribution.invite_counts(AS_OF),
        )
        .correlate(PROJECT)
        .scalar_subquery()
    )


def counted() -> ColumnElement[str]:
    """First joins and all joins, by day."""
    return columns_by_community(
        select(
            MemberDay.community_id,
            position(MemberDay.__table__.c.day),
            MemberDay.first_joins,
            MemberDay.joins,
        ).where(
            MemberDay.workspace_id == WORKSPACE,
            MemberDay.project_id == PROJECT.c.id,
            MemberDay.day.between(FIRST, LAST),
        )
    )


def attributed() -> ColumnElement[str]:
    """First joins through invite links of campaigns, by day."""
    join = joins_of_project().c
    return columns_by_community(
        select(join.community_id, position(join.day), func.count()).group_by(join.community_id, join.day)
    )


def compared() -> ColumnElement[str]:
    """Since which day a day's growth is compared, what of it is not explained, and the size."""
    return columns_by_community(
        select(
            CommunityDay.community_id,
            position(CommunityDay.__table__.c.day),
            (CommunityDay.__table__.c.compared_since - FIRST).label("since"),
            CommunityDay.unexplained,
            CommunityDay.last,
        ).where(
            CommunityDay.workspace_id == WORKSPACE,
            CommunityDay.project_id == PROJECT.c.id,
            CommunityDay.day.between(FIRST, LAST),
            CommunityDay.unexplained.is_not(None),
        )
    )


_PAST_DAY: Final = local_day(MemberChange.at, ProjectRow.timezone)
KNOWN_JOINS: Final = (
    select(
        MemberChange.community_id,
        _PAST_DAY.label("day"),
        sql_cast(func.sum(case((attribution.first_join(AS_OF), 1), else_=0)), Integer),
        func.count(),
    )
    .join(
        ProjectRow, and_(ProjectRow.workspace_id == MemberChange.workspace_id, ProjectRow.id == MemberChange.project_id)
    )
    .where(
        MemberChange.workspace_id == WORKSPACE,
        MemberChange.project_id == PROJECTS,
        MemberChange.at >= START,
        MemberChange.at < END,
        MemberChange.joined.is_(True),
        MemberChange.recorded_at <= AS_OF,
        _PAST_DAY.between(FIRST, LAST),
    )
    .group_by(MemberChange.community_id, _PAST_DAY)
    .order_by(MemberChange.community_id, _PAST_DAY)
)
"""For a past instant: first joins and all joins by day, as they were known at it."""
