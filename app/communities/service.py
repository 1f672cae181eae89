"""Connecting communities, and pausing, resuming, syncing and reconnecting them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.communities.inbound.models import Hook
from app.communities.models import Community, CommunityStatus, CommunityToken
from app.communities.polling import unread_items
from app.communities.tokens import replace_grant
from app.communities.tokens import store as store_tokens
from app.kit import jobs
from app.kit.actors import Actor
from app.kit.addresses import host_refusal
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, Invalid
from app.kit.ids import uuid7
from app.platforms import adapters
from app.platforms.contract import Token
from app.projects.models import Project
from app.settings import Settings

POLL = "communities.poll"


@dataclass(frozen=True, slots=True)
class ResealResult:
    """The result of sealing tokens under the current key."""

    tokens: int
    lost: frozenset[UUID]
    """Communities with a token, or a hook's secrets, that no key opens any more; those stay as they were."""


async def connect(
    session: AsyncSession,
    actor: Actor,
    settings: Settings,
    keyring: Keyring,
    *,
    project_id: UUID,
    platform: str,
    address: str,
    tokens: Mapping[Token, SecretStr],
    backfill_days: int,
) -> Community:
    """Store a community and schedule its first poll at once; its health shows whether the platform answers.

    Raises `Invalid` for an unknown platform or an address that is not one of its addresses, `Conflict` where
    this workspace has connected the community already, `NotFound` for a project of another workspace.
    """
    await fetch(session, Project, project_id)
    adapter_class = adapters().get(platform)
    if adapter_class is None:
        raise Invalid(f"Unknown platform; known are: {', '.join(adapters())}.", code="unknown-platform")
    unused = set(tokens) - adapter_class.spec.tokens
    if unused:
        raise Invalid(
            f"{adapter_class.spec.title} takes no token of kind {', '.join(sorted(unused))}.", code="unexpected-token"
        )
    if not tokens and not adapter_class.spec.public:
        raise Invalid(
            f"{adapter_class.spec.title} shows nothing without a token; send credentials: "
            f"{', '.join(sorted(adapter_class.spec.tokens))}.",
            code="credentials-needed",
        )
    try:
        parsed = adapter_class.address(address)
    except ValueError as error:
        raise Invalid(
            f"{error} Example: {adapter_class.spec.address_hint}",
            code="invalid-address",
            errors=[{"in": "body", "field": "address", "code": "invalid-address", "detail": str(error)}],
        ) from None
    if parsed.base_url is not None:
        _require_public(parsed.base_url, settings)
    base_url = settings.platform_urls.get(platform) or parsed.base_url or adapter_class.spec.base_url
    assert base_url is not None, f"{platform} gives neither a base URL nor one with its addresses"
    values = {
        "workspace_id": workspace_of(session),
        "id": uuid7(),
        "project_id": project_id,
        "platform": platform,
        "address": parsed.canonical,
        "base_url": base_url,
        "status": CommunityStatus.CONNECTING.value,
        "missing_scopes": [],
        "part_problems": {},
        "reread_at": {},
        "failures": 0,
        "backfill_since": now(session) - timedelta(days=backfill_days),
        "created_at": now(session),
    }
    # The unique index decides, not a query beforehand: two requests at once store one.
    added: Community | None = await session.scalar(
        insert(Community).values(values).on_conflict_do_nothing().returning(Community)
    )
    if added is None:
        existing = await session.scalar(
            select(Community).where(
                in_workspace(Community, workspace_of(session)),
                Community.platform == platform,
                Community.address == parsed.canonical,
            )
        )
        if existing is not None and existing.status == CommunityStatus.DISCONNECTED:
            raise Conflict(
                f"This community was connected before: POST /v1/communities/{existing.id}/reconnect brings it back, "
                "with its history.",
                code="community-disconnected",
            )
        raise Conflict("This community is connected already.", code="already-connected")
    await store_tokens(session, keyring, added.id, tokens)
    await poll_now(session, added.id)
    audit.record(
        session,
        actor,
        "communities.connect",
        community_id=added.id,
        project_id=project_id,
        after={**audit.snapshot(added), "tokens": sorted(tokens)},
    )
    return added


def _require_public(base_url: str, settings: Settings) -> None:
    """Raise `Invalid` for an address on a host that shows, without a lookup, that it is never connected to."""
    url = urlsplit(base_url)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    port = url.port or (80 if url.scheme == "http" else 443)
    reason = host_refusal(host)
    if reason is None or f"{host}:{port}" in {entry.lower() for entry in settings.outbound_allow}:
        return
    detail = f"{host} is not the address of a public server ({reason})."
    raise Invalid(
        detail,
        code="invalid-address",
        errors=[{"in": "body", "field": "address", "code": "invalid-address", "detail": detail}],
    )


