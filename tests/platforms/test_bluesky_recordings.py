"""Every recorded answer of Bluesky: understood rightly, or a typed error, or none of ours; and the lexicons' errors."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.platforms.adapters.bluesky import Bluesky
from app.platforms.bluesky import calls, shapes
from app.platforms.bluesky.errors import NAMES
from app.platforms.contract import Credentials, Malformed, MessageKind, Metric, PlatformError
from tests.platforms.data import data
from tests.platforms.specimens.bluesky import CID, US
from tests.sandbox.lexicons import definition, methods, problems

NOT_OURS = {
    "get_follows.json": "whom an account follows",
    "resolve_handle.json": "a handle's DID alone: profiles bring it",
    "did_doc.json": "a repository's description and its DID document",
    "feed_record.json": "a record of a feed generator",
    "like_record.json": "a record of a like",
    "extended_like_record.json": "a record of a like, with a field more",
    "custom_record.json": "a record of no lexicon that is known",
    "signature-fixtures.json": "signatures, which are the servers' affair",
}
LENIENT = {"post_record.json", "extended_post_record.json"}
"""Records of posts, as `getRecord` answers them: an author's own words, one of them with no zone in its date."""


def recorded() -> Iterator[Path]:
    folder = data("bluesky/marshalx-tests/tests")
    yield from sorted(folder.rglob("*.json"))


def served(body: object, status: int = 200) -> Bluesky:
    response = httpx.Response(status, json=body)
    return Bluesky(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: response)))


def account(did: str) -> Credentials:
    return Credentials(f"https://bsky.app/profile/{did}", "https://bsky.social", did)


def as_post(raw: dict[str, Any]) -> dict[str, Any]:
    """A recorded record of a post, as a view would show it."""
    author = {"did": raw["uri"].split("/")[2], "handle": "test.marshal.dev"}
    return {
        "uri": raw["uri"], "cid": raw["cid"], "author": author, "record": raw["value"],
        "indexedAt": "2024-06-07T03:19:53.642Z",
    }  # fmt: skip


async def same_post(view: dict[str, Any], did: str) -> None:
    """A post as it stands in a feed, and as `getPosts` shows it, against an independent reading."""
    (found,) = (await served({"feed": [{"post": view}]}).posts(account(did), None)).items
    (counted,) = await served({"posts": [view]}).metrics(account(did), (view["uri"],))
    assert found.metrics == counted
    assert (found.external_id, found.text) == (view["uri"], view["record"]["text"])
    assert found.url == view["uri"].replace("at://", "https://bsky.app/profile/").replace("app.bsky.feed.post", "post")
    names = {
        Metric.REACTIONS: "likeCount", Metric.COMMENTS: "replyCount", Metric.SHARES: "repostCount",
        Metric.QUOTES: "quoteCount", Metric.SAVES: "bookmarkCount",
    }  # fmt: skip
    assert found.metrics.counters == {metric: view[name] for metric, name in names.items() if name in view}
    assert found.metrics.counters.keys() | found.metrics.missing.keys() == set(Metric)
    claimed, indexed = (datetime.fromisoformat(one) for one in (view["record"]["createdAt"], view["indexedAt"]))
    assert found.published_at == (min(claimed, indexed) if claimed.tzinfo is not None else indexed)


async def check(path: Path) -> str:
    """Hold one recording against an independent reading; what it turned out to be."""
    raw: Any = json.loads(path.read_text())
    if path.name in LENIENT:
        await same_post(as_post(raw), raw["uri"].split("/")[2])
        assert shapes.STORED.validate_python(raw).uri == raw["uri"]
        return "a post's record"
    if path.name == "thread_view_post_with_embed_media.json":
        top = raw["thread"]["post"]
        await same_post(top, top["author"]["did"])
        page = await served(raw).comments(account(top["author"]["did"]), top["uri"], None)
        replies = raw["thread"].get("replies", [])
        assert len(page.items) == len([one for one in replies if "post" in one])
        if not replies:
            # Nobody has answered this post: hang it below itself, so that it is read as a comment as well.
            below = {"thread": {**raw["thread"], "replies": [{"post": top}]}}
            (comment,) = (await served(below).comments(account(US), top["uri"], None)).items
            assert (comment.kind, comment.text, comment.author.name) == (
                MessageKind.COMMENT, top["record"]["text"], top["author"]["displayName"],
            )  # fmt: skip
        return "a thread"
    assert path.name in NOT_OURS, f"{path.name} is unexplained"
    # What is no answer of ours is told to be none, where it comes all the same.
    if isinstance(raw, dict):
        with pytest.raises(Malformed):
            await served(raw).posts(account(US), None)
        with pytest.raises(Malformed):
            await served(raw).metrics(account(US), (f"at://{US}/app.bsky.feed.post/1",))
    return f"not ours: {NOT_OURS[path.name]}"


