"""The content formula: 40/30/25/5, or what the client agreed to."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.clock import SetClock
from app.posts import mix
from app.posts.models import Category
from tests.conftest import Agency
from tests.posts.conftest import HOME, remote, store

OCTOBER: dict[str, Any] = {"from": "2026-10-01", "to": "2026-10-31"}


async def add(agency: Agency, community_id: str, category: str | None, planned_for: str) -> dict[str, Any]:
    made: dict[str, Any] = await agency.post(
        "/v1/posts",
        {"community_id": community_id, "category": category, "status": "planned", "planned_for": planned_for},
    )
    return made


async def test_shares_beside_the_policy(agency: Agency, community_id: str, project_id: str) -> None:
    path = f"/v1/projects/{project_id}/mix"
    nothing = await agency.get(path, basis="planned", **OCTOBER)
    assert (nothing["status"], nothing["deviation"], nothing["total"]) == ("unknown", None, 0)
    assert nothing["reason"]
    assert {part["share"] for part in nothing["categories"]} == {None}
    for category in ("engaging", "engaging", "engaging", "promotional", None):
        await add(agency, community_id, category, "2026-10-20T10:00")
    await agency.post("/v1/posts", {"community_id": community_id, "planned_for": "2026-10-20T10:00"})  # a draft
    mix = await agency.get(path, basis="planned", **OCTOBER)
    assert (mix["total"], mix["uncategorised"], mix["status"]) == (5, 1, "ok")
    assert [(part["category"], part["count"], part["share"], part["deviation"]) for part in mix["categories"]] == [
        ("engaging", 3, 75.0, 35.0),
        ("user_generated", 0, 0.0, -30.0),
        ("educational", 0, 0.0, -25.0),
        ("promotional", 1, 25.0, 20.0),
    ]
    assert mix["deviation"] == 55.0
    assert mix["window"] == {"from": "2026-10-01", "to": "2026-10-31", "timezone": "Europe/Minsk"}
    assert (await agency.get(path, basis="published", **OCTOBER))["status"] == "unknown"


async def test_a_window_is_of_local_days(agency: Agency, community_id: str, project_id: str, clock: SetClock) -> None:
    today, clock.at = clock.at, clock.at - timedelta(days=60)
    for planned_for in ("2026-10-01T00:00", "2026-10-31T23:59:59", "2026-09-30T23:59:59", "2026-11-01T00:00"):
        await add(agency, community_id, "engaging", planned_for)
    clock.at = today
    path = f"/v1/projects/{project_id}/mix"
    assert (await agency.get(path, basis="planned", **OCTOBER))["total"] == 2
    for wrong in (
        {"from": "2026-10-02", "to": "2026-10-01"},
        {"from": "1970-01-01", "to": "2199-12-31"},
    ):
        query: dict[str, Any] = wrong
        assert (await agency.get(path, status=422, **query))["code"] == "invalid-window"


async def test_without_days_the_window_is_the_30_days_up_to_today(
    agency: Agency, community_id: str, project_id: str
) -> None:
    for planned_for in ("2026-09-15T23:59:59", "2026-09-16T00:00", "2026-10-15T23:59:59", "2026-10-16T00:00"):
        await add(agency, community_id, "engaging", planned_for)
    window = {"from": "2026-09-16", "to": "2026-10-15", "timezone": "Europe/Minsk"}
    planned = await agency.get(f"/v1/projects/{project_id}/mix", basis="planned")
    assert (planned["window"], planned["total"]) == (window, 2)
    calendar = await agency.get(f"/v1/projects/{project_id}/calendar")
    assert (calendar["window"], [day["day"] for day in calendar["data"]]) == (window, ["2026-09-16", "2026-10-15"])
    since: dict[str, Any] = {"from": "2026-10-02"}
    assert (await agency.get(f"/v1/projects/{project_id}/mix", **since))["window"] == {**window, **since}


async def test_what_is_planned_ahead_counts_for_what_to_plan_next(
    agency: Agency, community_id: str, project_id: str
) -> None:
    path = f"/v1/projects/{project_id}/mix/next"
    await add(agency, community_id, "engaging", "2026-10-28T10:00")
    assert ((seen := await agency.get(path))["counted"], seen["category"]) == (1, "user_generated")
    today: dict[str, Any] = {"to": "2026-10-15"}
    assert ((seen := await agency.get(path, **today))["counted"], seen["category"]) == (0, "engaging")


async def test_published_posts_count_until_deleted(
    agency: Agency, community_id: str, project_id: str, yesterday: datetime
) -> None:
    await store(agency, community_id, remote("11", at=yesterday), remote("12", at=yesterday))
    rows = (await agency.get("/v1/posts"))["data"]
    await agency.patch(f"/v1/posts/{rows[0]['id']}", {"category": "educational"})
    mix = await agency.get(f"/v1/projects/{project_id}/mix", **OCTOBER)
    assert (mix["basis"], mix["total"], mix["uncategorised"], mix["gone"]) == ("published", 2, 1, 0)
    assert mix["categories"][2]["share"] == 100.0


async def test_a_projects_own_policy(agency: Agency, rival: Agency, project_id: str) -> None:
    path = f"/v1/projects/{project_id}/mix-policy"
    default = await agency.http.get(path)
    assert default.json()["shares"] == {"engaging": 40, "user_generated": 30, "educational": 25, "promotional": 5}
    assert (default.json()["is_default"], default.headers["etag"]) == (True, '"v0"')
    own = {"shares": {"engaging": 50, "user_generated": 20, "educational": 20, "promotional": 10}}
    for version in range(3):  # the first one is inserted, the others are updates
        seen = {"If-Match": f'"v{version}"'}
        tries = await asyncio.gather(*(agency.http.put(path, json=own, headers=seen) for _ in range(4)))
        assert sorted(answer.status_code for answer in tries) == [200, 412, 412, 412]
    kept = await agency.get(path)
    assert (kept["shares"], kept["is_default"], kept["version"]) == (own["shares"], False, 3)
    for wrong in (99, 101):
        shares = {**own["shares"], "engaging": wrong - 50}
        await agency.put(path, {"shares": shares}, status=422)
    await agency.put(path, {"shares": {"engaging": 100}}, status=422)
    assert (await agency.get(f"/v1/projects/{project_id}/mix"))["categories"][0]["target"] == 50
    for part in ("mix-policy", "mix", "mix/next", "calendar"):
        await rival.get(f"/v1/projects/{project_id}/{part}", status=404)
    await rival.put(path, own, status=404)


async def test_what_to_plan_next(agency: Agency, community_id: str, project_id: str) -> None:
    planned: Counter[str] = Counter()
    for _ in range(20):
        next_mix = await agency.get(f"/v1/projects/{project_id}/mix/next", **OCTOBER)
        planned[next_mix["category"]] += 1
        await add(agency, community_id, next_mix["category"], "2026-10-20T10:00")
    assert planned == {"engaging": 8, "user_generated": 6, "educational": 5, "promotional": 1}


@given(
    st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(lambda cuts: True),
    st.integers(1, 120),
)
def test_following_the_next_category_keeps_to_any_policy(cuts: list[int], posts: int) -> None:
    a, b, c = sorted(cuts)
    policy = dict(zip(Category, (a, b - a, c - b, 100 - c), strict=True))
    counts = dict.fromkeys(Category, 0)
    for _ in range(posts):
        category, _lack = mix.category_lags(mix.Counts(counts, 0, 0), policy)[0]
        counts[category] += 1
    assert sum(counts.values()) == posts
    for category, target in policy.items():
        assert abs(counts[category] - target * posts / 100) < 2
        assert target or not counts[category]


async def test_a_calendar_of_local_days(
    agency: Agency, community_id: str, project_id: str, yesterday: datetime
) -> None:
    planned = await add(agency, community_id, "engaging", "2026-10-31T23:59")
    late = await add(agency, community_id, "engaging", "2026-10-20T10:00")
    await agency.post(f"/v1/posts/{late['id']}/mark-published", {"permalink": f"{HOME}/11"}, status=200)
    calendar = await agency.get(f"/v1/projects/{project_id}/calendar", **OCTOBER)
    days = {day["day"]: [post["id"] for post in day["posts"]] for day in calendar["data"]}
    assert days == {"2026-10-15": [late["id"]], "2026-10-31": [planned["id"]]}
    too_long: dict[str, Any] = {"from": "2026-10-01", "to": "2026-12-31"}
    await agency.get(f"/v1/projects/{project_id}/calendar", status=422, **too_long)


@pytest.mark.parametrize("counts", [{}, {Category.ENGAGING: 40, Category.USER_GENERATED: 30}])
def test_unknown_shares_are_none(counts: dict[Category, int]) -> None:
    parts = mix.category_shares(mix.Counts(counts, 3, 0), mix.DEFAULT)
    assert (mix.deviation(parts) is None) == (not counts)
