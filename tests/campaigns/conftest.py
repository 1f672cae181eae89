"""A project with communities and campaigns."""

from typing import Any

import pytest

from tests.conftest import Agency
from tests.links.conftest import add_community

BODY: dict[str, Any] = {"type": "ad", "title": "Autumn beans", "from": "2026-10-01", "to": "2026-10-31"}


@pytest.fixture
async def project_id(agency: Agency) -> str:
    """A project in Minsk (UTC+3, without daylight saving)."""
    made = await agency.post("/v1/projects", {"title": "Coffee at Nina's", "timezone": "Europe/Minsk"})
    return str(made["id"])


@pytest.fixture
async def community_id(agency: Agency, project_id: str) -> str:
    """A community of that project."""
    return await add_community(agency, project_id)


async def campaign(agency: Agency, project_id: str, **fields: Any) -> Any:
    """A campaign of October, which runs."""
    return await agency.post("/v1/campaigns", {"project_id": project_id, **BODY, **fields})


@pytest.fixture
async def path(agency: Agency, project_id: str) -> str:
    """The path of a running campaign."""
    return f"/v1/campaigns/{(await campaign(agency, project_id))['id']}"
