"""Every recorded answer about Instagram: understood rightly, or a typed error, or none of ours. And what
we ask for exists."""

import json
import re
from collections import Counter
from datetime import datetime
from typing import Any

import httpx

from app.platforms.abilities import Draft, ReplyTo
from app.platforms.adapters.instagram import Instagram
from app.platforms.contract import MessageKind, Metric, RemoteMessage, RemotePerson
from app.platforms.graph import accounts, mail
from tests.platforms.data import data
from tests.platforms.graph_specs import recordings, saying, unknown, unsent
from tests.platforms.graph_world import Node
from tests.platforms.test_instagram import PICTURES, US, adapter, credentials, publishing

NOT_OURS = {
    r"instagram_basic/.*": "the Basic Display API, which ended in December 2024",
    r".*/discovery/.*": "other accounts",
    r".*/hashtags/.*|.*/models/ig_hashtag|.*/users/(hashtag_search|recently_searched_hashtags)": "hashtags",
    r".*/stories/.*|.*/users/stories|.*/models/ig_story": "stories, which are not listed",
    r".*/users/(user_insights|live_medias).*|.*/models/ig_insight": "an account's own insights and broadcasts",
    r".*/users/(available_catalogs|catalog_product_search|product_appeal)|.*/product_tags": "shopping",
    r".*/medias/children": "the parts of an album: the album tells of them",
    r".*/users/mentioned_.*": "mentions one by one: media with tags are listed",
}
MEDIA = r".*/medias/(media_default|medias_fields)|.*/models/ig_media"
COMMENTS = r".*/comments/comments?_fields|.*/models/ig_(comment|reply)"


def each(raw: Node) -> list[Node]:
    return [raw] if "id" in raw else list(raw.values())


def same_comment(message: RemoteMessage, raw: Node, top: str | None) -> None:
    assert (message.external_id, message.text) == (raw["id"], raw["text"].strip())
    assert message.sent_at == datetime.fromisoformat(raw["timestamp"])
    assert message.author.name == raw.get("username", "")
    assert message.in_reply_to == top


async def check(name: str, raw: Any) -> str:
    """Hold one answer against an independent reading; what it turned out to be."""
    name = name.removesuffix(".json")
    listed: Any = raw if "data" in raw else {"data": each(raw)}
    if re.fullmatch(r".*/users/user_fields|.*/models/ig_user", name):
        found = await Instagram(saying(raw)).community(credentials(external_id=raw["id"]))
        assert (found.external_id, found.title, found.size) == (raw["id"], raw["name"], raw["followers_count"])
        assert found.url == f"https://www.instagram.com/{raw['username']}"
        return "accounts"
    if re.fullmatch(rf".*/users/medias_p.|{MEDIA}", name):
        posts = await Instagram(saying(listed)).posts(credentials(), None)
        for post, one in zip(posts.items, listed["data"], strict=True):
            assert (post.external_id, post.url, post.text) == (one["id"], one["permalink"], one.get("caption", ""))
            assert post.published_at == datetime.fromisoformat(one["timestamp"])
            assert post.metrics.counters == {
                Metric.REACTIONS: one["like_count"],
                Metric.COMMENTS: one["comments_count"],
            }
        assert posts.more == ("next" in listed.get("paging", {}))
        return "media"
    if name.endswith("/tagged_medias"):
        answers = {"/tags": raw}
        page = await _answering(answers).conversations(credentials(), '{"tags_next":true}')
        assert [one.external_id for one in page.items] == [f"tag-{one['id']}" for one in raw["data"]]
        assert [one.url for one in page.items] == [one["permalink"] for one in raw["data"]]
        return "media with tags"
    if re.fullmatch(rf".*/medias/comments_p.|.*/comments/replies|{COMMENTS}", name):
        page = await Instagram(saying(listed)).comments(credentials(), "181", None)
        flat = [
            (one, top)
            for comment in listed["data"]
            for one, top in [(comment, None), *((r, comment["id"]) for r in comment.get("replies", {}).get("data", []))]
        ]
        for message, (one, top) in zip(page.items, flat, strict=True):
            same_comment(message, one, top)
        if "next" in listed.get("paging", {}):
            assert page.more
            assert json.loads(page.cursor or "")["after"] == listed["paging"]["cursors"]["after"]
        return "comments"
    if re.fullmatch(r".*/medias/insights.*", name):
        post = raw["data"][0]["id"].partition("/")[0]
        told_ = json.dumps({"id": post, "media_product_type": "FEED", "insights": raw})
        (found_,) = await _answering({"": [{"code": 200, "body": told_}]}).metrics(credentials(), (post,))
        told = {one["name"]: (one.get("total_value") or one["values"][-1])["value"] for one in raw["data"]}
        known = {metric: told[key] for key, metric in accounts.INSIGHTS.items() if key in told}
        assert {metric: found_.counters.get(metric) for metric in known} == known
        return "insights"
    if re.fullmatch(r".*/publish/create_.*|.*/publish/publish_container", name):
        graph = publishing()
        graph.answers = {
            **graph.answers, "/media": raw, raw["id"]: {"id": raw["id"], "status_code": "FINISHED"}, "_publish": raw,
        }  # fmt: skip
        graph.answers.pop("media_publish")
        assert (await adapter(graph).publish(credentials(), Draft("x", PICTURES[:1]), "k")).external_id == raw["id"]
        return "containers and posts"
    if re.fullmatch(r".*/publish/containers?_info|.*/models/ig_container", name):
        for one in each(raw):
            graph = publishing()
            graph.answers = {**graph.answers, "/media": {"id": one["id"]}, one["id"]: one}
            assert (await adapter(graph).publish(credentials(), Draft("x", PICTURES[:1]), "k")).external_id == "1850"
        return "containers and posts"
    if re.fullmatch(r".*publish_limit.*", name):
        graph = publishing()
        graph.answers["publishing_limit"] = raw if "data" in raw else {"data": [raw]}
        assert await adapter(graph).publish(credentials(), Draft("x", PICTURES[:1]), "k")
        return "limits"
    reason = next((why for pattern, why in NOT_OURS.items() if re.fullmatch(pattern, name)), None)
    assert reason is not None, f"{name} is unexplained"
    return f"not ours: {reason}"


