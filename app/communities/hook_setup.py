"""Opening and closing hooks, setting them at the platforms, and asking whether they work.

The hooks of one application share an address and its secrets (`Spec.hook_of_app`): its platform
knows one for all communities. Each community has a row of its own all the same, for it is
subscribed, and asked about, on its own.
"""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Protocol, cast
from uuid import UUID

import orjson
from pydantic import SecretStr
from sqlalchemy import ColumnElement, and_, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import calls
from app.communities.hooks import of
from app.communities.models import Community, Hook, HookRoute, HookState
from app.communities.service import poll_now
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import fetch, mine, now, workspace_of
from app.kit.errors import Conflict, Invalid, NotFound
from app.kit.ids import uuid7
from app.kit.jobs import enqueue
from app.kit.resources import Resources
from app.platforms import adapters
from app.platforms.abilities import Receives, Subscribes, Unsubscribes
from app.platforms.contract import Adapter, Spec
from app.settings import Settings

SUBSCRIBE: Final = "communities.subscribe"
PROBE: Final = "communities.probe-hook"
UNSUBSCRIBE: Final = "communities.unsubscribe"
SETTLED: Final = timedelta(minutes=5)
"""So long after it was opened a hook is asked about for the first time."""


class Receiver(Receives, Adapter, Protocol):
    """An adapter that takes calls."""


def receiver(platform: str) -> type[Receiver]:
    """The adapter of a platform that calls us; `Conflict` for one that does not."""
    kind = adapters().get(platform)
    if kind is None or not issubclass(kind, Receives):
        raise Conflict(
            f"Instep takes no calls from {kind.spec.title if kind is not None else platform}: "
            "everything is found by polling.",
            code="hooks-unsupported",
        )
    return cast("type[Receiver]", kind)


def own_app(settings: Settings, spec: Spec) -> dict[str, str]:
    """Those of a hook's secrets that are known of this installation's own application."""
    return {name: text for name, text in calls.own_app(settings, spec.key).items() if name in spec.hook_secrets}


def address(settings: Settings, platform: str, public_id: UUID) -> str:
    """Where the platform finds a hook."""
    return f"{settings.public_url.rstrip('/')}/hooks/{platform}/{public_id}"


def opened(keyring: Keyring, sealed: str) -> dict[str, str] | None:
    """A hook's secrets; None where no key fits them any more."""
    try:
        held: dict[str, str] = orjson.loads(keyring.open(sealed))
    except SealBroken:
        return None
    return held


def sealed(keyring: Keyring, held: Mapping[str, str]) -> str:
    """Secrets as a hook keeps them."""
    return keyring.seal(orjson.dumps(dict(held)).decode())


async def keep(
    session: AsyncSession, have: Resources, *, community_id: UUID, given: Mapping[str, SecretStr]
) -> tuple[Community, Hook]:
    """Open a community's hook, or give it further secrets; those not named stay as they are.

    Where we can set it at the platform ourselves, that is done as soon as a worker is free, and
    secrets that were not given, and are ours to choose, are made up. Raises `Conflict` where the
    platform never calls us, `Invalid` for a secret it does not use.
    """
    community = await fetch(session, Community, community_id)
    kind = receiver(community.platform)
    unused = set(given) - kind.spec.hook_secrets
    if unused:
        raise Invalid(
            f"{kind.spec.title} has no such secret; it has: {', '.join(sorted(kind.spec.hook_secrets))}.",
            code="unexpected-secret",
        )
    by_us = issubclass(kind, Subscribes)
    if by_us:
        # A worker locks the job's row first and the hook's second.
        for job, at in ((SUBSCRIBE, now(session)), (PROBE, now(session) + SETTLED)):
            await enqueue(
                session,
                job,
                workspace_id=workspace_of(session),
                key=str(community_id),
                at=at,
                community_id=community_id,
            )
    public_id = await _make(session, have.keyring, community, of_app=kind.spec.hook_of_app)
    hooks = await sharing(session, public_id)
    hook = next(one for one in hooks if one.community_id == community_id)
    held = opened(have.keyring, hook.sealed) or {}  # what nobody can open is lost: it is given anew
    held |= {name: text.get_secret_value() for name, text in given.items()}
    if by_us:
        hook.state, hook.reason = HookState.WAITING.value, None
        ours = kind.spec.hook_secrets - kind.spec.hook_given - kind.spec.hook_optional
        for name in sorted(ours - held.keys() - own_app(have.settings, kind.spec).keys()):
            held[name] = secrets.token_urlsafe(32)
    for one in hooks:
        one.sealed = sealed(have.keyring, held)
    return community, hook


