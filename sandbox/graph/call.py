"""A Graph request: its parameters, its token, and the token's permissions."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from sandbox.entities import Community
from sandbox.grants import Grant
from sandbox.graph import ids
from sandbox.graph.errors import METHOD, GraphError, invalid
from sandbox.multipart import parts
from sandbox.network import Network
from sandbox.world import World

VERSION: Final = "v26.0"
MAX_BODY: Final = 20 * 1024 * 1024


def app_secret(world: World) -> str:
    """The application's secret, used for `appsecret_proof` and to sign webhook events."""
    return hashlib.sha256(f"{world.seed}:graph:app".encode()).hexdigest()[:32]


def verify_token(world: World) -> str:
    """The default verify token of the application's webhook."""
    return hashlib.sha256(f"{world.seed}:graph:verify".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Picture:
    """An uploaded file."""

    content: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of the request's token."""

    token: str = field(repr=False)
    grant: Grant | None
    """None for the application itself."""
    own: Community | None

    @property
    def is_page(self) -> bool:
        """Whether it is a Page token, of the Page itself or of the one an Instagram account is connected to."""
        return self.grant is not None and self.grant.kind == "community"

    @property
    def is_instagram_login(self) -> bool:
        """Whether it is a token of Instagram Login, for graph.instagram.com."""
        return self.own is not None and ids.is_instagram(self.own) and not self.is_page


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose token is valid."""

    network: Network
    caller: Caller
    method: str
    path: tuple[str, ...]
    params: Mapping[str, str]
    files: Mapping[str, Picture] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.network.world

    def get(self, name: str, default: str = "") -> str:
        return self.params.get(name, default)

    def flag(self, name: str, default: str = "") -> bool:
        return self.get(name, default).lower() in {"1", "true", "yes"}

    def structure(self, name: str) -> object:
        """A JSON parameter, decoded; None if absent. Raises `GraphError` 100 for invalid JSON."""
        if name not in self.params:
            return None
        try:
            return orjson.loads(self.params[name])
        except orjson.JSONDecodeError:
            raise invalid(f"param {name} must be valid JSON.") from None

    def needs(self, *scopes: str, code: int = 10) -> None:
        """Raise `GraphError` with `code` unless the token has one of these equivalent scopes."""
        if self.caller.grant is not None and not self.caller.grant.scopes & set(scopes):
            if code == 100:
                raise invalid(
                    "Object does not exist, cannot be loaded due to missing permission or reviewable feature, or does "
                    f"not support this operation. This endpoint requires the '{scopes[0]}' permission or the 'Page "
                    "Public Content Access' feature."
                )
            said = "permission to manage the object" if code == 200 else "permission"
            raise GraphError(code, f"(#{code}) This endpoint requires the '{scopes[0]}' {said}.")

    def needs_page(self) -> None:
        """Raise `GraphError` 190 for a Facebook user's token."""
        if not self.caller.is_page and not self.caller.is_instagram_login:
            raise GraphError(190, "(#190) This method must be called with a Page Access Token")


def authenticate(network: Network, params: Mapping[str, str], token: str) -> Caller:
    """The token's owner. Raises `GraphError` if the token is missing, unknown, expired or revoked."""
    if not token:
        raise GraphError(104, "An access token is required to request this resource.")
    if proof := params.get("appsecret_proof"):
        expected = hmac.new(app_secret(network.world).encode(), token.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(proof.encode(), expected.encode()):
            raise GraphError(100, "Invalid appsecret_proof provided in the API argument", kind=METHOD)
    if token == f"{ids.APP}|{app_secret(network.world)}":
        return Caller(token, None, None)
    grant = network.grants.find(token, "graph")
    if grant is None:
        raise GraphError(190)
    if grant.state != "good":
        raise GraphError(190, subcode=463 if grant.state == "expired" else 460)
    return Caller(token, grant, network.world.communities[grant.community])


async def parameters(request: Request) -> tuple[dict[str, str], dict[str, Picture]]:
    """A request's parameters and files. Raises `GraphError` 100 for a malformed or too large body."""
    values = dict(parse_qsl(request.url.query, keep_blank_values=True))
    files: dict[str, Picture] = {}
    body = await request.body()
    if len(body) > MAX_BODY:
        raise invalid("The request is too large")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json" and body:
            values |= {name: _text(value) for name, value in orjson.loads(body).items()}
        elif kind == "multipart/form-data":
            for part in parts(request.headers["content-type"], body):
                if part.filename is not None:
                    files[part.name] = Picture(part.content, part.content_type)
                else:
                    values[part.name] = part.content.decode()
        else:
            values |= dict(parse_qsl(body.decode(), keep_blank_values=True))
    except (ValueError, TypeError, AttributeError):
        raise invalid("The request cannot be read") from None
    return values, files


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
