"""Graph's behaviour that its specifications do not describe."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox import instants, recount
from sandbox.graph import WIRE_FORMAT, ids
from sandbox.graph.query import parsed
from sandbox.server import build
from tests.sandbox.conftest import ManualClock, SandboxClient, lift_rate_limits
from tests.sandbox.graph_callers import ACCOUNT, PAGE, Someone

DAY = 86_400


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    return ("facebook", "instagram")


@pytest.fixture
def page(client: SandboxClient) -> Someone:
    return Someone(client, PAGE)


@pytest.fixture
def account(client: SandboxClient) -> Someone:
    return Someone(client, ACCOUNT)


# ── fields ────────────────────────────────────────────────────────────────────────────────────────


def test_fields_have_modifiers_and_fields_of_their_own() -> None:
    one, two = parsed("comments.filter(stream).limit(2).as(said){from{id},message},id")
    assert (one.name, one.alias, one.args) == ("comments", "said", {"filter": "stream", "limit": "2"})
    assert [field.name for field in one.below or ()] == ["from", "message"]
    assert (one.source, two.name) == ("from{id},message", "id")


async def test_fields_are_those_asked_for_and_the_id(page: Someone) -> None:
    assert await page.get("me", fields="followers_count") == {
        "followers_count": len(page.c.followers), "id": ids.page(page.c),
    }  # fmt: skip
    assert await page.refused("GET", "me", fields="colour") == (100, None)
    assert await page.refused("GET", "me", fields="name{") == (2500, None)
    assert (await page.get(PAGE, fields="name"))["id"] == ids.page(page.c), "a Page is known by its name as well"


async def test_sums_need_no_items_and_count_by_filter(page: Someone) -> None:
    post = (await page.act("post", text="Who is in?"))["id"]
    root_comment = (await page.act("comment", post=post))["id"]
    await page.act("comment", post=post, parent=root_comment)
    await page.act("react", id=post)
    fields = "comments.summary(true).limit(0),reactions.summary(true).limit(0),shares"
    answer = await page.get(page.post_id(post), fields=fields)
    assert answer["comments"] == {
        "data": [], "summary": {"order": "chronological", "total_count": 1, "can_comment": True},
    }  # fmt: skip
    assert answer["reactions"]["summary"]["total_count"] == 1
    assert "shares" not in answer, "while there are none, there is no such field"
    await page.act("share", id=post)
    fields = "comments.filter(stream).summary(total_count).limit(0),shares"
    answer = await page.get(page.post_id(post), fields=fields)
    assert (answer["comments"]["summary"]["total_count"], answer["shares"]) == (2, {"count": 1})


async def test_an_edge_without_anything_is_left_out_of_its_node(page: Someone) -> None:
    post = (await page.act("post", text="Nobody says a word"))["id"]
    assert await page.get(page.post_id(post), fields="comments,attachments") == {"id": page.post_id(post)}
    assert await page.get(f"{page.post_id(post)}/comments") == {"data": []}


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────


async def _read_all(someone: Someone, path: str, **params: Any) -> list[Any]:
    """All items, following each page's `next`."""
    page = await someone.get(path, **params)
    items = list(page["data"])
    while (url := page.get("paging", {}).get("next")) is not None:
        page = (await someone.client.http.get(url)).json()
        items += page["data"]
    return items


@pytest.mark.parametrize("edge", ["published_posts", "posts", "feed"])
async def test_posts_come_newest_first(page: Someone, edge: str) -> None:
    items = await _read_all(page, f"me/{edge}", limit=13, fields="id")
    assert [one["id"] for one in items] == [ids.post(page.c, one) for one in reversed(page.c.posts)]


async def test_the_next_address_has_the_token_and_what_was_asked(page: Someone) -> None:
    first = await page.get("me/posts", limit=2, fields="message{a},id")
    next_params = parse_qs(urlsplit(first["paging"]["next"]).query)
    assert next_params == {
        "access_token": [page.token], "fields": ["message{a},id"], "limit": ["2"],
        "after": [first["paging"]["cursors"]["after"]],
    }  # fmt: skip
    second = await page.get("me/posts", limit=2, after=first["paging"]["cursors"]["after"])
    back = await page.get("me/posts", limit=2, before=second["paging"]["cursors"]["before"])
    assert [one["id"] for one in back["data"]] == [one["id"] for one in first["data"]]
    assert await page.refused("GET", "me/posts", after="zzz") == (100, None)


