"""What of communities needs a person: their tokens, and those from which nothing comes any more."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import Seat
from app.alerts.contract import AlertKind, Concern, ConcernQuery
from app.communities.events import TokenExpiring
from app.communities.models import UNPOLLED, Community, CommunityStatus, CommunityToken


async def expiring(session: AsyncSession, query: ConcernQuery) -> Sequence[Concern]:
    """Tokens whose end was announced, a week ahead: those that only a person can replace."""
    statement = (
        select(
            CommunityToken.id,
            Community.project_id,
            CommunityToken.warned_at,
            CommunityToken.expires_at,
            Community.title,
            Community.address,
        )
        .join(
            Community,
            (Community.workspace_id == CommunityToken.workspace_id) & (Community.id == CommunityToken.community_id),
        )
        .where(
            CommunityToken.workspace_id == query.workspace_id,
            CommunityToken.warned_at.is_not(None),
            CommunityToken.expires_at.is_not(None),
            Community.disconnected_at.is_(None),
        )
    )
    rows = await session.execute(query.page(statement, since=CommunityToken.warned_at, subject=CommunityToken.id))
    return [
        Concern(
            row.id,
            row.project_id,
            row.warned_at,
            {"community": row.title or row.address, "expires_at": row.expires_at.isoformat()},
        )
        for row in rows
    ]


async def refused(session: AsyncSession, query: ConcernQuery) -> Sequence[Concern]:
    """Communities whose tokens the platform refuses. Since when is not stored: one alert lasts until it is over."""
    last_read_at = func.coalesce(Community.polled_at, Community.created_at)
    statement = select(
        Community.id, Community.project_id, last_read_at.label("since"), Community.title, Community.address
    ).where(
        Community.workspace_id == query.workspace_id,
        Community.status == CommunityStatus.REAUTH_REQUIRED.value,
    )
    rows = await session.execute(query.page(statement, since=last_read_at, subject=Community.id))
    return [Concern(row.id, row.project_id, row.since, {"community": row.title or row.address}) for row in rows]


async def quiet(session: AsyncSession, query: ConcernQuery) -> Sequence[Concern]:
    """Communities that should be read, and of which neither a poll nor an event has brought anything."""
    last_at = func.greatest(Community.polled_at, Community.last_event_at, Community.created_at)
    statement = select(
        Community.id, Community.project_id, last_at.label("since"), Community.title, Community.address
    ).where(
        Community.workspace_id == query.workspace_id,
        Community.status.not_in([one.value for one in (*UNPOLLED, CommunityStatus.REAUTH_REQUIRED)]),
    )
    rows = await session.execute(query.page(statement, since=last_at, subject=Community.id))
    return [Concern(row.id, row.project_id, row.since, {"community": row.title or row.address}) for row in rows]


KINDS: Final = (
    AlertKind(
        key="token-expiring",
        title="A token ends soon",
        text="{community}: its token ends at {expires_at}. Reconnect the community with a new one before.",
        seats=(Seat.MANAGER,),
        threshold=timedelta(0),
        find=expiring,
        events=(TokenExpiring,),
    ),
    AlertKind(
        key="reconnect-needed",
        title="A community must be reconnected",
        text="{community}: the platform does not accept its token any more. It was last read at {since}.",
        seats=(Seat.MANAGER,),
        threshold=timedelta(0),
        find=refused,
        ongoing=True,
    ),
    AlertKind(
        key="community-quiet",
        title="Nothing comes from a community any more",
        text="{community}: nothing was read there since {since}. GET /v1/communities/{{id}}/health says why.",
        seats=(Seat.COMMUNITY_MANAGER, Seat.MANAGER),
        threshold=timedelta(hours=24),
        find=quiet,
    ),
)
