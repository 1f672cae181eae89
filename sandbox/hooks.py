"""Webhooks: events are sent in order to the URLs that are subscribed for a community.

If the platform requires a confirmation, it is sent first. Each event is sent until the subscriber
accepts it, with exponential backoff; after several consecutive failures delivery pauses until it is
resumed or the pause ends. A platform's `Hook` defines the events' format and which response accepts
an event.
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
"""Consecutive failures after which delivery pauses."""


def is_2xx(status: int, _: str) -> bool:
    """Whether the status is 2xx, which most platforms count as accepted."""
    return 200 <= status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One request to a subscriber."""

    name: str
    """The same for every attempt; recorded in the ledger's note."""
    kind: str
    body: bytes = b""
    method: Literal["GET", "POST"] = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    query: Mapping[str, str] = field(default_factory=dict)
    is_accepted: Callable[[int, str], bool] = is_2xx
    """Whether a response accepts the event, by its status and the first 4096 bytes of its body, stripped."""


@dataclass(slots=True)
class Subscription:
    """A URL that a community's events are sent to."""

    id: int
    community: str
    url: str
    secret: str = field(repr=False)
    verify: str = field(repr=False)
    """The token used to confirm the URL."""
    title: str = ""
    status: Literal["wait", "ok", "failed"] = "wait"
    topics: set[str] = field(default_factory=set)
    """The kinds of events that are sent, if the platform lets the subscriber choose."""
    missing: int = 0
    """How many of the next events are dropped."""
    pending: deque[Delivery] = field(default_factory=lambda: deque(maxlen=PENDING))
    failures: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """How a platform sends its events."""

    events: Callable[[World, Subscription, Community, Record], Iterable[Delivery]]
    """The events that a record, which has just been applied, causes for a subscriber; may be empty."""
    confirmation: Callable[[World, Subscription, Community], Delivery] | None = None
    """The request sent first, until it is accepted; None if the platform confirms nothing."""
    topics: frozenset[str] = frozenset()
    """The kinds of events that can be chosen, all by default; empty if all are always sent."""
    control_info: Callable[[World, Community], Mapping[str, object]] = lambda _, __: {}
    """More fields of `callback` in the control API's list of communities."""
    secret: Callable[[World, Community], str] | None = None
    """The default secret, if it is the application's rather than the community's."""
    code: Callable[[World, Community], str] | None = None
    """The default verification token, likewise."""


class Hooks:
    """All subscriptions and their delivery tasks. `hooks` are by platform; None if it sends no events."""

    def __init__(
        self, world: World, hooks: Mapping[str, Hook | None], *, retry: float = 1.0, pause: float = 60.0
    ) -> None:
        self._world = world
        self.retry, self.pause = retry, pause
        """Real seconds before the first retry (doubled each time), and the length of a pause in real seconds."""
        self._hook = hooks
        self._by_community: dict[str, dict[int, Subscription]] = {c.key: {} for c in world.communities.values()}
        self._made = 0
        self._http: aiohttp.ClientSession | None = None
        world.listeners.append(self._follow)

    def hook(self, c: Community) -> Hook | None:
        """How the community's platform sends events; None if it sends none."""
        return self._hook[c.profile.platform]

    def code(self, c: Community) -> str:
        """The default verification token."""
        if (hook := self.hook(c)) is not None and hook.code is not None:
            return hook.code(self._world, c)
        return hashlib.sha256(f"{self._world.seed}:{c.key}:confirmation".encode()).hexdigest()[:8]

    def secret(self, c: Community) -> str:
        """The default secret."""
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
        """Add a subscription and start confirming and delivering."""
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
        """Switch kinds of events on or off; others stay unchanged. False if there is no such subscription."""
        one, hook = self._by_community[c.key].get(subscription_id), self.hook(c)
        if one is None or hook is None:
            return False
        one.topics = {name for name in hook.topics if enabled.get(name, name in one.topics)}
        return True

    def miss(self, c: Community, count: int) -> None:
        """Drop the next `count` events of each of the community's subscriptions."""
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
        """Start delivery. Events that happened before are not sent."""
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
                # A full queue drops its oldest event, which may have been this one.
                if one.pending and one.pending[0] is event:
                    one.pending.popleft()
            one.wake.clear()
            await one.wake.wait()

    async def _until_taken(self, one: Subscription, http: aiohttp.ClientSession, event: Delivery) -> None:
        """Send one event until it is accepted."""
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
        """The response's status and body; 0 and the exception's name if there was no response."""
        try:
            async with http.request(
                event.method, one.url, params=event.query or None, data=event.body or None, headers=event.headers,
                allow_redirects=False,
            ) as response:  # fmt: skip
                return response.status, (await response.content.read(4096)).decode(errors="replace").strip()
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            return 0, f"({type(problem).__name__})"
