"""Webhooks of any platform: confirmation, signature, repeats and lost events."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.server import build
from tests.sandbox.conftest import ManualClock, SandboxClient, running_server
from tests.sandbox.example_platform import WIRE_FORMAT


class Listener:
    """An endpoint that the example platform calls."""

    def __init__(self, secret: str) -> None:
        self.secret, self.refuse = secret, 0
        self.received: list[str] = []
        self._more = asyncio.Event()
        self.app = Starlette(routes=[Route("/", self._confirm), Route("/", self._hear, methods=["POST"])])

    async def _confirm(self, request: Request) -> Response:
        self._keep(f"verify {request.query_params['verify']}")
        return PlainTextResponse(request.query_params["challenge"])

    async def _hear(self, request: Request) -> Response:
        body = await request.body()
        assert request.headers["x-signature"] == hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        self._keep(orjson.loads(body)["said"])
        self.refuse -= 1
        return Response(status_code=503 if self.refuse >= 0 else 204)

    def _keep(self, said: str) -> None:
        self.received.append(said)
        self._more.set()

    async def until(self, *received: str) -> None:
        async with asyncio.timeout(10):
            while len(self.received) < len(received):
                self._more.clear()
                await self._more.wait()
        assert self.received == list(received)


@pytest.fixture
async def stall(manual_clock: ManualClock) -> AsyncIterator[SandboxClient]:
    """A sandbox with only the example platform, at speed 0; it sends events once its webhooks are started."""
    sandbox = build(seed=7, real=manual_clock, tick=None, speed=0, wire_formats=[WIRE_FORMAT])
    sandbox.callbacks.retry = 0.01
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url="http://sandbox.test") as http:
        await sandbox.callbacks.start()
        yield SandboxClient(sandbox, manual_clock, http)
        await sandbox.callbacks.stop()
    sandbox.network.world.ledger.close()


async def _subscribed(stall: SandboxClient, listener: Listener, url: str) -> None:
    subscription = {"community": "stall", "url": url, "secret": listener.secret, "verify": "moonlight"}
    answer = await stall.http.post("/_sandbox/callbacks", json=subscription)
    assert (answer.status_code, answer.json()["confirmation"]) == (201, "moonlight")
    await listener.until("verify moonlight")
    (stored,) = stall.sandbox.callbacks.of(stall.world.communities["stall"])
    for _ in range(500):
        if stored.status == "ok":
            return
        await asyncio.sleep(0.01)
    pytest.fail("it is never confirmed")


async def test_a_signed_event_comes_until_it_is_taken(stall: SandboxClient) -> None:
    listener = Listener("hush")
    async with running_server(listener.app) as url:
        await _subscribed(stall, listener, url)
        listener.refuse = 2
        await stall.act("stall", "comment", text="One")
        await stall.act("stall", "follow", person=7000)
        await stall.act("stall", "comment", text="Two")
        await listener.until("verify moonlight", "One", "One", "One", "Two")


async def test_lost_events_never_come_and_are_in_the_world_all_the_same(stall: SandboxClient) -> None:
    listener = Listener("hush")
    async with running_server(listener.app) as url:
        await _subscribed(stall, listener, url)
        lost = await stall.http.post("/_sandbox/callbacks/miss", json={"community": "stall", "count": 2})
        assert lost.status_code == 204
        written = [await stall.act("stall", "comment", text=text) for text in ("One", "Two", "Three")]
        await listener.until("verify moonlight", "Three")
    c = stall.world.communities["stall"]
    assert [c.wall[int(one["id"])].text for one in written] == ["One", "Two", "Three"]
    notes = [one for one in stall.records() if one["type"] == "callback" and one["kind"] == "said"]
    assert [(one["count"], one["detail"]["said"]) for one in notes[:2]] == [(0, "(lost)")] * 2


async def test_a_subscription_survives_a_restart(manual_clock: ManualClock, ledger_path: Path) -> None:
    for start in range(2):
        sandbox = build(seed=7, real=manual_clock, tick=None, speed=0, wire_formats=[WIRE_FORMAT], ledger=ledger_path)
        c = sandbox.network.world.communities["stall"]
        if not start:
            sandbox.callbacks.configure(c, "http://127.0.0.1:9/", "hush", verify="moonlight", origin="api")
        (one,) = sandbox.callbacks.of(c)
        assert (one.url, one.secret, one.verify) == ("http://127.0.0.1:9/", "hush", "moonlight")
        sandbox.network.world.ledger.close()