async def test_a_cursor_stays_where_it_was(page: Someone) -> None:
    """Whatever is added or deleted around it."""
    first = await page.get("me/posts", limit=3)
    rest = [ids.post(page.c, one) for one in page.c.posts[-4::-1]]
    await page.act("delete_post", id=str(page.c.posts[-3]))
    await page.act("post")
    second = await page.get("me/posts", limit=3, after=first["paging"]["cursors"]["after"])
    assert [one["id"] for one in second["data"]] == rest[:3]


async def test_the_last_page_has_cursors_and_no_next(page: Someone) -> None:
    answer = await page.get("me/posts", limit=100)
    assert len(answer["data"]) == len(page.c.posts) < 100
    assert set(answer["paging"]) == {"cursors"}


async def test_limits_of_lists(page: Someone, account: Someone) -> None:
    assert await page.refused("GET", "me/posts", limit=101) == (100, None)
    post = (await page.act("post"))["id"]
    remark = (await account.act("post"))["id"]
    for number in range(110):
        await page.act("comment", post=post, text=f"{number}")
        await account.act("comment", post=remark, text=f"{number}")
    assert len((await page.get(f"{page.post_id(post)}/comments"))["data"]) == 25
    assert len((await page.get(f"{page.post_id(post)}/comments", limit=5000))["data"]) == 100
    assert len((await account.get(f"{account.post_id(remark)}/comments", limit=100))["data"]) == 50


async def test_posts_since(page: Someone) -> None:
    whole = await page.get("me/posts", limit=100)
    moment = whole["data"][9]["created_time"]
    at = instants.parse(moment.replace("+0000", "Z")) // 1000
    assert (await page.get("me/posts", limit=100, since=at))["data"] == whole["data"][:10]
    assert (await page.get("me/posts", limit=100, since=moment[:-5] + "+00:00"))["data"] == whole["data"][:10]
    assert (await page.get("me/posts", limit=100, until=at - 1))["data"] == whole["data"][10:]


# ── comments ──────────────────────────────────────────────────────────────────────────────────────


async def test_threads_are_one_level_deep(page: Someone, account: Someone) -> None:
    for someone in (page, account):
        post = (await someone.act("post"))["id"]
        root_comment = (await someone.act("comment", post=post, text="a"))["id"]
        below = (await someone.act("comment", post=post, parent=root_comment, text="b"))["id"]
        deeper = (await someone.act("comment", post=post, parent=below, text="c"))["id"]
        other = (await someone.act("comment", post=post, text="d"))["id"]
        if someone is page:
            object_id = page.post_id(post)

            def name(number: str, post: str = post) -> str:
                return ids.comment(page.c, int(post), int(number))

            stream = await page.get(f"{object_id}/comments", filter="stream", fields="parent{id}")
            assert [one["id"] for one in stream["data"]] == [name(one) for one in (root_comment, below, deeper, other)]
            assert [one.get("parent", {}).get("id") for one in stream["data"]] == [
                None,
                name(root_comment),
                name(root_comment),
                None,
            ]
            backwards = await page.get(f"{object_id}/comments", filter="stream", order="reverse_chronological")
            assert [one["id"] for one in backwards["data"]] == [one["id"] for one in stream["data"]][::-1]
            tops = await page.get(f"{object_id}/comments", fields="comment_count")
            assert tops["data"] == [
                {"comment_count": 2, "id": name(root_comment)},
                {"comment_count": 0, "id": name(other)},
            ]
            answers = await page.get(f"{name(root_comment)}/comments", fields="message")
            assert [one["message"] for one in answers["data"]] == ["b", "c"]
        else:
            tops = await account.get(f"{account.post_id(post)}/comments", fields="text,replies{text,parent_id}")
            assert [one["text"] for one in tops["data"]] == ["d", "a"], "newest first"
            assert "replies" not in tops["data"][0]
            parent = ids.make(ids.IG_COMMENT, account.c, int(root_comment))
            assert [one["text"] for one in tops["data"][1]["replies"]["data"]] == ["b", "c"]
            assert {one["parent_id"] for one in tops["data"][1]["replies"]["data"]} == {parent}


