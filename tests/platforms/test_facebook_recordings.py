"""Every recorded answer about Facebook: understood rightly, or a typed error, or none of ours. And what
we ask for exists."""

import re
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.platforms.abilities import Draft, Picture, ReplyTo
from app.platforms.adapters.facebook import Facebook
from app.platforms.contract import (
    Credentials,
    Malformed,
    MessageKind,
    Metric,
    MissingPermission,
    PlatformError,
    Rejected,
    RemoteMessage,
    RemotePerson,
    RemotePost,
    Token,
)
from app.platforms.graph import mail, pages
from tests.platforms.graph_specs import recordings, saying, unknown, unsent
from tests.platforms.graph_world import Node
from tests.platforms.specimens import PIXEL
from tests.platforms.test_facebook import APP, BOTH, PAGE, adapter, credentials, to, world

NOT_OURS = {
    r"base/(basic_display|threads)_.*": "tokens of other products",
    r"base/connecion_data|.*/pictures/.*": "pictures of Pages",
    r"base/discovery_.*": "other accounts of Instagram",
    r"base/user_accounts_token|.*/users/user_accounts_.*": "a person's Pages: a Page is asked for its token by itself",
    r".*/(albums|photos|videos|live_videos|events)/.*": "albums, photos, videos, events: posts tell of them",
    r".*/models/(album|photo|video|live_video|event)": "albums, photos, videos, events: posts tell of them",
    r".*/(groups|business|applications|likes)/.*|.*/models/(group|business)": "groups, businesses, applications, likes",
    r".*/users/.*|.*/models/user": "people",
    r".*/pages/search_pages": "a search for Pages",
}
PAGES = r"base/object_.*|base/objects_default|.*/pages/(single|multi)_.*|.*/models/page"
LISTS = r"base/full_connecions_.*|.*/posts/feeds?_.*"
POSTS = r".*/posts/(single|multi)_.*|.*/models/post"
COMMENTS = r".*/comments/(comment_info|comments_info|create_resp)|.*/models/comment"
THREADS = r".*/conversations/.*|.*/models/conversation"
MESSAGES = r".*/messages/.*|.*/models/message"


def us(external_id: str = PAGE) -> Credentials:
    return Credentials("https://www.facebook.com/x", "https://graph.facebook.com", external_id, BOTH, APP)


def each(raw: Node) -> list[Node]:
    """One object, or several by their ids."""
    return [raw] if "id" in raw or "name" in raw else list(raw.values())


def same_post(post: RemotePost, raw: Node) -> None:
    assert post.external_id == raw["id"]
    assert post.text == (raw.get("message") or raw.get("story") or "").strip()
    assert post.published_at == datetime.fromisoformat(raw["created_time"])
    counts = {
        Metric.REACTIONS: raw.get("reactions", {}).get("summary", {}).get("total_count"),
        Metric.COMMENTS: raw.get("comments", {}).get("summary", {}).get("total_count"),
        Metric.SHARES: raw.get("shares", {}).get("count", 0 if "reactions" in raw else None),
    }
    assert post.metrics.counters == {metric: count for metric, count in counts.items() if count is not None}


def same_comment(message: RemoteMessage, raw: Node) -> None:
    assert message.external_id == raw["id"]
    assert message.text == raw["message"].strip()
    assert message.sent_at == datetime.fromisoformat(raw["created_time"])
    assert message.url == raw["permalink_url"]
    assert message.author.name == raw.get("from", {}).get("name", "")


