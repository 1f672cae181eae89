"""A platform made for tests that pushes events, as Meta's do: signed, many events in one call."""

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
    Metric,
    MissingPermission,
    PlatformError,
    Spec,
    Token,
)
from tests.communities.conftest import Fake, World, know
from tests.conftest import Agency

EVENTS = TypeAdapter(tuple[Event, ...])


@dataclass
class FakePlatform:
    """The platform's record of hooks, and how it answers calls about them."""

    urls: list[str] = field(default_factory=list)
    """Those it was given, in turn."""
    secrets: list[dict[str, str]] = field(default_factory=list)
    chooses: dict[str, str] = field(default_factory=dict)
    """Secrets that it hands out."""
    fail: list[PlatformError] = field(default_factory=list)
    """What the next calls raise."""
    state: HookState = field(default_factory=lambda: HookState(True, True, 0))
    apps: list[dict[str, str]] = field(default_factory=list)
    """For which application it was asked, each time."""
    asked: int = 0
    taken_away: list[str] = field(default_factory=list)


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
                raise MissingPermission("the challenge does not name what we agreed upon")
            return HookResult(call.query["challenge"])
        expected = hmac.new(secrets.get("secret", "").encode(), call.body, hashlib.sha256).hexdigest()
        if not secrets.get("secret") or not hmac.compare_digest(call.headers.get("x-signature", ""), expected):
            raise MissingPermission("the call is not signed by the platform")
        return HookResult("EVENT_RECEIVED", cls.parse_event(call.body))

    @classmethod
    def parse_event(cls, told: bytes) -> tuple[Event, ...]:
        try:
            return EVENTS.validate_json(told)
        except ValueError:
            return (unparsed_event(told, "the events are not understood"),)

    def _asked(self) -> None:
        self.fake_platform.asked += 1
        if self.fake_platform.fail:
            raise self.fake_platform.fail.pop(0)

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        self._asked()
        self.fake_platform.urls.append(url)
        self.fake_platform.apps.append(dict(c.app))
        self.fake_platform.secrets.append(dict(secrets))
        return self.fake_platform.chooses

    async def unsubscribe(self, c: Credentials, url: str) -> None:
        self._asked()
        self.fake_platform.taken_away.append(url)

    async def subscription(self, c: Credentials, url: str) -> HookState:
        self._asked()
        self.fake_platform.apps.append(dict(c.app))
        return self.fake_platform.state


@dataclass
class Town:
    """An agency with communities on that platform, and somebody who calls their hooks."""

    agency: Agency
    stranger: httpx.AsyncClient
    project_id: str
    kind: type[PushingFake]
    secret: str = "agreed-upon"

    @property
    def fake_platform(self) -> FakePlatform:
        """The platform's side."""
        return self.kind.fake_platform

    def allow(self, **changes: Any) -> None:
        """Change what the platform is."""
        self.kind.spec = replace(self.kind.spec, **changes)

    async def connect(self, name: str, token: str = "t") -> str:
        """A community that was looked at; its id."""
        body = {"project_id": self.project_id, "platform": "fake", "address": f"https://fake.test/{name}"}
        made = await self.agency.post("/v1/communities", {**body, "credentials": {"community": token}})
        await self.agency.work("communities.poll")
        return str(made["id"])

    async def open(self, community_id: str, **given: str) -> str:
        """A hook; its path."""
        body = {"secrets": {"secret": self.secret, **given}}
        hook = await self.agency.put(f"/v1/communities/{community_id}/hook", body)
        return urlsplit(str(hook["url"])).path

    async def call(self, path: str, *events: Event, **headers: str) -> httpx.Response:
        """The platform calls."""
        return await self.send(path, EVENTS.dump_json(events), **headers)

    async def send(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        """The platform calls with any body, and signs it."""
        signed = {"x-signature": hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()}
        return await self.stranger.post(path, content=body, headers=signed | headers)

    async def deliver(self, path: str, *events: Event) -> None:
        """The platform calls, and a worker does what follows."""
        answer = await self.call(path, *events)
        assert (answer.status_code, answer.text) == (200, "EVENT_RECEIVED"), answer.text
        await self.agency.work(store.APPLY)

    async def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """What the database says of this agency."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            return [tuple(row) for row in await session.execute(text(query), values)]

    async def messages(self) -> list[tuple[str, str]]:
        """Every message: of which community, and its id on the platform."""
        rows = await self.rows("SELECT community_id, external_id FROM message ORDER BY external_id")
        return [(str(UUID(str(community_id))), external_id) for community_id, external_id in rows]

    async def health(self, community_id: str) -> Any:
        """What a community's health says of its hook."""
        return (await self.agency.get(f"/v1/communities/{community_id}/health"))["hook"]


@pytest.fixture
def town(
    agency: Agency, stranger: httpx.AsyncClient, project_id: str, monkeypatch: pytest.MonkeyPatch, world: World
) -> Town:
    """An agency, and the platform."""
    from app.platforms import adapters

    kind = type("TellerHere", (PushingFake,), {"world": world, "fake_platform": FakePlatform()})
    known = MappingProxyType({**adapters(), "fake": kind})
    know(monkeypatch, known)
    monkeypatch.setattr(subscriptions, "adapters", lambda: known)
    monkeypatch.setattr(apply, "adapter_of", known.__getitem__)
    return Town(agency, stranger, project_id, kind)
