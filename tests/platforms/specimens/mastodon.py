"""Mastodon, for the suites."""

from typing import Final

import httpx

from app.platforms.abilities import ReplyTo
from app.platforms.contract import (
    AuthExpired,
    Gone,
    MessageKind,
    MissingPermission,
    OutcomeUnknown,
    Rejected,
    Scope,
    Throttled,
    Token,
    Transient,
)
from tests.platforms.specimens import Limited, Refusal, Specimen, says, someone

STATUS: Final = {
    "id": "1", "created_at": "2026-01-01T00:00:00Z", "visibility": "public", "content": "", "uri": "u",
    "account": {"id": "2", "acct": "a"}, "favourites_count": 0, "reblogs_count": 0, "replies_count": 0,
}  # fmt: skip


def before(request: httpx.Request) -> httpx.Response | None:
    """An answer is written below a status that is looked up first; pictures are uploaded."""
    if request.method == "GET":
        return says(STATUS)
    if request.url.path == "/api/v2/media":
        return says({"id": "9", "type": "image", "url": "https://mastodon.example/9.png"})
    return None


SPECIMEN: Final = Specimen(
    address="https://mastodon.example/@name",
    external_id="77",
    tokens={Token.COMMUNITY: "Nq7TzXo0community0secret0kWm3"},
    post_ids=("1", "2"),
    comment=ReplyTo("11", "comment-11-5", MessageKind.COMMENT, someone("5"), "1"),
    message=ReplyTo("12", "direct-12", MessageKind.MESSAGE, someone("5"), None),
    before=before,
    refusals=(
        Refusal("a token that is not good", AuthExpired, {"error": "The access token is invalid"}, 401),
        Refusal("a bad token at Takahe", AuthExpired, b"Authorization header invalid", 400),
        Refusal(
            "outside the token's scopes", MissingPermission,
            {"error": "This action is outside the authorized scopes"}, 403, scopes=("read", "write"),
        ),
        Refusal("not allowed", MissingPermission, {"error": "This action is not allowed"}, 403),
        Refusal("no such record", Gone, {"error": "Record not found"}, 404),
        Refusal("deleted", Gone, {"error": "Gone"}, 410),
        Refusal("not valid", Rejected, {"error": "Validation failed: Text can't be blank"}, 422),
        Refusal("the server's database", Transient, {"error": "Remote data could not be fetched"}, 503),
        Refusal("a broken server", Transient, b"<html>", 502, to_a_change=OutcomeUnknown),
        Refusal(
            "too many, until a moment", Throttled, {"error": "Too many requests"}, 429,
            {"date": "Mon, 23 Nov 2026 06:00:00 GMT", "x-ratelimit-reset": "2026-11-23T06:02:30.000000Z"},
            retry_after=150.0, scope=Scope.TOKEN,
        ),
        Refusal("too many", Throttled, {"error": "Too many requests"}, 429, scope=Scope.TOKEN),
    ),
    listed_by_conversations=frozenset({MessageKind.MESSAGE, MessageKind.MENTION, MessageKind.COMMENT}),
    limits=(Limited("calls", Scope.TOKEN),),
)  # fmt: skip
