"""An account whose handle is of another domain than its server."""

import dataclasses
from collections.abc import AsyncIterator

import httpx
import pytest

from app.communities.service import POLL
from app.kit.resources import Resources
from tests.conftest import Agency
from tests.platforms.mastodon.test_adapter import account
from tests.platforms.mastodon.test_webfinger import HANDLE_DOMAIN, SERVER, resource

POLLED: list[str] = []


def web(request: httpx.Request) -> httpx.Response:
    """Webfinger alone at the handle's domain; an account without posts on the server."""
    POLLED.append(request.url.host)
    if request.url.host == HANDLE_DOMAIN:
        return resource() if request.url.path == "/.well-known/webfinger" else httpx.Response(404)
    assert request.url.host == SERVER
    return httpx.Response(200, json=[] if request.url.path.endswith("/statuses") else account("7"))


@pytest.fixture
async def resources(resources: Resources) -> AsyncIterator[Resources]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(web)) as client:
        yield dataclasses.replace(resources, http=client)


async def test_it_is_polled_at_its_server_from_then_on_and_is_one_community(agency: Agency, project_id: str) -> None:
    body = {"project_id": project_id, "platform": "mastodon", "address": f"@me@{HANDLE_DOMAIN}"}
    made = await agency.post("/v1/communities", body)
    await agency.work(POLL)
    assert (await agency.get(f"/v1/communities/{made['id']}/health"))["status"] == "healthy"
    POLLED.clear()
    await agency.post(f"/v1/communities/{made['id']}/sync", status=202)
    await agency.work(POLL)
    assert set(POLLED) == {SERVER}
    twin = await agency.post("/v1/communities", {**body, "address": f"https://{SERVER}/@me"})
    await agency.work(POLL)
    seen = await agency.get(f"/v1/communities/{twin['id']}/health")
    assert (seen["status"], seen["code"]) == ("failed", "rejected")
