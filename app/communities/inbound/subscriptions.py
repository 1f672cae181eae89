"""Opening and closing hooks, setting them at the platforms, and asking whether they work.

The hooks of one application share an address and its secrets (`Spec.hook_of_app`): its platform
knows one for all communities. Each community has a row of its own all the same, for it is
subscribed, and asked about, on its own. Where it is the installation's own application
(`INSTEP_PLATFORM_APPS`), they share it among all workspaces (`common`): two addresses would take
the events from each other, for the platform keeps the last.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol, cast
from uuid import UUID

import orjson
from pydantic import SecretStr
from sqlalchemy import ColumnElement, and_, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import platform_client
from app.communities.inbound.store import of
from app.communities.models import Community, Hook, HookRoute, HookState
from app.communities.service import poll_now
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, Invalid, NotFound
from app.kit.ids import uuid7
from app.kit.jobs import enqueue
from app.kit.resources import Resources
from app.platforms import adapters
from app.platforms.capabilities import Receives, Subscribes, Unsubscribes
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
    app = platform_client.own_app(settings, spec.key)
    found = {name: app[called] for name, called in spec.hook_settings.items() if called in app}
    return found | {name: text for name, text in app.items() if name in spec.hook_secrets}


@dataclass(frozen=True, slots=True)
class Common:
    """Where the events of the installation's own application come in, for all workspaces."""

    public_id: UUID
    secrets: Mapping[str, str] = field(repr=False)


def common(settings: Settings, spec: Spec, base_url: str) -> Common | None:
    """None where an application has no address of its own, or the installation's is not known so well.

    What nobody gave follows from what is known, so that all workspaces agree without asking each other.
    """
    known = own_app(settings, spec)
    if not spec.hook_of_app or not spec.hook_given or not known.keys() >= spec.hook_given:
        return None
    key = "\n".join(known[name] for name in sorted(spec.hook_given)).encode()

    def made(name: str) -> str:
        return hmac.new(key, f"instep hook\n{spec.key}\n{base_url}\n{name}".encode(), hashlib.sha256).hexdigest()

    others = spec.hook_secrets - spec.hook_optional - known.keys()
    return Common(UUID(made("")[:32]), {**{name: made(name) for name in others}, **known})


def common_at(settings: Settings, spec: Spec, base_url: str, public_id: UUID) -> Common | None:
    """The same, where this is its address."""
    found = common(settings, spec, base_url)
    return found if found is not None and found.public_id == public_id else None


def of_another_app(settings: Settings, spec: Spec, held: Mapping[str, str]) -> bool:
    """Whether secrets are those of another application than the installation's own."""
    known = own_app(settings, spec)
    return any(name in held and held[name] != known.get(name) for name in spec.hook_given)


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
    session: AsyncSession, resources: Resources, *, community_id: UUID, given: Mapping[str, SecretStr]
) -> tuple[Community, Hook]:
    """Open a community's hook, or give it further secrets; those not named stay as they are.

    Where we can set it at the platform ourselves, that is done as soon as a worker is free, and
    secrets that were not given, and are ours to choose, are made up. Raises `Conflict` where the
    platform never calls us, and where a hook would change its application; `Invalid` for a secret it does not use.
    """
    community = await fetch(session, Community, community_id)
    kind = receiver(community.platform)
    texts = {name: text.get_secret_value() for name, text in given.items()}
    everybodys = common(resources.settings, kind.spec, community.base_url)
    shared = None if of_another_app(resources.settings, kind.spec, texts) else everybodys
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
    public_id = await _make(session, resources, community, kind.spec, everybodys, shared)
    hooks = await sharing(session, public_id)
    hook = next(one for one in hooks if one.community_id == community_id)
    if by_us:
        hook.state, hook.reason = HookState.WAITING.value, None
    if shared is not None and public_id == shared.public_id:
        if texts.items() <= shared.secrets.items():
            return community, hook
        raise Invalid(
            f"This is {kind.spec.title}'s hook for the installation's own application: its secrets are the same for "
            "everybody, and are told by INSTEP_PLATFORM_APPS.",
            code="unexpected-secret",
        )
    held = opened(resources.keyring, hook.sealed) or {}  # what nobody can open is lost: it is given anew
    held |= texts
    if by_us:
        ours = kind.spec.hook_secrets - kind.spec.hook_given - kind.spec.hook_optional
        for name in sorted(ours - held.keys() - own_app(resources.settings, kind.spec).keys()):
            held[name] = secrets.token_urlsafe(32)
    for one in hooks:
        one.sealed = sealed(resources.keyring, held)
    return community, hook


