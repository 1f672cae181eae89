"""What Mastodon's answers say went wrong."""

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
)
from app.platforms.mastodon.limits import whom
from app.platforms.mastodon.shapes import Complaint


def failure(response: httpx.Response) -> PlatformError | None:
    """The status tells what went wrong; the body's `error` is for people."""
    status = response.status_code
    if response.is_success:
        return None
    request = wire.request_of(response)
    authorised = request is not None and "authorization" in request.headers
    said = _complaint(response)
    code = str(status)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Throttled(
            "the server asks for fewer calls",
            retry_after=wire.retry_after(response, wire.iso_date(response.headers.get("x-ratelimit-reset"))),
            scope=whom(request),
            platform_code=code,
        )
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        refused = said is not None and status == httpx.codes.SERVICE_UNAVAILABLE
        if request is not None and request.method == "POST" and not refused:
            return OutcomeUnknown("the server failed while it handled the change", platform_code=code)
        return Transient("the server is unwell", platform_code=code)
    # Takahe answers a bad token with 400 and plain text.
    if status == httpx.codes.UNAUTHORIZED or (status == httpx.codes.BAD_REQUEST and authorised and said is None):
        return AuthExpired("the server does not accept the token", token=Token.COMMUNITY, platform_code=code)
    if status == httpx.codes.FORBIDDEN:
        scopes = ("read", "write") if said is not None and "scope" in said.lower() else ()
        return MissingPermission("the server does not allow this", scopes=scopes, platform_code=code)
    if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        return Gone("the server has no such account or status", platform_code=code)
    if status == httpx.codes.REQUEST_TIMEOUT:
        return Transient("the server waited for us in vain", platform_code=code)
    if not response.is_client_error:
        return Malformed("the server sends us elsewhere, where we do not follow", platform_code=code)
    detail = "" if said is None else f": {wire.explanation(said, wire.sent_secrets(response))}"
    return Rejected(f"the server refused the request{detail}", platform_code=code)


def _complaint(response: httpx.Response) -> str | None:
    try:
        return Complaint.model_validate_json(response.content).error
    except ValidationError:
        return None