def _answering(answers: dict[str, object]) -> Instagram:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=next(said for end, said in answers.items() if request.url.path.endswith(end)))

    return Instagram(httpx.AsyncClient(transport=httpx.MockTransport(answer)))


async def test_every_recorded_answer_is_explained() -> None:
    found = recordings("instagram", "instagram_basic")
    counts = Counter([await check(name, raw) for name, raw in found.items()])
    for what, count in sorted(counts.items()):
        print(f"{count:4}  {what}")  # noqa: T201 — the counts are what this test is read for
    assert counts.total() == len(found) == 64
    assert sum(count for what, count in counts.items() if not what.startswith("not ours")) == 26
    for what in ("accounts", "media", "media with tags", "comments", "insights", "containers and posts", "limits"):
        assert counts[what] > 0


def test_what_is_asked_for_exists() -> None:
    asked = [
        ("IGUser", accounts.USER_FIELDS),
        ("Page", accounts.LINKED_FIELDS),
        ("IGUserForIGOnlyAPI", accounts.SELF_FIELDS),
        *((kind, accounts.MEDIA_FIELDS) for kind in ("IGMedia", "IGMediaForIGOnlyAPI")),
        ("IGMedia", accounts.TAGGED_FIELDS),
        ("IGComment", accounts.COMMENT_FIELDS),
        ("ShadowIGMediaBuilder", accounts.CONTAINER_FIELDS),
        ("UnifiedThread", mail.THREAD_FIELDS),
    ]
    assert [name for kind, fields in asked for name in unknown(kind, fields)] == []
    there = json.loads(data("meta/insights-metrics-v26.json").read_text())
    assert set(accounts.INSIGHTS) <= set(there["ig_metric"])
    assert "lifetime" in there["period"]


async def test_what_is_sent_is_taken() -> None:
    graph = publishing()
    for pictures in (PICTURES[:1], PICTURES):
        await adapter(graph).publish(credentials(), Draft("x", pictures), "key")
    graph.answers["1791/replies"] = graph.answers["mentions"] = {"id": "1"}
    graph.answers["messages"] = {"message_id": "1"}
    for external_id, kind in (
        ("1791", MessageKind.COMMENT), ("aW1", MessageKind.MESSAGE), ("tag-1", MessageKind.MENTION),
    ):  # fmt: skip
        await adapter(graph).reply(
            credentials(), ReplyTo(external_id, "t", kind, RemotePerson("5", ""), None), "x", "k"
        )
    kinds = {US: "IGUser", "me": "Page", "1791": "IGComment"}
    sent = [(kinds[path.partition("/")[0]], path.rpartition("/")[2], said) for path, said in graph.sent]
    assert len(sent) == 10
    assert [(edge, unsent(kind, edge, said)) for kind, edge, said in sent if unsent(kind, edge, said)] == []
