"""A server that wants a token, and a community for which none was given."""

from typing import Any

import pytest

from app.communities.service import POLL
from app.kit.clock import SetClock
from app.platforms.contract import AuthExpired, Token
from tests.communities.conftest import HOUR, World
from tests.conftest import Agency


@pytest.fixture
async def open_community(agency: Agency, project_id: str, world: World) -> dict[str, Any]:
    """A community that was connected without credentials."""
    body = {"project_id": project_id, "platform": "fake", "address": "https://fake.test/name"}
    made: dict[str, Any] = await agency.post("/v1/communities", body)
    return made


async def poll(agency: Agency, community: dict[str, Any]) -> Any:
    await agency.work(POLL)
    return await agency.get(f"/v1/communities/{community['id']}/health")


async def test_whoever_connects_is_told_that_a_token_is_needed(
    agency: Agency, open_community: dict[str, Any], world: World
) -> None:
    world.fail["community"] = [AuthExpired("Token refused.", token=Token.USER)]
    seen = await poll(agency, open_community)
    assert (seen["status"], seen["code"]) == ("degraded", "token-missing")
    assert "none was given; needed: user. Reconnect the community with credentials." in seen["reason"]
    path = f"/v1/communities/{open_community['id']}/reconnect"
    await agency.post(path, {"credentials": {"user": "a-token"}}, status=200)
    assert (await poll(agency, open_community))["status"] == "healthy"


async def test_no_token_is_never_called_a_refused_one_however_often(
    agency: Agency, open_community: dict[str, Any], world: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    for _ in range(5):
        world.fail["conversations"] = [AuthExpired("Token refused.")]
        clock.advance(7 * HOUR)
        seen = await poll(agency, open_community)
        assert (seen["status"], seen["code"]) == ("degraded", "token-missing")
