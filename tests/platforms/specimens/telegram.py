"""Telegram's specimen. Errors with 400 and 403 differ only in their descriptions."""

from typing import Final

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
from tests.platforms.specimens import Limited, Refusal, Specimen, customer

GROUP: Final = "-1002000000077"


def error(
    means: type[PlatformError],
    code: int,
    description: str,
    *,
    to_a_change: type[PlatformError] | None = None,
    scopes: tuple[str, ...] | None = None,
    **parameters: int,
) -> Refusal:
    said = {"ok": False, "error_code": code, "description": description, "parameters": parameters}
    return Refusal(description, means, said, code, to_a_change=to_a_change, scopes=scopes)


WAIT: Final = {
    "ok": False, "error_code": 429, "description": "Too Many Requests: retry after 14",
    "parameters": {"retry_after": 14},
}  # fmt: skip

SPECIMEN: Final = Specimen(
    address="https://t.me/coffee_daily",
    external_id="-1001000000077",
    aliases=frozenset({GROUP, "7000000077"}),
    tokens={Token.COMMUNITY: "7000000077:AAbot-secret_1234567890123456789012"},
    token_in_url=lambda _: True,
    post_ids=("16", "32"),
    comment=ReplyTo(f"{GROUP}_5000048", f"{GROUP}_5000016_5", MessageKind.COMMENT, customer("5"), "16"),
    message=ReplyTo("5_12", "5", MessageKind.MESSAGE, customer("5"), None),
    not_offered=frozenset({"posts", "metrics", "conversations"}),
    refusals=(
        Refusal("a bot's calls", Throttled, WAIT, 429, retry_after=14.0, scope=LimitScope.TOKEN, refuses="reads"),
        Refusal(
            "a chat's messages", Throttled, WAIT, 429, retry_after=14.0, scope=LimitScope.COMMUNITY, refuses="changes",
        ),
        Refusal("too many", Throttled, b"", 429, scope=LimitScope.TOKEN, refuses="reads"),
        Refusal(
            "too many, by the description alone", Throttled, {**WAIT, "parameters": {}}, 429, retry_after=14.0,
            scope=LimitScope.TOKEN, refuses="reads",
        ),
        error(AuthExpired, 401, "Unauthorized"),
        error(AuthExpired, 404, "Not Found"),
        error(AuthExpired, 400, "Logged out"),
        error(AuthExpired, 401, "[Error]: Unauthorized"),
        Refusal("by the description alone", AuthExpired, {"ok": False, "description": "Unauthorized"}, 401),
        Refusal("with no code at all", Rejected, {"ok": False, "description": "nope"}, 200),
        error(Rejected, 404, "Not Found: method not found"),
        error(Gone, 400, "Bad Request: chat not found"),
        error(Gone, 400, "Bad Request: message to be replied not found"),
        error(Gone, 400, "Bad Request: reply message not found"),
        error(Gone, 400, "Bad Request: MESSAGE_ID_INVALID"),
        error(Gone, 400, "Bad Request: PEER_ID_INVALID"),
        error(Gone, 400, "Bad Request: member not found"),
        error(Gone, 400, "Bad Request: group is deactivated"),
        error(Gone, 400, "[Error]: Bad Request: user not found"),
        error(Gone, 403, "Forbidden: the group chat was deleted"),
        error(
            Gone, 400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1002000000078
        ),
        error(Rejected, 400, "Bad Request: message is too long"),
        error(Rejected, 400, "Bad Request: message text is empty"),
        error(Rejected, 413, "Request Entity Too Large"),
        error(Rejected, 403, "Forbidden: bot was blocked by the user"),
        error(Rejected, 403, "Forbidden: user is deactivated"),
        error(Rejected, 403, "Forbidden: bot can't initiate conversation with a user"),
        error(Rejected, 401, "Unauthorized: bot can't send messages to bots"),
        error(MissingPermission, 401, "Unauthorized: bot was kicked from a chat", scopes=("administrator",)),
        error(MissingPermission, 400, "Bad Request: CHAT_SEND_PHOTOS_FORBIDDEN", scopes=("can_send_messages",)),
        error(
            MissingPermission, 400, "Bad Request: not enough rights to manage pinned messages in the chat",
            scopes=("administrator",),
        ),
        error(MissingPermission, 403, "Forbidden: bot was kicked from the channel chat", scopes=("administrator",)),
        error(MissingPermission, 403, "Forbidden: bot is not a member of the channel chat", scopes=("administrator",)),
        error(
            MissingPermission, 400, "Bad Request: need administrator rights in the channel chat",
            scopes=("can_post_messages",),
        ),
        error(
            MissingPermission, 400, "Bad Request: not enough rights to send text messages to the chat",
            scopes=("can_send_messages",),
        ),
        error(MissingPermission, 400, "Bad Request: CHAT_ADMIN_REQUIRED", scopes=("administrator",)),
        error(MissingPermission, 403, "Forbidden: something new", scopes=("administrator",)),
        error(Transient, 409, "Conflict: terminated by other getUpdates request"),
        error(Transient, 500, "Internal Server Error", to_a_change=OutcomeUnknown),
        error(Transient, 502, "Bad Gateway", to_a_change=OutcomeUnknown),
        Refusal("a broken server", Transient, b"<html>", 502, to_a_change=OutcomeUnknown),
    ),
    limits=(
        Limited("bot_rps", LimitScope.TOKEN),
        Limited("chat_rps", LimitScope.COMMUNITY, "publish text"),
        Limited("group_rpm", LimitScope.COMMUNITY, "publish text"),
    ),
    codes={
        400: Rejected, 401: AuthExpired, 403: MissingPermission, 404: AuthExpired, 409: Transient, 413: Rejected,
        429: Throttled, 500: Transient, 502: Transient, "400 chat not found": Gone, "400 message is too long": Rejected,
        "400 member list is inaccessible": MissingPermission, "403 bot was blocked by the user": Rejected,
        "403 bot was kicked from the channel chat": MissingPermission, "404 method not found": Rejected,
    },
)  # fmt: skip