async def _make(session: AsyncSession, keyring: Keyring, community: Community, *, of_app: bool) -> UUID:
    """See that a community has a hook; its address."""
    workspace_id = workspace_of(session)
    public_id, empty = UUID(bytes=secrets.token_bytes(16)), sealed(keyring, {})
    if of_app:
        # One after the other, or two would open two addresses.
        turn = func.hashtextextended(f"hooks {workspace_id} {community.platform}", 0)
        await session.execute(select(func.pg_advisory_xact_lock(turn)))
        shared = await session.execute(
            select(Hook.public_id, Hook.sealed)
            .join(Community, and_(Community.workspace_id == Hook.workspace_id, Community.id == Hook.community_id))
            .where(mine(Hook, workspace_id), Community.platform == community.platform)
            .where(Community.base_url == community.base_url)
            .order_by(Hook.community_id)
            .limit(1)
        )
        if (found := shared.one_or_none()) is not None:
            public_id, empty = found
    values = {"community_id": community.id, "public_id": public_id, "sealed": empty, "told": {}}
    made: UUID | None = await session.scalar(
        insert(Hook)
        .values(workspace_id=workspace_id, id=uuid7(), created_at=now(session), **values)
        .on_conflict_do_nothing(index_elements=["workspace_id", "community_id"])
        .returning(Hook.public_id)
    )
    if made is None:
        return (await session.scalars(select(Hook.public_id).where(of(session, community.id)))).one()
    await _lead(session, made, community.id)
    return made


async def _lead(session: AsyncSession, public_id: UUID, community_id: UUID) -> None:
    """Let an address lead to a community's hook, unless it leads to another that shares it."""
    route = {"workspace_id": workspace_of(session), "community_id": community_id, "hook_id": public_id}
    await session.execute(insert(HookRoute).values(route).on_conflict_do_nothing(index_elements=["hook_id"]))


async def sharing(session: AsyncSession, public_id: UUID) -> list[Hook]:
    """The hooks at an address, locked. Their keys stay: events that come meanwhile need not wait."""
    query = (
        select(Hook)
        .where(mine(Hook, workspace_of(session)), Hook.public_id == public_id)
        .order_by(Hook.community_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return list((await session.scalars(query)).all())


async def close(session: AsyncSession, *, community_id: UUID) -> None:
    """Forget a community's hook: its address leads nowhere from now on, unless others share it.

    Where the platform has to know of that, a worker tells it.
    """
    community = await fetch(session, Community, community_id)
    kind = receiver(community.platform)
    # Nobody tells us any more: polls are needed as often as without a hook. A worker locks a poll's row first,
    # the community second and its hook last.
    await poll_now(session, community_id)
    await session.execute(update(Community).where(_ours(session, Community.id == community_id)).values(event_at=None))
    closed = await session.scalar(delete(Hook).where(of(session, community_id)).returning(Hook.public_id))
    if closed is None:
        raise NotFound("This community has no hook.", code="no-hook")
    # Its address may have told of others too, which have no hook of their own.
    neighbours = and_(
        Community.platform == community.platform,
        Community.base_url == community.base_url,
        Community.event_at.is_not(None),
        ~exists().where(Hook.workspace_id == Community.workspace_id, Hook.community_id == Community.id),
    )
    locked = select(Community.id).where(_ours(session, neighbours)).order_by(Community.id)
    found = (await session.scalars(locked.with_for_update(key_share=True))).all()
    await session.execute(update(Community).where(_ours(session, Community.id.in_(found))).values(event_at=None))
    others = await sharing(session, closed)
    if others:
        await _lead(session, closed, others[0].community_id)
    elif issubclass(kind, Unsubscribes):
        await enqueue(
            session,
            UNSUBSCRIBE,
            workspace_id=workspace_of(session),
            key=str(closed),
            community_id=community_id,
            hook_id=closed,
        )


def _ours(session: AsyncSession, chosen: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(mine(Community, workspace_of(session)), chosen)
