"""Calls of platforms to our hooks: believed, stored together, and only then acknowledged.

A call is believed once the platform's adapter has verified its raw bytes, and once each of its
events is about a community that this hook may tell of: its own, one that the same token serves, or,
where an application has one address, any of the workspaces that share it.

While `COMMITS` are under way, the calls that come meanwhile wait and go together in the next one:
under load a commit is shared by many, and a quiet hook does not wait at all. A call is acknowledged
after the commit that holds its own events, never before.
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
from app.communities.inbound.subscriptions import common_at, opened, own_app, receiver
from app.communities.models import Community, Hook, HookRoute
from app.kit.db import Database, in_workspace
from app.kit.errors import Forbidden, Invalid, NotFound, Unavailable
from app.kit.resources import Resources
from app.platforms.capabilities import Call, Event
from app.platforms.contract import Malformed, MissingPermission

MEMORY: Final = 5.0
"""Seconds for which a process remembers a hook's secrets, and whom an id means."""
MOST: Final = 10_000
"""Of each, so many are remembered."""
COMMITS: Final = 2
"""So many at once for one workspace: PostgreSQL writes them to disk together."""
BATCH: Final = 500
"""Events of one commit."""
PAUSE: Final = 0.1
"""Seconds between two rings for one workspace: the worker that comes takes along what was stored meanwhile."""
MOST_WAITING: Final = 20_000
"""With more events in memory than this, no further call is taken."""

T = TypeVar("T")


async def take(resources: Resources, platform: str, hook_id: UUID, call: Call) -> str:
    """Verify a call, keep what it brings, and give the answer that the platform expects.

    When this returns, all is committed. Raises `NotFound` for an address that is no hook's (any
    more), `Forbidden` for a call that is not the platform's or speaks of another community,
    `Invalid` for one that is not understood and may be anybody's, `Unavailable` where its secrets cannot be opened.
    """
    desk = inbound_ingest(resources.db)
    hook = await desk.hook(resources, platform, hook_id)
    try:
        received = receiver(platform).receive(call, hook.secrets)
    except MissingPermission as error:
        raise Forbidden(_sentence(error.message), code="hook-not-verified") from None
    except Malformed as error:
        raise Invalid(_sentence(error.message), code="hook-not-understood") from None
    at = resources.clock.now()
    kept: defaultdict[UUID, list[ReceivedEvent]] = defaultdict(list)
    for event in received.events:
        known = False
        for home in hook.homes:
            community_id = await desk.addressee(resources, hook, home, event)
            if community_id is None:
                continue
            known = True
            if (told := store.told(community_id, event, at)) is not None:
                kept[home.workspace_id].append(told)
        if not known:
            EVENTS.labels("nobody's").inc()
    for workspace_id, events in kept.items():
        await desk.keep(resources, workspace_id, events)
    return received.answer


def _sentence(message: str) -> str:
    return f"{message[:1].upper()}{message[1:]}."


# ── whose hook, and about whom ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class InboundTarget:
    """A community to which an address leads."""

    workspace_id: UUID
    community_id: UUID
    account_id: str | None
    """Its id on the platform; None until it was looked at."""
    aliases: frozenset[str]


@dataclass(frozen=True, slots=True)
class WebhookRegistration:
    """What has to be known of a hook to take a call."""

    homes: tuple[InboundTarget, ...]
    """One; of the installation's own application one of each workspace."""
    platform: str
    base_url: str
    of_app: bool
    shared: bool
    """Among all workspaces."""
    secrets: Mapping[str, str] = field(repr=False)


class Memory(Generic[T]):
    """What was looked up, for `MEMORY` seconds; those who ask at once are told by one look."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._known: dict[Hashable, tuple[float, T]] = {}
        self._asking: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, look: Callable[[], Awaitable[T]]) -> T:
        """What is known under a key; what `look` raises is not remembered."""
        known = self._known.get(key)
        if known is not None and self._seconds() < known[0]:
            return known[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._look(key, look))
        # One who goes away takes nobody else's answer along.
        return await asyncio.shield(asking)

    async def _look(self, key: Hashable, look: Callable[[], Awaitable[T]]) -> T:
        asked = asyncio.current_task()
        try:
            until = self._seconds() + MEMORY
            found = await look()
            if self._asking.get(key) is asked:
                if len(self._known) >= MOST:
                    self._known.clear()
                self._known[key] = (until, found)
        finally:
            if self._asking.get(key) is asked:
                del self._asking[key]
        return found

    def forget(self) -> None:
        """Look everything up anew; a look that is under way may have come too early, and is not remembered."""
        self._known.clear()
        self._asking.clear()


_ingests: WeakKeyDictionary[Database, "InboundIngest"] = WeakKeyDictionary()


def inbound_ingest(db: Database) -> "InboundIngest":
    """This process' desk for a database."""
    found = _ingests.get(db)
    if found is None:
        found = _ingests[db] = InboundIngest()
    return found


@dataclass(slots=True)
class _Waiting:
    events: Sequence[ReceivedEvent]
    done: asyncio.Future[None]


