"""Bluesky's records and views, from MarshalX/atproto."""

from datetime import datetime
from typing import Any, Final

import httpx
import pytest

from app.platforms.bluesky import wire_models
from app.platforms.bluesky.adapter import Bluesky
from app.platforms.contract import Credentials, Malformed, MessageKind, Metric
from tests.platforms.recorded import Recorded, ResponseCheck
from tests.platforms.specimens.bluesky import OWN_DID


def with_response(body: object, status: int = 200) -> Bluesky:
    response = httpx.Response(status, json=body)
    return Bluesky(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: response)))


def account(did: str) -> Credentials:
    return Credentials(f"https://bsky.app/profile/{did}", "https://bsky.social", did)


def as_post(raw: dict[str, Any]) -> dict[str, Any]:
    """A view made from a recorded post record."""
    author = {"did": raw["uri"].split("/")[2], "handle": "test.marshal.dev"}
    return {
        "uri": raw["uri"], "cid": raw["cid"], "author": author, "record": raw["value"],
        "indexedAt": "2024-06-07T03:19:53.642Z",
    }  # fmt: skip


async def assert_same_post(view: dict[str, Any], did: str) -> None:
    """Compare a post, as parsed from a feed and from `getPosts`, with an independent reading."""
    (remote_post,) = (await with_response({"feed": [{"post": view}]}).posts(account(did), None)).items
    (counted,) = await with_response({"posts": [view]}).metrics(account(did), (view["uri"],))
    assert remote_post.metrics == counted
    assert (remote_post.external_id, remote_post.text) == (view["uri"], view["record"]["text"])
    assert remote_post.url == view["uri"].replace("at://", "https://bsky.app/profile/").replace(
        "app.bsky.feed.post", "post"
    )
    names = {
        Metric.REACTIONS: "likeCount", Metric.COMMENTS: "replyCount", Metric.SHARES: "repostCount",
        Metric.QUOTES: "quoteCount", Metric.SAVES: "bookmarkCount",
    }  # fmt: skip
    assert remote_post.metrics.counters == {metric: view[name] for metric, name in names.items() if name in view}
    assert remote_post.metrics.counters.keys() | remote_post.metrics.missing.keys() == set(Metric)
    claimed, indexed = (datetime.fromisoformat(one) for one in (view["record"]["createdAt"], view["indexedAt"]))
    assert remote_post.published_at == (min(claimed, indexed) if claimed.tzinfo is not None else indexed)


async def post_record(raw: Any) -> None:
    """A response of `getRecord`; one of those recorded has a date without a zone."""
    await assert_same_post(as_post(raw), raw["uri"].split("/")[2])
    assert wire_models.STORED.validate_python(raw).uri == raw["uri"]


async def thread(raw: Any) -> None:
    root = raw["thread"]["post"]
    await assert_same_post(root, root["author"]["did"])
    page = await with_response(raw).comments(account(root["author"]["did"]), root["uri"], None)
    replies = raw["thread"].get("replies", [])
    assert len(page.items) == len([one for one in replies if "post" in one])
    if not replies:
        # This post has no replies: make it a reply to itself, so that it is parsed as a comment too.
        below = {"thread": {**raw["thread"], "replies": [{"post": root}]}}
        (comment,) = (await with_response(below).comments(account(OWN_DID), root["uri"], None)).items
        assert (comment.kind, comment.text, comment.author.name) == (
            MessageKind.COMMENT, root["record"]["text"], root["author"]["displayName"],
        )  # fmt: skip


async def other_record(raw: Any) -> None:
    """A response to no request of the adapter; it must be malformed if received."""
    with pytest.raises(Malformed):
        await with_response(raw).posts(account(OWN_DID), None)
    with pytest.raises(Malformed):
        await with_response(raw).metrics(account(OWN_DID), (f"at://{OWN_DID}/app.bsky.feed.post/1",))


ROOT: Final = "bluesky/marshalx-tests/tests"
RECORDED: Final = Recorded(
    files=(f"{ROOT}/**/*.json",),
    left_out={
        ".*/get_follows": "the accounts followed by an account",
        ".*/resolve_handle": "a handle's DID: profiles include it",
        ".*/did_doc": "a repository's description and its DID document",
        ".*/signature-fixtures": "signatures, which the servers verify",
    },
    checks={
        ".*/(extended_)?post_record": ResponseCheck("records of posts", post_record),
        ".*/thread_view_.*": ResponseCheck("threads", thread),
        ".*/[a-z_]*record": ResponseCheck(
            "records of likes, of feeds and of unknown lexicons", other_record, refused=True
        ),
    },
    schemas={"bluesky/lexicons/**/*": "the lexicons, checked by `bluesky/test_lexicons` and the sandbox's tests"},
)
