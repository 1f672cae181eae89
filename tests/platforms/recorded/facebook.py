"""Graph's responses about Pages, from python-facebook."""

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
from tests.platforms.meta.facebook_graph import APP, BOTH, PAGE, reply_to
from tests.platforms.meta.server import Node
from tests.platforms.meta.specs import client_answering
from tests.platforms.recorded import Recorded, ResponseCheck


def own_credentials(external_id: str = PAGE) -> Credentials:
    return Credentials("https://www.facebook.com/x", "https://graph.facebook.com", external_id, BOTH, APP)


def objects(raw: Node) -> list[Node]:
    """One object, or several by their ids."""
    return [raw] if "id" in raw or "name" in raw else list(raw.values())


def assert_same_post(post: RemotePost, raw: Node) -> None:
    assert post.external_id == raw["id"]
    assert post.text == (raw.get("message") or raw.get("story") or "").strip()
    assert post.published_at == datetime.fromisoformat(raw["created_time"])
    counts = {
        Metric.REACTIONS: raw.get("reactions", {}).get("summary", {}).get("total_count"),
        Metric.COMMENTS: raw.get("comments", {}).get("summary", {}).get("total_count"),
        Metric.SHARES: raw.get("shares", {}).get("count", 0 if "reactions" in raw else None),
    }
    assert post.metrics.counters == {metric: count for metric, count in counts.items() if count is not None}


def assert_same_comment(message: RemoteMessage, raw: Node) -> None:
    assert message.external_id == raw["id"]
    assert message.text == raw["message"].strip()
    assert message.sent_at == datetime.fromisoformat(raw["created_time"])
    assert message.url == raw["permalink_url"]
    assert message.author.name == raw.get("from", {}).get("name", "")


async def refusal(raw: Any) -> None:
    expected = MissingPermission if "permission" in raw["error"]["message"] else Rejected
    for status in (400, 200):
        with pytest.raises(expected):
            await Facebook(client_answering(raw, status)).community(own_credentials())


async def page_object(raw: Any) -> None:
    for one in objects(raw):
        snapshot = await Facebook(client_answering(one)).community(own_credentials())
        size = one.get("followers_count", one.get("fan_count"))
        assert (snapshot.external_id, snapshot.title, snapshot.size) == (one["id"], one["name"], size)


async def list_of_posts(raw: Any) -> None:
    page = await Facebook(client_answering(raw)).posts(own_credentials(), None)
    for post, one in zip(page.items, raw["data"], strict=True):
        assert_same_post(post, one)
    assert page.more == ("next" in raw["paging"])
    if not page.more:
        return
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"data": []})

    await Facebook(httpx.AsyncClient(transport=httpx.MockTransport(answer))).posts(own_credentials(), page.cursor)
    params = httpx.URL(raw["paging"]["next"]).params
    where = [name for name in ("after", "until", "__paging_token") if name in params]
    assert where
    assert [requests[0].url.params[name] for name in where] == [params[name] for name in where]


async def posts(raw: Any) -> None:
    for one in objects(raw):
        (post,) = (await Facebook(client_answering({"data": [one]})).posts(own_credentials(), None)).items
        assert_same_post(post, one)


async def comments_without_ids(raw: Any) -> None:
    """Recorded without the ids that the adapter requests; parsed once they are added."""
    with pytest.raises(Malformed, match="id"):
        await Facebook(client_answering(raw)).comments(own_credentials(), "1_2", None)
    comments = [{**one, "id": one["permalink_url"].rpartition("=")[2]} for one in raw["data"]]
    page = await Facebook(client_answering({**raw, "data": comments})).comments(own_credentials(), "1_2", None)
    for message, one in zip(page.items, comments, strict=True):
        assert_same_comment(message, one)


async def comments(raw: Any) -> None:
    for one in objects(raw):
        (message,) = (await Facebook(client_answering({"data": [one]})).comments(own_credentials(), "1_2", None)).items
        assert_same_comment(message, one)
        sent = await Facebook(client_answering(one)).reply(own_credentials(), reply_to(MessageKind.COMMENT), "x", "key")
        assert (sent.external_id, sent.sent_at) == (message.external_id, message.sent_at)


