"""Platforms' calls to hooks: verified, stored together, and only then acknowledged.

A call is accepted once the platform's adapter has verified its raw bytes, and each of its events is
about a community that this hook may deliver for: its own, one with the same token, or, where an
application has one address, any community of the workspaces that share it.

While `MAX_COMMITS` are under way, further calls are queued and stored together in the next one:
under load many calls share a commit, and a quiet hook does not wait at all. A call is acknowledged
after the commit with its own events, never before.
"""

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.inbound import store
from app.communities.inbound.models import Hook, HookRoute
from app.communities.inbound.store import EVENTS, ReceivedEvent
from app.communities.inbound.subscriptions import app_secrets, installation_hook_at, open_secrets, receiver
from app.communities.models import Community
from app.kit.cache import Cache, OnePer
from app.kit.db import in_workspace
from app.kit.errors import Forbidden, Invalid, NotFound, Unavailable
from app.kit.group_commit import GroupWriter, QueueFull, up_to
from app.kit.resources import Resources
from app.platforms.capabilities import Event, HookRequest
from app.platforms.contract import Malformed, MissingPermission

CACHE_SECONDS: Final = 5.0
"""How long a process caches a hook's secrets, and the community of an id."""
CACHE_SIZE: Final = 10_000
"""Entries of each cache."""
MAX_COMMITS: Final = 2
"""Concurrent commits of one workspace: PostgreSQL flushes them together."""
BATCH: Final = 500
"""Events of one commit."""
RING_INTERVAL: Final = 0.1
"""Seconds between two rings for one workspace; the job also applies what was stored meanwhile."""
MAX_QUEUED_EVENTS: Final = 20_000
"""With more events queued in memory than this, calls are refused with 503."""


async def receive_call(resources: Resources, platform: str, hook_id: UUID, call: HookRequest) -> str:
    """Verify a call and store its events; the answer that the platform expects.

    When this returns, all is committed. Raises `NotFound` where no hook has this address (any more),
    `Forbidden` for a call that is not the platform's or is about another community, `Invalid` for one
    that can neither be parsed nor verified, `Unavailable` where its secrets cannot be opened.
    """
    ingest = inbound_ingest(resources)
    hook = await ingest.hook(platform, hook_id)
    try:
        received = receiver(platform).receive(call, hook.secrets)
    except MissingPermission as error:
        raise Forbidden(_sentence(error.message), code="hook-not-verified") from None
    except Malformed as error:
        raise Invalid(_sentence(error.message), code="hook-not-understood") from None
    at = resources.clock.now()
    by_workspace: defaultdict[UUID, list[ReceivedEvent]] = defaultdict(list)
    for event in received.events:
        has_target = False
        for target in hook.targets:
            community_id = await ingest.target_community(hook, target, event)
            if community_id is None:
                continue
            has_target = True
            if (received_event := store.received_event(community_id, event, at)) is not None:
                by_workspace[target.workspace_id].append(received_event)
        if not has_target:
            EVENTS.labels("no community").inc()
    for workspace_id, events in by_workspace.items():
        await ingest.store(workspace_id, events)
    return received.response_body


def _sentence(message: str) -> str:
    return f"{message[:1].upper()}{message[1:]}."


# ── hooks and communities, cached ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class InboundTarget:
    """A community to which a hook's address is routed."""

    workspace_id: UUID
    community_id: UUID
    account_id: str | None
    """Its id on the platform; None until the first poll."""
    aliases: frozenset[str]


@dataclass(frozen=True, slots=True)
class WebhookRegistration:
    """What is needed of a hook to verify a call and assign its events."""

    targets: tuple[InboundTarget, ...]
    """One; for the installation's own application one of each workspace."""
    platform: str
    base_url: str
    of_app: bool
    shared: bool
    """By all workspaces: it is that of the installation's own application."""
    secrets: Mapping[str, str] = field(repr=False)


