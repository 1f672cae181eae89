"""Build a sandbox and serve it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Lifespan
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox import instants
from sandbox.clock import Clock
from sandbox.control import Control
from sandbox.faults import TRANSPORT, Faults
from sandbox.grants import Grants
from sandbox.hooks import Hooks
from sandbox.ledger import ForeignLedgerError, Ledger, Record, read
from sandbox.limits import Counter
from sandbox.network import Network, WireFormat
from sandbox.simulation import Simulation
from sandbox.wire_formats import WireFormatError, compatible, discover_wire_formats, profiles
from sandbox.world import World

__all__ = ["Sandbox", "build", "serve"]

log = logging.getLogger("sandbox")

TICK: Final = 0.25
"""Real seconds between runs of due events while there are no requests."""


@dataclass(slots=True)
class Sandbox:
    """One sandbox: its ASGI application, network and webhooks."""

    app: Faults
    network: Network
    callbacks: Hooks


def build(
    *,
    seed: int,
    speed: float = 1.0,
    ledger: Path | None = None,
    real: Callable[[], float] = time.time,
    tick: float | None = TICK,
    callback_url: str | None = None,
    platforms: Collection[str] | None = None,
    wire_formats: Iterable[WireFormat] | None = None,
    alive: bool = True,
    variants: Mapping[str, str] | None = None,
) -> Sandbox:
    """A sandbox with a new world, or, if `ledger` has records, with the world rebuilt from them.

    `real` returns real seconds since 1970. `tick` is the interval in real seconds at which due events run; with None
    they run only on requests. Webhook events are sent to `callback_url`, in which `{platform}`, `{community}` and
    `{external_id}` are replaced. `platforms` limits a new world to these platforms (default: all). `wire_formats`
    replaces those of all folders. Without `alive` there is no history and no simulated activity. `variants` names the
    variant of wire formats that have some.
    Raises `ForeignLedgerError` if the ledger was written with another seed or version, `ValueError` for an unknown
    platform or variant.
    """
    spoken = discover_wire_formats() if wire_formats is None else compatible(wire_formats)
    selected_communities = _selected_communities(spoken, platforms)
    born = round(real() * 1000)
    if ledger is not None and (head := _head(ledger)):
        world_detail = head[0].get("detail", {})
        if world_detail.get("seed") != seed:
            raise ForeignLedgerError(f"{ledger} is of a world with seed {world_detail.get('seed')}, not {seed}")
        born = instants.parse(str(world_detail["born"]))
        selected_communities = {record["community"] for record in head[1:]}
    book = Ledger(ledger)
    world = World(
        seed=seed, born=born, ledger=book, profiles=[one for one in profiles(spoken) if one.key in selected_communities]
    )
    spoken = tuple(one for one in spoken if any(profile.key in world.communities for profile in one.profiles))
    try:
        grants, hooks, extra_states = _relive(world, spoken, alive=alive)
        clock = Clock(real, epoch=max(round(real() * 1000), world.now), speed=speed)
        network = Network(world, clock, grants, real, Counter(real), hooks, spoken, extra_states)
        network.choose(variants or {})
        network.tick()
        return Sandbox(_application(network, _lifespan(network, tick, callback_url)), network, hooks)
    except BaseException:
        book.close()
        raise


def _lifespan(network: Network, tick: float | None, callback_url: str | None) -> Lifespan[Starlette]:
    """The ASGI lifespan: webhook delivery, and a tick every `tick` real seconds unless None."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await network.hooks.start()
        if callback_url is not None:
            _configure(network, callback_url)
        beating = asyncio.get_running_loop().create_task(_beat(network, tick)) if tick is not None else None
        yield
        if beating is not None:
            beating.cancel()
        await network.hooks.stop()
        network.world.ledger.flush()

    return lifespan


def _selected_communities(wire_formats: Iterable[WireFormat], platforms: Collection[str] | None) -> set[str]:
    """The keys of the platforms' communities (None: all). Raises `ValueError` for an unknown platform."""
    all_profiles = profiles(wire_formats)
    for platform in platforms or ():
        if all(platform != profile.platform for profile in all_profiles):
            raise ValueError(f"there is no platform {platform}")
    return {profile.key for profile in all_profiles if platforms is None or profile.platform in platforms}


