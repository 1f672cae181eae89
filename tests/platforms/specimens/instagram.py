"""Instagram's specimen. Its errors have Facebook's form, with some codes of its own."""

from typing import Final

import httpx

from app.platforms.capabilities import ReplyTo
from app.platforms.contract import (
    AuthExpired,
    LimitScope,
    MessageKind,
    MissingPermission,
    OutcomeUnknown,
    Rejected,
    Token,
    Transient,
)
from app.platforms.meta.errors import OutsideWindow
from tests.platforms.specimens import Limited, Specimen, customer, json_response
from tests.platforms.specimens.facebook import CODES, REFUSALS, refused

OWN_ID: Final = "17841400000000077"


def before(request: httpx.Request) -> httpx.Response | None:
    """The daily publishing limit, and media containers that are ready."""
    last = request.url.path.rpartition("/")[2]
    if last == "content_publishing_limit":
        return json_response({"data": [{"quota_usage": 3, "config": {"quota_total": 100, "quota_duration": 86400}}]})
    if request.method == "POST" and last == "media":
        return json_response({"id": "901"})
    if last == "901":
        return json_response({"id": "901", "status_code": "FINISHED", "status": "Finished"})
    return None


SPECIMEN: Final = Specimen(
    address="https://www.instagram.com/coffee.house",
    external_id=OWN_ID,
    tokens={Token.COMMUNITY: "EAABpage1secret1Nq7TzXo0kWm3", Token.USER: "IGAAuser1secret1Kx2PfLr9vHd1"},
    app={"client_id": "440044004400", "client_secret": "4b1d1app1secret1c0ffee0d15ea5e"},
    post_ids=("18000000000000001", "18000000000000002"),
    comment=ReplyTo("17900000000000011", "comment-1", MessageKind.COMMENT, customer("5"), "18000000000000001"),
    message=ReplyTo("aWdfZAG1faXRlbToxOjE3", "message-5", MessageKind.MESSAGE, customer("5"), None),
    before=before,
    refusals=(
        *REFUSALS,
        refused("the container has ended", Transient, -2, error_subcode=2_207_020),
        refused("the server", Transient, -1, error_subcode=2_207_001, to_a_change=OutcomeUnknown),
        refused("the day's posts", Rejected, 9, error_subcode=2_207_042),
        refused("no such container", Transient, 24, error_subcode=2_207_006),
        refused("a restricted account", MissingPermission, 25, error_subcode=2_207_050),
        refused("the picture cannot be fetched", Rejected, 9004, error_subcode=2_207_052),
        refused("the picture is not ready", Transient, 9007, error_subcode=2_207_027),
        refused("the picture is too large", Rejected, 36_000, error_subcode=2_207_004),
        refused("the picture's proportions", Rejected, 36_003, error_subcode=2_207_009),
        refused("the text is too long", Rejected, 36_004, error_subcode=2_207_010),
        refused("written a day ago", OutsideWindow, 10, error_subcode=2_534_022),
    ),
    refresh_refusals=(refused("the token", AuthExpired, 190, status=401),),
    listed_by_conversations=frozenset({MessageKind.MESSAGE, MessageKind.MENTION}),
    hinted_by_hooks=frozenset({MessageKind.MENTION}),
    limits=(
        Limited("instagram_calls", LimitScope.COMMUNITY),
        Limited("conversations_rps", LimitScope.TOKEN, "conversations", timed=False),
        Limited("app_calls", LimitScope.APP, "inspect", timed=False),
    ),
    codes=CODES,
    hook_signed=True,
    token_in_url=lambda path: path == "/refresh_access_token",
)
