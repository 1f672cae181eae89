"""Odnoklassniki's specimen. Almost every response has status 200; errors have an `error_code`."""

import hashlib
from typing import Final
from urllib.parse import parse_qs

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
)
from tests.platforms.specimens import Limited, Refusal, Specimen, customer, json_response

USER: Final = "-s-7YB0administrator0secret0Kd2"
SECRET: Final = "E1C0FFEE0APPLICATION0SECRET"


def before(request: httpx.Request) -> httpx.Response | None:
    """Two requests for a picture: its upload URL, and the upload. The method is a field of the form."""
    if request.url.path == "/uploadImage":
        return json_response({"photos": {"photo-1": {"token": "upload-token"}}})
    if parse_qs(request.content.decode("latin-1")).get("method") == ["photosV2.getUploadUrl"]:
        where = str(request.url.copy_with(path="/uploadImage", query=None))
        return json_response({"upload_url": where, "photo_ids": ["photo-1"], "expires_ms": 1, "ttl_ms": 1})
    return None


def error_body(code: int) -> object:
    return {"error_code": code, "error_msg": "of Odnoklassniki's", "error_data": None}


def error(
    name: str, means: type[PlatformError], code: int, *, to_a_change: type[PlatformError] | None = None
) -> Refusal:
    return Refusal(f"{code} {name}", means, error_body(code), to_a_change=to_a_change)


def throttled(name: str, code: int, scope: LimitScope) -> Refusal:
    return Refusal(f"{code} {name}", Throttled, error_body(code), scope=scope)


SPECIMEN: Final = Specimen(
    address="https://ok.ru/group/57000000000077",
    external_id="57000000000077",
    tokens={
        Token.USER: USER,
        Token.COMMUNITY: "tkn1group0secret0QbZ7:CBAPUBLICKEY",
        Token.REFRESH: "d3f_refresh_secret_871_5ab",
    },
    app={"application_id": "512000000077", "application_key": "CBAPUBLICKEY", "application_secret": SECRET},
    public_settings=frozenset({"application_id", "application_key"}),
    derived_secrets=(hashlib.md5((USER + SECRET).encode()).hexdigest(),),
    token_in_url=lambda _: True,
    post_ids=("151000000000001", "151000000000002"),
    comment=ReplyTo(
        "comment:151000000000001:11", "comment:151000000000001:5", MessageKind.COMMENT, customer("5"), "151000000000001"
    ),
    message=ReplyTo("mid:C3e.15c", "chat:C3e", MessageKind.MESSAGE, customer("5"), None),
    before=before,
    refusals=(
        throttled("the action is blocked", 7, LimitScope.TOKEN),
        throttled("flood", 8, LimitScope.TOKEN),
        throttled("the address is blocked", 9, LimitScope.ADDRESS),
        throttled("the limit is reached", 11, LimitScope.TOKEN),
        Refusal(
            "429 with the time", Throttled, b"", 429, {"retry-after": "7"}, retry_after=7.0, scope=LimitScope.TOKEN
        ),
        error("the session is over", AuthExpired, 102),
        error("no such session", AuthExpired, 103),
        error("no session", AuthExpired, 453),
        error("permission denied", MissingPermission, 10),
        error("no administrator", MissingPermission, 50),
        error("the application's key", MissingPermission, 101),
        error("the signature", MissingPermission, 104),
        error("the application may not", MissingPermission, 200),
        error("friends alone", MissingPermission, 455),
        error("the group's restriction", MissingPermission, 456),
        error("not authorised", MissingPermission, 457),
        error("privacy", MissingPermission, 458),
        error("the group's id", Gone, 160),
        error("not found", Gone, 300),
        error("the comment is not found", Gone, 700),
        error("the chat is not found", Gone, 705),
        error("the method", Rejected, 3),
        error("a parameter", Rejected, 100),
        error("the censor", Rejected, 454),
        error("too large a photo", Rejected, 500),
        error("the antispam", Rejected, 511),
        error("too many parts", Rejected, 600),
        error("too long", Rejected, 601),
        error("unknown", Transient, 1, to_a_change=OutcomeUnknown),
        error("out of service", Transient, 2, to_a_change=OutcomeUnknown),
        error("the system", Transient, 9999, to_a_change=OutcomeUnknown),
        error("nobody knows", Transient, 77777, to_a_change=OutcomeUnknown),
        Refusal("an error with its status", Gone, error_body(300), 404),
        Refusal("a broken server", Transient, b"<html>", 502, to_a_change=OutcomeUnknown),
    ),
    refresh_refusals=(
        Refusal("a token used up", AuthExpired, {"error": "invalid_grant", "error_description": "x"}, 400),
        Refusal("a token that is none", AuthExpired, {"error": "invalid_token", "error_description": "x"}),
        Refusal("the application", MissingPermission, {"error": "invalid_client", "error_description": "x"}, 401),
        Refusal("out of service", OutcomeUnknown, {"error": "server_error", "error_description": "x"}, 500),
    ),
    listed_by_conversations=frozenset({MessageKind.MESSAGE}),
    limits=(
        Limited("user_rps", LimitScope.TOKEN, timed=False),
        Limited("community_rps", LimitScope.TOKEN, "conversations", timed=False),
    ),
    codes={
        2: Transient,
        8: Throttled,
        9: Throttled,
        10: MissingPermission,
        11: Throttled,
        50: MissingPermission,
        100: Rejected,
        101: MissingPermission,
        102: AuthExpired,
        103: AuthExpired,
        104: MissingPermission,
        160: Gone,
        300: Gone,
        9999: Transient,
    },
    hook_source="127.0.0.1",
)
