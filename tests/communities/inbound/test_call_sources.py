"""Unsigned calls are verified by the caller's IP address."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.main import create_app
from tests.conftest import Agency

GROUP = "57000000000000"
THEIRS, PROXY, ANYBODY = "217.20.145.193", "10.1.1.1", "203.0.113.7"

BODY = orjson.dumps(
    {
        "webhookType": "MESSAGE_CREATED",
        "sender": {"user_id": "user:1", "name": "Olga"},
        "recipient": {"chat_id": "chat:C1"},
        "message": {"text": "Are you open?", "seq": 1, "mid": "mid.1"},
        "timestamp": 1_792_065_600_000,
    }
)


@dataclass
class Gate:
    """A group's hook, called from given addresses."""

    agency: Agency
    id: str
    path: str
    services: Mapping[str, FastAPI]
    """The service, `bare` and `behind` trusted proxies."""

    async def call(self, source: str, *forwarded: str, service: str = "bare") -> int:
        """The status of a call from an address, with a header `X-Forwarded-For` for each of `forwarded`."""
        transport = httpx.ASGITransport(self.services[service], raise_app_exceptions=False, client=(source, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://instep.test") as client:
            answer = await client.post(self.path, content=BODY, headers=[("X-Forwarded-For", one) for one in forwarded])
        assert answer.status_code == 200 or answer.json()["code"] == "hook-not-verified"
        return answer.status_code


@pytest.fixture
async def gate(agency: Agency, project_id: str, app: FastAPI) -> Gate:
    """A hook that was opened without secrets."""
    body = {"project_id": project_id, "platform": "odnoklassniki", "address": f"https://ok.ru/group/{GROUP}"}
    made = await agency.post("/v1/communities", {**body, "credentials": {"community": "tkn"}})
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(text("UPDATE community SET external_id = :id"), {"id": GROUP})
    hook = await agency.put(f"/v1/communities/{made['id']}/hook", {"secrets": {}})
    settings = agency.resources.settings.model_copy(update={"trusted_proxies": ["10.0.0.0/8"]})
    proxied = create_app(settings)
    proxied.state.resources = agency.resources
    return Gate(agency, made["id"], urlsplit(hook["url"]).path, {"bare": app, "behind": proxied})


async def test_where_no_networks_are_named_it_is_the_platforms_own(gate: Gate) -> None:
    """The networks of callers are not generated as other secrets are."""
    assert await gate.call(THEIRS) == 200
    assert await gate.call(ANYBODY) == 403
    await gate.agency.put(f"/v1/communities/{gate.id}/hook", {"secrets": {"sources": "203.0.113.0/24"}})
    assert [await gate.call(THEIRS), await gate.call(ANYBODY)] == [403, 200]


@pytest.mark.parametrize(
    ("service", "source", "forwarded", "status"),
    [
        ("bare", ANYBODY, [THEIRS], 403),
        ("bare", THEIRS, [ANYBODY], 200),
        ("behind", PROXY, [THEIRS], 200),
        ("behind", PROXY, [f"{ANYBODY}, {THEIRS}"], 200),
        ("behind", PROXY, [f"{THEIRS}, 10.2.2.2"], 200),
        ("behind", PROXY, [f"{THEIRS}, {ANYBODY}"], 403),
        ("behind", PROXY, [THEIRS, ANYBODY], 403),
        ("behind", PROXY, [ANYBODY, THEIRS], 200),
        ("behind", PROXY, [THEIRS, "unknown"], 403),
        ("behind", PROXY, [], 403),
        ("behind", ANYBODY, [THEIRS], 403),
        ("behind", THEIRS, [], 200),
    ],
)
async def test_only_trusted_proxies_name_the_caller(
    gate: Gate, service: str, source: str, forwarded: list[str], status: int
) -> None:
    assert await gate.call(source, *forwarded, service=service) == status
    stored = status == 200
    async with gate.agency.resources.transaction(gate.agency.workspace_id) as session:
        assert await session.scalar(text("SELECT count(*) FROM inbound_event")) == stored
