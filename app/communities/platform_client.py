"""Calling a platform for a community: its adapter, credentials, tokens and rate limits."""

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
    """A community's adapter, ready to be called. Never used inside a unit of work."""

    adapter: Adapter
    credentials: Credentials
    limiter: RateLimiter
    stored_tokens: StoredTokens

    async def throttled(self, error: Throttled) -> datetime:
        """Start a cooldown after a platform's "too many requests"; the instant at which it ends."""
        return await self.limiter.throttled(error)


def app_credentials(settings: Settings, platform: str) -> Mapping[str, str]:
    """The settings of this installation's own application at a platform, by name."""
    return {name: text.get_secret_value() for name, text in settings.platform_apps.get(platform, {}).items()}


async def platform_client(
    resources: Resources, session: AsyncSession, community_id: UUID
) -> tuple[Community, PlatformClient]:
    """A community of this workspace and a client for it, to be used after this unit of work has ended."""
    if resources.http is None:
        raise RuntimeError("platforms are called by workers only: a request enqueues a job")
    community = await fetch(session, Community, community_id)
    stored_tokens = await tokens.load(session, resources.keyring, community_id)
    credentials = Credentials(
        address=community.address,
        base_url=community.base_url,
        external_id=community.external_id,
        tokens=stored_tokens.texts,
        app=app_credentials(resources.settings, community.platform),
        aliases=frozenset(community.aliases),
    )
    adapter_class = adapter_of(community.platform)
    limiter = RateLimiter(resources, adapter_class, credentials.base_url)
    http = metered(resources.http, limiter.before, limiter.after, limiter.unanswered)
    return community, PlatformClient(adapter_class(http), credentials, limiter, stored_tokens)


async def with_valid_tokens(run: Run, community_id: UUID, client: PlatformClient) -> PlatformClient:
    """A client whose tokens are valid for some minutes: those that expire are renewed first.

    Raises `Snooze` while another worker renews them, `AuthExpired` where one cannot be opened, and what
    `Refreshes.refresh` raises.
    """
    kinds = renewable(client)
    if kinds and tokens.need_renewal(client.stored_tokens, kinds, run.now):
        client = await renew(run, community_id, client)
    for kind in sorted(client.stored_tokens.lost):
        raise AuthExpired("No key of this installation opens the stored token.", token=kind)
    return client


async def reauthorised(run: Run, community_id: UUID, client: PlatformClient, error: AuthExpired) -> bool:
    """Whether a refused token has been replaced: renewed here, or meanwhile by another worker or a person."""
    async with run.step() as session:
        if await tokens.have_changed(session, community_id, client.stored_tokens):
            return True
    just_now = (
        client.stored_tokens.renewed_at is not None
        and run.now < client.stored_tokens.renewed_at + tokens.RENEWED_RECENTLY
    )
    if just_now or not (renewable(client) & ({error.token} if error.token is not None else set(Token))):
        return False
    await renew(run, community_id, client)
    return True


async def renew(run: Run, community_id: UUID, client: PlatformClient) -> PlatformClient:
    """The same client with new tokens, renewed here or meanwhile by another worker."""
    assert isinstance(client.adapter, Refreshes), "only called for adapters that refresh"
    try:
        async with run.step() as session:
            claim = await tokens.claim_renewal(session, community_id, client.stored_tokens)
    except tokens.RenewalInProgress as other:
        raise Snooze(other.at, str(other)) from None
    if claim is not None:
        try:
            issued = await client.adapter.refresh(client.credentials)
        except Exception as error:
            async with run.step() as session:
                # A person may have reconnected meanwhile, or the lease ended and another worker took over.
                replaced = isinstance(error, AuthExpired) and await tokens.have_changed(
                    session, community_id, client.stored_tokens
                )
                await tokens.release(session, claim)
            if not replaced:
                raise
        else:
            async with run.step() as session:
                await tokens.store_renewed(session, run.resources.keyring, claim, issued)
    async with run.step() as session:
        stored_tokens = await tokens.load(session, run.resources.keyring, community_id)
    return replace(
        client, stored_tokens=stored_tokens, credentials=replace(client.credentials, tokens=stored_tokens.texts)
    )


def renewable(client: PlatformClient) -> frozenset[Token]:
    """The kinds of token that can be renewed without a person."""
    return tokens.renewable(type(client.adapter), client.credentials.tokens, client.credentials.app)
