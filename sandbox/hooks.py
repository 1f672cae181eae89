"""Hooks: events are sent, one after another, to the addresses a community has named.

Where the platform asks for a confirmation, it comes first. Then the subscriber gets every event in
order; one that is not taken comes again, later and later; after several failures in a row delivery
pauses until it is resumed or the pause is over. What the platform's events look like, and what answer
counts, its folder says with a `Hook`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import aiohttp

from sandbox.entities import Community
from sandbox.ledger import Origin, Record
from sandbox.world import World

PENDING: Final = 10_000
FAILURES: Final = 5
"""So many failures in a row, and delivery pauses."""


def is_2xx(status: int, _: str) -> bool:
    """The answer that counts on most platforms: any 2xx."""
    return 200 <= status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One request to a subscriber."""

    name: str
    """The same each time it is repeated; the ledger's note has it."""
    kind: str
    body: bytes = b""
    method: Literal["GET", "POST"] = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    query: Mapping[str, str] = field(default_factory=dict)
    is_accepted: Callable[[int, str], bool] = is_2xx
    """Whether an answer counts, by its status and the first 4096 bytes of its body, stripped."""


@dataclass(slots=True)
class Subscription:
    """Where a community's events go."""

    id: int
    community: str
    url: str
    secret: str = field(repr=False)
    verify: str = field(repr=False)
    """The word by which both sides know each other when the address is confirmed."""
    title: str = ""
    status: Literal["wait", "ok", "failed"] = "wait"
    topics: set[str] = field(default_factory=set)
    """The kinds of events that are sent, where the platform lets one choose."""
    missing: int = 0
    """So many of the next events will get lost."""
    pending: deque[Delivery] = field(default_factory=lambda: deque(maxlen=PENDING))
    failures: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """How a platform sends its events."""

    events: Callable[[World, Subscription, Community, Record], Iterable[Delivery]]
    """What a record, which has just been applied, is to a subscriber: no event, one, or several."""
    confirmation: Callable[[World, Subscription, Community], Delivery] | None = None
    """What is sent first, until it is taken; None where the platform asks nothing."""
    topics: frozenset[str] = frozenset()
    """The kinds of events one can choose from, all chosen at first; empty where all are always sent."""
    control_info: Callable[[World, Community], Mapping[str, object]] = lambda _, __: {}
    """What else the control API tells of where a community's events go."""
    secret: Callable[[World, Community], str] | None = None
    """The secret used where none is given, if it is not the community's own but the application's."""
    code: Callable[[World, Community], str] | None = None
    """The word for the confirmation where none is given, likewise."""


