"""Lists of posts are those of a naive filter, whatever filters are combined, and whatever way a search takes."""

import random
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from app.kit.clock import SetClock
from tests.conftest import Agency
from tests.links.conftest import add_community
from tests.naive_lists import Row, assert_as_naive, descending, has_each
from tests.posts.conftest import HOME, remote, store

GOODS = ("чай", "пирог", "кофе")


def _latest_first(at: str, row: Row) -> Any:
    return descending(row[at], row["id"])


@pytest.fixture
async def places(agency: Agency, project_id: str, community_id: str) -> list[tuple[str, str]]:
    """Communities with their projects: two of one, one of another."""
    other = str((await agency.post("/v1/projects", {"title": "Tea", "timezone": "Europe/Minsk"}))["id"])
    return [
        (project_id, community_id),
        (project_id, await add_community(agency, project_id, "https://social.example/@olga")),
        (other, await add_community(agency, other, "https://social.example/@tea")),
    ]


async def test_each_filter_and_each_pair(
    agency: Agency,
    places: list[tuple[str, str]],
    yesterday: datetime,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(7)

    def text() -> str:
        return " ".join(word for word in GOODS if chance.random() < 0.6) or "торт"

    for n, (_, community_id) in enumerate(places * 3):
        planned: dict[str, Any] = {"status": "planned", "planned_for": f"2026-10-2{n}T10:00"}
        for status in ({}, planned, {"planned_for": "2026-11-01T10:00"}):
            category = chance.choice((None, "engaging", "promotional"))
            body = {"community_id": community_id, "text": text(), "category": category, **status}
            made = await agency.post("/v1/posts", body)
            clock.advance(timedelta(minutes=1))
        if n < 6:
            mark = {"permalink": f"{HOME}/{n}", "published_at": (yesterday - timedelta(hours=n)).isoformat()}
            await agency.post(f"/v1/posts/{made['id']}/mark-published", mark, status=200)
            if n < 3:  # a publication: found, then that of the planned post, then found again
                await store(agency, community_id, remote(str(n), text(), at=yesterday - timedelta(hours=n)))
            if n == 1:
                await agency.post(f"/v1/posts/{made['id']}/unmark-published", status=200)
        at = yesterday + timedelta(minutes=n)
        await store(agency, community_id, *(remote(f"5{n}{k}", text(), at=at + timedelta(seconds=k)) for k in range(2)))
        clock.advance(timedelta(minutes=1))
    every = (await agency.get("/v1/posts", limit=200))["data"]
    for post in every[::5]:  # also of published ones
        await agency.patch(f"/v1/posts/{post['id']}", {"category": "educational"})

    def matches(row: Any, name: str, value: Any) -> bool:
        if name == "q":
            return has_each(row["text"], value)
        if name == "categorised":
            return (row["category"] is not None) is value
        return bool(row[name] == value)

    empty = await assert_as_naive(
        agency,
        "/v1/posts",
        {
            "project_id": sorted({project for project, _ in places}),
            "community_id": [community for _, community in places],
            "status": ["draft", "planned", "published"],
            "origin": ["planned", "found"],
            "category": ["educational", "user_generated"],
            "categorised": [True, False],
            "q": ["чай", "чай пирог", "чай пирог кофе", "чай торт"],
        },
        {at: partial(_latest_first, at) for at in ("created_at", "planned_at", "published_at")},
        matches,
        monkeypatch,
    )
    assert empty > 20, "contradictions are among them"
