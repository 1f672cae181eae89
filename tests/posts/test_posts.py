"""The content plan over HTTP."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.kit.clock import SetClock
from tests.conftest import Agency
from tests.posts.conftest import HOME, remote, store


async def test_a_post_is_planned_by_the_wall_clock(agency: Agency, community_id: str, project_id: str) -> None:
    body = {
        "community_id": community_id,
        "text": "Good morning!",
        "category": "engaging",
        "status": "planned",
        "planned_for": "2026-10-20T09:30",
    }
    made = await agency.post("/v1/posts", body)
    assert made["project_id"] == project_id
    assert (made["timezone"], made["planned_for"]) == ("Europe/Minsk", "2026-10-20T09:30:00")
    assert made["planned_at"] == "2026-10-20T06:30:00Z"
    assert await agency.get(f"/v1/posts/{made['id']}") == made
    moved = await agency.patch(f"/v1/posts/{made['id']}", {"timezone": "Europe/Berlin"})
    assert (moved["planned_for"], moved["planned_at"]) == ("2026-10-20T09:30:00", "2026-10-20T07:30:00Z")
    assert moved["version"] == 2


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"planned_for": "2027-03-28T02:30:00", "timezone": "Europe/Berlin"}, "nonexistent-local-time"),
        ({"planned_for": "2026-10-20T09:30:00Z"}, "invalid-input"),
        ({"planned_for": "2026-10-20T09:30:00+03:00"}, "invalid-input"),
        ({"planned_for": "2026-02-30T09:30:00"}, "invalid-input"),
        ({"planned_for": "1999-10-20T09:30:00"}, "invalid-input"),
        ({"planned_for": 1}, "invalid-input"),
        ({"planned_for": "2026-10-20"}, "invalid-input"),
        ({"timezone": "Mars/Olympus"}, "invalid-input"),
        ({"timezone": "../etc/passwd"}, "invalid-input"),
        ({"status": "planned"}, "invalid-input"),
        ({"status": "published"}, "invalid-input"),
        ({"category": "funny"}, "invalid-input"),
        ({"text": "a\0b"}, "invalid-input"),
        ({"text": 5}, "invalid-input"),
        ({"surprise": True}, "invalid-input"),
    ],
)
async def test_invalid_posts_are_refused(agency: Agency, community_id: str, wrong: dict[str, Any], code: str) -> None:
    refused = await agency.post("/v1/posts", {"community_id": community_id, "text": "x", **wrong}, status=422)
    assert refused["code"] == code


async def test_a_stale_version_is_refused(agency: Agency, community_id: str) -> None:
    made = await agency.http.post("/v1/posts", json={"community_id": community_id, "text": "One"})
    path, tag = f"/v1/posts/{made.json()['id']}", made.headers["etag"]
    first = await agency.http.patch(path, json={"text": "Two"}, headers={"If-Match": tag})
    assert (first.status_code, first.headers["etag"]) == (200, '"v2"')
    second = await agency.http.patch(path, json={"text": "Three"}, headers={"If-Match": tag})
    assert (second.status_code, second.json()["code"]) == (412, "precondition-failed")
    assert (await agency.get(path))["text"] == "Two"
    unchanged = await agency.http.get(path, headers={"If-None-Match": '"v2"'})
    assert unchanged.status_code == 304
    assert (await agency.http.delete(path, headers={"If-Match": tag})).status_code == 412
    assert (await agency.http.delete(path, headers={"If-Match": '"v2"'})).status_code == 204
    assert (await agency.http.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        ('"v1"', 200),
        ('W/"v1"', 200),
        ('"v1-gone"', 200),
        ('"v7", W/"v1-gone"', 200),
        ("*", 200),
        ('"v7"', 412),
        ('"v7", "v8-gone"', 412),
        ('"other"', 412),
    ],
)
async def test_if_match_may_list_tags(agency: Agency, community_id: str, if_match: str, status: int) -> None:
    made = await agency.post("/v1/posts", {"community_id": community_id, "text": "One"})
    path, headers = f"/v1/posts/{made['id']}", {"If-Match": if_match}
    await agency.patch(path, {"text": "Two"}, status, **headers)
    assert (await agency.get(path))["version"] == (2 if status == 200 else 1)


async def test_only_drafts_are_deleted(agency: Agency, community_id: str) -> None:
    planned = await agency.post(
        "/v1/posts", {"community_id": community_id, "status": "planned", "planned_for": "2026-10-20T09:30"}
    )
    kept = await agency.http.delete(f"/v1/posts/{planned['id']}")
    assert (kept.status_code, kept.json()["code"]) == (409, "not-a-draft")
    said = await agency.patch(f"/v1/posts/{planned['id']}", {"planned_for": None}, status=422)
    assert said["code"] == "planned-for-missing"
    await agency.patch(f"/v1/posts/{planned['id']}", {"planned_for": None, "status": "draft"})
    assert (await agency.http.delete(f"/v1/posts/{planned['id']}")).status_code == 204


async def test_many_posts_each_with_its_result(agency: Agency, rival: Agency, community_id: str) -> None:
    good = {"community_id": community_id, "text": "Good"}
    items = [
        good,
        {"community_id": community_id, "text": 5},
        {"community_id": str(uuid.uuid4())},
        {**good, "planned_for": "2027-03-28T02:30", "timezone": "Europe/Berlin"},
        good,
    ]
    result = await agency.post("/v1/posts/bulk", {"items": items}, status=200)
    assert (result["succeeded"], result["failed"]) == (2, 3)
    results = [(item["index"], item["problem"] and item["problem"]["code"]) for item in result["data"]]
    assert results == [(0, None), (1, "invalid-input"), (2, "not-found"), (3, "nonexistent-local-time"), (4, None)]
    assert result["data"][1]["problem"]["errors"][0]["field"] == "text"
    assert len((await agency.get("/v1/posts"))["data"]) == 2
    foreign = await rival.post("/v1/posts/bulk", {"items": [good]}, status=200)
    assert foreign["data"][0]["problem"]["code"] == "not-found"


async def test_all_or_nothing(agency: Agency, community_id: str) -> None:
    good = {"community_id": community_id, "text": "Good"}
    bad = {"items": [good, {"text": "whose?"}, {"community_id": str(uuid.uuid4())}]}
    refused = await agency.post("/v1/posts/bulk?atomic=true", bad, status=422)
    assert refused["code"] == "bulk-refused"
    assert [error["field"] for error in refused["errors"]] == ["items.1.community_id", "items.2"]
    assert (await agency.get("/v1/posts"))["data"] == []
    key = {"Idempotency-Key": uuid.uuid4().hex}
    for _ in range(2):
        answer = await agency.http.post("/v1/posts/bulk?atomic=true", json={"items": [good] * 500}, headers=key)
        assert (answer.status_code, answer.json()["succeeded"]) == (200, 500)
    page = await agency.get("/v1/posts", limit=200)
    seen = {post["id"] for post in page["data"]}
    while page["next_cursor"]:
        page = await agency.get("/v1/posts", limit=200, cursor=page["next_cursor"])
        seen |= {post["id"] for post in page["data"]}
    assert len(seen) == 500
    await agency.post("/v1/posts/bulk", {"items": [good] * 501}, status=422)
    await agency.post("/v1/posts/bulk", {"items": []}, status=422)


async def test_lists_by_filter_and_time(
    agency: Agency, rival: Agency, community_id: str, project_id: str, yesterday: datetime, clock: SetClock
) -> None:
    for n, category in enumerate(("engaging", "promotional", None)):
        await agency.post(
            "/v1/posts",
            {
                "community_id": community_id,
                "text": f"Plan {n} 100%_",
                "category": category,
                "status": "planned",
                "planned_for": f"2026-10-2{n}T10:00",
            },
        )
        clock.advance(timedelta(minutes=1))
    await store(agency, community_id, remote("11", "Found", at=yesterday))

    async def texts(**filters: Any) -> list[str]:
        return [post["text"] for post in (await agency.get("/v1/posts", **filters))["data"]]

    assert await texts() == ["Found", "Plan 2 100%_", "Plan 1 100%_", "Plan 0 100%_"]
    assert await texts(sort="planned_at", limit=2) == ["Plan 2 100%_", "Plan 1 100%_"]
    assert await texts(sort="published_at") == ["Found"]
    published = await agency.http.get("/v1/posts", params={"status": "published"})
    assert [post["text"] for post in published.json()["data"]] == ["Found"]
    assert await texts(origin="found") == await texts(q="fOUnd") == ["Found"]
    assert await texts(category="promotional") == ["Plan 1 100%_"]
    assert await texts(categorised=False) == ["Found", "Plan 2 100%_"]
    assert len(await texts(q="100%_")) == 3
    assert await texts(q="1%0") == []
    window = {"since": "2026-10-21T07:00:00Z", "until": "2026-10-22T07:00:00Z"}
    assert await texts(sort="planned_at", **window) == ["Plan 1 100%_"]
    assert len(await texts(project_id=project_id, community_id=community_id)) == 4
    assert await texts(project_id=str(uuid.uuid4())) == []
    assert (await rival.get("/v1/posts"))["data"] == []
    assert (await agency.http.get("/v1/posts", params={"q": "\0"})).status_code == 422


async def test_a_rivals_posts_do_not_exist(agency: Agency, rival: Agency, community_id: str) -> None:
    post = await agency.post("/v1/posts", {"community_id": community_id})
    path = f"/v1/posts/{post['id']}"
    await rival.get(path, status=404)
    await rival.get(f"{path}/metrics", status=404)
    await rival.patch(path, {"text": "mine"}, status=404)
    await rival.post(f"{path}/mark-published", {"permalink": f"{HOME}/1"}, status=404)
    assert (await rival.http.delete(path)).status_code == 404
    await rival.post("/v1/posts", {"community_id": community_id}, status=404)