async def test_every_recording_is_explained() -> None:
    found = list(recorded())
    counts = Counter([await check(path) for path in found])
    for what, count in sorted(counts.items()):
        print(f"{count:4}  {what}")  # noqa: T201 — the counts are what this test is read for
    assert counts.total() == len(found) > 0
    assert counts["a post's record"] == len(LENIENT)
    assert counts["a thread"] == 1


def named() -> Iterator[tuple[str, str]]:
    """Every error that a method of ours may answer, by its lexicon."""
    data("bluesky/lexicons")
    for method in sorted(methods() & {value for value in vars(calls).values() if isinstance(value, str)}):
        for error in definition(method, "")[0].get("errors", []):
            yield method, error["name"]


def test_every_error_of_the_lexicons_has_a_class_of_its_own() -> None:
    """`InvalidSwap` is no failure where we ask for it, and a refusal elsewhere."""
    refusals = {"InvalidSwap", "ConvoLocked"}
    counts: Counter[str] = Counter()
    for method, name in named():
        request = httpx.Request("POST", f"https://bsky.social/xrpc/{method}")
        response = httpx.Response(400, json={"error": name, "message": "words"}, request=request)
        said = served({}).classify(response)
        assert isinstance(said, PlatformError)
        assert name in NAMES or name in refusals, f"{method} may say {name}, which nobody has thought of"
        counts[f"{name}: {type(said).__name__}"] += 1
    for what, count in sorted(counts.items()):
        print(f"{count:4}  {what}")  # noqa: T201 — the counts are what this test is read for
    assert counts.total() > 10


def test_what_we_read_stands_in_the_lexicons() -> None:
    """The least that a lexicon demands is understood: nothing that it lets be absent is missed."""
    data("bluesky/lexicons")
    author = {"did": US, "handle": "a.b"}
    post = {"uri": f"at://{US}/app.bsky.feed.post/1", "cid": CID, "author": author, "record": {}, "indexedAt": _now()}
    least: dict[str, tuple[Any, Any]] = {
        calls.PROFILE: (shapes.PROFILE, author),
        calls.PROFILES: (shapes.PROFILES, {"profiles": [author]}),
        calls.FEED: (shapes.FEED, {"feed": [{"post": post}]}),
        calls.POSTS: (shapes.POSTS, {"posts": [post]}),
        calls.THREAD: (shapes.THREADS, {"thread": {"$type": "app.bsky.feed.defs#threadViewPost", "post": post}}),
        calls.NOTIFICATIONS: (
            shapes.NOTIFICATIONS, {"notifications": [{**post, "reason": "reply", "isRead": False}]},
        ),
        calls.CONVOS: (
            shapes.CONVOS,
            {"convos": [{"id": "a", "rev": "b", "members": [author], "muted": False, "unreadCount": 0}]},
        ),
        calls.MESSAGES: (
            shapes.MESSAGES,
            {
                "messages": [
                    {"$type": f"chat.bsky.convo.defs#{kind}", "id": "a", "rev": "b", "sentAt": _now(), **more}
                    for kind, more in (
                        ("messageView", {"text": "", "sender": {"did": US}}),
                        ("deletedMessageView", {"sender": {"did": US}}),
                        ("systemMessageView", {"data": {"$type": "chat.bsky.convo.defs#systemMessageDataLockConvo",
                                                        "lockedBy": {"did": US}}}),
                    )
                ]
            },
        ),
        calls.SEND: (shapes.MESSAGE, {"id": "a", "rev": "b", "text": "", "sender": {"did": US}, "sentAt": _now()}),
        calls.RECORD: (shapes.STORED, {"uri": post["uri"], "value": {}}),
        calls.PUT: (shapes.STORED, {"uri": post["uri"], "cid": CID}),
        calls.OPEN: (shapes.SESSION, {"accessJwt": "a", "refreshJwt": "b", **author}),
        calls.RENEW: (shapes.SESSION, {"accessJwt": "a", "refreshJwt": "b", **author}),
        calls.SESSION: (shapes.WHOSE, author),
    }  # fmt: skip
    for method, (shape, answer) in least.items():
        assert problems(method, "output", answer) == [], method
        shape.validate_json(json.dumps(answer))


def _now() -> str:
    return datetime.now(UTC).isoformat()
