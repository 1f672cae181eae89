"""Opening and closing hooks, and which address and secrets a hook has.

The hooks of one application share an address and its secrets (`Spec.hook_of_app`): its platform
stores one address for all communities. Each community still has a row of its own, because it is
subscribed, and probed, on its own. Where it is the installation's own application
(`INSTEP_PLATFORM_APPS`), all workspaces share the address (`installation_hook`): of two addresses
the platform would keep the last, and the other would receive nothing.
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
from sqlalchemy import ColumnElement, and_, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.communities import platform_client
from app.communities.inbound.models import Hook, HookRoute, SubscriptionStatus
from app.communities.inbound.store import hook_of
from app.communities.models import Community
from app.communities.service import poll_now, require_connected
from app.kit.actors import Actor
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import fetch, in_workspace, lock, now, workspace_of
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
FIRST_PROBE_AFTER: Final = timedelta(minutes=5)
"""A hook is probed for the first time this long after it was opened."""


class Receiver(Receives, Adapter, Protocol):
    """An adapter whose platform calls hooks."""


def receiver(platform: str) -> type[Receiver]:
    """The adapter of a platform that calls hooks; raises `Conflict` for one that does not."""
    adapter_class = adapters().get(platform)
    if adapter_class is None or not issubclass(adapter_class, Receives):
        raise Conflict(
            f"Instep takes no calls from {adapter_class.spec.title if adapter_class is not None else platform}: "
            "everything is found by polling.",
            code="hooks-unsupported",
        )
    return cast("type[Receiver]", adapter_class)


def app_secrets(settings: Settings, spec: Spec) -> dict[str, str]:
    """The secrets of a hook that are in the settings of this installation's own application, by name."""
    app = platform_client.app_credentials(settings, spec.key)
    by_name = {name: app[called] for name, called in spec.hook_secret_settings.items() if called in app}
    return by_name | {name: text for name, text in app.items() if name in spec.hook_secrets}


@dataclass(frozen=True, slots=True)
class InstallationHook:
    """The hook of the installation's own application, shared by all workspaces."""

    public_id: UUID
    secrets: Mapping[str, str] = field(repr=False)


def installation_hook(settings: Settings, spec: Spec, base_url: str) -> InstallationHook | None:
    """None where hooks are not per application, or the settings lack a secret that only a person knows.

    Its id and its other secrets are derived from those by HMAC, so that all workspaces compute the same.
    """
    app_values = app_secrets(settings, spec)
    if not spec.hook_of_app or not spec.hook_manual_secrets or not app_values.keys() >= spec.hook_manual_secrets:
        return None
    key = "\n".join(app_values[name] for name in sorted(spec.hook_manual_secrets)).encode()

    def derived(name: str) -> str:
        return hmac.new(key, f"instep hook\n{spec.key}\n{base_url}\n{name}".encode(), hashlib.sha256).hexdigest()

    underived = spec.hook_secrets - spec.hook_optional_secrets - app_values.keys()
    return InstallationHook(UUID(derived("")[:32]), {**{name: derived(name) for name in underived}, **app_values})


def installation_hook_at(settings: Settings, spec: Spec, base_url: str, public_id: UUID) -> InstallationHook | None:
    """`installation_hook`, if `public_id` is its id; else None."""
    installation = installation_hook(settings, spec, base_url)
    return installation if installation is not None and installation.public_id == public_id else None


def of_another_app(settings: Settings, spec: Spec, secrets_by_name: Mapping[str, str]) -> bool:
    """Whether secrets are those of another application than the installation's own."""
    own_values = app_secrets(settings, spec)
    return any(
        name in secrets_by_name and secrets_by_name[name] != own_values.get(name) for name in spec.hook_manual_secrets
    )


def address(settings: Settings, platform: str, public_id: UUID) -> str:
    """The URL that the platform calls."""
    return f"{settings.public_url.rstrip('/')}/hooks/{platform}/{public_id}"


def open_secrets(keyring: Keyring, sealed: str) -> dict[str, str] | None:
    """A hook's secrets by name; None where no key of this installation opens them."""
    try:
        secrets_by_name: dict[str, str] = orjson.loads(keyring.open(sealed))
    except SealBroken:
        return None
    return secrets_by_name


def seal_secrets(keyring: Keyring, secrets_by_name: Mapping[str, str]) -> str:
    """Secrets as `Hook.sealed` stores them."""
    return keyring.seal(orjson.dumps(dict(secrets_by_name)).decode())


