"""The errors of Mastodon and of the servers that speak its API.

    Mastodon, GoToSocial    {"error": "Record not found"}
    Pleroma                 as well, or {"errors": {"detail": "Not Found"}}
    Pixelfed                as well, or {"message": "Unauthenticated."}
    Misskey's family        {"error": {"code": "NO_SUCH_NOTE", "message": "No such note."}}

Sharkey and Firefish send such a code with status 401, whatever it says (Sharkey's `endpoints/status.ts`); so the
code takes precedence over the status.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx
from pydantic import ValidationError

from app.platforms import wire
from app.platforms.contract import (
    AuthExpired,
    Gone,
    Malformed,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Token,
    Transient,
    Unsupported,
)
from app.platforms.errors import ErrorMeaning
from app.platforms.mastodon.limits import resets_at, scope_of

CODE: Final = re.compile(r"[A-Z][A-Z_]{3,59}")
CODES: Final[Mapping[str, int]] = {
    "NO_SUCH_NOTE": 404,
    "NO_SUCH_USER": 404,
    "AUTHENTICATION_FAILED": 401,
    "CREDENTIAL_REQUIRED": 401,
    "PERMISSION_DENIED": 403,
    "ROLE_PERMISSION_DENIED": 403,
    "YOUR_ACCOUNT_SUSPENDED": 403,
    "RATE_LIMIT_EXCEEDED": 429,
    "INTERNAL_ERROR": 500,
}
"""The status that each code stands for; other codes are refusals."""
OPTIONAL: Final = re.compile(r".*/api/v\d+/(apps/verify_credentials|notifications|statuses|media)")
"""Endpoints without an id in their path: where a read of one is answered with 404, the server does not have it."""
NO_SUCH_METHOD: Final = frozenset({httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.NOT_IMPLEMENTED})
NEEDED_SCOPES: Final = (
    ("POST", re.compile(r".*/api/v\d+/media"), "write:media"),
    ("POST", re.compile(r".*/api/v\d+/statuses"), "write:statuses"),
    ("GET", re.compile(r".*/api/v\d+/notifications"), "read:notifications"),
    ("GET", re.compile(r".*/api/v\d+/(statuses.*|accounts/[^/]+/statuses)"), "read:statuses"),
    ("GET", re.compile(r".*/api/v\d+/media/.+"), "write:media"),
    ("GET", re.compile(r".*/api/v\d+/(accounts|apps)/.+"), "read:accounts"),
)
"""Method, path and scope of the requests that the adapter makes; the first that matches counts."""
SCOPE: Final = re.compile(r"\b(?:read|write|follow|push|admin)(?::[a-z_]+)*\b")


class Complaint(wire.Model):
    error: object = None
    errors: object = None
    message: object = None


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The text and code in a JSON body; either may be empty."""

    text: str = ""
    code: str = ""


def from_response(response: httpx.Response) -> PlatformError | None:
    """The error that a response reports, by a code in the body, else by its status; None where it reports none."""
    if response.is_success:
        return None
    request = wire.request_of(response)
    body = _error_body(response)
    status, code = _status(response, body), body.code if body is not None and body.code else str(response.status_code)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Throttled(
            "the server asks for fewer calls",
            retry_after=wire.retry_after(response, resets_at(response)),
            scope=scope_of(request),
            platform_code=code,
        )
    if _is_unsupported(response.status_code, request):
        return Unsupported("the server does not have this function", platform_code=code)
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        refused = body is not None and status == httpx.codes.SERVICE_UNAVAILABLE
        if request is not None and request.method == "POST" and not refused:
            return OutcomeUnknown("the server failed while it handled the change", platform_code=code)
        return Transient(ErrorMeaning.UNAVAILABLE.text("the server"), platform_code=code)
    if status == httpx.codes.UNAUTHORIZED:
        return AuthExpired("the server does not accept the token", token=Token.COMMUNITY, platform_code=code)
    if status == httpx.codes.FORBIDDEN:
        return MissingPermission("the server does not allow this", scopes=_scopes(body, request), platform_code=code)
    if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        return Gone("the server has no such account or status", platform_code=code)
    if status == httpx.codes.REQUEST_TIMEOUT:
        return Transient("the server timed out while it waited for the request", platform_code=code)
    if not 400 <= status < 500:
        return Malformed("the server sends a redirect, which is not followed", platform_code=code)
    text = body.text if body is not None else ""
    detail = f": {wire.explanation(text, wire.sent_secrets(response))}" if text else ""
    return Rejected(f"the server refused the request{detail}", platform_code=code)


def _status(response: httpx.Response, body: ErrorBody | None) -> int:
    """The status, or the one that the body stands for."""
    status, request = response.status_code, wire.request_of(response)
    authorised = request is not None and "authorization" in request.headers
    if body is None:
        # Takahe refuses a bad token with 400 and plain text.
        is_text = not response.text.lstrip().startswith("<")
        return 401 if status == httpx.codes.BAD_REQUEST and authorised and is_text else status
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return status
    if body.code:
        return CODES.get(body.code, 400 if status == httpx.codes.UNAUTHORIZED else status)
    if status == httpx.codes.UNPROCESSABLE_ENTITY and "requires an authenticated user" in body.text:
        return 401  # the token is an application's, not an account's
    return status


def _is_unsupported(status: int, request: httpx.Request | None) -> bool:
    if status in NO_SUCH_METHOD:
        return True
    if request is None or request.method != "GET" or status != httpx.codes.NOT_FOUND:
        return False
    return OPTIONAL.fullmatch(request.url.path) is not None


def _scopes(body: ErrorBody | None, request: httpx.Request | None) -> tuple[str, ...]:
    """The scopes that a token lacks: those that Pleroma names, else the one that the request needs."""
    text = "" if body is None else body.text.lower()
    if "insufficient permissions" in text:
        return tuple(dict.fromkeys(SCOPE.findall(text)))
    return (needed_scope(request),) if "scope" in text and request is not None else ()


def needed_scope(request: httpx.Request) -> str:
    """The scope of a request; `read` or `write` for one that is not in `NEEDED_SCOPES`."""
    for method, path, scope in NEEDED_SCOPES:
        if request.method == method and path.fullmatch(request.url.path) is not None:
            return scope
    return "read" if request.method == "GET" else "write"


def _error_body(response: httpx.Response) -> ErrorBody | None:
    """None where the body is no JSON object."""
    try:
        complaint = Complaint.model_validate_json(response.content)
    except ValidationError:
        return None
    error = complaint.error if complaint.error is not None else complaint.errors
    if isinstance(error, dict):
        code, text = error.get("code"), error.get("message", error.get("detail"))
    else:
        code, text = error, error
    valid_code = code if isinstance(code, str) and CODE.fullmatch(code) else ""
    texts = (candidate for candidate in (text, complaint.message) if isinstance(candidate, str))
    return ErrorBody(next(texts, ""), valid_code)
