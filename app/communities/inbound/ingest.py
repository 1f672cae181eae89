"""Platforms' calls to hooks: verified, stored together, and only then acknowledged.

A call is accepted once the platform's adapter has verified its raw bytes, and each of its events is
about a community that this hook may deliver for: its own, one with the same token, or, where an
application has one address, any community of the workspaces that share it.

While `MAX_COMMITS` are under way, further calls are queued and stored together in the next one:
under load many calls share a commit, and a quiet hook does not wait at all. A call is acknowledged
after the commit with its own events, never before.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Row, and_, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from app.communities.inbound import store
from app.communities.inbound.store import EVENTS, ReceivedEvent
from app.communities.inbound.subscriptions import app_secrets, installation_hook_at, open_secrets, receiver
from app.communities.models import Community, Hook, HookRoute
from app.kit.db import Database, in_workspace
from app.kit.errors import Forbidden, Invalid, NotFound, Unavailable
from app.kit.resources import Resources
from app.platforms.capabilities import Call, Event
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

T = TypeVar("T")


async def receive_call(resources: Resources, platform: str, hook_id: UUID, call: Call) -> str:
    """Verify a call and store its events; the answer that the platform expects.

    When this returns, all is committed. Raises `NotFound` where no hook has this address (any more),
    `Forbidden` for a call that is not the platform's or is about another community, `Invalid` for one
    that can neither be parsed nor verified, `Unavailable` where its secrets cannot be opened.
    """
    ingest = inbound_ingest(resources.db)
    hook = await ingest.hook(resources, platform, hook_id)
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
            community_id = await ingest.target_community(resources, hook, target, event)
            if community_id is None:
                continue
            has_target = True
            if (received_event := store.received_event(community_id, event, at)) is not None:
                by_workspace[target.workspace_id].append(received_event)
        if not has_target:
            EVENTS.labels("no community").inc()
    for workspace_id, events in by_workspace.items():
        await ingest.store(resources, workspace_id, events)
    return received.answer


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


class TimedCache(Generic[T]):
    """Values cached for `CACHE_SECONDS`; concurrent misses of a key share one load."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._cached: dict[Hashable, tuple[float, T]] = {}
        self._loading: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        """The value of a key, loaded if it is not cached; what `load` raises is raised and not cached."""
        cached = self._cached.get(key)
        if cached is not None and self._seconds() < cached[0]:
            return cached[1]
        loading = self._loading.get(key)
        if loading is None:
            loading = self._loading[key] = asyncio.create_task(self._load(key, load))
        # A caller that is cancelled does not cancel the load of the others.
        return await asyncio.shield(loading)

    async def _load(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        task = asyncio.current_task()
        try:
            until = self._seconds() + CACHE_SECONDS
            value = await load()
            if self._loading.get(key) is task:
                if len(self._cached) >= CACHE_SIZE:
                    self._cached.clear()
                self._cached[key] = (until, value)
        finally:
            if self._loading.get(key) is task:
                del self._loading[key]
        return value

    def clear(self) -> None:
        """Drop all entries; a load that is under way may be outdated, and is not cached."""
        self._cached.clear()
        self._loading.clear()


_ingests: WeakKeyDictionary[Database, "InboundIngest"] = WeakKeyDictionary()


def inbound_ingest(db: Database) -> "InboundIngest":
    """This process' ingest for a database."""
    ingest = _ingests.get(db)
    if ingest is None:
        ingest = _ingests[db] = InboundIngest()
    return ingest


@dataclass(slots=True)
class _QueuedCall:
    events: Sequence[ReceivedEvent]
    done: asyncio.Future[None]


class InboundIngest:
    """Queues the events of calls and stores them in shared commits; one for each process and database."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._hooks: TimedCache[WebhookRegistration] = TimedCache(seconds)
        self._targets: TimedCache[UUID | None] = TimedCache(seconds)
        self._queues: defaultdict[UUID, list[_QueuedCall]] = defaultdict(list)
        self._writers: defaultdict[UUID, set[asyncio.Task[None]]] = defaultdict(set)
        self._queued_events = 0
        self._jobs_to_ring: dict[UUID, UUID] = {}
        self._ringer: asyncio.Task[None] | None = None

    def clear(self) -> None:
        """Drop what is cached: a hook was opened, changed or closed."""
        self._hooks.clear()
        self._targets.clear()

    async def hook(self, resources: Resources, platform: str, hook_id: UUID) -> WebhookRegistration:
        """The hook at an address; raises `NotFound` for none, `Unavailable` where no key opens its secrets."""
        return await self._hooks.get((platform, hook_id), lambda: _load_registration(resources, platform, hook_id))

    async def target_community(
        self, resources: Resources, hook: WebhookRegistration, target: InboundTarget, event: Event
    ) -> UUID | None:
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
        community_id = await self._targets.get(key, lambda: _load_target(resources, hook, target, account_id))
        if community_id is None and account_id in target.aliases and not hook.shared:
            return target.community_id
        if community_id is None and not hook.of_app:
            raise Forbidden("The call is about another community than this hook's.", code="hook-of-another")
        return community_id

    async def store(self, resources: Resources, workspace_id: UUID, events: Sequence[ReceivedEvent]) -> None:
        """Store a call's events; returns when they are committed, and raises where they are not."""
        if self._queued_events >= MAX_QUEUED_EVENTS:
            raise Unavailable("Too many events are waiting to be stored.", code="too-many-events")
        queued = _QueuedCall(events, asyncio.get_running_loop().create_future())
        self._queued_events += len(events)
        self._queues[workspace_id].append(queued)
        writers = self._writers[workspace_id]
        if len(writers) < MAX_COMMITS:
            writer = asyncio.create_task(self._write(resources, workspace_id))
            writers.add(writer)
            writer.add_done_callback(writers.discard)
        await queued.done

    async def _write(self, resources: Resources, workspace_id: UUID) -> None:
        """Store a workspace's queued calls until the queue is empty."""
        while calls := self._next(workspace_id):
            for call, failure in await self._store_calls(resources, workspace_id, calls):
                self._queued_events -= len(call.events)
                if call.done.done():  # the request was cancelled
                    continue
                if failure is None:
                    call.done.set_result(None)
                else:
                    call.done.set_exception(failure)

    def _next(self, workspace_id: UUID) -> list[_QueuedCall]:
        queued, events = self._queues.pop(workspace_id, []), 0
        for position, call in enumerate(queued):
            events += len(call.events)
            if events > BATCH and position:
                self._queues[workspace_id] = queued[position:]
                return queued[:position]
        return queued

    async def _store_calls(
        self, resources: Resources, workspace_id: UUID, calls: Sequence[_QueuedCall]
    ) -> list[tuple[_QueuedCall, Exception | None]]:
        """Store calls in one commit; where the database refuses a row, each call in its own. With each its failure."""
        try:
            await self._store(resources, workspace_id, [event for call in calls for event in call.events])
        except Exception as error:
            if len(calls) == 1 or _is_unavailable(error):
                return [(call, error) for call in calls]
        else:
            return [(call, None) for call in calls]
        return [outcome for call in calls for outcome in await self._store_calls(resources, workspace_id, [call])]

    async def _store(self, resources: Resources, workspace_id: UUID, events: Sequence[ReceivedEvent]) -> None:
        async with resources.db.autocommit_connection(workspace_id) as connection:
            new, job_id = await store.store(connection, workspace_id, events, resources.clock.now())
        if new:
            self._jobs_to_ring[workspace_id] = job_id
            if self._ringer is None or self._ringer.done():
                self._ringer = asyncio.create_task(self._ring(resources))
        EVENTS.labels("stored").inc(new)
        EVENTS.labels("repeated").inc(sum(event.parsed for event in events) - new)

    async def _ring(self, resources: Resources) -> None:
        while self._jobs_to_ring:
            jobs, self._jobs_to_ring = self._jobs_to_ring, {}
            await resources.doorbell.ring([(job_id, "0") for job_id in jobs.values()])
            await asyncio.sleep(RING_INTERVAL)


def _is_unavailable(error: Exception) -> bool:
    """Whether the database is unavailable, and not a row refused."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return True


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
