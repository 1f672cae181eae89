"""What every wire format is given: the world, its clock, who may do what, and where it stands."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sandbox.clock import Clock
from sandbox.entities import Community
from sandbox.grants import Grants
from sandbox.hooks import Hooks
from sandbox.limits import Counter
from sandbox.multipart import parts
from sandbox.wire import Wire, bearer
from sandbox.world import World

__all__ = ["BadParameterError", "Network", "Params", "answer", "bearer", "params"]

MAX_BODY = 1 << 20

T = TypeVar("T")


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
    wires: tuple[Wire, ...]
    """The wire formats that are spoken here."""
    folds: tuple[object, ...] = ()
    limits: dict[str, int] = field(init=False)
    """What callers may do, by `<wire>_<name>`; changed through the control API."""
    base_url: str = "http://127.0.0.1"
    """Its own address, known once it listens."""

    def __post_init__(self) -> None:
        self.limits = {f"{wire.name}_{name}": value for wire in self.wires for name, value in wire.limits.items()}

    def part(self, kind: type[T]) -> T:
        """What a wire format keeps besides the world, by its class."""
        return next(one for one in self.folds if isinstance(one, kind))

    def wire(self, path: str) -> Wire | None:
        """The wire format a path belongs to."""
        return next((wire for wire in self.wires if path.startswith(wire.prefixes)), None)

    def tick(self) -> None:
        """Let everything happen that is due."""
        self.world.advance(self.clock.now())

    def communities(self, platform: str) -> list[Community]:
        return [c for c in self.world.communities.values() if c.profile.platform == platform]


class BadParameterError(Exception):
    """A parameter is missing or cannot be understood; `args[0]` is its name."""


class Params:
    """The parameters of a call, from its query and its form, JSON or multipart body."""

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
        """A repeated parameter: `id[]=1&id[]=2`, also `id[0]=1` and `id=1&id=2`."""
        found = list(self._values.get(name, [])) + self._values.get(f"{name}[]", [])
        for key, values in self._values.items():
            if key.startswith(f"{name}[") and key[len(name) + 1 : -1].isdecimal():
                found += values
        return found

    def integer(self, name: str, default: int | None = None) -> int | None:
        """`BadParameterError` if it is there and no whole number."""
        value = self.get(name)
        if not value:
            return default
        if not value.removeprefix("-").isascii() or not value.removeprefix("-").isdecimal() or len(value) > 20:
            raise BadParameterError(name)
        return int(value)

    def flag(self, name: str) -> bool:
        return self.get(name).lower() in ("1", "true", "t", "on", "yes")


async def params(request: Request) -> Params:
    """Read a call's parameters. `BadParameterError` for a body that is no form, JSON object or multipart."""
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
    found: list[tuple[str, str]] = []
    for name, inner in value.items():
        several = inner if isinstance(inner, list) else [inner]
        found += [
            (str(name), str(one).lower() if isinstance(one, bool) else str(one)) for one in several if one is not None
        ]
    return found


def answer(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json; charset=utf-8")
