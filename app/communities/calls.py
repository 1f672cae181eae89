"""Calling a platform about a community: the adapter, its credentials, its budgets."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.budgets import Meter
from app.communities.models import Community, CommunityToken
from app.kit.crypto import Keyring
from app.kit.db import fetch, mine, workspace_of
from app.kit.http import metered
from app.kit.resources import Resources
from app.platforms import adapter as adapter_of
from app.platforms.contract import Adapter, Credentials, Token


@dataclass(frozen=True, slots=True)
class Line:
    """An open line to a platform. Never used inside a unit of work."""

    adapter: Adapter
    credentials: Credentials


async def credentials(session: AsyncSession, keyring: Keyring, community: Community) -> Credentials:
    """What an adapter needs to know of a community, its tokens opened."""
    sealed = await session.execute(
        select(CommunityToken.kind, CommunityToken.sealed).where(
            mine(CommunityToken, workspace_of(session)), CommunityToken.community_id == community.id
        )
    )
    return Credentials(
        address=community.address,
        base_url=community.base_url,
        external_id=community.external_id,
        tokens={Token(kind): keyring.open(text) for kind, text in sealed},
    )


def dial(resources: Resources, platform: str, known: Credentials) -> Line:
    """A line to `platform`; every request on it is counted against the platform's limits."""
    if resources.http is None:
        raise RuntimeError("platforms are called by workers only: a request enqueues a job")
    kind = adapter_of(platform)
    meter = Meter(resources, kind.spec, known.base_url)
    return Line(kind(metered(resources.http, meter.before)), known)


async def open_line(resources: Resources, session: AsyncSession, community_id: UUID) -> tuple[Community, Line]:
    """A community of this workspace and a line to it, to be used after this unit of work has ended."""
    community = await fetch(session, Community, community_id)
    known = await credentials(session, resources.keyring, community)
    return community, dial(resources, community.platform, known)
