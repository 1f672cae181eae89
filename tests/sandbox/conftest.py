"""A sandbox with a manual real clock, called over HTTP without a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from sandbox.ledger import Record
from sandbox.server import Sandbox, build

START = 1_795_413_600.0
"""2026-11-23T06:00:00Z"""


class ManualClock:
    """A clock that the test moves; real seconds since 1970."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> float:
        return self.at


class SandboxClient:
    """A client of the sandbox's wire formats."""

    def __init__(self, sandbox: Sandbox, manual_clock: ManualClock, http: httpx.AsyncClient) -> None:
        self.sandbox, self.manual_clock, self.http = sandbox, manual_clock, http
        self.world = sandbox.network.world

    def token(self, community: str, kind: str) -> str:
        token = self.sandbox.network.grants.stable(self.world.communities[community])[kind]
        assert token is not None
        return token

    def bearer(self, community: str = "coffee") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(community, 'community')}"}

    async def vk(self, method: str, kind: str = "user", community: str = "velo_dvor", **fields: Any) -> Any:
        """A VK method's response."""
        sent = {"v": "5.199", "access_token": self.token(community, kind)}
        answer = await self.http.post(
            f"/method/{method}", data={**sent, **{name: str(value) for name, value in fields.items()}}
        )
        assert answer.status_code == 200
        return answer.json()

    async def act(self, community: str, act: str, **fields: object) -> Record:
        """Make a simulated person act now."""
        answer = await self.http.post(f"/_sandbox/communities/{community}", json={"act": act, **fields})
        assert answer.status_code == 201, answer.text
        record: Record = answer.json()
        return record

    def records(self) -> list[Record]:
        return self.world.ledger.page(0, 10_000_000)


def lift_rate_limits(sandbox: Sandbox) -> None:
    """Raise all rate limits, for tests of something else."""
    limits = sandbox.network.limits
    limits.update({name: 1_000_000 for name in limits if not name.endswith("seconds")})


@asynccontextmanager
async def running_server(app: ASGIApp) -> AsyncIterator[str]:
    """Run an application that a sandbox can call, on a free port; its URL."""
    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server._serve())
    await started.wait()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    """The platforms with communities. Tests of another platform override this fixture."""
    return ("mastodon", "vk")


@pytest.fixture(scope="session")
def speed() -> float:
    """The world's speed; at 0 nothing happens by itself, though limits and tokens follow the real clock."""
    return 1.0


@pytest.fixture
async def client(manual_clock: ManualClock, platforms: tuple[str, ...], speed: float) -> AsyncIterator[SandboxClient]:
    sandbox = build(seed=7, real=manual_clock, tick=None, speed=speed, platforms=platforms)
    lift_rate_limits(sandbox)
    sandbox.network.base_url = "http://sandbox.test"
    transport = httpx.ASGITransport(sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
        yield SandboxClient(sandbox, manual_clock, http)
    sandbox.network.world.ledger.close()


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"