async def reseal(session: AsyncSession, actor: Actor, keyring: Keyring) -> ResealResult:
    """Seal this workspace's tokens and its hooks' secrets under the current key. Doing so again is harmless.

    The rows are locked: a token that is renewed meanwhile is not overwritten by the old one.
    """
    tokens = await session.scalars(
        select(CommunityToken)
        .where(in_workspace(CommunityToken, workspace_of(session)))
        .order_by(CommunityToken.community_id, CommunityToken.kind)
        .with_for_update()
    )
    resealed, lost = 0, set()
    for token in tokens:
        try:
            token.sealed = keyring.reseal(token.sealed)
        except SealBroken:
            lost.add(token.community_id)
        else:
            resealed += 1
    hooks = await session.scalars(
        select(Hook)
        .where(in_workspace(Hook, workspace_of(session)))
        .order_by(Hook.community_id)
        .with_for_update(key_share=True)
    )
    for hook in hooks:
        try:
            hook.sealed = keyring.reseal(hook.sealed)
        except SealBroken:
            lost.add(hook.community_id)
    audit.record(session, actor, "tokens.reseal", tokens=resealed)
    return ResealResult(resealed, frozenset(lost))


async def poll_now(session: AsyncSession, community_id: UUID) -> None:
    """Schedule a poll of a community as soon as a worker is free."""
    await jobs.enqueue(
        session, POLL, workspace_id=workspace_of(session), key=str(community_id), community_id=community_id
    )


def require_connected(community: Community) -> None:
    """Raise `Conflict` where a community is disconnected."""
    if community.status == CommunityStatus.DISCONNECTED:
        raise Conflict("It is disconnected: reconnect it first.", code="community-disconnected")


async def reconnect(
    session: AsyncSession, actor: Actor, keyring: Keyring, *, community_id: UUID, tokens: Mapping[Token, SecretStr]
) -> Community:
    """Store new tokens in place of the grant before, and have the community polled with them.

    A disconnected community is connected again. Raises `Invalid` (`credentials-needed`) without any token, unless
    that brings back one whose platform shows something without.
    """
    await fetch(session, Community, community_id)
    await poll_now(session, community_id)
    community = await fetch(session, Community, community_id, for_update=True)
    adapter_class = adapters()[community.platform]
    unused = set(tokens) - adapter_class.spec.tokens
    if unused:
        raise Invalid(
            f"{adapter_class.spec.title} takes no token of kind {', '.join(sorted(unused))}.", code="unexpected-token"
        )
    if not tokens and not (community.status == CommunityStatus.DISCONNECTED and adapter_class.spec.public):
        raise Invalid("Send the credentials to reconnect with.", code="credentials-needed")
    before = audit.snapshot(community)
    removed = await replace_grant(session, keyring, community_id, adapter_class, tokens)
    community.status, community.disconnected_at = CommunityStatus.CONNECTING.value, None
    community.status_code = community.status_reason = None
    community.missing_scopes = []
    community.part_problems = {}
    await unread_items.retry_now(session, community_id)
    community.failures = community.refusals = 0
    clear_metrics_poll_failure(community)
    community.throttled_until = None
    # Otherwise nothing might be due, and invalid tokens would go unnoticed.
    community.request(now(session), "size", "tokens")
    audit.record(
        session,
        actor,
        "communities.reconnect",
        community_id=community_id,
        project_id=community.project_id,
        before=before,
        after={**audit.snapshot(community), "tokens_given": sorted(tokens), "tokens_removed": sorted(removed)},
    )
    return community


async def pause(session: AsyncSession, actor: Actor, *, community_id: UUID) -> Community:
    """Stop polling a community until it is resumed; doing so twice changes nothing."""
    community = await fetch(session, Community, community_id, for_update=True)
    require_connected(community)
    before, community.status = audit.snapshot(community), CommunityStatus.PAUSED.value
    community.status_code = community.status_reason = None
    clear_metrics_poll_failure(community)
    audit.record(
        session,
        actor,
        "communities.pause",
        community_id=community_id,
        project_id=community.project_id,
        before=before,
        after=audit.snapshot(community),
    )
    return community


def clear_metrics_poll_failure(community: Community) -> None:
    """Forget the last failure: whether the counters can be read is unknown until the next metrics poll."""
    community.metrics_poll_code, community.metrics_poll_reason, community.metrics_poll_failures = None, None, 0


async def resume(session: AsyncSession, actor: Actor, *, community_id: UUID) -> Community:
    """Poll a paused community again."""
    await fetch(session, Community, community_id)
    await poll_now(session, community_id)
    community = await fetch(session, Community, community_id, for_update=True)
    require_connected(community)
    before = audit.snapshot(community)
    if community.status == CommunityStatus.PAUSED:
        community.status = CommunityStatus.CONNECTING.value
    audit.record(
        session,
        actor,
        "communities.resume",
        community_id=community_id,
        project_id=community.project_id,
        before=before,
        after=audit.snapshot(community),
    )
    return community