class InboundIngest:
    """Where one process takes calls."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._hooks: Memory[WebhookRegistration] = Memory(seconds)
        self._addressees: Memory[UUID | None] = Memory(seconds)
        self._waiting: defaultdict[UUID, list[_Waiting]] = defaultdict(list)
        self._writers: defaultdict[UUID, set[asyncio.Task[None]]] = defaultdict(set)
        self._held = 0
        self._due: dict[UUID, UUID] = {}
        self._ringing: asyncio.Task[None] | None = None

    def forget(self) -> None:
        """Look up anew whose hooks there are: one was opened, changed or closed."""
        self._hooks.forget()
        self._addressees.forget()

    async def hook(self, resources: Resources, platform: str, hook_id: UUID) -> WebhookRegistration:
        """The hook at an address; `NotFound` where there is none, `Unavailable` where no key opens its secrets."""
        return await self._hooks.get((platform, hook_id), lambda: _find(resources, platform, hook_id))

    async def addressee(
        self, resources: Resources, hook: WebhookRegistration, home: InboundTarget, event: Event
    ) -> UUID | None:
        """The community of a workspace that an event is about; None where it is none of them.

        Raises `Forbidden` where this hook may not tell of it.
        """
        account_id = event.account_id
        if account_id is None or (account_id == home.account_id and not hook.shared):
            return home.community_id
        key = (home.workspace_id, hook.platform, hook.base_url, None if hook.of_app else home.community_id, account_id)
        found = await self._addressees.get(key, lambda: _about(resources, hook, home, account_id))
        if found is None and account_id in home.aliases and not hook.shared:
            return home.community_id
        if found is None and not hook.of_app:
            raise Forbidden("The call is about another community than this hook's.", code="hook-of-another")
        return found

    async def keep(self, resources: Resources, workspace_id: UUID, events: Sequence[ReceivedEvent]) -> None:
        """Store a call's events; returns when they are committed, and raises where they are not."""
        if self._held >= MOST_WAITING:
            raise Unavailable("Too many events are waiting to be stored.", code="too-many-events")
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._held += len(events)
        self._waiting[workspace_id].append(waiting)
        writers = self._writers[workspace_id]
        if len(writers) < COMMITS:
            writer = asyncio.create_task(self._write(resources, workspace_id))
            writers.add(writer)
            writer.add_done_callback(writers.discard)
        await waiting.done

    async def _write(self, resources: Resources, workspace_id: UUID) -> None:
        """Store a workspace's events until none is waiting."""
        while calls := self._next(workspace_id):
            for call, failure in await self._together(resources, workspace_id, calls):
                self._held -= len(call.events)
                if call.done.done():  # whoever called has gone away
                    continue
                if failure is None:
                    call.done.set_result(None)
                else:
                    call.done.set_exception(failure)

    def _next(self, workspace_id: UUID) -> list[_Waiting]:
        waiting, events = self._waiting.pop(workspace_id, []), 0
        for place, call in enumerate(waiting):
            events += len(call.events)
            if events > BATCH and place:
                self._waiting[workspace_id] = waiting[place:]
                return waiting[:place]
        return waiting

    async def _together(
        self, resources: Resources, workspace_id: UUID, calls: Sequence[_Waiting]
    ) -> list[tuple[_Waiting, Exception | None]]:
        """Store calls in one commit; where the database refuses something of them, each in its own."""
        try:
            await self._store(resources, workspace_id, [event for call in calls for event in call.events])
        except Exception as error:
            if len(calls) == 1 or _is_away(error):
                return [(call, error) for call in calls]
        else:
            return [(call, None) for call in calls]
        return [outcome for call in calls for outcome in await self._together(resources, workspace_id, [call])]

    async def _store(self, resources: Resources, workspace_id: UUID, events: Sequence[ReceivedEvent]) -> None:
        async with resources.db.autocommit_connection(workspace_id) as connection:
            new, job_id = await store.store(connection, workspace_id, events, resources.clock.now())
        if new:
            self._due[workspace_id] = job_id
            if self._ringing is None or self._ringing.done():
                self._ringing = asyncio.create_task(self._ring(resources))
        EVENTS.labels("stored").inc(new)
        EVENTS.labels("repeated").inc(sum(event.understood for event in events) - new)

    async def _ring(self, resources: Resources) -> None:
        while self._due:
            due, self._due = self._due, {}
            await resources.doorbell.ring([(job_id, "0") for job_id in due.values()])
            await asyncio.sleep(PAUSE)


def _is_away(error: Exception) -> bool:
    """Whether the database, not something of ours, is the matter."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return True


async def _find(resources: Resources, platform: str, hook_id: UUID) -> WebhookRegistration:
    async with resources.db.read_connection(None) as connection:
        query = select(HookRoute.workspace_id, HookRoute.community_id).where(HookRoute.hook_id == hook_id)
        routes = (await connection.execute(query.order_by(HookRoute.workspace_id))).all()
    found = [(route, row) for route in routes if (row := await _at(resources, platform, hook_id, *route)) is not None]
    if not found:
        raise NotFound
    first, spec = found[0][1], receiver(platform).spec
    shared = common_at(resources.settings, spec, first.base_url, hook_id)
    if shared is not None:
        secrets = shared.secrets
    else:
        held = opened(resources.keyring, first.sealed)
        if held is None:
            raise Unavailable("No key opens the secrets of this hook: give them to it anew.", code="hook-secrets-lost")
        secrets = {**own_app(resources.settings, spec), **held}
    return WebhookRegistration(
        homes=tuple(InboundTarget(*route, row.external_id, frozenset(row.aliases)) for route, row in found),
        platform=platform,
        base_url=first.base_url,
        of_app=spec.hook_of_app,
        shared=shared is not None,
        secrets=secrets,
    )


async def _at(
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


async def _about(resources: Resources, hook: WebhookRegistration, home: InboundTarget, account_id: str) -> UUID | None:
    whose = store.EventSource(home.workspace_id, home.community_id, hook.platform, hook.base_url, hook.of_app)
    async with resources.db.read_connection(home.workspace_id) as connection:
        return await store.addressee(connection, whose, account_id, still_ours=hook.shared)
