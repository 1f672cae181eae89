"""One post for each publication, whichever is known first."""

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from app.communities.models import Publication
from app.metrics.models import RollupDay
from tests.conftest import Agency
from tests.posts.conftest import HOME, connect, remote, store


async def plan(agency: Agency, community_id: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = await agency.post(
        "/v1/posts", {"community_id": community_id, "text": "As it was planned", **more}
    )
    return made


async def publish(agency: Agency, post: dict[str, Any], permalink: str, status: int = 200) -> dict[str, Any]:
    path = f"/v1/posts/{post['id']}/mark-published"
    said: dict[str, Any] = await agency.post(path, {"permalink": permalink}, status=status)
    return said


async def unmark(agency: Agency, post: dict[str, Any], status: int = 200) -> dict[str, Any]:
    said: dict[str, Any] = await agency.post(f"/v1/posts/{post['id']}/unmark-published", status=status)
    return said


async def posts(agency: Agency, **filters: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await agency.get("/v1/posts", **filters))["data"]
    return listed


async def publication_categories(agency: Agency) -> list[str | None]:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        query = select(Publication.category).where(Publication.workspace_id == agency.workspace_id)
        return list(await connection.scalars(query.order_by(Publication.external_id)))


async def rollup_categories(agency: Agency) -> dict[str, int]:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        rows = await connection.execute(
            select(RollupDay.category, func.sum(RollupDay.reactions))
            .where(RollupDay.workspace_id == agency.workspace_id)
            .group_by(RollupDay.category)
        )
        return {category: int(reactions) for category, reactions in rows if reactions}


async def test_planned_first_then_seen(agency: Agency, community_id: str, yesterday: datetime) -> None:
    post = await plan(agency, community_id, category="educational")
    said = await publish(agency, post, "http://www.social.example/@nina/11/?utm_source=chat")
    assert (said["status"], said["publication_id"]) == ("published", None)
    await store(agency, community_id, remote("11", at=yesterday), remote("12", "Another", at=yesterday))
    in_workspace = await agency.get(f"/v1/posts/{post['id']}")
    assert in_workspace["publication_id"] is not None
    assert in_workspace["text"] == "As it was planned"
    assert datetime.fromisoformat(in_workspace["published_at"]) == yesterday
    assert {(one["origin"], one["text"]) for one in await posts(agency)} == {
        ("planned", "As it was planned"),
        ("found", "Another"),
    }
    assert await publication_categories(agency) == ["educational", None]
    assert await rollup_categories(agency) == {"educational": 7, "": 7}


async def test_found_first_then_planned(
    agency: Agency, community_id: str, project_id: str, yesterday: datetime
) -> None:
    await store(agency, community_id, remote("11", at=yesterday))
    (found_post,) = await posts(agency)
    assert (found_post["origin"], found_post["status"], found_post["category"]) == ("found", "published", None)
    await agency.patch(f"/v1/posts/{found_post['id']}", {"category": "engaging"})
    assert await rollup_categories(agency) == {"engaging": 7}
    link = await agency.post(
        "/v1/links", {"project_id": project_id, "target": "https://shop.example/", "post_id": found_post["id"]}
    )
    post = await plan(agency, community_id)
    said = await publish(agency, post, f"{HOME}/11")
    assert said["publication_id"] == found_post["publication_id"]
    assert (said["category"], said["text"]) == ("engaging", "As it was planned")
    assert [row["id"] for row in await posts(agency)] == [post["id"]]
    await agency.get(f"/v1/posts/{found_post['id']}", status=404)
    assert (await agency.get(f"/v1/links/{link['id']}"))["post_id"] == post["id"]
    # Seen again, nothing is made twice, and the plan's text stays.
    await store(agency, community_id, remote("11", "Edited there", at=yesterday))
    (left,) = await posts(agency)
    assert (left["id"], left["text"]) == (post["id"], "As it was planned")


async def test_the_plans_own_category_wins(agency: Agency, community_id: str, yesterday: datetime) -> None:
    await store(agency, community_id, remote("11", at=yesterday))
    (found_post,) = await posts(agency)
    await agency.patch(f"/v1/posts/{found_post['id']}", {"category": "engaging"})
    post = await plan(agency, community_id, category="promotional")
    await publish(agency, post, f"{HOME}/11")
    assert await publication_categories(agency) == ["promotional"]
    assert await rollup_categories(agency) == {"promotional": 7}


DID = "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"


@pytest.mark.parametrize(
    ("platform", "home", "url", "external_id", "permalink"),
    [
        ("vk", ("https://vk.com/nina", "1"), "https://vk.com/wall-1_11", "11", "https://m.vk.ru/nina?w=wall-1_11"),
        (
            "bluesky",
            ("https://bsky.app/profile/nina.example", DID),
            f"https://bsky.app/profile/{DID}/post/3lf",
            f"at://{DID}/app.bsky.feed.post/3lf",
            "https://bsky.app/profile/Nina.example/post/3lf?ref_src=embed",
        ),
        (
            "youtube",
            ("https://www.youtube.com/@nina", "UCbbbbbbbbbbbbbbbbbbbbbb"),
            "https://www.youtube.com/watch?v=q-W_rTyUiOp",
            "q-W_rTyUiOp",
            "https://youtu.be/q-W_rTyUiOp?si=x&t=3",
        ),
        (
            "instagram",
            ("https://www.instagram.com/nina", "17840000000000001"),
            "https://www.instagram.com/reel/Dq_W-e1",
            "17990000000000001",
            "https://instagram.com/nina/p/Dq_W-e1?img_index=2",
        ),
        (
            "facebook",
            ("https://www.facebook.com/nina", "555"),
            "https://www.facebook.com/photo.php?fbid=909090",
            "555_424242",
            "https://m.facebook.com/story.php?story_fbid=424242&id=555",
        ),
        ("telegram", ("https://t.me/nina", "-1000000000077"), "https://t.me/nina/11", "11", "https://t.me/s/Nina/11"),
        (
            "odnoklassniki",
            ("https://ok.ru/nina", "570"),
            "https://ok.ru/group/570/topic/1511",
            "1511",
            "https://m.ok.ru/nina/topic/1511",
        ),
    ],
)
@pytest.mark.parametrize("seen_first", [True, False])
async def test_other_forms_of_an_address_match(
    agency: Agency,
    project_id: str,
    yesterday: datetime,
    platform: str,
    home: tuple[str, str],
    url: str,
    external_id: str,
    permalink: str,
    seen_first: bool,
) -> None:
    community_id = await connect(agency, project_id, platform, *home)
    page = (
        remote(f"{external_id}9", url=f"{url}9", at=yesterday),
        remote(external_id, url=url, at=yesterday),
    )
    post = await plan(agency, community_id)
    if seen_first:
        await store(agency, community_id, *page)
        await publish(agency, post, permalink)
    else:
        await publish(agency, post, permalink)
        await store(agency, community_id, *page)
    rows = {row["id"]: row for row in await posts(agency)}
    assert len(rows) == 2
    assert rows[post["id"]]["publication_id"] is not None
    assert datetime.fromisoformat(rows[post["id"]]["published_at"]) == yesterday
    other = await plan(agency, community_id)
    assert (await publish(agency, other, url, status=409))["code"] == "permalink-taken"


async def test_an_address_from_before_the_community_was_read_matches(
    agency: Agency, project_id: str, yesterday: datetime
) -> None:
    community_id = await connect(agency, project_id, "bluesky", "https://bsky.app/profile/nina.example", None)
    post = await plan(agency, community_id)
    await publish(agency, post, "https://bsky.app/profile/nina.example/post/3lf")
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(
            text("UPDATE community SET external_id = :did WHERE id = :id"), {"did": DID, "id": uuid.UUID(community_id)}
        )
    url = f"https://bsky.app/profile/{DID}/post/3lf"
    await store(agency, community_id, remote(f"at://{DID}/app.bsky.feed.post/3lf", url=url, at=yesterday))
    (row,) = await posts(agency)
    assert row["id"] == post["id"]
    assert row["publication_id"] is not None


async def test_publications_without_an_address_of_their_own_stay_apart(
    agency: Agency, project_id: str, yesterday: datetime
) -> None:
    community_id = await connect(agency, project_id, "instagram", "https://www.instagram.com/nina", "1784")
    site = "https://www.instagram.com"
    await store(agency, community_id, remote("1", url=site, at=yesterday), remote("2", url=site, at=yesterday))
    assert len(await posts(agency)) == 2


async def test_an_address_under_an_id_matches_too(agency: Agency, community_id: str, yesterday: datetime) -> None:
    post = await plan(agency, community_id)
    await store(agency, community_id, remote("11", at=yesterday))
    await publish(agency, post, "https://social.example/users/nina/statuses/11")
    assert len(await posts(agency)) == 1
    stranger = await plan(agency, community_id)
    said = await publish(agency, stranger, "https://social.example/@olga/12")
    assert said["publication_id"] is None


async def test_a_permalink_belongs_to_one_post(agency: Agency, community_id: str, yesterday: datetime) -> None:
    first, second = await plan(agency, community_id), await plan(agency, community_id)
    await publish(agency, first, f"{HOME}/12")
    await publish(agency, first, f"{HOME}/11")  # a slip, corrected while nothing is matched
    taken = await publish(agency, second, f"{HOME}/11?utm_source=x", status=409)
    assert taken["code"] == "permalink-taken"
    await store(agency, community_id, remote("11", at=yesterday))
    assert (await publish(agency, second, f"{HOME}/11", status=409))["code"] == "permalink-taken"
    assert (await publish(agency, first, f"{HOME}/13", status=409))["code"] == "already-matched"
    assert (await publish(agency, first, f"{HOME}/11"))["status"] == "published"


async def test_both_at_once_make_one_post(agency: Agency, community_id: str, yesterday: datetime) -> None:
    for n in range(100, 112):
        post = await plan(agency, community_id, category="engaging")
        spelled = f"{HOME}/{n}" if n % 2 else f"https://social.example/users/nina/statuses/{n}"
        await asyncio.gather(
            publish(agency, post, spelled),
            store(agency, community_id, remote(str(n), at=yesterday)),
        )
    rows = await posts(agency, limit=100)
    assert len(rows) == 12
    assert all(row["publication_id"] and row["origin"] == "planned" for row in rows)
    assert set(await publication_categories(agency)) == {"engaging"}


async def test_concurrent_publishing_does_not_share_a_publication(
    agency: Agency, community_id: str, yesterday: datetime
) -> None:
    both = [await plan(agency, community_id) for _ in range(2)]
    answers = await asyncio.gather(
        *(agency.http.post(f"/v1/posts/{post['id']}/mark-published", json={"permalink": f"{HOME}/11"}) for post in both)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_found_posts_follow_the_platform(agency: Agency, community_id: str, yesterday: datetime) -> None:
    await store(agency, community_id, remote("11", "First", at=yesterday))
    await store(agency, community_id, remote("11", "Mended", at=yesterday))
    (post,) = await posts(agency)
    assert (post["text"], post["version"]) == ("Mended", 2)
    before = await agency.http.get(f"/v1/posts/{post['id']}")
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(
            text("UPDATE publication SET gone_at = :at WHERE id = :id"),
            {"at": agency.resources.clock.now(), "id": uuid.UUID(post["publication_id"])},
        )
    gone = await agency.http.get(f"/v1/posts/{post['id']}", headers={"If-None-Match": before.headers["etag"]})
    assert gone.status_code == 200
    assert gone.json()["gone_at"] is not None
    refused = {"text": "No"}
    said = await agency.patch(f"/v1/posts/{post['id']}", refused, status=409)
    assert said["code"] == "already-published"
    kept: dict[str, Any] = {"If-Match": gone.headers["etag"]}
    await agency.patch(f"/v1/posts/{post['id']}", {"category": "engaging"}, **kept)
    await agency.patch(f"/v1/posts/{post['id']}", {"category": None}, status=412, **kept)


async def test_metrics_have_a_status(agency: Agency, community_id: str, yesterday: datetime) -> None:
    post = await plan(agency, community_id)
    path = f"/v1/posts/{post['id']}/metrics"
    waiting = await agency.get(path)
    assert waiting["captured_at"] is None
    assert {(row["status"], row["value"]) for row in waiting["data"]} == {("pending", None)}
    await publish(agency, post, f"{HOME}/11")
    await store(agency, community_id, remote("11", at=yesterday))
    matched = await agency.get(path)
    assert datetime.fromisoformat(matched["captured_at"]) == agency.resources.clock.now()
    rows = {row["metric"]: (row["status"], row["value"], row["reason"] is None) for row in matched["data"]}
    assert rows == {
        "views": ("unsupported", None, False),
        "reach": ("unsupported", None, False),
        "reactions": ("ok", 7, True),
        "comments": ("ok", 0, True),
        "shares": ("pending", None, False),
        "quotes": ("no_permission", None, False),
        "saves": ("unsupported", None, False),
    }
    captured = {row["metric"]: row["captured_at"] for row in matched["data"] if row["captured_at"] is not None}
    assert captured == dict.fromkeys(("reactions", "comments"), matched["captured_at"])


async def test_a_future_publication_is_refused(agency: Agency, community_id: str) -> None:
    post = await plan(agency, community_id)
    ahead = (agency.resources.clock.now() + timedelta(hours=1)).isoformat()
    body = {"permalink": f"{HOME}/11", "published_at": ahead}
    said = await agency.post(f"/v1/posts/{post['id']}/mark-published", body, status=422)
    assert said["code"] == "published-in-the-future"


@pytest.mark.parametrize("plan_status", ["draft", "planned"])
async def test_a_mark_is_undone(agency: Agency, community_id: str, yesterday: datetime, plan_status: str) -> None:
    when = {"planned_for": "2026-10-14T09:00:00"}
    post = await plan(agency, community_id, category="promotional", status=plan_status, **when)
    await publish(agency, post, f"{HOME}/12")
    await publish(agency, post, f"{HOME}/11")  # a slip, corrected
    unmarked = await unmark(agency, post)
    changing = {"version", "updated_at"}
    assert {**unmarked, **dict.fromkeys(changing)} == {**post, **dict.fromkeys(changing)}
    assert (await unmark(agency, post, status=409))["code"] == "not-published"
    # The permalink is free again, for what polling finds there and for another post of the plan.
    await store(agency, community_id, remote("11", at=yesterday))
    other = await plan(agency, community_id)
    assert (await publish(agency, other, f"{HOME}/11"))["publication_id"] is not None


async def test_what_an_undone_post_was_matched_to_stays_as_a_found_post(
    agency: Agency, rival: Agency, community_id: str, yesterday: datetime
) -> None:
    post = await plan(agency, community_id, category="educational")
    await store(agency, community_id, remote("11", "As it stands there", at=yesterday))
    matched = await publish(agency, post, f"{HOME}/11")
    path = f"/v1/posts/{post['id']}/unmark-published"
    await rival.post(path, status=404)
    await agency.post(path, status=412, **{"If-Match": '"v1"'})
    assert (await unmark(agency, post))["status"] == "draft"
    await store(agency, community_id, remote("11", "As it stands there", at=yesterday))  # a poll changes nothing
    by_origin = {row["origin"]: row for row in await posts(agency)}
    assert set(by_origin) == {"found", "planned"}
    assert by_origin["found"]["publication_id"] == matched["publication_id"]
    assert (by_origin["found"]["text"], by_origin["found"]["category"]) == ("As it stands there", "educational")
    assert by_origin["planned"]["publication_id"] is None
    assert await rollup_categories(agency) == {"educational": 7}
    assert (await unmark(agency, by_origin["found"], status=409))["code"] == "found-post"
    again = await publish(agency, post, f"{HOME}/11")
    assert again["publication_id"] == matched["publication_id"]
    assert len(await posts(agency)) == 1


async def test_undoing_and_polling_at_once_make_one_post_of_each(
    agency: Agency, community_id: str, yesterday: datetime
) -> None:
    for n in range(100, 106):
        post = await plan(agency, community_id)
        await publish(agency, post, f"{HOME}/{n}")
        await asyncio.gather(unmark(agency, post), store(agency, community_id, remote(str(n), at=yesterday)))
    rows = await posts(agency, limit=100)
    assert sorted((row["origin"], row["publication_id"] is None) for row in rows) == [
        *[("found", False)] * 6,
        *[("planned", True)] * 6,
    ]
