"""A project with a community, and what polling stores of it."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from app.communities import publications
from app.communities.events import CommunityRef
from app.communities.models import Community
from app.kit.db import fetch
from app.platforms.contract import Metric, MetricStatus, PostMetrics, RemotePost
from tests.conftest import Agency
from tests.links.conftest import add_community

HOME = "https://social.example/@nina"

Poll = Callable[..., Awaitable[None]]


def remote(external_id: str, text: str = "As it stands there", *, url: str | None = None, at: datetime) -> RemotePost:
    """A post as an adapter gives it."""
    metrics = PostMetrics(
        external_id,
        {Metric.REACTIONS: 7, Metric.COMMENTS: 0},
        {
            Metric.VIEWS: MetricStatus.UNSUPPORTED,
            Metric.REACH: MetricStatus.UNSUPPORTED,
            Metric.SHARES: MetricStatus.PENDING,
            Metric.QUOTES: MetricStatus.NO_PERMISSION,
            Metric.SAVES: MetricStatus.UNSUPPORTED,
        },
    )
    return RemotePost(external_id, url or f"{HOME}/{external_id}", text, at, metrics)


async def store(agency: Agency, community_id: str, *posts: RemotePost) -> None:
    """Store a page of posts, as polling does."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        community = await fetch(session, Community, uuid.UUID(community_id), for_update=True)
        place = CommunityRef(
            agency.workspace_id, community.project_id, community.id, community.platform, "Europe/Minsk"
        )
        await publications.store(session, place, posts, agency.resources.clock.now(), 1.0)


async def connect(
    agency: Agency, project_id: str, platform: str, address: str, external_id: str | None, url: str | None = None
) -> str:
    """A community of any platform, as connecting and reading it would leave it. Its id."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        community = Community(
            workspace_id=agency.workspace_id,
            project_id=uuid.UUID(project_id),
            platform=platform,
            address=address,
            url=url or address,
            external_id=external_id,
            base_url="https://api.example",
            status="healthy",
            backfill_since=agency.resources.clock.now(),
            created_at=agency.resources.clock.now(),
        )
        session.add(community)
        await session.flush()
        return str(community.id)


@pytest.fixture
def yesterday(agency: Agency) -> datetime:
    return agency.resources.clock.now() - timedelta(days=1)


@pytest.fixture
async def project_id(agency: Agency) -> str:
    """A project in Minsk (UTC+3, without daylight saving)."""
    made = await agency.post("/v1/projects", {"title": "Coffee at Nina's", "timezone": "Europe/Minsk"})
    return str(made["id"])


@pytest.fixture
async def community_id(agency: Agency, project_id: str) -> str:
    """A community of that project."""
    return await add_community(agency, project_id)