async def threads(raw: Any) -> None:
    page = await Facebook(client_answering({"data": objects(raw)})).conversations(own_credentials(), None)
    assert page.items == ()
    assert page.cursor is not None
    assert max(one["updated_time"] for one in objects(raw)).removesuffix("+0000") in page.cursor


async def messages(raw: Any) -> None:
    for one in objects(raw):
        thread = {"id": "t_1", "updated_time": one["created_time"], "messages": {"data": [one]}}
        page_id = one["to"]["data"][0]["id"]
        (message,) = (
            await Facebook(client_answering({"data": [thread]})).conversations(own_credentials(page_id), None)
        ).items
        assert (message.external_id, message.text) == (one["id"], one.get("message", ""))
        assert message.thread_id == f"message-{one['from']['id']}"
        assert message.author == RemotePerson(one["from"]["id"], one["from"]["name"])
        assert message.sent_at == datetime.fromisoformat(one["created_time"])


async def new_token(raw: Any) -> None:
    granted = await Facebook(client_answering({**raw, "id": "77"})).refresh(own_credentials())
    assert granted[Token.USER].text == raw["access_token"]
    assert granted[Token.USER].lifetime == timedelta(seconds=raw["expires_in"])


async def token_info(raw: Any) -> None:
    state = (await Facebook(client_answering(raw)).inspect(own_credentials()))[Token.USER]
    assert set(state.missing_scopes) == set(Facebook.spec.scopes[Token.USER]) - set(raw["data"]["scopes"])


ROOT: Final = "meta/python-facebook/testdata"
RECORDED: Final = Recorded(
    files=(f"{ROOT}/error.json", f"{ROOT}/base/**/*.json", f"{ROOT}/facebook/**/*.json"),
    left_out={
        r".*/base/(basic_display|threads)_.*": "tokens of other products",
        r".*/base/connecion_data|.*/pictures/.*": "pictures of Pages",
        r".*/base/discovery_.*": "other accounts of Instagram",
        r".*/base/user_accounts_token|.*/users/user_accounts_.*": (
            "a person's Pages: the token of a Page is requested for it alone"
        ),
        r".*/apidata/(albums|photos|videos|live_videos|events)/.*|.*/models/(album|photo|video|live_video|event)": (
            "albums, photos, videos, events: posts include them"
        ),
        r".*/apidata/(groups|business|applications|likes)/.*|.*/models/(group|business)": (
            "groups, businesses, applications, likes"
        ),
        r".*/users/.*|.*/models/user": "people",
        r".*/pages/search_pages": "a search for Pages",
    },
    checks={
        r".*/error[^/]*": ResponseCheck("refusals", refusal, refused=True),
        r".*/base/object_.*|.*/base/objects_default|.*/pages/(single|multi)_.*|.*/models/page": ResponseCheck(
            "Pages", page_object
        ),
        r".*/base/full_connecions_.*|.*/posts/feeds?_.*": ResponseCheck("lists of posts", list_of_posts),
        r".*/posts/(single|multi)_.*|.*/models/post": ResponseCheck("posts", posts),
        r".*/comments/comments_p.": ResponseCheck("comments recorded without ids", comments_without_ids, refused=True),
        r".*/comments/(comment_info|comments_info|create_resp)|.*/models/comment": ResponseCheck("comments", comments),
        r".*/conversations/.*|.*/models/conversation": ResponseCheck("threads", threads),
        r".*/messages/.*|.*/models/message": ResponseCheck("messages", messages),
        r".*/base/long_term_token": ResponseCheck("tokens", new_token),
        r".*/base/token_info": ResponseCheck("tokens", token_info),
    },
    schemas={"meta/api_specs/*": "Meta's business SDK, checked by `meta/test_facebook_specs` and the sandbox's tests"},
)