async def open_hook(
    session: AsyncSession, actor: Actor, resources: Resources, *, community_id: UUID, requested: Mapping[str, SecretStr]
) -> tuple[Community, Hook]:
    """Open a community's hook, or store further secrets; those not in `requested` stay as they are.

    Where the adapter can subscribe it at the platform, a job does that, and secrets that are missing and
    may be chosen freely are generated. Raises `Conflict` where the platform calls no hooks, and where the
    hook would change its application; `Invalid` for a secret that the platform does not use.
    """
    community = await fetch(session, Community, community_id)
    require_connected(community)
    adapter_class = receiver(community.platform)
    spec = adapter_class.spec
    new_secrets = {name: text.get_secret_value() for name, text in requested.items()}
    installation = installation_hook(resources.settings, spec, community.base_url)
    shared = None if of_another_app(resources.settings, spec, new_secrets) else installation
    unused = set(requested) - spec.hook_secrets
    if unused:
        raise Invalid(
            f"{spec.title} has no such secret; it has: {', '.join(sorted(spec.hook_secrets))}.",
            code="unexpected-secret",
        )
    subscribes = issubclass(adapter_class, Subscribes)
    if subscribes:
        # A worker locks the job's row first and the hook's second.
        for job, at in ((SUBSCRIBE, now(session)), (PROBE, now(session) + FIRST_PROBE_AFTER)):
            await enqueue(
                session,
                job,
                workspace_id=workspace_of(session),
                key=str(community_id),
                at=at,
                community_id=community_id,
            )
    public_id = await _ensure_hook(session, resources, community, spec, installation, shared)
    hooks = await lock_hooks_at(session, public_id)
    hook = next(one for one in hooks if one.community_id == community_id)
    audit.record(
        session,
        actor,
        "communities.open-hook",
        community_id=community_id,
        project_id=community.project_id,
        after={"secrets_given": sorted(new_secrets)},
    )
    if subscribes:
        hook.status, hook.reason = SubscriptionStatus.WAITING.value, None
    if shared is not None and public_id == shared.public_id:
        if new_secrets.items() <= shared.secrets.items():
            return community, hook
        raise Invalid(
            f"This is {spec.title}'s hook for the installation's own application: its secrets are the same for "
            "all workspaces, and stand in INSTEP_PLATFORM_APPS.",
            code="unexpected-secret",
        )
    # Where no key opens them they are lost, and have to be given again.
    secrets_by_name = open_secrets(resources.keyring, hook.sealed) or {}
    secrets_by_name |= new_secrets
    if subscribes:
        generated = spec.hook_secrets - spec.hook_manual_secrets - spec.hook_optional_secrets
        for name in sorted(generated - secrets_by_name.keys() - app_secrets(resources.settings, spec).keys()):
            secrets_by_name[name] = secrets.token_urlsafe(32)
    for one in hooks:
        one.sealed = seal_secrets(resources.keyring, secrets_by_name)
    return community, hook


async def _ensure_hook(
    session: AsyncSession,
    resources: Resources,
    community: Community,
    spec: Spec,
    installation: InstallationHook | None,
    shared: InstallationHook | None,
) -> UUID:
    """Create a community's hook if it has none, or move it to the `shared` address; its public id."""
    workspace_id = workspace_of(session)
    public_id, sealed = UUID(bytes=secrets.token_bytes(16)), seal_secrets(resources.keyring, {})
    if shared is not None:
        public_id = shared.public_id
    elif spec.hook_of_app:
        public_id, sealed = await _shared_address(session, community, installation) or (public_id, sealed)
    values = {"community_id": community.id, "public_id": public_id, "sealed": sealed, "first_event_at_by_kind": {}}
    created: UUID | None = await session.scalar(
        insert(Hook)
        .values(workspace_id=workspace_id, id=uuid7(), created_at=now(session), **values)
        .on_conflict_do_nothing(index_elements=["workspace_id", "community_id"])
        .returning(Hook.public_id)
    )
    if created is not None:
        await _route(session, created, community.id)
        return created
    current_id, sealed = (
        await session.execute(select(Hook.public_id, Hook.sealed).where(hook_of(session, community.id)))
    ).one()
    if shared is None and installation is not None and current_id == installation.public_id:
        raise Conflict(
            "This hook receives the events of the installation's own application: close it before it receives those "
            "of another.",
            code="hook-of-installation",
        )
    current_secrets = open_secrets(resources.keyring, sealed) or {}
    if shared is None or current_id == shared.public_id or of_another_app(resources.settings, spec, current_secrets):
        return current_id
    await _move_to(session, community.id, current_id, shared.public_id)
    return shared.public_id


