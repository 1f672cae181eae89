"""Facebook Pages' specimen. A refusal is `{"error": {"code", …}}`, mostly with status 400."""

from typing import Final

import httpx

from app.platforms.capabilities import ReplyTo
from app.platforms.contract import (
    AuthExpired,
    Gone,
    LimitScope,
    MessageKind,
    Metric,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Token,
    Transient,
)
from app.platforms.meta.errors import OutsideWindow
from tests.platforms.specimens import Limited, Refusal, Specimen, customer, json_response


def before(request: httpx.Request) -> httpx.Response | None:
    """Uploads of an album's pictures, unpublished, before the post."""
    hidden = request.url.path.endswith("/photos") and b'name="published"\r\n\r\nfalse' in request.content
    return json_response({"id": "901"}) if hidden else None


def error(code: int | None, message: str = "of Meta's", **more: object) -> dict[str, object]:
    """A refusal; those of old versions have no code."""
    numbered = {} if code is None else {"code": code}
    return {"error": {"message": message, "type": "OAuthException", **numbered, "fbtrace_id": "A1b2", **more}}


def refused(
    name: str, means: type[PlatformError], code: int | None, *, message: str = "of Meta's", status: int = 400,
    to_a_change: type[PlatformError] | None = None, scopes: tuple[str, ...] | None = None, **more: object,
) -> Refusal:  # fmt: skip
    said = error(code, message, **more)
    return Refusal(f"{code} {name}", means, said, status, to_a_change=to_a_change, scopes=scopes)


def throttled(
    name: str, code: int, scope: LimitScope, *, business: str | None = None, seconds: float | None = None
) -> Refusal:
    headers = {} if business is None else {"x-business-use-case-usage": business}
    return Refusal(f"{code} {name}", Throttled, error(code), 400, headers, retry_after=seconds, scope=scope)


FULL: Final = (
    '{"77": [{"type": "pages", "call_count": 100, "total_cputime": 25, "total_time": 30,'
    ' "estimated_time_to_regain_access": 19}]}'
)
REFUSALS: Final = (
    throttled("the application's limit", 4, LimitScope.APP),
    throttled("the person's limit", 17, LimitScope.TOKEN),
    throttled("the Page's limit", 32, LimitScope.COMMUNITY),
    throttled("a limit of this call", 613, LimitScope.TOKEN),
    throttled("the Page's limit, and until when", 80_001, LimitScope.COMMUNITY, business=FULL, seconds=1140.0),
    throttled("Instagram's limit, and until when", 80_002, LimitScope.COMMUNITY, business=FULL, seconds=1140.0),
    throttled("Messenger's limit", 80_006, LimitScope.COMMUNITY),
    refused("the session", AuthExpired, 102, status=401),
    refused("the token", AuthExpired, 190, status=401),
    refused("the token has expired", AuthExpired, 190, error_subcode=463),
    refused("the password was changed", AuthExpired, 190, error_subcode=460),
    refused("the token, with status 200", AuthExpired, 190, status=200),
    throttled("an action's limit", 341, LimitScope.APP),
    refused("no token", AuthExpired, 104),
    refused("no token", AuthExpired, 2500, message="An active access token must be used to query information"),
    refused("a session", AuthExpired, 452),
    refused("the application was removed", AuthExpired, 190, error_subcode=458),
    refused("the account is to be confirmed", AuthExpired, 190, error_subcode=459),
    refused("the token was revoked", AuthExpired, 190, error_subcode=467),
    refused("the token, without a number", AuthExpired, None, message="Error validating access token."),
    refused("capability", MissingPermission, 3),
    refused(
        "permission", MissingPermission, 10,
        message="(#10) This endpoint requires the 'pages_read_engagement' permission or the 'Page Public Content"
        " Access' feature.", scopes=("pages_read_engagement",),
    ),
    refused(
        "permission", MissingPermission, 200, status=403,
        message="(#200) Requires pages_manage_posts permission to manage the object",
        scopes=("pages_manage_posts",),
    ),
    refused("permission", MissingPermission, 299),
    refused(
        "an object, for want of a permission", MissingPermission, 100,
        message="(#100) Object does not exist, cannot be loaded due to missing permission. This endpoint requires the"
        " 'pages_read_engagement' permission", scopes=("pages_read_engagement",),
    ),
    refused("no such object", Gone, 100, error_subcode=33, message="Unsupported get request. Object with ID '77'"),
    refused("no such aliases", Gone, 803, status=404),
    refused("a parameter", Rejected, 100, message="(#100) Invalid parameter"),
    refused("written a day ago", OutsideWindow, 10, error_subcode=2_018_278),
    refused("written long ago", OutsideWindow, 10, error_subcode=2_018_065),
    refused("nobody like that", Gone, 100, error_subcode=2_018_001),
    refused("the same post again", Rejected, 506),
    refused("nobody to write to", Rejected, 551, error_subcode=1_545_041),
    refused("an unknown code", Rejected, 1_234_567),
    refused("unknown", Transient, 1, to_a_change=OutcomeUnknown, status=500),
    refused("service", Transient, 2, to_a_change=OutcomeUnknown, status=503),
    refused("a message not sent", Transient, 1200, to_a_change=OutcomeUnknown),
    refused("an unknown code that passes", Transient, 1_234_567, to_a_change=OutcomeUnknown, is_transient=True),
    Refusal("368 blocked", Throttled, error(368), 400, scope=LimitScope.COMMUNITY, refuses="reads"),
    Refusal("368 blocked", Rejected, error(368), 400, refuses="changes"),
)  # fmt: skip

CODES: Final[dict[int | str, type[PlatformError]]] = {
    **dict.fromkeys((1, 2), Transient),
    **dict.fromkeys((3, 10, 200), MissingPermission),
    **dict.fromkeys((4, 17, 32, 368, 613, 80_001, 80_002), Throttled),
    **dict.fromkeys((100, 506, 551), Rejected),
    "10/2018278": OutsideWindow,
    **dict.fromkeys((102, 190, "190/460", "190/463"), AuthExpired),
    **dict.fromkeys(("100/33", 803), Gone),
}

SPECIMEN: Final = Specimen(
    address="https://www.facebook.com/coffee.house",
    external_id="77",
    tokens={Token.COMMUNITY: "EAABpage0secret0Nq7TzXo0kWm3", Token.USER: "EAABuser0secret0Kx2PfLr9vHd1"},
    app={"client_id": "440044004400", "client_secret": "4b1d0app0secret0c0ffee0d15ea5e"},
    post_ids=("77_1", "77_2"),
    comment=ReplyTo("1_11", "comment-1_11-5", MessageKind.COMMENT, customer("5"), "77_1"),
    message=ReplyTo("m_12", "message-5", MessageKind.MESSAGE, customer("5"), None),
    before=before,
    refusals=REFUSALS,
    refresh_refusals=(
        refused("the person's token", AuthExpired, 190, status=401),
        refused("the application's secret", Rejected, 1_234_567),
        refused("service", OutcomeUnknown, 2, status=503),
    ),
    absent_if_none=frozenset({Metric.SHARES}),
    listed_by_conversations=frozenset({MessageKind.MESSAGE}),
    limits=(
        Limited("page_calls", LimitScope.COMMUNITY),
        Limited("conversations_rps", LimitScope.TOKEN, "conversations", timed=False),
        Limited("app_calls", LimitScope.APP, "inspect", timed=False),
    ),
    codes=CODES,
    hook_signed=True,
)
