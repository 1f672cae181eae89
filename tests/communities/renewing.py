"""A fake platform whose access tokens end, and whose refresh tokens are accepted once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import text

from app.communities import tokens
from app.platforms import adapters
from app.platforms.capabilities import IssuedToken, TokenState
from app.platforms.contract import (
    AuthExpired,
    CommunitySnapshot,
    Credentials,
    PlatformError,
    Spec,
    Token,
)
from tests.communities.conftest import Fake, World, register_adapters
from tests.conftest import Agency

POLL = "communities.poll"


ACCESS, REFRESH, USER = Token.COMMUNITY, Token.REFRESH, Token.USER


@dataclass
class FakePlatform:
    """The token endpoint of the platform: each refresh token is accepted once."""

    good: str = "access-0"
    refresh: str = "refresh-0"
    issued: int = 0
    calls: int = 0
    lifetime: timedelta | None = timedelta(hours=1)
    fail: list[PlatformError] = field(default_factory=list)
    states: dict[Token, TokenState] = field(default_factory=dict)
    before: Any = None
    """Awaited during a refresh."""
    inspecting: Any = None
    """Awaited during an inspection of tokens."""


class Renewing(Fake):
    spec: ClassVar[Spec] = replace(Fake.spec, key="renewing", tokens=frozenset({ACCESS, REFRESH, USER}), public=False)
    fake_platform: ClassVar[FakePlatform]

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        return frozenset({ACCESS, REFRESH}) if REFRESH in tokens else frozenset()

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        fake_platform = self.fake_platform
        fake_platform.calls += 1
        if fake_platform.before is not None:
            await fake_platform.before()
        if fake_platform.fail:
            raise fake_platform.fail.pop(0)
        if c.tokens[REFRESH] != fake_platform.refresh:
            raise AuthExpired("the refresh token was used before", token=REFRESH)
        fake_platform.issued += 1
        fake_platform.good, fake_platform.refresh = f"access-{fake_platform.issued}", f"refresh-{fake_platform.issued}"
        return {
            ACCESS: IssuedToken(fake_platform.good, fake_platform.lifetime),
            REFRESH: IssuedToken(fake_platform.refresh, None),
        }

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        states = self.fake_platform.states
        if self.fake_platform.inspecting is not None:
            await self.fake_platform.inspecting()
        return states

    async def community(self, c: Credentials) -> CommunitySnapshot:
        snapshot = await super().community(c)
        if c.tokens.get(ACCESS) != self.fake_platform.good:
            raise AuthExpired("the token has ended", token=ACCESS)
        # One community for each address.
        return replace(snapshot, external_id=c.address.rpartition("/")[2])


async def connect(agency: Agency, project_id: str, name: str = "name", **tokens: str) -> dict[str, Any]:
    body = {
        "project_id": project_id,
        "platform": "renewing",
        "address": f"https://fake.test/{name}",
        "credentials": {"community": "access-0", "refresh": "refresh-0", **tokens},
    }
    made: dict[str, Any] = await agency.post("/v1/communities", body)
    return made


async def health(agency: Agency, community: dict[str, Any]) -> Any:
    return await agency.get(f"/v1/communities/{community['id']}/health")


async def texts(agency: Agency, community: dict[str, Any]) -> dict[Token, str]:
    async with agency.resources.transaction(agency.workspace_id) as session:
        return dict((await tokens.load(session, agency.resources.keyring, community["id"])).texts)


async def reconnect(agency: Agency, its: dict[str, Any], /, **tokens: str) -> None:
    await agency.post(f"/v1/communities/{its['id']}/reconnect", {"credentials": tokens}, status=200)


async def rows(agency: Agency, query: str) -> list[tuple[Any, ...]]:
    async with agency.resources.transaction(agency.workspace_id) as session:
        return [tuple(row) for row in await session.execute(text(query))]


def install(world: World, monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    """Register the platform; its token endpoint."""
    made = FakePlatform()
    kind = type("RenewingHere", (Renewing,), {"world": world, "fake_platform": made})
    register_adapters(monkeypatch, {**adapters(), "renewing": kind})
    return made
