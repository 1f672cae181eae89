"""Odnoklassniki's errors: HTTP 200 with a code and a name. Source: apiok.ru, "Errors"."""

from typing import Final

from starlette.responses import Response

from sandbox.network import json_response

TEXTS: Final[dict[int, str]] = {
    1: "UNKNOWN : Unknown error",
    2: "SERVICE : Service is temporary unavailable",
    3: "METHOD : Method does not exist",
    7: "ACTION_BLOCKED : The requested action is temporarily blocked for the current user",
    8: "FLOOD_BLOCKED : The execution of the method is blocked because of flood",
    9: "IP_BLOCKED : The execution of the method is blocked by IP address",
    10: "PERMISSION_DENIED : Permission denied",
    11: "LIMIT_REACHED : Method call limit is reached",
    50: "NOT_ADMIN : The user has no administrative rights",
    100: "PARAM : Missing or invalid parameter",
    101: "PARAM_API_KEY : Application key is missing or invalid",
    102: "PARAM_SESSION_EXPIRED : Session expired",
    103: "PARAM_SESSION_KEY : Invalid session key",
    104: "PARAM_SIGNATURE : Invalid signature",
    121: "PARAM_PHOTO_ID : Invalid photo id",
    140: "PARAM_MESSAGE_ID : Invalid message id",
    141: "PARAM_COMMENT_ID : Invalid comment id",
    160: "PARAM_GROUP_ID : Invalid group id",
    200: "PARAM_PERMISSION : Application has no permission to perform the operation",
    300: "NOT_FOUND : Not found",
    453: "SESSION_REQUIRED : The method requires a session",
    500: "PHOTO_SIZE_LIMIT_EXCEEDED : The photo is too large",
    505: "PHOTO_NO_IMAGE : No image",
    600: "MEDIA_TOPIC_BLOCK_LIMIT : Too many media parameters",
    601: "MEDIA_TOPIC_TEXT_LIMIT : Text limit reached",
    705: "CHAT_NOT_FOUND : Chat is not found",
    2001: "GRAPH_PARAM_REQUEST : Invalid request",
    9999: "SYSTEM : Critical system error",
}


class OkError(Exception):
    """An error response; `detail` is appended to its message."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def refusal(code: int, detail: str = "") -> Response:
    message = TEXTS.get(code, TEXTS[1]) + (f" : {detail}" if detail else "")
    body = {"error_code": code, "error_msg": message, "error_data": None}
    return json_response(body, headers={"invocation-error": str(code)})


def fault(code: int | str) -> Response:
    return refusal(int(code))
