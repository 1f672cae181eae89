"""Bluesky's lexicons: their errors are classified, and the wire models match them."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx

from app.platforms.bluesky import calls, wire_models
from app.platforms.bluesky.errors import NAMES
from app.platforms.contract import PlatformError
from tests.platforms.data import data
from tests.platforms.recorded.bluesky import with_response
from tests.platforms.specimens.bluesky import CID, OWN_DID
from tests.sandbox.lexicons import definition, methods, problems


def declared_errors() -> Iterator[tuple[str, str]]:
    """Every error that a method used by the adapter may return, by its lexicon."""
    data("bluesky/lexicons")
    for method in sorted(methods() & {value for value in vars(calls).values() if isinstance(value, str)}):
        for error in definition(method, "")[0].get("errors", []):
            yield method, error["name"]


def test_every_error_of_the_lexicons_has_a_class_of_its_own() -> None:
    """`InvalidSwap` is expected where the adapter sends `swapRecord`, and a refusal elsewhere."""
    refusals = {"InvalidSwap", "ConvoLocked"}
    counts: Counter[str] = Counter()
    for method, name in declared_errors():
        request = httpx.Request("POST", f"https://bsky.social/xrpc/{method}")
        response = httpx.Response(400, json={"error": name, "message": "words"}, request=request)
        said = with_response({}).classify(response)
        assert isinstance(said, PlatformError)
        assert name in NAMES or name in refusals, f"{method} may return {name}, which is not classified"
        counts[f"{name}: {type(said).__name__}"] += 1
    for what, count in sorted(counts.items()):
        print(f"{count:4}  {what}")  # noqa: T201 — the counts are what this test is read for
    assert counts.total() > 10


def test_the_wire_models_parse_what_the_lexicons_require() -> None:
    """Responses with the required fields alone are parsed: no wire model requires an optional field."""
    data("bluesky/lexicons")
    author = {"did": OWN_DID, "handle": "a.b"}
    post = {
        "uri": f"at://{OWN_DID}/app.bsky.feed.post/1",
        "cid": CID,
        "author": author,
        "record": {},
        "indexedAt": _now(),
    }
    least: dict[str, tuple[Any, Any]] = {
        calls.PROFILE: (wire_models.PROFILE, author),
        calls.PROFILES: (wire_models.PROFILES, {"profiles": [author]}),
        calls.FEED: (wire_models.FEED, {"feed": [{"post": post}]}),
        calls.POSTS: (wire_models.POSTS, {"posts": [post]}),
        calls.THREAD: (wire_models.THREADS, {"thread": {"$type": "app.bsky.feed.defs#threadViewPost", "post": post}}),
        calls.NOTIFICATIONS: (
            wire_models.NOTIFICATIONS, {"notifications": [{**post, "reason": "reply", "isRead": False}]},
        ),
        calls.CONVOS: (
            wire_models.CONVOS,
            {"convos": [{"id": "a", "rev": "b", "members": [author], "muted": False, "unreadCount": 0}]},
        ),
        calls.MESSAGES: (
            wire_models.MESSAGES,
            {
                "messages": [
                    {"$type": f"chat.bsky.convo.defs#{kind}", "id": "a", "rev": "b", "sentAt": _now(), **more}
                    for kind, more in (
                        ("messageView", {"text": "", "sender": {"did": OWN_DID}}),
                        ("deletedMessageView", {"sender": {"did": OWN_DID}}),
                        ("systemMessageView", {"data": {"$type": "chat.bsky.convo.defs#systemMessageDataLockConvo",
                                                        "lockedBy": {"did": OWN_DID}}}),
                    )
                ]
            },
        ),
        calls.SEND: (
            wire_models.MESSAGE,
            {"id": "a", "rev": "b", "text": "", "sender": {"did": OWN_DID}, "sentAt": _now()},
        ),
        calls.RECORD: (wire_models.STORED, {"uri": post["uri"], "value": {}}),
        calls.PUT: (wire_models.STORED, {"uri": post["uri"], "cid": CID}),
        calls.OPEN: (wire_models.SESSION, {"accessJwt": "a", "refreshJwt": "b", **author}),
        calls.RENEW: (wire_models.SESSION, {"accessJwt": "a", "refreshJwt": "b", **author}),
        calls.SESSION: (wire_models.SESSION_OWNER, author),
    }  # fmt: skip
    for method, (shape, answer) in least.items():
        assert problems(method, "output", answer) == [], method
        shape.validate_json(json.dumps(answer))


def _now() -> str:
    return datetime.now(UTC).isoformat()