async def check(name: str, raw: Any) -> str:
    """Hold one answer against an independent reading; what it turned out to be."""
    name = name.removesuffix(".json")
    if name.rpartition("/")[2].startswith("error"):
        for status in (400, 200):
            with pytest.raises((Rejected, MissingPermission)) as caught:
                await Facebook(saying(raw, status)).community(us())
            assert isinstance(caught.value, MissingPermission) == ("base" in name)
        return "a refusal: typed error"
    if re.fullmatch(PAGES, name):
        for one in each(raw):
            found = await Facebook(saying(one)).community(us())
            size = one.get("followers_count", one.get("fan_count"))
            assert (found.external_id, found.title, found.size) == (one["id"], one["name"], size)
        return "Pages"
    if re.fullmatch(LISTS, name):
        if "next" in raw["paging"] and "cursors" not in raw["paging"]:
            with pytest.raises(Malformed):
                await Facebook(saying(raw)).posts(us(), None)
            return "a person's posts, listed by time: typed error"
        walked = await Facebook(saying(raw)).posts(us(), None)
        for post, one in zip(walked.items, raw["data"], strict=True):
            same_post(post, one)
        assert walked.more == ("next" in raw["paging"])
        return "lists of posts"
    if re.fullmatch(POSTS, name):
        for one in each(raw):
            (post,) = (await Facebook(saying({"data": [one]})).posts(us(), None)).items
            same_post(post, one)
        return "posts"
    if re.fullmatch(r".*/comments/comments_p.", name):
        with pytest.raises(Malformed, match="id"):
            await Facebook(saying(raw)).comments(us(), "1_2", None)
        told = [{**one, "id": one["permalink_url"].rpartition("=")[2]} for one in raw["data"]]
        page = await Facebook(saying({**raw, "data": told})).comments(us(), "1_2", None)
        for message, one in zip(page.items, told, strict=True):
            same_comment(message, one)
        return "comments recorded without the ids that we ask for: typed error, and understood with them"
    if re.fullmatch(COMMENTS, name):
        for one in each(raw):
            (message,) = (await Facebook(saying({"data": [one]})).comments(us(), "1_2", None)).items
            same_comment(message, one)
            sent = await Facebook(saying(one)).reply(us(), to(MessageKind.COMMENT), "x", "key")
            assert (sent.external_id, sent.sent_at) == (message.external_id, message.sent_at)
        return "comments"
    if re.fullmatch(THREADS, name):
        page = await Facebook(saying({"data": each(raw)})).conversations(us(), None)
        assert page.items == ()
        assert page.cursor is not None
        assert max(one["updated_time"] for one in each(raw)).removesuffix("+0000") in page.cursor
        return "threads"
    if re.fullmatch(MESSAGES, name):
        for one in each(raw):
            thread = {"id": "t_1", "updated_time": one["created_time"], "messages": {"data": [one]}}
            page_id = one["to"]["data"][0]["id"]
            (message,) = (await Facebook(saying({"data": [thread]})).conversations(us(page_id), None)).items
            assert (message.external_id, message.text) == (one["id"], one.get("message", ""))
            assert message.thread_id == f"message-{one['from']['id']}"
            assert message.author == RemotePerson(one["from"]["id"], one["from"]["name"])
            assert message.sent_at == datetime.fromisoformat(one["created_time"])
        return "messages"
    if name == "base/long_term_token":
        granted = await Facebook(saying({**raw, "id": "77"})).refresh(us())
        assert granted[Token.USER].text == raw["access_token"]
        assert granted[Token.USER].lifetime == timedelta(seconds=raw["expires_in"])
        return "tokens"
    if name == "base/token_info":
        state = (await Facebook(saying(raw)).inspect(us()))[Token.USER]
        assert set(state.missing_scopes) == set(Facebook.spec.scopes[Token.USER]) - set(raw["data"]["scopes"])
        return "tokens"
    reason = next((why for pattern, why in NOT_OURS.items() if re.fullmatch(pattern, name)), None)
    assert reason is not None, f"{name} is unexplained"
    return f"not ours: {reason}"


async def test_every_recorded_answer_is_explained() -> None:
    found = recordings("error.json", "base", "facebook")
    counts = Counter([await check(name, raw) for name, raw in found.items()])
    for what, count in sorted(counts.items()):
        print(f"{count:4}  {what}")  # noqa: T201 — the counts are what this test is read for
    assert counts.total() == len(found) == 96
    assert sum(count for what, count in counts.items() if not what.startswith("not ours")) == 35
    for what in ("Pages", "posts", "lists of posts", "comments", "threads", "messages", "tokens"):
        assert counts[what] > 0


@pytest.mark.parametrize("broken", [{"data": [{}]}, {"data": {}}, {"error": {}}, {"data": [{"id": 5}]}, []])
async def test_what_is_not_an_answer_is_told(broken: object) -> None:
    for ask in (Facebook.posts, Facebook.conversations):
        with pytest.raises(PlatformError):
            await ask(Facebook(saying(broken)), us(), None)


def test_what_is_asked_for_exists() -> None:
    asked = {
        "Page": pages.PAGE_FIELDS,
        "PagePost": pages.POST_FIELDS,
        "Post": pages.POST_FIELDS,
        "Comment": pages.COMMENT_FIELDS,
        "UnifiedThread": mail.THREAD_FIELDS,
    }
    assert [name for kind, fields in asked.items() for name in unknown(kind, fields)] == []
    assert unknown("Page", "id,nonsense,feed{id,message,from{age}}") == ["Page.nonsense", "Object.age"]


async def test_what_is_sent_is_taken() -> None:
    graph = world()
    graph.answers = {end: {"id": "1", "message_id": "2", "success": True} for end in ("", "feed", "photos")}
    pictures = (Picture(PIXEL, "image/png", "a dot"),) * 2
    for draft in (Draft("x"), Draft("x", pictures[:1]), Draft("x", pictures)):
        await adapter(graph).publish(credentials(), draft, "key")
    for kind in (MessageKind.MESSAGE, MessageKind.COMMENT):
        await adapter(graph).reply(credentials(), ReplyTo("1_2", "t", kind, RemotePerson("5", ""), "1"), "x", "key")
    await adapter(graph).subscribe(credentials(app={}), "https://instep.example", {})
    sent = [
        ("Comment" if path.startswith("1_2") else "Page", path.rpartition("/")[2], said) for path, said in graph.sent
    ]
    assert len(sent) == 8
    assert [(edge, unsent(kind, edge, said)) for kind, edge, said in sent if unsent(kind, edge, said)] == []
