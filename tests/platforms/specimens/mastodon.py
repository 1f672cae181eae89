"""Mastodon's specimen."""

from typing import Final, Literal

import httpx

from app.platforms.capabilities import ReplyTo
from app.platforms.contract import (
    AuthExpired,
    Gone,
    LimitScope,
    MessageKind,
    MissingPermission,
    OutcomeUnknown,
    Rejected,
    Throttled,
    Token,
    Transient,
    Unsupported,
)
from tests.platforms.specimens import Limited, Refusal, Specimen, customer, json_response

STATUS: Final = {
    "id": "1", "created_at": "2026-01-01T00:00:00Z", "visibility": "public", "content": "", "uri": "u",
    "account": {"id": "2", "acct": "a"}, "favourites_count": 0, "reblogs_count": 0, "replies_count": 0,
}  # fmt: skip


def before(request: httpx.Request) -> httpx.Response | None:
    """The lookup of the status that a reply answers, and uploads of pictures."""
    if request.method == "GET":
        return json_response(STATUS)
    if request.url.path == "/api/v2/media":
        return json_response({"id": "9", "type": "image", "url": "https://mastodon.example/9.png"})
    return None


def throttled(name: str, refuses: Literal["reads", "changes"], scope: LimitScope) -> tuple[Refusal, Refusal]:
    """With and without the time at which the limit resets."""
    said = {"error": "Too many requests"}
    until = {"date": "Mon, 23 Nov 2026 06:00:00 GMT", "x-ratelimit-reset": "2026-11-23T06:02:30.000000Z"}
    timed = Refusal(f"{name}, until a moment", Throttled, said, 429, until, None, 150.0, scope, refuses=refuses)
    return timed, Refusal(name, Throttled, said, 429, scope=scope, refuses=refuses)


SCOPE_OF: Final[dict[Literal["reads", "changes"], str]] = {"reads": "read:accounts", "changes": "write:statuses"}
"""The scope that the refused request needs."""

SPECIMEN: Final = Specimen(
    address="https://mastodon.example/@name",
    external_id="77",
    tokens={Token.COMMUNITY: "Nq7TzXo0community0secret0kWm3"},
    post_ids=("1", "2"),
    comment=ReplyTo("11", "comment-11-5", MessageKind.COMMENT, customer("5"), "1"),
    message=ReplyTo("12", "direct-12", MessageKind.MESSAGE, customer("5"), None),
    before=before,
    refusals=(
        Refusal("a token that is not good", AuthExpired, {"error": "The access token is invalid"}, 401),
        Refusal("a bad token at Takahe", AuthExpired, b"Authorization header invalid", 400),
        *(
            Refusal(
                f"outside the token's scopes, {refused}", MissingPermission,
                {"error": "This action is outside the authorized scopes"}, 403, scopes=(scope,), refuses=refused,
            )
            for refused, scope in SCOPE_OF.items()
        ),
        Refusal("no such function", Unsupported, {"error": "Not Found"}, 404, of="conversations", refuses="reads"),
        Refusal("no such method", Unsupported, b"<h1>Method Not Allowed</h1>", 405),
        Refusal("not allowed", MissingPermission, {"error": "This action is not allowed"}, 403),
        Refusal("no such record", Gone, {"error": "Record not found"}, 404),
        Refusal("deleted", Gone, {"error": "Gone"}, 410),
        Refusal("not valid", Rejected, {"error": "Validation failed: Text can't be blank"}, 422),
        Refusal("the server's database", Transient, {"error": "Remote data could not be fetched"}, 503),
        Refusal("a broken server", Transient, b"<html>", 502, to_a_change=OutcomeUnknown),
        *throttled("too many", "reads", LimitScope.TOKEN),
        *throttled("too many changes of a kind", "changes", LimitScope.COMMUNITY),
    ),
    listed_by_conversations=frozenset({MessageKind.MESSAGE, MessageKind.MENTION, MessageKind.COMMENT}),
    limits=(
        Limited("calls", LimitScope.TOKEN),
        Limited("statuses", LimitScope.COMMUNITY, "publish text"),
        Limited("media", LimitScope.COMMUNITY, "publish picture"),
    ),
)  # fmt: skip
