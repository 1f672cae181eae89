"""Graph's answers about Pages, from python-facebook."""

from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import pytest

from app.platforms.contract import (
    Credentials,
    Malformed,
    MessageKind,
    Metric,
    MissingPermission,
    Rejected,
    RemoteMessage,
    RemotePerson,
    RemotePost,
    Token,
)
from app.platforms.meta.facebook import Facebook
from tests.platforms.meta.server import Node
from tests.platforms.meta.specs import client_answering
from tests.platforms.meta.test_facebook import APP, BOTH, PAGE, reply_to
from tests.platforms.recorded import Ours, Recorded


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


async def refusal(raw: Any) -> None:
    wanted = MissingPermission if "permission" in raw["error"]["message"] else Rejected
    for status in (400, 200):
        with pytest.raises(wanted):
            await Facebook(client_answering(raw, status)).community(us())


async def a_page(raw: Any) -> None:
    for one in each(raw):
        found = await Facebook(client_answering(one)).community(us())
        size = one.get("followers_count", one.get("fan_count"))
        assert (found.external_id, found.title, found.size) == (one["id"], one["name"], size)


async def list_of_posts(raw: Any) -> None:
    walked = await Facebook(client_answering(raw)).posts(us(), None)
    for post, one in zip(walked.items, raw["data"], strict=True):
        same_post(post, one)
    assert walked.more == ("next" in raw["paging"])
    if not walked.more:
        return
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"data": []})

    await Facebook(httpx.AsyncClient(transport=httpx.MockTransport(answer))).posts(us(), walked.cursor)
    told = httpx.URL(raw["paging"]["next"]).params
    where = [name for name in ("after", "until", "__paging_token") if name in told]
    assert where
    assert [asked[0].url.params[name] for name in where] == [told[name] for name in where]


async def posts(raw: Any) -> None:
    for one in each(raw):
        (post,) = (await Facebook(client_answering({"data": [one]})).posts(us(), None)).items
        same_post(post, one)


async def comments_without_ids(raw: Any) -> None:
    """Recorded without the ids that we ask for, and understood with them."""
    with pytest.raises(Malformed, match="id"):
        await Facebook(client_answering(raw)).comments(us(), "1_2", None)
    told = [{**one, "id": one["permalink_url"].rpartition("=")[2]} for one in raw["data"]]
    page = await Facebook(client_answering({**raw, "data": told})).comments(us(), "1_2", None)
    for message, one in zip(page.items, told, strict=True):
        same_comment(message, one)


async def comments(raw: Any) -> None:
    for one in each(raw):
        (message,) = (await Facebook(client_answering({"data": [one]})).comments(us(), "1_2", None)).items
        same_comment(message, one)
        sent = await Facebook(client_answering(one)).reply(us(), reply_to(MessageKind.COMMENT), "x", "key")
        assert (sent.external_id, sent.sent_at) == (message.external_id, message.sent_at)


async def threads(raw: Any) -> None:
    page = await Facebook(client_answering({"data": each(raw)})).conversations(us(), None)
    assert page.items == ()
    assert page.cursor is not None
    assert max(one["updated_time"] for one in each(raw)).removesuffix("+0000") in page.cursor


async def messages(raw: Any) -> None:
    for one in each(raw):
        thread = {"id": "t_1", "updated_time": one["created_time"], "messages": {"data": [one]}}
        page_id = one["to"]["data"][0]["id"]
        (message,) = (await Facebook(client_answering({"data": [thread]})).conversations(us(page_id), None)).items
        assert (message.external_id, message.text) == (one["id"], one.get("message", ""))
        assert message.thread_id == f"message-{one['from']['id']}"
        assert message.author == RemotePerson(one["from"]["id"], one["from"]["name"])
        assert message.sent_at == datetime.fromisoformat(one["created_time"])


async def new_token(raw: Any) -> None:
    granted = await Facebook(client_answering({**raw, "id": "77"})).refresh(us())
    assert granted[Token.USER].text == raw["access_token"]
    assert granted[Token.USER].lifetime == timedelta(seconds=raw["expires_in"])


async def token_told(raw: Any) -> None:
    state = (await Facebook(client_answering(raw)).inspect(us()))[Token.USER]
    assert set(state.missing_scopes) == set(Facebook.spec.scopes[Token.USER]) - set(raw["data"]["scopes"])


ROOT: Final = "meta/python-facebook/testdata"
RECORDED: Final = Recorded(
    files=(f"{ROOT}/error.json", f"{ROOT}/base/**/*.json", f"{ROOT}/facebook/**/*.json"),
    left_out={
        r".*/base/(basic_display|threads)_.*": "tokens of other products",
        r".*/base/connecion_data|.*/pictures/.*": "pictures of Pages",
        r".*/base/discovery_.*": "other accounts of Instagram",
        r".*/base/user_accounts_token|.*/users/user_accounts_.*": (
            "a person's Pages: a Page is asked for its token by itself"
        ),
        r".*/apidata/(albums|photos|videos|live_videos|events)/.*|.*/models/(album|photo|video|live_video|event)": (
            "albums, photos, videos, events: posts tell of them"
        ),
        r".*/apidata/(groups|business|applications|likes)/.*|.*/models/(group|business)": (
            "groups, businesses, applications, likes"
        ),
        r".*/users/.*|.*/models/user": "people",
        r".*/pages/search_pages": "a search for Pages",
    },
    ours={
        r".*/error[^/]*": Ours("refusals", refusal, refused=True),
        r".*/base/object_.*|.*/base/objects_default|.*/pages/(single|multi)_.*|.*/models/page": Ours("Pages", a_page),
        r".*/base/full_connecions_.*|.*/posts/feeds?_.*": Ours("lists of posts", list_of_posts),
        r".*/posts/(single|multi)_.*|.*/models/post": Ours("posts", posts),
        r".*/comments/comments_p.": Ours("comments recorded without ids", comments_without_ids, refused=True),
        r".*/comments/(comment_info|comments_info|create_resp)|.*/models/comment": Ours("comments", comments),
        r".*/conversations/.*|.*/models/conversation": Ours("threads", threads),
        r".*/messages/.*|.*/models/message": Ours("messages", messages),
        r".*/base/long_term_token": Ours("tokens", new_token),
        r".*/base/token_info": Ours("tokens", token_told),
    },
    schemas={"meta/api_specs/*": "Meta's business SDK, which `meta/test_facebook_specs` and the sandbox hold to"},
)
