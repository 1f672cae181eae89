"""What a platform would refuse, or what cannot be, is refused when it is entered, not when it is to be published."""

from typing import Any

import pytest

from app.platforms import adapters
from app.platforms.contract import CommunityIdentity
from app.posts import permalinks
from tests.conftest import Agency

NOW = "2026-10-15T15:00:00"
"""Of the tests' clock, in Minsk."""


@pytest.fixture
async def post(agency: Agency) -> dict[str, Any]:
    """The body of a draft on Mastodon."""
    project = await agency.post("/v1/projects", {"name": "Coffee house", "timezone": "Europe/Minsk"})
    body = {"project_id": project["id"], "platform": "mastodon", "address": "https://town.example/@coffee"}
    community = await agency.post("/v1/communities", body)
    return {"community_id": community["id"], "text": "Good morning!"}


def refused(problem: dict[str, Any]) -> tuple[str, str]:
    """The code of a problem, and the field that it is about."""
    (error,) = problem["errors"]
    assert error["code"] == problem["code"]
    return problem["code"], error["field"]


async def test_a_plan_is_for_the_future(agency: Agency, post: dict[str, Any]) -> None:
    late = ("not-in-the-future", "planned_for")
    for status in ("draft", "planned"):
        assert refused(await agency.post("/v1/posts", {**post, "status": status, "planned_for": NOW}, 422)) == late
    plan = {**post, "status": "planned", "planned_for": "2026-10-15T15:00:01"}
    made = await agency.post("/v1/posts", plan)
    path = f"/v1/posts/{made['id']}"
    assert refused(await agency.patch(path, {"planned_for": NOW}, 422)) == late
    assert refused(await agency.patch(path, {"timezone": "Asia/Tokyo"}, 422)) == late, "it is later there"
    bulk = await agency.post("/v1/posts/bulk", {"posts": [plan, {**plan, "planned_for": NOW}]}, 200)
    assert (bulk["created"], bulk["failed"]) == (1, 1)


async def test_a_text_fits_the_platform(agency: Agency, post: dict[str, Any]) -> None:
    long = ("text-too-long", "text")
    made = await agency.post("/v1/posts", {**post, "text": "x" * 500})
    problem = await agency.post("/v1/posts", {**post, "text": "x" * 501}, 422)
    assert refused(problem) == long
    assert problem["errors"][0]["detail"] == "Mastodon takes posts of at most 500 characters; these are 501."
    assert refused(await agency.patch(f"/v1/posts/{made['id']}", {"text": "x" * 501}, 422)) == long


async def test_a_permalink_is_on_the_platforms_site(agency: Agency, post: dict[str, Any]) -> None:
    made = await agency.post("/v1/posts", post)
    path = f"/v1/posts/{made['id']}/publish"
    for permalink in (
        "https://vk.com/wall-1_2",
        "https://other.example/@coffee/1",
        "https://eviltown.example/@coffee/1",
    ):
        problem = await agency.post(path, {"permalink": permalink}, 422)
        assert refused(problem) == ("permalink-of-another-site", "permalink")
    await agency.post(path, {"permalink": "https://town.example/@coffee/1"}, 200)


@pytest.mark.parametrize(
    ("platform", "address", "good"),
    [
        ("vk", "https://vk.com/coffee", "https://m.vk.ru/wall-1_2"),
        ("telegram", "https://t.me/coffee", "https://web.telegram.org/k/#-1001_2"),
        ("odnoklassniki", "https://ok.ru/coffee", "https://m.ok.ru/group/1/topic/2"),
        ("facebook", "https://www.facebook.com/coffee", "https://fb.com/1/posts/2"),
        ("instagram", "https://www.instagram.com/coffee", "https://instagr.am/p/abc"),
        ("youtube", "https://www.youtube.com/@coffee", "https://youtu.be/abcdefghijk"),
        ("mastodon", "https://www.town.example/@coffee", "https://town.example/new/form/1"),
    ],
)
def test_each_platform_knows_its_site(platform: str, address: str, good: str) -> None:
    """Also before the community was read, and its id is known."""
    assert platform in adapters()
    community = CommunityIdentity((address,), None, frozenset())
    assert not permalinks.is_on_another_site(platform, community, good)
    for other in ("https://evil.example/", f"https://evil.example/{good}", "https://notvk.com/wall-1_2", "https://x"):
        assert permalinks.is_on_another_site(platform, community, other)


def test_posts_of_bluesky_are_shown_by_any_client() -> None:
    community = CommunityIdentity(("https://bsky.app/profile/coffee.example",), None, frozenset())
    assert not permalinks.is_on_another_site(
        "bluesky", community, "https://client.example/profile/coffee.example/post/1"
    )
