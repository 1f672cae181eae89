"""The middleware: rate limit, client addresses behind proxies, CORS, and crashes."""

import ipaddress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import Scope

from app.kit.clock import SetClock
from app.kit.resources import Resources
from app.kit.web import client_address
from app.main import create_app
from app.settings import Settings


def serving_client(configuration: Settings, resources: Resources, **changed: Any) -> httpx.AsyncClient:
    settings = configuration.model_copy(update=changed)
    app = create_app(settings, clock=resources.clock)
    app.state.resources = replace(resources, settings=settings)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://instep.test"
    )


async def test_over_the_limit_is_429_with_retry_after(
    configuration: Settings, resources: Resources, clock: SetClock
) -> None:
    clock.at = datetime(2026, 10, 15, 12, 0, 12, 300_000, UTC)
    async with serving_client(configuration, resources, requests_per_minute=3) as client:
        answers = [await client.get("/v1/platforms") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
        refused = answers[-1]
        assert refused.json()["code"] == "too-many-requests"
        assert refused.headers["retry-after"] == "48"
        other = await client.get("/v1/me", headers={"Authorization": f"Bearer isk_{'a' * 12}_{'b' * 43}"})
        assert other.status_code == 401, "another key is counted separately"
        for _ in range(5):
            assert (await client.get("/live")).status_code == 200, "probes are not counted"
        clock.advance(timedelta(seconds=47.6))
        assert (await client.get("/v1/platforms")).headers["retry-after"] == "1"
        clock.advance(timedelta(seconds=0.1))
        assert (await client.get("/v1/platforms")).headers["ratelimit"] == '"default";r=2;t=60'


PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("127.0.0.1")]


@pytest.mark.parametrize(
    ("nearest", "forwarded", "address"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),  # not from a proxy: ignored
        ("127.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("127.0.0.1", "6.6.6.6, 1.2.3.4, 10.1.1.1", "1.2.3.4"),  # the first was sent by the client itself
        ("127.0.0.1", "", "127.0.0.1"),
        ("10.0.0.1", "10.2.2.2", "10.2.2.2"),
        ("not an address", "1.2.3.4", "not an address"),
    ],
)
def test_only_trusted_proxies_are_believed(nearest: str, forwarded: str, address: str) -> None:
    scope: Scope = {"type": "http", "client": (nearest, 1)}
    assert client_address(scope, Headers({"x-forwarded-for": forwarded}), PROXIES) == address


@pytest.mark.parametrize(("lines", "address"), [(["6.6.6.6", "1.2.3.4"], "1.2.3.4"), (["6.6.6.6", ""], "6.6.6.6")])
def test_a_proxy_may_add_a_second_header(lines: list[str], address: str) -> None:
    headers = Headers(raw=[(b"x-forwarded-for", line.encode()) for line in lines])
    assert client_address({"type": "http", "client": ("10.0.0.1", 1)}, headers, PROXIES) == address


async def test_configured_origins_may_call_and_others_may_not(configuration: Settings, resources: Resources) -> None:
    async with serving_client(configuration, resources, cors_origins=["https://app.example"]) as client:
        headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        ours = await client.options("/v1/posts", headers={"Origin": "https://app.example", **headers})
        assert ours.headers["access-control-allow-origin"] == "https://app.example"
        theirs = await client.options("/v1/posts", headers={"Origin": "https://evil.example", **headers})
        assert "access-control-allow-origin" not in theirs.headers
        answer = await client.get("/v1/platforms", headers={"Origin": "https://app.example"})
        assert "ETag" in answer.headers["access-control-expose-headers"]


async def test_a_frontend_on_this_machine_may_be_let_in_on_any_port(
    configuration: Settings, resources: Resources
) -> None:
    async with serving_client(configuration, resources, cors_origins=["http://localhost:*"]) as client:
        for origin, is_let_in in (
            ("http://localhost:5173", True),
            ("http://localhost:3000", True),
            ("http://localhost", False),
            ("https://localhost:5173", False),
            ("http://localhost:5173.evil.example", False),
            ("http://localhost.evil.example:80", False),
        ):
            answer = await client.get("/live", headers={"Origin": origin})
            assert (answer.headers.get("access-control-allow-origin") == origin) is is_let_in, origin


async def test_a_crash_is_a_problem_without_internals(
    app: FastAPI, resources: Resources, stranger: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("secret inside: hush")

    monkeypatch.setattr("app.operations.routes.Live", broken)
    answer = await stranger.get("/live")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal-error"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "hush" not in answer.text