async def _make(
    session: AsyncSession,
    resources: Resources,
    community: Community,
    spec: Spec,
    everybodys: Common | None,
    shared: Common | None,
) -> UUID:
    """See that a community has a hook, at the address of everybody where it is `shared`; its address."""
    workspace_id = workspace_of(session)
    public_id, held = UUID(bytes=secrets.token_bytes(16)), sealed(resources.keyring, {})
    if shared is not None:
        public_id = shared.public_id
    elif spec.hook_of_app:
        public_id, held = await _of_its_app(session, community, everybodys) or (public_id, held)
    values = {"community_id": community.id, "public_id": public_id, "sealed": held, "told": {}}
    made: UUID | None = await session.scalar(
        insert(Hook)
        .values(workspace_id=workspace_id, id=uuid7(), created_at=now(session), **values)
        .on_conflict_do_nothing(index_elements=["workspace_id", "community_id"])
        .returning(Hook.public_id)
    )
    if made is not None:
        await _lead(session, made, community.id)
        return made
    there, held = (await session.execute(select(Hook.public_id, Hook.sealed).where(of(session, community.id)))).one()
    if shared is None and everybodys is not None and there == everybodys.public_id:
        raise Conflict(
            "This hook takes the events of the installation's own application: close it before it takes those "
            "of another.",
            code="hook-of-installation",
        )
    known = opened(resources.keyring, held) or {}
    if shared is None or there == shared.public_id or of_another_app(resources.settings, spec, known):
        return there
    await _move(session, community.id, there, shared.public_id)
    return shared.public_id


async def _move(session: AsyncSession, community_id: UUID, before: UUID, after: UUID) -> None:
    """Take a hook that was opened before the installation's application was known to the address of all."""
    await session.execute(update(Hook).where(of(session, community_id)).values(public_id=after))
    await session.execute(delete(HookRoute).where(HookRoute.hook_id == before, HookRoute.community_id == community_id))
    if others := await sharing(session, before):
        await _lead(session, before, others[0].community_id)
    await _lead(session, after, community_id)


async def _of_its_app(
    session: AsyncSession, community: Community, everybodys: Common | None
) -> tuple[UUID, str] | None:
    """The address that the workspace's communities share, and its secrets; None where it is the first."""
    # One after the other, or two would open two addresses.
    turn = func.hashtextextended(f"hooks {workspace_of(session)} {community.platform}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(turn)))
    query = (
        select(Hook.public_id, Hook.sealed)
        .join(Community, and_(Community.workspace_id == Hook.workspace_id, Community.id == Hook.community_id))
        .where(in_workspace(Hook, workspace_of(session)), Community.platform == community.platform)
        .where(Community.base_url == community.base_url)
        .order_by(Hook.community_id)
        .limit(1)
    )
    if everybodys is not None:
        query = query.where(Hook.public_id != everybodys.public_id)
    found = (await session.execute(query)).one_or_none()
    return None if found is None else (found.public_id, found.sealed)


async def _lead(session: AsyncSession, public_id: UUID, community_id: UUID) -> None:
    """Let an address lead to a community's hook, unless it leads to another of the workspace that shares it."""
    route = {"workspace_id": workspace_of(session), "community_id": community_id, "hook_id": public_id}
    statement = insert(HookRoute).values(route)
    await session.execute(statement.on_conflict_do_nothing(index_elements=["hook_id", "workspace_id"]))


async def _leads(session: AsyncSession, public_id: UUID) -> bool:
    """Whether an address leads to any workspace."""
    return bool(await session.scalar(select(exists().where(HookRoute.hook_id == public_id))))


async def sharing(session: AsyncSession, public_id: UUID) -> list[Hook]:
    """This workspace's hooks at an address, locked. Their keys stay: events that come meanwhile need not wait."""
    query = (
        select(Hook)
        .where(in_workspace(Hook, workspace_of(session)), Hook.public_id == public_id)
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
    elif issubclass(kind, Unsubscribes) and not await _leads(session, closed):
        await enqueue(
            session,
            UNSUBSCRIBE,
            workspace_id=workspace_of(session),
            key=str(closed),
            community_id=community_id,
            hook_id=closed,
        )


def _ours(session: AsyncSession, chosen: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(in_workspace(Community, workspace_of(session)), chosen)
