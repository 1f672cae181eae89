"""Graph's responses about Instagram, from python-facebook."""

import json
from datetime import datetime
from typing import Any, Final

import httpx

from app.platforms.capabilities import OutgoingPost
from app.platforms.contract import Metric, RemoteMessage
from app.platforms.meta import accounts
from app.platforms.meta.instagram import Instagram
from tests.platforms.meta.server import Node
from tests.platforms.meta.specs import client_answering
from tests.platforms.meta.test_instagram import PICTURES, adapter, credentials, publishing
from tests.platforms.recorded import Recorded, ResponseCheck


def objects(raw: Node) -> list[Node]:
    return [raw] if "id" in raw else list(raw.values())


def as_list(raw: Node) -> Node:
    return raw if "data" in raw else {"data": objects(raw)}


def with_responses(answers: dict[str, object]) -> Instagram:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=next(said for end, said in answers.items() if request.url.path.endswith(end)))

    return Instagram(httpx.AsyncClient(transport=httpx.MockTransport(answer)))


def assert_same_comment(message: RemoteMessage, raw: Node, parent_id: str | None) -> None:
    assert (message.external_id, message.text) == (raw["id"], raw["text"].strip())
    assert message.sent_at == datetime.fromisoformat(raw["timestamp"])
    assert message.author.name == raw.get("username", "")
    assert message.in_reply_to == parent_id


async def account(raw: Any) -> None:
    snapshot = await Instagram(client_answering(raw)).community(credentials(external_id=raw["id"]))
    assert (snapshot.external_id, snapshot.title, snapshot.size) == (raw["id"], raw["name"], raw["followers_count"])
    assert snapshot.url == f"https://www.instagram.com/{raw['username']}"


async def media(raw: Any) -> None:
    listed = as_list(raw)
    posts = await Instagram(client_answering(listed)).posts(credentials(), None)
    for post, one in zip(posts.items, listed["data"], strict=True):
        assert (post.external_id, post.url, post.text) == (one["id"], one["permalink"], one.get("caption", ""))
        assert post.published_at == datetime.fromisoformat(one["timestamp"])
        assert post.metrics.counters == {
            Metric.REACTIONS: one["like_count"],
            Metric.COMMENTS: one["comments_count"],
        }
    assert posts.more == ("next" in listed.get("paging", {}))


async def tagged(raw: Any) -> None:
    page = await with_responses({"/tags": raw}).conversation_list(credentials(), "tags", None)
    assert [one.external_id for one in page.items] == [f"tag-{one['id']}" for one in raw["data"]]
    assert [one.url for one in page.items] == [one["permalink"] for one in raw["data"]]


async def comments(raw: Any) -> None:
    listed = as_list(raw)
    page = await Instagram(client_answering(listed)).comments(credentials(), "181", None)
    flat = [
        (one, parent_id)
        for comment in listed["data"]
        for one, parent_id in [
            (comment, None),
            *((r, comment["id"]) for r in comment.get("replies", {}).get("data", [])),
        ]
    ]
    for message, (one, parent_id) in zip(page.items, flat, strict=True):
        assert_same_comment(message, one, parent_id)
    if "next" in listed.get("paging", {}):
        assert page.more
        assert json.loads(page.cursor or "")["after"] == listed["paging"]["cursors"]["after"]


async def insights(raw: Any) -> None:
    post = raw["data"][0]["id"].partition("/")[0]
    node = json.dumps({"id": post, "media_product_type": "FEED", "insights": raw})
    (result,) = await with_responses({"": [{"code": 200, "body": node}]}).metrics(credentials(), (post,))
    values = {one["name"]: (one.get("total_value") or one["values"][-1])["value"] for one in raw["data"]}
    expected = {metric: values[key] for key, metric in accounts.INSIGHTS.items() if key in values}
    assert {metric: result.counters.get(metric) for metric in expected} == expected


async def published(raw: Any) -> None:
    graph = publishing()
    graph.bodies = {
        **graph.bodies, "/media": raw, raw["id"]: {"id": raw["id"], "status_code": "FINISHED"}, "_publish": raw,
    }  # fmt: skip
    graph.bodies.pop("media_publish")
    assert (await adapter(graph).publish(credentials(), OutgoingPost("x", PICTURES[:1]), "k")).external_id == raw["id"]


async def container(raw: Any) -> None:
    for one in objects(raw):
        graph = publishing()
        graph.bodies = {**graph.bodies, "/media": {"id": one["id"]}, one["id"]: one}
        assert (await adapter(graph).publish(credentials(), OutgoingPost("x", PICTURES[:1]), "k")).external_id == "1850"


async def limit(raw: Any) -> None:
    graph = publishing()
    graph.bodies["publishing_limit"] = raw if "data" in raw else {"data": [raw]}
    assert await adapter(graph).publish(credentials(), OutgoingPost("x", PICTURES[:1]), "k")


ROOT: Final = "meta/python-facebook/testdata"
RECORDED: Final = Recorded(
    files=(f"{ROOT}/instagram/**/*.json", f"{ROOT}/instagram_basic/**/*.json"),
    left_out={
        r".*/instagram_basic/.*": "the Basic Display API, which ended in December 2024",
        r".*/discovery/.*": "other accounts",
        r".*/hashtags/.*|.*/models/ig_hashtag|.*/users/(hashtag_search|recently_searched_hashtags)": "hashtags",
        r".*/stories/.*|.*/users/stories|.*/models/ig_story": "stories, which are not listed",
        r".*/users/(user_insights|live_medias).*|.*/models/ig_insight": "an account's own insights and broadcasts",
        r".*/users/(available_catalogs|catalog_product_search|product_appeal)|.*/product_tags": "shopping",
        r".*/medias/children": "the parts of an album: the album includes them",
        r".*/users/mentioned_.*": "single mentions: media with tags are listed",
    },
    checks={
        r".*/users/user_fields|.*/models/ig_user": ResponseCheck("accounts", account),
        r".*/users/medias_p.|.*/medias/(media_default|medias_fields)|.*/models/ig_media": ResponseCheck("media", media),
        r".*/tagged_medias": ResponseCheck("media with tags", tagged),
        r".*/medias/comments_p.|.*/comments/(replies|comments?_fields)|.*/models/ig_(comment|reply)": ResponseCheck(
            "comments", comments
        ),
        r".*/medias/insights.*": ResponseCheck("insights", insights),
        r".*publish_limit.*": ResponseCheck("limits", limit),
        r".*/publish/(create_.*|publish_container)": ResponseCheck("containers and posts", published),
        r".*/publish/containers?_info|.*/models/ig_container": ResponseCheck("containers and posts", container),
    },
    schemas={"meta/insights-metrics-v26.json": "the names of insights: checked by `meta/test_instagram_specs`"},
)
