"""A host that is never connected to is refused when it is given."""

from typing import Any

import pytest

from app.communities.service import POLL
from app.kit.resources import Resources
from tests.conftest import Agency


def connecting(project_id: str, platform: str, address: str) -> dict[str, Any]:
    return {"project_id": project_id, "platform": platform, "address": address}


@pytest.mark.parametrize(
    ("platform", "address"),
    [
        ("mastodon", "https://127.000.000.001/@name"),
        ("mastodon", "@name@127.000.000.001"),
        ("mastodon", "@name@0x7f.1"),
        ("mastodon", "https://2130706433/@name"),
        ("mastodon", "https://10.0.0.7/@name"),
        ("mastodon", "http://127.0.0.1:3300/@name"),
        ("mastodon", "http://[::1]:3300/@name"),
        ("mastodon", "https://１２７.０.０.１/@name"),
        ("bluesky", "https://bsky.app/profile/name.example?pds=127.000.000.001"),
    ],
)
async def test_such_a_host_is_refused(agency: Agency, project_id: str, platform: str, address: str) -> None:
    refused = await agency.post("/v1/communities", connecting(project_id, platform, address), status=422)
    assert refused["code"] == "invalid-address"
    assert await agency.due(POLL) == []


async def test_one_that_is_allowed_is_not(agency: Agency, project_id: str, resources: Resources) -> None:
    resources.settings.outbound_allow.append("127.0.0.1:3300")
    try:
        await agency.post("/v1/communities", connecting(project_id, "mastodon", "http://127.0.0.1:3300/@name"))
    finally:
        resources.settings.outbound_allow.remove("127.0.0.1:3300")


async def test_names_and_public_addresses_are_taken(agency: Agency, project_id: str) -> None:
    for address in ("@name@mastodon.example", "https://8.8.8.8/@name", "@name@bücher.example"):
        await agency.post("/v1/communities", connecting(project_id, "mastodon", address))