class InboundIngest:
    """Queues the events of calls and stores them in shared commits; one for each process."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._hooks = Cache[tuple[str, UUID], WebhookRegistration](
            resources.clock, seconds=CACHE_SECONDS, size=CACHE_SIZE
        )
        self._targets = Cache[tuple[Hashable, ...], UUID | None](
            resources.clock, seconds=CACHE_SECONDS, size=CACHE_SIZE
        )
        self.writer: Final = GroupWriter[UUID, Sequence[ReceivedEvent]](
            self._store, up_to(BATCH, len), size=len, max_queued=MAX_QUEUED_EVENTS, writers=MAX_COMMITS
        )
        self._jobs_to_ring: dict[UUID, UUID] = {}
        self._ringer: asyncio.Task[None] | None = None

    def clear_after_commit(self, session: AsyncSession) -> None:
        """Drop what is cached once this transaction is committed: it opens, changes or closes a hook.

        Other processes' caches expire after `CACHE_SECONDS`.
        """
        self._hooks.clear_after_commit(session)
        self._targets.clear_after_commit(session)

    def clear(self) -> None:
        """Drop what is cached."""
        self._hooks.clear()
        self._targets.clear()

    async def hook(self, platform: str, hook_id: UUID) -> WebhookRegistration:
        """The hook at an address; raises `NotFound` for none, `Unavailable` where no key opens its secrets."""
        return await self._hooks.get(
            (platform, hook_id), lambda: _load_registration(self._resources, platform, hook_id)
        )

    async def target_community(self, hook: WebhookRegistration, target: InboundTarget, event: Event) -> UUID | None:
        """The community of the target's workspace that an event is about; None where there is none.

        Raises `Forbidden` where this hook may not deliver events about it.
        """
        account_id = event.account_id
        if account_id is None or (account_id == target.account_id and not hook.shared):
            return target.community_id
        key = (
            target.workspace_id,
            hook.platform,
            hook.base_url,
            None if hook.of_app else target.community_id,
            account_id,
        )
        community_id = await self._targets.get(key, lambda: _load_target(self._resources, hook, target, account_id))
        if community_id is None and account_id in target.aliases and not hook.shared:
            return target.community_id
        if community_id is None and not hook.of_app:
            raise Forbidden("The call is about another community than this hook's.", code="hook-of-another")
        return community_id

    async def store(self, workspace_id: UUID, events: Sequence[ReceivedEvent]) -> None:
        """Store a call's events; returns when they are committed, and raises where they are not."""
        try:
            await self.writer.submit(workspace_id, events)
        except QueueFull:
            raise Unavailable("Too many events are waiting to be stored.", code="too-many-events") from None

    async def _store(self, workspace_id: UUID, calls: Sequence[Sequence[ReceivedEvent]]) -> None:
        events, resources = [event for call in calls for event in call], self._resources
        async with resources.db.autocommit_connection(workspace_id) as connection:
            new, job_id = await store.store(connection, workspace_id, events, resources.clock.now())
        if new:
            self._jobs_to_ring[workspace_id] = job_id
            if self._ringer is None or self._ringer.done():
                self._ringer = asyncio.create_task(self._ring())
        EVENTS.labels("stored").inc(new)
        EVENTS.labels("repeated").inc(sum(event.parsed for event in events) - new)

    async def _ring(self) -> None:
        while self._jobs_to_ring:
            jobs, self._jobs_to_ring = self._jobs_to_ring, {}
            await self._resources.doorbell.ring([(job_id, "0") for job_id in jobs.values()])
            await asyncio.sleep(RING_INTERVAL)


inbound_ingest: Final = OnePer(InboundIngest)
"""The ingest of a process."""


async def _load_registration(resources: Resources, platform: str, hook_id: UUID) -> WebhookRegistration:
    async with resources.db.read_connection(None) as connection:
        query = select(HookRoute.workspace_id, HookRoute.community_id).where(HookRoute.hook_id == hook_id)
        routes = (await connection.execute(query.order_by(HookRoute.workspace_id))).all()
    hooks = [
        (route, row) for route in routes if (row := await _load_hook(resources, platform, hook_id, *route)) is not None
    ]
    if not hooks:
        raise NotFound
    first, spec = hooks[0][1], receiver(platform).spec
    shared = installation_hook_at(resources.settings, spec, first.base_url, hook_id)
    if shared is not None:
        secrets = shared.secrets
    else:
        own = open_secrets(resources.keyring, first.sealed)
        if own is None:
            raise Unavailable(
                "No key opens the secrets of this hook: open it again with them.", code="hook-secrets-lost"
            )
        secrets = {**app_secrets(resources.settings, spec), **own}
    return WebhookRegistration(
        targets=tuple(InboundTarget(*route, row.external_id, frozenset(row.aliases)) for route, row in hooks),
        platform=platform,
        base_url=first.base_url,
        of_app=spec.hook_of_app,
        shared=shared is not None,
        secrets=secrets,
    )


async def _load_hook(
    resources: Resources, platform: str, hook_id: UUID, workspace_id: UUID, community_id: UUID
) -> Row[Any] | None:
    async with resources.db.read_connection(workspace_id) as connection:
        return (
            await connection.execute(
                select(Hook.sealed, Community.external_id, Community.aliases, Community.base_url)
                .join(Community, and_(Community.workspace_id == Hook.workspace_id, Community.id == Hook.community_id))
                .where(
                    in_workspace(Hook, workspace_id),
                    Hook.community_id == community_id,
                    Hook.public_id == hook_id,
                    Community.platform == platform,
                )
            )
        ).one_or_none()


async def _load_target(
    resources: Resources, hook: WebhookRegistration, target: InboundTarget, account_id: str
) -> UUID | None:
    source = store.EventSource(target.workspace_id, target.community_id, hook.platform, hook.base_url, hook.of_app)
    async with resources.db.read_connection(target.workspace_id) as connection:
        return await store.target_community(connection, source, account_id, readable_only=hook.shared)
