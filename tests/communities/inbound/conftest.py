"""A fake platform that pushes events as Meta's do: signed, several events in one call."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from pydantic import TypeAdapter
from sqlalchemy import text

from app.communities.inbound import apply, store, subscriptions
from app.platforms.capabilities import Event, HookRequest, HookResult, HookState, unparsed_event
from app.platforms.contract import (
    CommunitySnapshot,
    Credentials,
    Gone,
    Metric,
    MissingPermission,
    PlatformError,
    RemoteMessage,
    Spec,
    Token,
)
from tests.communities.conftest import Fake, World, register_adapters
from tests.conftest import Agency

EVENTS = TypeAdapter(tuple[Event, ...])


@dataclass
class FakePlatform:
    """The platform's record of subscriptions, and how it answers calls about them."""

    urls: list[str] = field(default_factory=list)
    """The subscribed URLs, in order."""
    secrets: list[dict[str, str]] = field(default_factory=list)
    issues: dict[str, str] = field(default_factory=dict)
    """Secrets that it generates itself."""
    fail: list[PlatformError] = field(default_factory=list)
    """Errors of the next calls."""
    state: HookState = field(default_factory=lambda: HookState(True, True, 0))
    apps: list[dict[str, str]] = field(default_factory=list)
    """The application's settings of each call."""
    calls: int = 0
    unsubscribed_urls: list[str] = field(default_factory=list)
    announced: dict[str, list[PlatformError | RemoteMessage]] = field(default_factory=dict)
    """By reference: the responses to one request after the other."""


class PushingFake(Fake):
    """The adapter."""

    spec: ClassVar[Spec] = replace(
        Fake.spec,
        tokens=frozenset({Token.COMMUNITY}),
        metrics=frozenset({Metric.VIEWS, Metric.REACTIONS, Metric.COMMENTS}),
        hook_secrets=frozenset({"secret", "verify"}),
        hook_of_app=True,
    )
    fake_platform: ClassVar[FakePlatform]

    async def community(self, c: Credentials) -> CommunitySnapshot:
        self._called("community")
        name = c.address.rpartition("/")[2]
        return CommunitySnapshot(name, name.title(), c.address, 5, frozenset({f"{name} talks"}))

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        if not call.body:
            if not secrets.get("verify") or call.query.get("verify") != secrets["verify"]:
                raise MissingPermission("the challenge has the wrong verify token")
            return HookResult(call.query["challenge"])
        expected = hmac.new(secrets.get("secret", "").encode(), call.body, hashlib.sha256).hexdigest()
        if not secrets.get("secret") or not hmac.compare_digest(call.headers.get("x-signature", ""), expected):
            raise MissingPermission("the call is not signed by the platform")
        return HookResult("EVENT_RECEIVED", cls.parse_event(call.body))

    @classmethod
    def parse_event(cls, body: bytes) -> tuple[Event, ...]:
        try:
            return EVENTS.validate_json(body)
        except ValueError:
            return (unparsed_event(body, "the events cannot be parsed"),)

    def _called_for_hook(self) -> None:
        self.fake_platform.calls += 1
        if self.fake_platform.fail:
            raise self.fake_platform.fail.pop(0)

    async def announced(self, c: Credentials, reference: str) -> RemoteMessage:
        answer = self.fake_platform.announced.get(reference, [Gone("there is none")]).pop(0)
        if isinstance(answer, PlatformError):
            raise answer
        return answer

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        self._called_for_hook()
        self.fake_platform.urls.append(url)
        self.fake_platform.apps.append(dict(c.app))
        self.fake_platform.secrets.append(dict(secrets))
        return self.fake_platform.issues

    async def unsubscribe(self, c: Credentials, url: str) -> None:
        self._called_for_hook()
        self.fake_platform.unsubscribed_urls.append(url)

    async def subscription(self, c: Credentials, url: str) -> HookState:
        self._called_for_hook()
        self.fake_platform.apps.append(dict(c.app))
        return self.fake_platform.state


@dataclass
class InboundSetup:
    """An agency with communities on that platform, and a client that calls their hooks."""

    agency: Agency
    stranger: httpx.AsyncClient
    project_id: str
    adapter_class: type[PushingFake]
    secret: str = "agreed-upon"

    @property
    def fake_platform(self) -> FakePlatform:
        """The state of the fake platform."""
        return self.adapter_class.fake_platform

    def allow(self, **changes: Any) -> None:
        """Change the adapter's spec."""
        self.adapter_class.spec = replace(self.adapter_class.spec, **changes)

    async def connect(self, name: str, token: str = "t") -> str:
        """Connect a community and poll it; its id."""
        body = {"project_id": self.project_id, "platform": "fake", "address": f"https://fake.test/{name}"}
        made = await self.agency.post("/v1/communities", {**body, "credentials": {"community": token}})
        await self.agency.work("communities.poll")
        return str(made["id"])

    async def open(self, community_id: str, **further_secrets: str) -> str:
        """Open a hook; its path."""
        body = {"secrets": {"secret": self.secret, **further_secrets}}
        hook = await self.agency.put(f"/v1/communities/{community_id}/hook", body)
        return urlsplit(str(hook["url"])).path

    async def call(self, path: str, *events: Event, **headers: str) -> httpx.Response:
        """Send a signed call with these events."""
        return await self.send(path, EVENTS.dump_json(events), **headers)

    async def send(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        """Send a signed call with any body."""
        signed = {"x-signature": hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()}
        return await self.stranger.post(path, content=body, headers=signed | headers)

    async def deliver(self, path: str, *events: Event) -> None:
        """Send a signed call, and apply its events."""
        answer = await self.call(path, *events)
        assert (answer.status_code, answer.text) == (200, "EVENT_RECEIVED"), answer.text
        await self.agency.work(store.APPLY)

    async def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query within this agency."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            return [tuple(row) for row in await session.execute(text(query), values)]

    async def messages(self) -> list[tuple[str, str]]:
        """Each message's community and id on the platform."""
        rows = await self.rows("SELECT community_id, external_id FROM message ORDER BY external_id")
        return [(str(UUID(str(community_id))), external_id) for community_id, external_id in rows]

    async def health(self, community_id: str) -> Any:
        """The `hook` part of a community's health."""
        return (await self.agency.get(f"/v1/communities/{community_id}/health"))["hook"]


@pytest.fixture
def inbound(
    agency: Agency, stranger: httpx.AsyncClient, project_id: str, monkeypatch: pytest.MonkeyPatch, world: World
) -> InboundSetup:
    """An agency, and the registered fake platform."""
    from app.platforms import adapters

    adapter_class = type("TellerHere", (PushingFake,), {"world": world, "fake_platform": FakePlatform()})
    adapter_classes = MappingProxyType({**adapters(), "fake": adapter_class})
    register_adapters(monkeypatch, adapter_classes)
    monkeypatch.setattr(subscriptions, "adapters", lambda: adapter_classes)
    monkeypatch.setattr(apply, "adapter_of", adapter_classes.__getitem__)
    return InboundSetup(agency, stranger, project_id, adapter_class)