def _head(ledger: Path) -> list[Record]:
    """The ledger's first records: `world`, then one `community` each; empty for a new ledger."""
    records = read(ledger) if ledger.exists() else iter(())
    first = next(records, None)
    return [] if first is None else [first, *takewhile(lambda record: record["type"] == "community", records)]


def _relive(
    world: World, wire_formats: tuple[WireFormat, ...], *, alive: bool
) -> tuple[Grants, Hooks, tuple[object, ...]]:
    """Replay the ledger, or for a new one simulate the history up to `born`."""
    past = world.ledger.recorded()
    begin = Simulation(world).begin if alive else world.write_beginning
    by_platform = {platform: wire for wire in wire_formats for platform in wire.platforms}
    grants = Grants(world, {platform: wire.token_rules for platform, wire in by_platform.items()})
    hooks = Hooks(world, {platform: wire.hook for platform, wire in by_platform.items()})
    extra_states = tuple(wire.extra_state(world) for wire in wire_formats if wire.extra_state is not None)
    begin()
    for record in past:
        if record["origin"] != "note":
            world.advance(instants.parse(record["at"]))
        if record["origin"] in ("api", "control"):
            world.replay(record)
    world.advance(world.born)
    world.ledger.settled()
    return grants, hooks, extra_states


def _application(network: Network, lifespan: Lifespan[Starlette]) -> Faults:
    inner = Starlette(
        routes=[route for wire in network.wire_formats for route in _routes(wire, network)], lifespan=lifespan
    )
    faults = Faults(inner, network)
    inner.routes.extend(Control(network, faults).routes())
    return faults


def _routes(wire: WireFormat, network: Network) -> list[Route]:
    platform_routes = wire.routes(network)
    for route in platform_routes:
        if not route.path.startswith(wire.prefixes):
            raise WireFormatError(f"{wire.name} has the route {route.path}, which begins with none of its prefixes")
    return platform_routes


def _configure(network: Network, url: str) -> None:
    """Subscribe the callback URL for every community that sends webhook events and does not have it yet."""
    hooks = network.hooks
    for c in network.world.communities.values():
        if hooks.hook(c) is None:
            continue
        filled = url.replace("{platform}", c.profile.platform).replace("{community}", c.key)
        filled = filled.replace("{external_id}", c.profile.external_id)
        if all(one.url != filled for one in hooks.of(c)):
            hooks.configure(c, filled, hooks.secret(c), origin="control")


async def _beat(network: Network, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        network.tick()


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, extended to expose the transport, so that a fault can abort the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, dict[object, object]] = {}
        self.scope["extensions"] = extensions
        extensions[TRANSPORT] = self.transport  # type: ignore[assignment]  # an extension may be any object


async def serve(sandbox: Sandbox, *, port: int, port_file: Path | None, with_parent: bool) -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM, or with `with_parent` also until stdin is closed.

    Port 0 means the port in the port file if it is free, else any. Raises `OSError` if `port` is taken.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port or _earlier(port_file)))
    except OSError:
        if port:
            raise
        listening.bind(("127.0.0.1", 0))
    sandbox.network.base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        sandbox.app, http=Protocol, ws="none", log_config=None, access_log=False, lifespan="on",
        timeout_graceful_shutdown=1, server_header=False,
    )  # fmt: skip
    server = _Server(config, port_file)
    if with_parent:
        _follow_parent(asyncio.get_running_loop(), server)
    log.info("seed %s, at %s", sandbox.network.world.seed, sandbox.network.base_url)
    await server.serve(sockets=[listening])


def _earlier(port_file: Path | None) -> int:
    """The port in the port file, so that known URLs stay valid after a restart; 0 if there is none."""
    said = port_file.read_text().strip() if port_file is not None and port_file.exists() else ""
    return int(said) if said.isdecimal() and int(said) < 65536 else 0


class _Server(uvicorn.Server):
    """Writes its port to the port file once it listens."""

    def __init__(self, config: uvicorn.Config, port_file: Path | None) -> None:
        super().__init__(config)
        self._port_file = port_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._port_file is not None and self.started and sockets:
            _write(self._port_file, str(sockets[0].getsockname()[1]))


def _follow_parent(loop: asyncio.AbstractEventLoop, server: uvicorn.Server) -> None:
    """Stop the server when stdin is closed, which happens when the parent process ends."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(setattr, server, "should_exit", True)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _write(path: Path, text: str) -> None:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
