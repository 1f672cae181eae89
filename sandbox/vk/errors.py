"""VK's errors: HTTP 200 with an error code. Source: errors.json of the schema."""

from typing import Final

TEXTS: Final[dict[int, str]] = {
    1: "Unknown error occurred",
    3: "Unknown method passed",
    5: "User authorization failed: invalid access_token (4).",
    6: "Too many requests per second",
    8: "Invalid request: v (version) is required",
    9: "Flood control",
    10: "Internal server error",
    12: "Unable to compile code",
    13: "Runtime error occurred during code invocation",
    14: "Captcha needed",
    15: "Access denied",
    18: "User was deleted or banned",
    27: "Group authorization failed: method is unavailable with group auth.",
    28: "Application authorization failed: method is unavailable with service token.",
    29: "Rate limit reached",
    100: "One of the parameters specified was missing or invalid",
    113: "Invalid user id",
    121: "Invalid hash",
    125: "Invalid group id",
    203: "Access to group denied",
    210: "Access to wall's post denied",
    211: "Access to wall's comment denied",
    212: "Access to post comments denied",
    213: "Access to status replies denied",
    214: "Access to adding post denied: a limit of 50 posts a day",
    243: "Comment has not been deleted",
    901: "Can't send messages for users without permission",
    914: "Message is too long",
    1051: "Method is unavailable for the current profile",
    1117: "Access token has expired",
    2000: "Cannot add more servers",
}


class VkError(Exception):
    """An error response; `detail` is appended to its message."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def body(code: int, detail: str = "", parameters: list[tuple[str, str]] | None = None) -> dict[str, object]:
    """The response body; `parameters` are the request's, without tokens."""
    error: dict[str, object] = {
        "inner_type": "base_error",
        "error_code": code,
        "error_msg": TEXTS.get(code, TEXTS[1]) + (f": {detail}" if detail else ""),
        "request_params": [{"key": name, "value": value} for name, value in parameters or [] if name != "access_token"],
    }
    if code == 14:
        error |= {"captcha_sid": "239633676097", "captcha_img": "https://api.vk.ru/captcha.php?sid=239633676097"}
    return {"error": error}
