"""One XRPC call, understood as far as all calls are alike, and how one is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from sandbox.bluesky import ids, tokens
from sandbox.bluesky.repos import Repos
from sandbox.bluesky.wire_models import Json, Shapes
from sandbox.entities import Community, Entry
from sandbox.faults import TRANSPORT
from sandbox.grants import Grant
from sandbox.limits import Quota
from sandbox.network import Network, bearer, json_response

STATUSES: Final = {
    "AuthMissing": 401, "AuthenticationRequired": 401, "AccountTakedown": 401, "Forbidden": 403,
    "PayloadTooLarge": 413, "RateLimitExceeded": 429, "InternalServerError": 500, "MethodNotImplemented": 501,
    "UpstreamFailure": 502, "NotEnoughResources": 503,
}  # fmt: skip
"""Of errors whose status is not 400."""
WORDS: Final = {
    "ExpiredToken": "Token has expired", "InvalidToken": "Token could not be verified",
    "AuthMissing": "Authentication Required", "AuthenticationRequired": "Authentication Required",
    "AccountTakedown": "Account has been taken down", "RateLimitExceeded": "Rate Limit Exceeded",
    "UpstreamFailure": "Upstream service unreachable", "InternalServerError": "Internal Server Error",
    "NotFound": "Post not found", "InvalidRequest": "Profile not found",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limit:
    """How a caller stands within a limit of so many seconds."""

    allowance: Quota
    seconds: int


class XrpcError(Exception):
    """An answer that is an error; `limit` is the one that was met."""

    def __init__(self, name: str, message: str | None = None, limit: Limit | None = None) -> None:
        self.name = name
        self.message = WORDS.get(name, name) if message is None else message
        self.limit = limit
        super().__init__(self.message)

    def response(self) -> Response:
        return json_response({"error": self.name, "message": self.message}, STATUSES.get(self.name, 400))


def fault(code: int | str) -> Response:
    """An error by its name; its words are the usual ones."""
    if not str(code).isascii() or not str(code).isalpha():
        raise ValueError(f"{code} is no name of an error")
    return XrpcError(str(code)).response()


def token_of(request: Request, _: bytes) -> str:
    return tokens.untimed(bearer(request))


@dataclass(slots=True)
class Call:
    """One call."""

    network: Network
    request: Request
    method: str
    body: bytes
    query: dict[str, list[str]]
    fields: Json
    grant: Grant | None
    shapes: Shapes
    limit: Limit
    """The one that is nearest to its end."""

    @property
    def repos(self) -> Repos:
        return self.network.extra_state(Repos)

    def own(self) -> Community:
        """The community whose access token it is."""
        if self.grant is None:
            raise XrpcError("AuthMissing")
        return self.network.world.communities[self.grant.community]

    def text(self, name: str) -> str:
        """A parameter of the query that is needed."""
        found = self.query.get(name)
        if not found or not found[-1]:
            raise XrpcError("InvalidRequest", f'Error: Params must have the property "{name}"')
        return found[-1]

    def optional(self, name: str) -> str | None:
        found = self.query.get(name)
        return found[-1] if found else None

    def several(self, name: str, most: int) -> list[str]:
        found = self.query.get(name, [])
        if not found:
            raise XrpcError("InvalidRequest", f'Error: Params must have the property "{name}"')
        if len(found) > most:
            raise XrpcError("InvalidRequest", f"Error: {name} must not have more than {most} elements")
        return found

    def number(self, name: str, default: int, least: int, most: int) -> int:
        value = self.optional(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdecimal() or len(value) > 9:
            raise XrpcError("InvalidRequest", f"Error: {name} must be an integer")
        if not least <= int(value) <= most:
            bound = f"less than {least}" if int(value) < least else f"greater than {most}"
            raise XrpcError("InvalidRequest", f"Error: {name} can not be {bound}")
        return int(value)

    def field(self, name: str) -> str:
        """A text of the body that is needed."""
        found = self.fields.get(name)
        if not isinstance(found, str) or not found:
            raise XrpcError("InvalidRequest", f'Error: Input must have the property "{name}"')
        return found

    def post(self, uri: str) -> tuple[Community, Entry] | None:
        """The post of a URI, if it stands."""
        told = ids.parsed(uri)
        if told is None:
            raise XrpcError("InvalidRequest", "Error: uri must be a valid at-uri")
        owner, collection, rkey = told
        if collection != ids.POST:
            return None
        for c in self.network.communities("bluesky"):
            entry_id = self.repos.find(c, rkey) or ids.entry_id(rkey)
            entry = None if entry_id is None else self.network.world.entry(c, entry_id)
            if entry is not None and self.shapes.author_did(c, entry) == owner and self.shapes.rkey(c, entry) == rkey:
                return c, entry
        return None

    def charge(self, name: str, whom: str, seconds: int, cost: int = 1) -> None:
        """Count against a limit of an account."""
        allowed = self.network.limits[f"bluesky_{name}"]
        taken = Limit(self.network.counter.window(f"bluesky/{name}/{whom}", allowed, seconds, cost=cost), seconds)
        if taken.allowance.refused:
            raise XrpcError("RateLimitExceeded", limit=taken)
        if taken.allowance.remaining < self.limit.allowance.remaining:
            self.limit = taken


Handler: TypeAlias = Callable[[Call], Json]


def headers(network: Network, request: Request, limit: Limit) -> dict[str, str]:
    """What a PDS tells of its limits, by the clock of its `Date`.

    In production that is the server's; where nothing stands between us and the caller it is the world's.
    """
    served = TRANSPORT in request.scope.get("extensions", {})
    now = network.real() if served else network.world.now / 1000
    allowance = limit.allowance
    left = max(allowance.reset_at - network.real(), 0)
    found = {
        "ratelimit-limit": str(allowance.limit),
        "ratelimit-remaining": str(allowance.remaining),
        "ratelimit-reset": str(math.ceil(now + left)),
        "ratelimit-policy": f"{allowance.limit};w={limit.seconds}",
    }
    if not served:
        found["date"] = formatdate(now, usegmt=True)
    if allowance.refused:
        found["retry-after"] = str(math.ceil(left))
    return found