async def _move_to(session: AsyncSession, community_id: UUID, before: UUID, after: UUID) -> None:
    """Move a hook that was opened before the installation's application was configured to the shared address."""
    await session.execute(update(Hook).where(hook_of(session, community_id)).values(public_id=after))
    await session.execute(delete(HookRoute).where(HookRoute.hook_id == before, HookRoute.community_id == community_id))
    if underived := await lock_hooks_at(session, before):
        await _route(session, before, underived[0].community_id)
    await _route(session, after, community_id)


async def _shared_address(
    session: AsyncSession, community: Community, installation: InstallationHook | None
) -> tuple[UUID, str] | None:
    """The public id and sealed secrets that the workspace's communities share; None for the first of them."""
    # Serialised, or two requests at once would open two addresses.
    await lock(session, "hooks", workspace_of(session), community.platform)
    query = (
        select(Hook.public_id, Hook.sealed)
        .join(Community, and_(Community.workspace_id == Hook.workspace_id, Community.id == Hook.community_id))
        .where(in_workspace(Hook, workspace_of(session)), Community.platform == community.platform)
        .where(Community.base_url == community.base_url)
        .order_by(Hook.community_id)
        .limit(1)
    )
    if installation is not None:
        query = query.where(Hook.public_id != installation.public_id)
    other = (await session.execute(query)).one_or_none()
    return None if other is None else (other.public_id, other.sealed)


async def _route(session: AsyncSession, public_id: UUID, community_id: UUID) -> None:
    """Route an address to a community's hook, unless it is routed to another one of this workspace."""
    values = {"workspace_id": workspace_of(session), "community_id": community_id, "hook_id": public_id}
    statement = insert(HookRoute).values(values)
    await session.execute(statement.on_conflict_do_nothing(index_elements=["hook_id", "workspace_id"]))


async def _is_routed(session: AsyncSession, public_id: UUID) -> bool:
    """Whether an address is routed to any workspace."""
    return bool(await session.scalar(select(exists().where(HookRoute.hook_id == public_id))))


async def lock_hooks_at(session: AsyncSession, public_id: UUID) -> list[Hook]:
    """This workspace's hooks at an address, locked, but not their keys: storing events does not wait for it."""
    query = (
        select(Hook)
        .where(in_workspace(Hook, workspace_of(session)), Hook.public_id == public_id)
        .order_by(Hook.community_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return list((await session.scalars(query)).all())


async def close_hook(session: AsyncSession, actor: Actor, *, community_id: UUID) -> None:
    """Delete a community's hook; its address answers 404 from now on, unless other communities share it.

    Where the adapter can unsubscribe it at the platform, a job does that.
    """
    community = await fetch(session, Community, community_id)
    receiver(community.platform)
    if await remove_hook(session, community) is None:
        raise NotFound("This community has no hook.", code="no-hook")
    audit.record(session, actor, "communities.close-hook", community_id=community_id, project_id=community.project_id)


async def remove_hook(session: AsyncSession, community: Community) -> bool | None:
    """Delete a community's hook, if it has one (else None); whether a job unsubscribes it at the platform."""
    community_id, adapter_class = community.id, adapters().get(community.platform)
    # Without push, polls are due as often as before. A worker locks a poll's job first, the community second
    # and its hook last: the same order here.
    await poll_now(session, community_id)
    await session.execute(
        update(Community).where(_communities(session, Community.id == community_id)).values(last_event_at=None)
    )
    closed = await session.scalar(delete(Hook).where(hook_of(session, community_id)).returning(Hook.public_id))
    if closed is None:
        return None
    # The address may have delivered events of communities without a hook of their own, too.
    without_hook = and_(
        Community.platform == community.platform,
        Community.base_url == community.base_url,
        Community.last_event_at.is_not(None),
        ~exists().where(Hook.workspace_id == Community.workspace_id, Hook.community_id == Community.id),
    )
    locked = select(Community.id).where(_communities(session, without_hook)).order_by(Community.id)
    without_hook_ids = (await session.scalars(locked.with_for_update(key_share=True))).all()
    await session.execute(
        update(Community).where(_communities(session, Community.id.in_(without_hook_ids))).values(last_event_at=None)
    )
    underived = await lock_hooks_at(session, closed)
    if underived:
        await _route(session, closed, underived[0].community_id)
    elif (
        adapter_class is not None and issubclass(adapter_class, Unsubscribes) and not await _is_routed(session, closed)
    ):
        await enqueue(
            session,
            UNSUBSCRIBE,
            workspace_id=workspace_of(session),
            key=str(closed),
            community_id=community_id,
            hook_id=closed,
        )
        return True
    return False


def _communities(session: AsyncSession, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(in_workspace(Community, workspace_of(session)), condition)