async def test_comments_since_and_who_wrote_them(client: SandboxClient, page: Someone) -> None:
    post = (await page.act("post"))["id"]
    await page.act("comment", post=post, text="early")
    client.manual_clock.at += 60
    late = await page.act("comment", post=post, text="late", person=77)
    at = instants.parse(late["at"]) // 1000
    answer = await page.get(f"{page.post_id(post)}/comments", since=at, fields="message,from")
    assert [one["message"] for one in answer["data"]] == ["late"]
    assert answer["data"][0]["from"]["id"] == ids.person(page.c, page.c.number_of(77))
    manager = Someone(client, PAGE, "user")
    answer = await manager.get(f"{page.post_id(post)}/comments", fields="message,from")
    assert all("from" not in one for one in answer["data"]), "a Page's token alone sees who"


# ── what is gone, and many at once ────────────────────────────────────────────────────────────────


async def test_what_is_gone_never_was_or_is_anothers_is_all_the_same(page: Someone, account: Someone) -> None:
    post = (await page.act("post"))["id"]
    await page.act("delete_post", id=post)
    for object_id in (page.post_id(post), "1", account.c.profile.external_id, ids.make(ids.MEDIA, account.c, 1)):
        assert await page.refused("GET", object_id) == (100, 33)


async def test_answers_outlive_what_they_answer(page: Someone) -> None:
    root_comment = await page.act("comment", text="Oops")
    below = await page.act("comment", post=root_comment["post"], parent=root_comment["id"], text="What?")
    await page.act("delete_comment", id=root_comment["id"])
    assert await page.refused("GET", ids.comment(page.c, int(root_comment["post"]), int(root_comment["id"]))) == (
        100,
        33,
    )
    items = await _read_all(page, f"{page.post_id(root_comment['post'])}/comments", fields="message,parent")
    object_id = ids.comment(page.c, int(root_comment["post"]), int(below["id"]))
    assert [one for one in items if one["id"] == object_id] == [{"message": "What?", "id": object_id}]
    assert "Oops" not in {one["message"] for one in items}


async def test_several_ids_in_one_call_are_refused_as_a_servers_error(page: Someone) -> None:
    """Since v26.0, in every version: `500`, also when repeated."""
    assert await page.refused("GET", "", 500, ids=page.post_id(page.c.posts[0])) == (100, None)


async def test_a_batch_answers_call_by_call(page: Someone) -> None:
    calls = [
        {"method": "GET", "relative_url": f"{page.post_id(page.c.posts[-1])}?fields=id"},
        {"method": "GET", "relative_url": "v26.0/1?fields=id"},
        {"method": "POST", "relative_url": "me/feed", "body": "message=From%20a%20batch"},
    ]
    answers = await page.post("", batch=json.dumps(calls), include_headers="false")
    assert [one["code"] for one in answers] == [200, 400, 200]
    bodies = [json.loads(one["body"]) for one in answers]
    assert bodies[0] == {"id": page.post_id(page.c.posts[-2])}
    assert bodies[1]["error"]["error_subcode"] == 33
    assert bodies[2]["id"] == page.post_id(page.c.posts[-1])
    assert all("headers" not in one for one in answers)
    assert "headers" in (await page.post("", batch=json.dumps(calls[:1])))[0]
    assert await page.refused("POST", "", batch=json.dumps(calls[:1] * 51)) == (100, None)


async def test_each_call_of_a_batch_is_counted(client: SandboxClient, page: Someone) -> None:
    client.sandbox.network.limits["graph_page_calls"] = 40
    calls = json.dumps([{"method": "GET", "relative_url": "me"}] * 20)
    assert len(await page.post("", batch=calls)) == 20
    assert len(await page.post("", batch=calls)) == 20
    assert await page.refused("GET", "me") == (80_001, None)


async def test_a_post_may_be_another_method(page: Someone) -> None:
    assert await page.post("me", method="get", fields="name") == {"name": "The Corner Café", "id": ids.page(page.c)}
    post = (await page.post("me/feed", message="Short-lived"))["id"]
    assert await page.post(post, method="delete") == {"success": True}
    assert await page.refused("GET", post) == (100, 33)


# ── insights ──────────────────────────────────────────────────────────────────────────────────────

METRICS = {"veloklub.nord": "post_media_view,post_total_media_view_unique", "lingua.school": "views,reach"}
"""The metrics requested by default."""


