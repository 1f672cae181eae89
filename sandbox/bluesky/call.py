"""One XRPC call: parameters, token and limits, and the errors that refuse it."""

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
from sandbox.bluesky.wire_models import Json, ViewRenderer
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
"""The HTTP status of errors, where it is not 400."""
MESSAGES: Final = {
    "ExpiredToken": "Token has expired", "InvalidToken": "Token could not be verified",
    "AuthMissing": "Authentication Required", "AuthenticationRequired": "Authentication Required",
    "AccountTakedown": "Account has been taken down", "RateLimitExceeded": "Rate Limit Exceeded",
    "UpstreamFailure": "Upstream service unreachable", "InternalServerError": "Internal Server Error",
    "NotFound": "Post not found", "InvalidRequest": "Profile not found",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limit:
    """A caller's state within a rate limit."""

    quota: Quota
    seconds: int


class XrpcError(Exception):
    """An error response; `limit` is the rate limit that was exceeded."""

    def __init__(self, name: str, message: str | None = None, limit: Limit | None = None) -> None:
        self.name = name
        self.message = MESSAGES.get(name, name) if message is None else message
        self.limit = limit
        super().__init__(self.message)

    def response(self) -> Response:
        return json_response({"error": self.name, "message": self.message}, STATUSES.get(self.name, 400))


def fault(code: int | str) -> Response:
    """The error of this name, with its usual message."""
    if not str(code).isascii() or not str(code).isalpha():
        raise ValueError(f"{code} is no name of an error")
    return XrpcError(str(code)).response()


def token_of(request: Request, _: bytes) -> str:
    return tokens.without_expiry(bearer(request))


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
    views: ViewRenderer
    limit: Limit
    """The rate limit with the fewest calls left."""

    @property
    def repos(self) -> Repos:
        return self.network.extra_state(Repos)

    def own(self) -> Community:
        """The community of the access token."""
        if self.grant is None:
            raise XrpcError("AuthMissing")
        return self.network.world.communities[self.grant.community]

    def text(self, name: str) -> str:
        """A required query parameter."""
        values = self.query.get(name)
        if not values or not values[-1]:
            raise XrpcError("InvalidRequest", f'Error: Params must have the property "{name}"')
        return values[-1]

    def optional(self, name: str) -> str | None:
        values = self.query.get(name)
        return values[-1] if values else None

    def several(self, name: str, most: int) -> list[str]:
        values = self.query.get(name, [])
        if not values:
            raise XrpcError("InvalidRequest", f'Error: Params must have the property "{name}"')
        if len(values) > most:
            raise XrpcError("InvalidRequest", f"Error: {name} must not have more than {most} elements")
        return values

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
        """A required string of the body."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value:
            raise XrpcError("InvalidRequest", f'Error: Input must have the property "{name}"')
        return value

    def post(self, uri: str) -> tuple[Community, Entry] | None:
        """The existing post of a URI."""
        parts = ids.parse_uri(uri)
        if parts is None:
            raise XrpcError("InvalidRequest", "Error: uri must be a valid at-uri")
        owner, collection, rkey = parts
        if collection != ids.POST:
            return None
        for c in self.network.communities("bluesky"):
            entry_id = self.repos.find(c, rkey) or ids.entry_id(rkey)
            entry = None if entry_id is None else self.network.world.entry(c, entry_id)
            if entry is not None and self.views.author_did(c, entry) == owner and self.views.rkey(c, entry) == rkey:
                return c, entry
        return None

    def charge(self, name: str, subject: str, seconds: int, cost: int = 1) -> None:
        """Count the call against an account's limit."""
        allowed = self.network.limits[f"bluesky_{name}"]
        usage = Limit(self.network.counter.window(f"bluesky/{name}/{subject}", allowed, seconds, cost=cost), seconds)
        if usage.quota.refused:
            raise XrpcError("RateLimitExceeded", limit=usage)
        if usage.quota.remaining < self.limit.quota.remaining:
            self.limit = usage


Handler: TypeAlias = Callable[[Call], Json]


def headers(network: Network, request: Request, limit: Limit) -> dict[str, str]:
    """A PDS's rate-limit headers, by the clock of its `Date`.

    Served by a socket, that is the real clock; called in process, the world's.
    """
    served = TRANSPORT in request.scope.get("extensions", {})
    now = network.real() if served else network.world.now / 1000
    quota = limit.quota
    remaining_seconds = max(quota.reset_at - network.real(), 0)
    values = {
        "ratelimit-limit": str(quota.limit),
        "ratelimit-remaining": str(quota.remaining),
        "ratelimit-reset": str(math.ceil(now + remaining_seconds)),
        "ratelimit-policy": f"{quota.limit};w={limit.seconds}",
    }
    if not served:
        values["date"] = formatdate(now, usegmt=True)
    if quota.refused:
        values["retry-after"] = str(math.ceil(remaining_seconds))
    return values
