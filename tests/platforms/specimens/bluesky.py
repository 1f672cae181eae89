"""Bluesky's specimen. An error is a name and a message; the names come from the source of its servers."""

import base64
import json
from collections.abc import Mapping
from types import MappingProxyType
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
    PlatformError,
    Rejected,
    Throttled,
    Token,
    Transient,
    Unsupported,
)
from tests.platforms.specimens import Limited, Refusal, Specimen, customer, json_response

OWN_DID: Final = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
CUSTOMER: Final = "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"
CID: Final = "bafyreifzi5xyrf3c5jw7cci4zrltyl25ik2dboznop4qo4cotcfbyjtita"
BLOB: Final = "bafkreic3cp5ky525vsukjvrzxsc2h3jka2gud74l2hgeatw2rhj2qycnmq"
DATE: Final = "Mon, 23 Nov 2026 06:00:00 GMT"
RESET: Final = "1795413750"
"""150 seconds after `DATE`."""


def uri(did: str, rkey: str) -> str:
    return f"at://{did}/app.bsky.feed.post/{rkey}"


COMMENT: Final = uri(CUSTOMER, "3k2yihcrp6f2c")


def jwt(signature: str, **claims: object) -> str:
    """A JSON Web Token with these claims."""
    parts = [{"typ": "at+jwt", "alg": "ES256K"}, claims]
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts), signature]
    )


def before(request: httpx.Request) -> httpx.Response | None:
    """Lookups of posts and of an existing record, and uploads of pictures."""
    match request.url.path.rpartition("/")[2]:
        case "app.bsky.feed.getPosts":
            post = {
                "uri": COMMENT, "cid": CID, "author": {"did": CUSTOMER, "handle": "customer.bsky.social"},
                "record": {"$type": "app.bsky.feed.post", "text": "", "createdAt": "2026-11-23T05:00:00Z"},
                "indexedAt": "2026-11-23T05:00:00Z",
            }  # fmt: skip
            return json_response({"posts": [post]}, date=DATE)
        case "chat.bsky.convo.getMessages":
            return json_response({"messages": []}, date=DATE)
        case "com.atproto.repo.getRecord":
            return json_response(
                {"error": "RecordNotFound", "message": "Could not locate record: at://…"}, 400, date=DATE
            )
        case "com.atproto.repo.uploadBlob":
            return json_response(
                {"blob": {"$type": "blob", "ref": {"$link": BLOB}, "mimeType": "image/png", "size": 68}}
            )
        case _:
            return None


def error(
    means: type[PlatformError],
    status: int,
    name: str,
    message: str,
    *,
    to_a_change: type[PlatformError] | None = None,
    scopes: tuple[str, ...] | None = None,
) -> Refusal:
    body = {"error": name, "message": message}
    return Refusal(f"{status} {name}: {message}", means, body, status, to_a_change=to_a_change, scopes=scopes)


def throttled(
    name: str,
    scope: LimitScope,
    refuses: Literal["both", "reads", "changes"],
    retry_after: float | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Refusal:
    body = {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}
    return Refusal(name, Throttled, body, 429, headers, retry_after=retry_after, scope=scope, refuses=refuses)


def reset_headers(policy: str) -> dict[str, str]:
    return {"date": DATE, "ratelimit-reset": RESET, "ratelimit-policy": policy}


SPECIMEN: Final = Specimen(
    address="https://bsky.app/profile/name.bsky.social",
    external_id=OWN_DID,
    tokens={
        Token.COMMUNITY: jwt("Qm1community1signature", scope="com.atproto.appPassPrivileged", iat=1795413600),
        Token.REFRESH: jwt("Qm2refresh2signature", scope="com.atproto.refresh", exp=1803189600),
        Token.PASSWORD: "abcd-efgh-ijkl-mnop",
    },
    post_ids=(uri(OWN_DID, "3k2yinh52ne2x"), uri(OWN_DID, "3kaheyt6vpc22")),
    comment=ReplyTo(COMMENT, "comment:1", MessageKind.COMMENT, customer(CUSTOMER), uri(OWN_DID, "3k2yinh52ne2x")),
    message=ReplyTo("3kconvo/3kmessage", "direct:3kconvo", MessageKind.MESSAGE, customer(CUSTOMER), None),
    before=before,
    refusals=(
        error(AuthExpired, 400, "ExpiredToken", "Token has expired"),
        error(AuthExpired, 400, "InvalidToken", "Token could not be verified"),
        error(AuthExpired, 401, "AuthMissing", "Authentication Required"),
        error(AuthExpired, 401, "AuthenticationRequired", "Authentication Required"),
        error(
            MissingPermission, 400, "InvalidToken", "Bad token method", scopes=("com.atproto.appPassPrivileged",)
        ),
        error(MissingPermission, 400, "InvalidToken", "Bad token scope"),
        error(MissingPermission, 400, "BlockedByActor", "Requester is blocked by actor", scopes=()),
        error(Gone, 400, "InvalidRequest", "Profile not found"),
        error(Gone, 400, "InvalidRequest", "Could not find user: name.bsky.social"),
        error(Gone, 400, "NotFound", "Post not found: at://…"),
        error(Gone, 401, "AccountTakedown", "Account has been taken down"),
        error(Gone, 400, "AccountDeactivated", "Account is deactivated"),
        error(Rejected, 400, "InvalidRequest", "Error: uris must not have more than 25 elements"),
        error(Rejected, 400, "InvalidRequest", "Could not find blob: bafkreia"),
        error(Unsupported, 501, "MethodNotImplemented", "Method Not Implemented"),
        error(Rejected, 413, "PayloadTooLarge", "request entity too large"),
        Refusal("a server that is none of Bluesky's", Rejected, b"<html>", 404),
        error(Transient, 502, "UpstreamFailure", "Upstream service unreachable", to_a_change=OutcomeUnknown),
        error(Transient, 500, "InternalServerError", "Internal Server Error", to_a_change=OutcomeUnknown),
        throttled("too many from this address", LimitScope.ADDRESS, "both", 150.0, reset_headers("3000;w=300")),
        throttled("too many, to be tried later", LimitScope.ADDRESS, "reads", 9.0, {"retry-after": "9"}),
        throttled("too many writes of one actor", LimitScope.COMMUNITY, "changes", 150.0, reset_headers("5000;w=3600")),
        throttled("too many", LimitScope.ADDRESS, "reads"),
    ),
    refresh_refusals=(
        error(AuthExpired, 401, "AccountTakedown", "Account has been taken down"),
        error(OutcomeUnknown, 502, "UpstreamFailure", "Upstream service unreachable"),
        throttled("too many sessions", LimitScope.ADDRESS, "both", 150.0, reset_headers("3000;w=300")),
    ),
    listed_by_conversations=frozenset({MessageKind.COMMENT, MessageKind.MENTION, MessageKind.MESSAGE}),
    # `bluesky/test_writing` tests an account's own write limits.
    limits=(Limited("calls", LimitScope.ADDRESS),),
    codes={
        "ExpiredToken": AuthExpired,
        "InvalidToken": AuthExpired,
        "AccountTakedown": Gone,
        "InvalidRequest": Gone,
        "BlockedByActor": MissingPermission,
        "RateLimitExceeded": Throttled,
        "UpstreamFailure": Transient,
        "MethodNotImplemented": Unsupported,
    },
)  # fmt: skip