async def _insights(someone: Someone, post: str) -> dict[str, int]:
    answer = await someone.get(f"{someone.post_id(post)}/insights", metric=METRICS[someone.c.key])
    return {one["name"]: one["values"][0]["value"] for one in answer["data"]}


@pytest.mark.parametrize("key", METRICS)
async def test_insights_are_a_day_late_and_settled_at_midnight(client: SandboxClient, key: str) -> None:
    someone = Someone(client, key)
    client.sandbox.network.clock.set_speed(0)
    post = (await someone.act("post"))["id"]
    await someone.act("view", id=post, count=10, unique=7)
    assert await _insights(someone, post) == {}, "no 0 for what is not known yet"
    await client.http.post("/_sandbox/clock", json={"advance": DAY})
    before = await _insights(someone, post)
    views, reach = before.values()
    assert views >= 10
    assert reach >= 7
    await someone.act("view", id=post, count=1_000_000, unique=900_000)
    assert await _insights(someone, post) == before, "today's are not told today"
    await client.http.post("/_sandbox/clock", json={"advance": DAY})
    later_views, later_reach = (await _insights(someone, post)).values()
    assert later_views >= 1_000_000 + views
    assert later_reach >= 900_000 + reach


@pytest.mark.parametrize("metric", ["post_impressions", "post_media_view,post_impressions_unique", "likes", ""])
async def test_one_retired_metric_fails_the_whole_call(page: Someone, metric: str) -> None:
    answer = await page.call("GET", f"{page.post_id(page.c.posts[0])}/insights", status=400, metric=metric)
    assert answer["error"]["message"] == "(#100) The value must be a valid insights metric"


@pytest.mark.parametrize(("metric", "said"), [
    ("impressions", "no longer supported"), ("plays", "must be one of"), ("reels_skip_rate", "does not support"),
])  # fmt: skip
async def test_metrics_of_other_media_or_days(account: Someone, metric: str, said: str) -> None:
    object_id = account.post_id(account.c.posts[0])
    answer = await account.call("GET", f"{object_id}/insights", status=400, metric=f"views,{metric}")
    assert said in answer["error"]["message"]


async def test_a_small_page_has_no_insights(manual_clock: ManualClock) -> None:
    profile = replace(WIRE_FORMAT.profiles[1], size=60)
    sandbox = build(
        seed=7, real=manual_clock, tick=None, speed=0, wire_formats=[replace(WIRE_FORMAT, profiles=(profile,))]
    )
    lift_rate_limits(sandbox)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url="http://sandbox.test") as http:
        small = Someone(SandboxClient(sandbox, manual_clock, http), profile.key)
        assert len(small.c.followers) < 100
        answer = await small.get(f"{ids.post(small.c, small.c.posts[0])}/insights", metric="post_media_view")
        assert answer == {"data": []}
    sandbox.network.world.ledger.close()


async def test_the_ledger_adds_up_to_what_the_wire_says(client: SandboxClient, page: Someone, account: Someone) -> None:
    for someone in (page, account):
        post = (await someone.act("post"))["id"]
        root_comment = (await someone.act("comment", post=post))["id"]
        await someone.act("comment", post=post, parent=root_comment)
        await someone.act("share", id=post)
        await someone.act("follow", person=900_001)
        client.manual_clock.at += 3600
    client.sandbox.network.tick()
    tallies = recount.tallies(client.records(), client.world.now)
    fields = "comments.filter(stream).summary(true).limit(0),reactions.summary(true).limit(0),shares"
    tally = tallies[PAGE]
    assert (await page.get("me", fields="followers_count"))["followers_count"] == tally.size
    for one in await _read_all(page, "me/posts", fields=fields, limit=50):
        expected_counters = tally.posts[page.number(one["id"])]
        answer = [one[edge]["summary"]["total_count"] for edge in ("comments", "reactions")]
        assert [*answer, one.get("shares", {"count": 0})["count"]] == [
            expected_counters.comments,
            expected_counters.reactions,
            expected_counters.shares,
        ]
    tally = tallies[ACCOUNT]
    account_id = account.c.profile.external_id
    assert (await account.get(account_id, fields="followers_count"))["followers_count"] == tally.size
    for one in await _read_all(account, f"{account_id}/media", fields="like_count,comments_count", limit=50):
        expected_counters = tally.posts[account.number(one["id"])]
        assert (one["like_count"], one["comments_count"]) == (expected_counters.reactions, expected_counters.comments)
