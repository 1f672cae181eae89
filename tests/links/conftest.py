"""An agency's project with a community."""

import uuid
from datetime import datetime

import pytest

from app.communities.models import Community
from app.kit.resources import Resources
from tests.conftest import Agency


async def add_community(agency: Agency, project_id: str, address: str = "https://social.example/@nina") -> str:
    """A community, as connecting it would leave it. Its id."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        community = Community(
            workspace_id=agency.workspace_id,
            project_id=uuid.UUID(project_id),
            platform="mastodon",
            address=address,
            base_url="https://social.example",
            status="healthy",
            backfill_since=moment(agency.resources),
            created_at=moment(agency.resources),
        )
        session.add(community)
        await session.flush()
        return str(community.id)


def moment(resources: Resources) -> datetime:
    """The test's now."""
    return resources.clock.now()


@pytest.fixture
async def project_id(agency: Agency) -> str:
    """A project in Minsk (UTC+3, without daylight saving)."""
    made = await agency.post("/v1/projects", {"title": "Coffee at Nina's", "timezone": "Europe/Minsk"})
    return str(made["id"])


@pytest.fixture
async def community_id(agency: Agency, project_id: str) -> str:
    """A community of that project."""
    return await add_community(agency, project_id)
