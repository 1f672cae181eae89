"""The middleware: rate limit, client addresses behind proxies, CORS, and crashes."""

import base64
import hashlib
import ipaddress
import re
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
from tests.conftest import Agency


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
        for _ in range(5):
            assert (await client.get("/live")).status_code == 200, "probes are not counted"
        clock.advance(timedelta(seconds=47.6))
        assert (await client.get("/v1/platforms")).headers["retry-after"] == "1"
        clock.advance(timedelta(seconds=0.1))
        assert (await client.get("/v1/platforms")).headers["ratelimit"] == '"default";r=2;t=60'


async def test_a_good_key_is_counted_by_itself_and_a_made_up_one_as_its_address(
    configuration: Settings, resources: Resources, agency: Agency
) -> None:
    async with serving_client(configuration, resources, requests_per_minute=3) as client:

        async def me(key: str) -> tuple[int, str]:
            answer = await client.get("/v1/me", headers={"Authorization": f"Bearer {key}"})
            return answer.status_code, answer.headers["ratelimit"].split(";")[1]

        assert await me(agency.key) == (200, "r=2")
        made_up = [f"isk_{letter * 12}_{'b' * 43}" for letter in "abcd"]
        assert [await me(key) for key in made_up] == [(401, "r=2"), (401, "r=1"), (401, "r=0"), (429, "r=0")]
        assert (await client.get("/v1/platforms")).status_code == 429, "no key counts as the address, too"
        # The prefix is no secret: it is a good key's, and the rest is made up.
        assert (await me(f"{agency.key[:-1]}{'a' if agency.key[-1] != 'a' else 'b'}"))[0] == 429
        assert [await me(agency.key) for _ in range(3)] == [(200, "r=1"), (200, "r=0"), (429, "r=0")]


@pytest.mark.parametrize("name", ["Authorization", "Host", "Content-Type", "Idempotency-Key"])
async def test_a_header_that_is_sent_once_is_refused_twice(agency: Agency, name: str) -> None:
    headers = [("Authorization", f"Bearer {agency.key}"), ("Content-Type", "application/json"), ("Host", "x")]
    headers += [("Idempotency-Key", "a"), (name, "another")]
    async with httpx.AsyncClient(transport=agency.http._transport, base_url="http://instep.test") as client:
        answer = await client.post("/v1/projects", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "repeated-header")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_a_browser_shows_runs_nothing_of_others(agency: Agency, stranger: httpx.AsyncClient) -> None:
    for path, status in (("/docs", 200), ("/r/nowhere1", 404)):
        page = await stranger.get(path)
        assert page.status_code == status
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["x-frame-options"] == "DENY"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        for kind, content in re.findall(r"<(script|style)>(.*?)</\1>", page.text, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy, f"the page's own {kind} is allowed"
        assert "script-src 'unsafe-inline'" not in policy
    for answer in (await agency.http.get("/v1/me"), await stranger.get("/v1/me"), await stranger.get("/openapi.json")):
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_no_redirect_names_a_host_that_was_made_up(agency: Agency) -> None:
    for path in ("/v1/projects/", "/docs/", "/docs/files", "/live/", "/", "//evil.example", "//evil.example/"):
        answer = await agency.http.get(f"http://instep.test{path}", headers={"Host": "evil.example"})
        assert "evil" not in answer.headers.get("location", ""), path


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
        for origin in ({}, {"Origin": "https://app.example"}, {"Origin": "https://evil.example"}):
            answer = await client.get("/v1/platforms", headers=origin)
            assert "Origin" in answer.headers["vary"], "a cache must not give one site the answer to another"


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
