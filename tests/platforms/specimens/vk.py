"""VK's specimen. Almost every response has status 200; errors have an `error.error_code`."""

from typing import Final

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

PHOTO: Final = {"server": 1, "photo": '[{"photo": "5f3a"}]', "hash": "abc"}


def before(request: httpx.Request) -> httpx.Response | None:
    """Three requests for a picture: its upload URL, the upload, and saving it."""
    match request.url.path.rpartition("/")[2]:
        case "photos.getWallUploadServer":
            where = str(request.url.copy_with(path="/upload.php", query=None))
            return json_response({"response": {"upload_url": where, "album_id": -14, "user_id": 1}})
        case "upload.php":
            return json_response(PHOTO)
        case "photos.saveWallPhoto":
            return json_response({"response": [{"id": 3, "owner_id": 1, "album_id": -14, "date": 1, "sizes": []}]})
        case _:
            return None


def error(
    name: str, means: type[PlatformError], code: int, *, to_a_change: type[PlatformError] | None = None
) -> Refusal:
    said = {"error": {"error_code": code, "error_msg": "of VK's", "request_params": []}}
    return Refusal(f"{code} {name}", means, said, to_a_change=to_a_change)


def id_error(name: str, means: type[PlatformError], code: str, status: int = 400) -> Refusal:
    return Refusal(f"{code} {name}", means, {"error": code, "error_description": "of VK ID's"}, status)


def throttled(name: str, code: int, seconds: float | None) -> Refusal:
    said = {"error": {"error_code": code, "error_msg": "of VK's", "request_params": []}}
    return Refusal(f"{code} {name}", Throttled, said, retry_after=seconds, scope=LimitScope.TOKEN)


SPECIMEN: Final = Specimen(
    address="https://vk.com/club77",
    external_id="77",
    tokens={
        Token.USER: "vk1.a.user-secret-1234567",
        Token.COMMUNITY: "vk1.a.group-secret-7654321",
        Token.REFRESH: "QFYw2xkQDbSkK8bN:vk2.a.refresh-secret-1122334",
    },
    app={"client_id": "51234567"},
    post_ids=("1", "2"),
    comment=ReplyTo("comment-11", "comment-11-5", MessageKind.COMMENT, customer("5"), "1"),
    message=ReplyTo("message-12", "message-5", MessageKind.MESSAGE, customer("5"), None),
    before=before,
    refusals=(
        throttled("too many a second", 6, 1.0),
        throttled("flood", 9, None),
        throttled("captcha", 14, None),
        throttled("the day's limit", 29, None),
        error("authorisation", AuthExpired, 5),
        error("a group's token", AuthExpired, 27),
        error("an application's token", AuthExpired, 28),
        error("expired", AuthExpired, 1117),
        error("access", MissingPermission, 15),
        error("rights", MissingPermission, 7),
        error("not for this kind of token", MissingPermission, 1051),
        error("deleted", Gone, 18),
        error("a parameter", Rejected, 100),
        error("fifty posts a day", Rejected, 214),
        error("may not be written to", Rejected, 901),
        error("privacy", Rejected, 902),
        error("too long", Rejected, 914),
        error("an unknown failure", Transient, 1, to_a_change=OutcomeUnknown),
        error("inside", Transient, 10, to_a_change=OutcomeUnknown),
        Refusal("a broken server", Transient, b"<html>", 502, to_a_change=OutcomeUnknown),
    ),
    refresh_refusals=(
        id_error("used or too old", AuthExpired, "invalid_grant"),
        id_error("no such token", AuthExpired, "invalid_token", 401),
        id_error("another application", Rejected, "invalid_client"),
        id_error("a parameter", Rejected, "invalid_request", 200),
        id_error("inside", OutcomeUnknown, "server_error", 500),
        Refusal("too many", Throttled, {"error": "slow_down"}, 400, {"retry-after": "9"}, None, 9.0, LimitScope.TOKEN),
        Refusal("a broken server", OutcomeUnknown, b"<html>", 502),
    ),
    listed_by_conversations=frozenset({MessageKind.MESSAGE}),
    limits=(
        Limited("user_rps", LimitScope.TOKEN, "posts"),
        Limited("community_rps", LimitScope.TOKEN),
        Limited("wall_get_day", LimitScope.TOKEN, "posts", timed=False),
    ),
    codes={
        1: Transient, 5: AuthExpired, 6: Throttled, 7: MissingPermission, 9: Throttled, 10: Transient,
        14: Throttled, 15: MissingPermission, 18: Gone, 27: AuthExpired, 28: AuthExpired, 29: Throttled,
        100: Rejected, 203: MissingPermission, 214: Rejected, 1051: MissingPermission, 1117: AuthExpired,
    },
)  # fmt: skip
