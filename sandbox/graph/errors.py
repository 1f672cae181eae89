"""Graph's errors: `{"error": {message, type, code, error_subcode, fbtrace_id}}`.

Sources: the error handling guide, the recordings; the texts of subcodes from clients' reports.
"""

from __future__ import annotations

import hashlib
from typing import Final

from starlette.responses import Response

from sandbox.network import json_response

OAUTH: Final = "OAuthException"
METHOD: Final = "GraphMethodException"

KNOWN: Final[dict[str, tuple[str, int]]] = {
    "1": ("An unknown error occurred", 500),
    "2": ("Service temporarily unavailable", 503),
    "3": ("(#3) Application does not have the capability to make this API call.", 400),
    "4": ("(#4) Application request limit reached", 400),
    "10": ("(#10) Application does not have permission for this action", 400),
    "10/2018278": ("(#10) This message is sent outside of allowed window.", 400),
    "17": ("(#17) User request limit reached", 400),
    "32": ("(#32) Page request limit reached", 400),
    "100": ("(#100) Invalid parameter", 400),
    "100/33": ("Unsupported get request. Object with ID '0' does not exist.", 400),
    "102": ("Session key invalid or no longer valid", 401),
    "190": ("Invalid OAuth access token - Cannot parse access token", 400),
    "190/460": (
        "Error validating access token: The session has been invalidated because the user changed their password.",
        400,
    ),
    "190/463": ("Error validating access token: Session has expired.", 400),
    "200": ("(#200) Permissions error", 403),
    "368": ("The action attempted has been deemed abusive or is otherwise disallowed", 400),
    "506": ("Duplicate status message", 400),
    "551": ("(#551) This person isn't available right now.", 400),
    "613": ("(#613) Calls to this api have exceeded the rate limit.", 400),
    "803": ("(#803) Some of the aliases you requested do not exist", 404),
    "80001": ("There have been too many calls to this Page account. Wait a bit and try again.", 400),
    "80002": ("There have been too many calls to this Instagram account. Wait a bit and try again.", 400),
    "80006": ("There have been too many calls to this Messenger account. Wait a bit and try again.", 400),
}
"""By code, or code and subcode: the message and the HTTP status."""
_PASSING: Final = frozenset({1, 2, 4, 17, 32, 613})


class GraphError(Exception):
    """The request fails with this code; the default message is the usual one."""

    def __init__(
        self, code: int, message: str = "", *, subcode: int | None = None, kind: str = OAUTH, status: int | None = None
    ) -> None:
        usual = KNOWN.get(str(code) if subcode is None else f"{code}/{subcode}", ("", 400))
        super().__init__(message or usual[0])
        self.code, self.subcode, self.kind = code, subcode, kind
        self.status = usual[1] if status is None else status

    @property
    def body(self) -> dict[str, object]:
        said: dict[str, object] = {"message": str(self), "type": self.kind, "code": self.code}
        if self.subcode is not None:
            said["error_subcode"] = self.subcode
        if self.code in _PASSING:
            said["is_transient"] = self.code in {1, 2}
        said["fbtrace_id"] = "A" + hashlib.sha256(str(self).encode()).hexdigest()[:22]
        return {"error": said}


def fault(code: int | str) -> Response:
    """The error response for a code or `code/subcode`. Raises `ValueError` for an unknown one."""
    if str(code) not in KNOWN:
        raise ValueError(f"Graph has no error {code} here; there are {', '.join(KNOWN)}")
    number, _, sub = str(code).partition("/")
    error = GraphError(int(number), subcode=int(sub) if sub else None)
    return json_response(error.body, error.status)


def gone(object_id: str, doing: str = "get") -> GraphError:
    """The error for an id that does not exist or that the token may not see."""
    said = (
        f"Unsupported {doing} request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation. Please read the Graph API documentation at "
        "https://developers.facebook.com/docs/graph-api"
    )
    return GraphError(100, said, subcode=33, kind=METHOD)


def invalid(message: str, subcode: int | None = None) -> GraphError:
    return GraphError(100, f"(#100) {message}", subcode=subcode)
