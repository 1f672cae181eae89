"""What a platform's folder declares: its communities, and the wire format in which they are reached."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.entities import Community, Profile

if TYPE_CHECKING:
    from sandbox.hooks import Hook
    from sandbox.network import Network
    from sandbox.world import World

Kind: TypeAlias = str
"""What a token is for. `community` and `user` act for a community or its administrator; others are a
platform's own: `app` (an API key), `refresh` (gets access tokens, nothing else), `password` (likewise)."""


class WireError(RuntimeError):
    """A folder declares no wire format, or two wire formats claim the same."""


def bearer(request: Request) -> str:
    """The token of the Authorization header; empty without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def usual_token(request: Request, body: bytes) -> str:
    """The token where most platforms have it: a bearer's, else `access_token` in the query or the form."""
    if said := bearer(request):
        return said
    for source in (request.url.query, body.decode("utf-8", "replace")):
        if found := parse_qs(source).get("access_token"):
            return found[-1]
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A wire format. `name` is its folder's; its profiles say which platforms speak it, mostly one of that name."""

    name: str
    profiles: tuple[Profile, ...]
    """Its communities. Numbers are reserved: mastodon 1-3, vk 4-6, telegram 7-8, facebook 9-10,
    instagram 11-12, youtube 13-14, odnoklassniki 15-16, bluesky 17-18."""
    tokens: Mapping[Kind, tuple[str, ...]]
    """The kinds of tokens every community has from the start, and their scopes where none are given."""
    token: Callable[[Profile, Kind, str], str]
    """A token's text, from 64 hexadecimal digits that are its own."""
    prefixes: tuple[str, ...]
    """How its paths begin. No other wire format's may begin so, and every route has to."""
    routes: Callable[[Network], list[Route]]
    address: Callable[[Network, Community], str]
    """What a person would type in to connect the community."""
    connection: Callable[[Network, Community], Mapping[str, object]] = lambda _, __: {}
    """What else `GET /_sandbox/communities` tells of a community, such as an application's id and secret."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Rate limits by name, as they are unless `/_sandbox/limits` sets `<wire>_<name>`."""
    token_of: Callable[[Request, bytes], str] = usual_token
    """The token of a request with that body, whether it is good or not; empty without one."""
    fault: Callable[[int | str], Response] | None = None
    """An error in the platform's own form, by its code. `ValueError` for a code that cannot be one."""
    hook: Hook | None = None
    """How events are sent to whoever subscribes."""
    fold: Callable[[World], object] | None = None
    """What it keeps besides the world, made before the past is replayed: see `Network.part`. It adds its
    listener to `world.listeners` and changes only when that is told of a record, so that a replay rebuilds it."""

    @property
    def platforms(self) -> frozenset[str]:
        return frozenset(profile.platform for profile in self.profiles)


@cache
def declared() -> tuple[Wire, ...]:
    """The wire formats of all folders, in the order of their communities' numbers.

    Raises `WireError` for a folder without one, or for two that claim the same.
    """
    package = importlib.import_module("sandbox")
    found: list[Wire] = []
    for folder in pkgutil.iter_modules(package.__path__):
        if folder.ispkg:
            wire = getattr(importlib.import_module(f"sandbox.{folder.name}"), "WIRE", None)
            if not isinstance(wire, Wire) or wire.name != folder.name:
                raise WireError(f"sandbox.{folder.name} must declare WIRE, a Wire of that name")
            found.append(wire)
    return compatible(found)


def compatible(wires: Iterable[Wire]) -> tuple[Wire, ...]:
    """The wire formats in the order of their communities' numbers; `WireError` if two claim the same."""
    ordered = tuple(sorted(wires, key=lambda wire: min(profile.number for profile in wire.profiles)))
    for one, other in combinations(ordered, 2):
        for mine in one.prefixes:
            for theirs in other.prefixes:
                if mine.startswith(theirs) or theirs.startswith(mine):
                    raise WireError(f"{one.name} and {other.name} both claim {max(mine, theirs, key=len)}")
        if both := one.platforms & other.platforms:
            raise WireError(f"{one.name} and {other.name} both claim {min(both)}")
    for part in ("number", "key"):
        values = [getattr(profile, part) for wire in ordered for profile in wire.profiles]
        if twice := {value for value in values if values.count(value) > 1}:
            raise WireError(f"two communities have the {part} {min(twice)}")
    return ordered


def profiles(wires: Iterable[Wire]) -> list[Profile]:
    """All communities, in the order of their numbers."""
    return sorted((profile for wire in wires for profile in wire.profiles), key=lambda profile: profile.number)