class Hooks:
    """All subscriptions, and the tasks that serve them. `hooks` are by platform; None where it sends no events."""

    def __init__(
        self, world: World, hooks: Mapping[str, Hook | None], *, retry: float = 1.0, pause: float = 60.0
    ) -> None:
        self._world = world
        self.retry, self.pause = retry, pause
        """Real seconds before the first repeat (then twice as long each time), and of a pause."""
        self._hook = hooks
        self._by_community: dict[str, dict[int, Subscription]] = {c.key: {} for c in world.communities.values()}
        self._made = 0
        self._http: aiohttp.ClientSession | None = None
        world.listeners.append(self._follow)

    def hook(self, c: Community) -> Hook | None:
        """How the community's platform sends events; None if it sends none."""
        return self._hook[c.profile.platform]

    def code(self, c: Community) -> str:
        """The word for the confirmation where none is given."""
        if (hook := self.hook(c)) is not None and hook.code is not None:
            return hook.code(self._world, c)
        return hashlib.sha256(f"{self._world.seed}:{c.key}:confirmation".encode()).hexdigest()[:8]

    def secret(self, c: Community) -> str:
        """The secret used where none is given."""
        if (hook := self.hook(c)) is not None and hook.secret is not None:
            return hook.secret(self._world, c)
        return hashlib.sha256(f"{self._world.seed}:{c.key}:callback".encode()).hexdigest()[:32]

    def of(self, c: Community) -> list[Subscription]:
        return list(self._by_community[c.key].values())

    def configure(
        self,
        c: Community,
        url: str,
        secret: str,
        *,
        title: str = "",
        verify: str | None = None,
        topics: Iterable[str] | None = None,
        origin: Origin,
    ) -> Subscription:
        """One more subscription. It is confirmed and served from now on."""
        self._made += 1
        detail: dict[str, object] = {"server": self._made, "url": url, "secret": secret, "title": title}
        if verify is not None:
            detail["verify"] = verify
        if topics is not None:
            detail["topics"] = sorted(topics)
        self._world.emit("callback_set", c, origin, detail=detail)
        return self._by_community[c.key][self._made]

    def remove(self, c: Community, subscription_id: int, *, origin: Origin) -> bool:
        if subscription_id not in self._by_community[c.key]:
            return False
        self._world.emit("callback_set", c, origin, detail={"server": subscription_id, "url": ""})
        return True

    def choose(self, c: Community, subscription_id: int, enabled: Mapping[str, bool]) -> bool:
        """Have some kinds of events sent, others not; those that are not named stay as they are."""
        one, hook = self._by_community[c.key].get(subscription_id), self.hook(c)
        if one is None or hook is None:
            return False
        one.topics = {name for name in hook.topics if enabled.get(name, name in one.topics)}
        return True

    def miss(self, c: Community, count: int) -> None:
        """Lose the next `count` events of each of the community's subscriptions."""
        for one in self.of(c):
            one.missing = count

    def resume(self, c: Community) -> None:
        """End the pause of the community's subscriptions."""
        for one in self.of(c):
            one.failures = 0
            one.wake.set()

    # ── from records to events ────────────────────────────────────────────────────────────────

    def _follow(self, record: Record, c: Community) -> None:
        if record["type"] == "callback_set":
            self._set(record, c)
        elif self._http is not None and (hook := self.hook(c)) is not None:
            for one in self.of(c):
                if one.status == "wait":
                    continue
                for event in hook.events(self._world, one, c, record):
                    if not hook.topics or event.kind in one.topics:
                        self._queue(one, event)

    def _queue(self, one: Subscription, event: Delivery) -> None:
        if one.missing:
            one.missing -= 1
            self._note(one, event, 0, good=False, said="(lost)")
            return
        one.pending.append(event)
        one.wake.set()

    def _set(self, record: Record, c: Community) -> None:
        detail, hook = record["detail"], self.hook(c)
        subscription_id = int(str(detail["server"]))
        self._made = max(self._made, subscription_id)
        old = self._by_community[c.key].pop(subscription_id, None)
        if old is not None and old.task is not None:
            old.task.cancel()
        if detail["url"] and hook is not None:
            topics = detail.get("topics")
            one = Subscription(
                subscription_id, c.key, str(detail["url"]), str(detail["secret"]),
                str(detail.get("verify", self.code(c))), str(detail["title"]),
                topics={str(name) for name in topics} if isinstance(topics, list) else set(hook.topics),
            )  # fmt: skip
            self._by_community[c.key][subscription_id] = one
            if self._http is not None:
                self._serve(one, hook, self._http)

    # ── delivery ──────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """From here on the world's events are sent; those of the past are not."""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), trust_env=False)
        for c in self._world.communities.values():
            for one in self.of(c):
                if (hook := self.hook(c)) is not None:
                    self._serve(one, hook, self._http)

    async def stop(self) -> None:
        tasks = [one.task for some in self._by_community.values() for one in some.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
            self._http = None

    def _serve(self, one: Subscription, hook: Hook, http: aiohttp.ClientSession) -> None:
        if hook.confirmation is None:
            one.status = "ok"
        one.task = asyncio.get_running_loop().create_task(self._deliver(one, hook, http))

    async def _deliver(self, one: Subscription, hook: Hook, http: aiohttp.ClientSession) -> None:
        if hook.confirmation is not None:
            c = self._world.communities[one.community]
            await self._until_taken(one, http, hook.confirmation(self._world, one, c))
        one.status = "ok"
        while True:
            while one.pending:
                event = one.pending[0]
                await self._until_taken(one, http, event)
                # A full queue drops its oldest, which may have been this one.
                if one.pending and one.pending[0] is event:
                    one.pending.popleft()
            one.wake.clear()
            await one.wake.wait()

    async def _until_taken(self, one: Subscription, http: aiohttp.ClientSession, event: Delivery) -> None:
        """Send one event until it is taken."""
        attempt = 0
        while True:
            attempt += 1
            status, said = await self._send(one, http, event)
            good = event.is_accepted(status, said)
            self._note(one, event, attempt, good=good, said=said if status in (0, 200) else f"(HTTP {status})")
            if good:
                one.failures = 0
                one.status = "ok"
                return
            one.failures += 1
            paused = one.failures % FAILURES == 0
            if paused and one.status == "ok":
                one.status = "failed"
            wait = self.pause if paused else min(self.retry * 2 ** (one.failures % FAILURES - 1), self.pause)
            one.wake.clear()
            try:
                async with asyncio.timeout(wait):
                    while not (one.wake.is_set() and one.failures == 0):
                        one.wake.clear()
                        await one.wake.wait()
            except TimeoutError:
                continue

    def _note(self, one: Subscription, event: Delivery, attempt: int, *, good: bool, said: str) -> None:
        self._world.note(
            "callback", self._world.communities[one.community], name=event.name, kind=event.kind, count=attempt,
            detail={"server": one.id, "ok": good, "said": said[:80]},
        )  # fmt: skip

    @staticmethod
    async def _send(one: Subscription, http: aiohttp.ClientSession, event: Delivery) -> tuple[int, str]:
        """The subscriber's status and what it said; 0 and the failure's name where nothing came."""
        try:
            async with http.request(
                event.method, one.url, params=event.query or None, data=event.body or None, headers=event.headers,
                allow_redirects=False,
            ) as response:  # fmt: skip
                return response.status, (await response.content.read(4096)).decode(errors="replace").strip()
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            return 0, f"({type(problem).__name__})"
