"""`WireFormat`, which a platform's folder declares, and `Network`, which its handlers use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qs, parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.clock import Clock
from sandbox.entities import Community, Profile
from sandbox.grants import Grants, Kind, TokenRules
from sandbox.hooks import Hook, Hooks
from sandbox.limits import Counter
from sandbox.multipart import parts
from sandbox.world import World

MAX_BODY = 1 << 20

T = TypeVar("T")


def bearer(request: Request) -> str:
    """The token of the Authorization header; empty without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def usual_token(request: Request, body: bytes) -> str:
    """The bearer token, else `access_token` in the query or the form; empty without one."""
    if said := bearer(request):
        return said
    for source in (request.url.query, body.decode("utf-8", "replace")):
        if tokens := parse_qs(source).get("access_token"):
            return tokens[-1]
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFormat:
    """A wire format. `name` is its folder's name; its profiles name the platforms, usually one of that name."""

    name: str
    profiles: tuple[Profile, ...]
    """Its communities. Numbers are reserved: mastodon 1-3, vk 4-6, telegram 7-8, facebook 9-10,
    instagram 11-12, youtube 13-14, odnoklassniki 15-16, bluesky 17-18."""
    tokens: Mapping[Kind, tuple[str, ...]]
    """The kinds of tokens every community has from the start, and their default scopes."""
    token: Callable[[Profile, Kind, str], str]
    """Makes a token's text from its 64 hexadecimal digits."""
    prefixes: tuple[str, ...]
    """Path prefixes: all its routes begin with one of them, and no other wire format's do."""
    routes: Callable[[Network], list[Route]]
    address: Callable[[Network, Community], str]
    """The address a user enters to connect the community."""
    connection: Callable[[Network, Community], Mapping[str, object]] = lambda _, __: {}
    """More fields of a community in `GET /_sandbox/communities`, such as an application's id and secret."""
    variants: Mapping[str, object] = field(default_factory=dict)
    """By name: servers that differ, as data that the handlers read (`Network.variant`). The first is the default."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Default rate limits by name; `/_sandbox/limits` overrides them as `<wire>_<name>`."""
    token_of: Callable[[Request, bytes], str] = usual_token
    """The token of a request with that body, valid or not; empty without one."""
    fault: Callable[[int | str], Response] | None = None
    """An error response in the platform's format, by code. Raises `ValueError` for an impossible code."""
    hook: Hook | None = None
    """How webhook events are sent; None if it sends none."""
    extra_state: Callable[[World], object] | None = None
    """Makes the state it keeps besides the world, before the replay: see `Network.extra_state`. That state adds a
    listener to `world.listeners` and changes only on records, so that a replay rebuilds it."""

    @property
    def token_rules(self) -> TokenRules:
        return TokenRules(self.name, self.tokens, self.token)

    @property
    def platforms(self) -> frozenset[str]:
        return frozenset(profile.platform for profile in self.profiles)


@dataclass(slots=True)
class Network:
    """One running sandbox."""

    world: World
    clock: Clock
    grants: Grants
    real: Callable[[], float]
    """Real seconds since 1970."""
    counter: Counter
    hooks: Hooks
    wire_formats: tuple[WireFormat, ...]
    """The simulated wire formats."""
    extra_states: tuple[object, ...] = ()
    limits: dict[str, int] = field(init=False)
    """Rate limits by `<wire>_<name>`; changed through the control API."""
    variants: dict[str, str] = field(init=False)
    """The name of each wire format's variant; changed through the control API."""
    base_url: str = "http://127.0.0.1"
    """The sandbox's own URL; `serve` adds the port."""

    def __post_init__(self) -> None:
        self.limits = {
            f"{wire.name}_{name}": value for wire in self.wire_formats for name, value in wire.limits.items()
        }
        self.variants = {wire.name: next(iter(wire.variants)) for wire in self.wire_formats if wire.variants}

    def extra_state(self, kind: type[T]) -> T:
        """A wire format's own state, by its class."""
        return next(one for one in self.extra_states if isinstance(one, kind))

    def variant(self, kind: type[T]) -> T:
        """The variant in use, by its class."""
        selected = (wire.variants[self.variants[wire.name]] for wire in self.wire_formats if wire.variants)
        return next(one for one in selected if isinstance(one, kind))

    def choose(self, variants: Mapping[str, str]) -> None:
        """Use these variants, by wire format. Raises `ValueError` for an unknown name."""
        possible = {wire.name: wire.variants for wire in self.wire_formats if wire.variants}
        for wire, name in variants.items():
            if wire not in possible:
                raise ValueError(f"{wire} has no variants here")
            if name not in possible[wire]:
                raise ValueError(f"{wire} has no variant {name}; there are {', '.join(possible[wire])}")
        self.variants.update(variants)

    def wire(self, path: str) -> WireFormat | None:
        """The wire format a path belongs to; None for an unknown prefix."""
        return next((wire for wire in self.wire_formats if path.startswith(wire.prefixes)), None)

    def tick(self) -> None:
        """Run everything that is due by now."""
        self.world.advance(self.clock.now())

    def communities(self, platform: str) -> list[Community]:
        return [c for c in self.world.communities.values() if c.profile.platform == platform]


class BadParameterError(Exception):
    """A parameter is missing or invalid; `args[0]` is its name."""


class Params:
    """The parameters of a request, from its query and its form, JSON or multipart body."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def pairs(self) -> list[tuple[str, str]]:
        return [(name, value) for name, values in self._values.items() for value in values]

    def get(self, name: str, default: str = "") -> str:
        return self._values.get(name, [default])[-1]

    def all(self, name: str) -> list[str]:
        """The values of a repeated parameter: `id[]=1&id[]=2`, `id[0]=1` or `id=1&id=2`."""
        all_values = list(self._values.get(name, [])) + self._values.get(f"{name}[]", [])
        for key, values in self._values.items():
            if key.startswith(f"{name}[") and key[len(name) + 1 : -1].isdecimal():
                all_values += values
        return all_values

    def integer(self, name: str, default: int | None = None) -> int | None:
        """Raises `BadParameterError` if it is present and not an integer."""
        value = self.get(name)
        if not value:
            return default
        if not value.removeprefix("-").isascii() or not value.removeprefix("-").isdecimal() or len(value) > 20:
            raise BadParameterError(name)
        return int(value)

    def flag(self, name: str) -> bool:
        return self.get(name).lower() in ("1", "true", "t", "on", "yes")


async def params(request: Request) -> Params:
    """Read a request's parameters. Raises `BadParameterError` for a malformed or too large body."""
    pairs = parse_qsl(request.url.query, keep_blank_values=True)
    body = await request.body()
    if len(body) > MAX_BODY:
        raise BadParameterError("body")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if not body:
            pass
        elif kind == "application/json":
            pairs += _flat(orjson.loads(body))
        elif kind == "multipart/form-data":
            pairs += [(part.name, part.content.decode()) for part in parts(request.headers["content-type"], body)]
        else:
            pairs += parse_qsl(body.decode(), keep_blank_values=True)
    except (ValueError, AttributeError):
        raise BadParameterError("body") from None
    return Params(pairs)


def _flat(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        raise BadParameterError("body")
    pairs: list[tuple[str, str]] = []
    for name, inner in value.items():
        several = inner if isinstance(inner, list) else [inner]
        pairs += [
            (str(name), str(one).lower() if isinstance(one, bool) else str(one)) for one in several if one is not None
        ]
    return pairs


def json_response(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json; charset=utf-8")
