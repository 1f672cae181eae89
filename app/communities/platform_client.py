"""Calling a platform about a community: the adapter, its credentials, its budgets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import tokens
from app.communities.models import Community
from app.communities.polling.rate_limits import RateLimiter
from app.communities.tokens import StoredTokens
from app.kit.db import fetch
from app.kit.http import metered
from app.kit.jobs import Run, Snooze
from app.kit.resources import Resources
from app.platforms import adapter as adapter_of
from app.platforms.capabilities import Refreshes
from app.platforms.contract import Adapter, AuthExpired, Credentials, Throttled, Token
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class PlatformClient:
    """An open line to a platform. Never used inside a unit of work."""

    adapter: Adapter
    credentials: Credentials
    meter: RateLimiter
    held: StoredTokens

    async def throttled(self, error: Throttled) -> datetime:
        """The platform told us to stop; until when nobody whom that concerns calls it."""
        return await self.meter.throttled(error)


def own_app(settings: Settings, platform: str) -> Mapping[str, str]:
    """What is known of this installation's own application at a platform."""
    return {name: text.get_secret_value() for name, text in settings.platform_apps.get(platform, {}).items()}


async def platform_client(
    resources: Resources, session: AsyncSession, community_id: UUID
) -> tuple[Community, PlatformClient]:
    """A community of this workspace and a line to it, to be used after this unit of work has ended."""
    if resources.http is None:
        raise RuntimeError("platforms are called by workers only: a request enqueues a job")
    community = await fetch(session, Community, community_id)
    held = await tokens.held(session, resources.keyring, community_id)
    known = Credentials(
        address=community.address,
        base_url=community.base_url,
        external_id=community.external_id,
        tokens=held.texts,
        app=own_app(resources.settings, community.platform),
        aliases=frozenset(community.aliases),
    )
    kind = adapter_of(community.platform)
    meter = RateLimiter(resources, kind, known.base_url)
    return community, PlatformClient(kind(metered(resources.http, meter.before, meter.after)), known, meter, held)


async def with_valid_tokens(run: Run, community_id: UUID, line: PlatformClient) -> PlatformClient:
    """A line whose tokens are good for some minutes: those that end are renewed first.

    Raises `Later` while another worker renews them, `AuthExpired` where one cannot be opened, and what
    `Refreshes.refresh` raises.
    """
    kinds = renewable(line)
    if kinds and tokens.due(line.held, kinds, run.now):
        line = await renew(run, community_id, line)
    for kind in sorted(line.held.lost):
        raise AuthExpired("No key of this installation opens the stored token.", token=kind)
    return line


async def reauthorised(run: Run, community_id: UUID, line: PlatformClient, error: AuthExpired) -> bool:
    """Whether a refused token is another by now: renewed by us, or meanwhile by somebody else."""
    async with run.step() as session:
        if await tokens.changed(session, community_id, line.held):
            return True
    just_now = line.held.renewed_at is not None and run.now < line.held.renewed_at + tokens.JUST_NOW
    if just_now or not (renewable(line) & ({error.token} if error.token is not None else set(Token))):
        return False
    await renew(run, community_id, line)
    return True


async def renew(run: Run, community_id: UUID, line: PlatformClient) -> PlatformClient:
    """The same line with new tokens, fetched by us or, meanwhile, by somebody else."""
    assert isinstance(line.adapter, Refreshes), "asked of adapters that refresh"
    try:
        async with run.step() as session:
            claim = await tokens.claim(session, community_id, line.held)
    except tokens.BeingRenewed as other:
        raise Snooze(other.at, str(other)) from None
    if claim is not None:
        try:
            granted = await line.adapter.refresh(line.credentials)
        except Exception as error:
            async with run.step() as session:
                # A person may have reconnected meanwhile, or we were so slow that another took over.
                replaced = isinstance(error, AuthExpired) and await tokens.changed(session, community_id, line.held)
                await tokens.not_renewed(session, claim)
            if not replaced:
                raise
        else:
            async with run.step() as session:
                await tokens.renewed(session, run.resources.keyring, claim, granted)
    async with run.step() as session:
        held = await tokens.held(session, run.resources.keyring, community_id)
    return replace(line, held=held, credentials=replace(line.credentials, tokens=held.texts))


def renewable(line: PlatformClient) -> frozenset[Token]:
    """The kinds of token that are renewed by themselves."""
    return tokens.renewable(type(line.adapter), line.credentials.tokens, line.credentials.app)
