"""Finding the operation of a request: the index of paths, a flat list of routes, and FastAPI's included routers.

Requests go into the application in this process, round after round, each way in turn. They are refused before
anything is read (no credential), so that what differs is how their route was found. CPU time of the process.

The last line is an operation for very many requests, a tracked link that does not exist: as `RawRoute`, and as
FastAPI calls it.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Scope

from app.kit.route_index import RouteIndex
from app.kit.routing import RawRoute, Route
from app.kit.telemetry import configure_logs
from app.main import create_app, operations
from app.settings import Settings

LOOP: Final = uvloop.new_event_loop
"""The event loop of the service."""
ID: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
SAMPLES: Final = ("/v1/me", "/v1/communities", f"/v1/posts/{ID}", f"/v1/projects/{ID}/kpis/reach")
LINK: Final = "/r/!"
"""No slug of a tracked link: answered without the database."""
BATCH: Final = 200
"""Requests between two readings of the clock."""


async def main(arguments: Sequence[str]) -> None:
    """Print the CPU of a request for each way and path, and its ratio to a flat list."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks routing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=40, help="rounds, of which the median is taken")
    options = parser.parse_args(arguments)
    configure_logs(level="error", style="json")
    ways = {"flat list": _flat(), "index": _application(), "included routers": _included()}
    print(f"{'CPU µs of a request':48}" + "".join(f"{way:>22}" for way in ways))
    for path in SAMPLES:
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.repeats):
            for way, app in ways.items():
                times[way].append(await _batch(app, path))
        medians = {way: statistics.median(measured) for way, measured in times.items()}
        _print_row(path, medians)
    plain = _without_raw_routes()
    link_times: dict[str, list[float]] = {"RawRoute": [], "Route": []}
    for _ in range(options.repeats):
        link_times["RawRoute"].append(await _batch(ways["flat list"], LINK, 404))
        link_times["Route"].append(await _batch(plain, LINK, 404))
    print(f"{'':48}{'RawRoute':>22}{'Route':>22}")
    _print_row(LINK, {way: statistics.median(measured) for way, measured in link_times.items()})


def _print_row(path: str, medians: Mapping[str, float]) -> None:
    (first, *_) = medians.values()
    label = path if len(path) < 47 else f"{path[:20]}…{path[-24:]}"
    print(f"{label:48}" + "".join(f"{each:14.1f} ({each / first:4.2f} x)" for each in medians.values()))


def _settings() -> Settings:
    return Settings(
        database_url="postgresql+asyncpg://nobody@127.0.0.1:1/none",
        redis_url="redis://127.0.0.1:1/0",
        requests_per_minute=10**9,
    )


def _application() -> FastAPI:
    return _with_resources(create_app(_settings()))


def _included() -> FastAPI:
    app = _application()
    app.router.routes = [route for route in app.router.routes if not isinstance(route, RouteIndex)]
    return app


def _flat() -> FastAPI:
    app = _application()
    app.router.routes = list(operations())
    return app


def _without_raw_routes() -> FastAPI:
    """The tracked link's operation as FastAPI calls it, with its dependencies."""
    app = _flat()
    app.router.routes = [
        Route(route.path, route.endpoint, methods=list(route.methods or ())) if isinstance(route, RawRoute) else route
        for route in operations()
    ]
    return app


def _with_resources(app: FastAPI) -> FastAPI:
    app.state.resources = None
    return app


async def _batch(app: ASGIApp, path: str, status: int = 401) -> float:
    """Microseconds of CPU for one of `BATCH` requests."""
    scope: Mapping[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    started = time.process_time()
    for _ in range(BATCH):
        await _request(app, dict(scope), status)
    return (time.process_time() - started) / BATCH * 1e6


async def _request(app: ASGIApp, scope: Scope, status: int) -> None:
    async def receive() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != status:
            raise AssertionError(f"{scope['path']} answers {message['status']}")

    await app(scope, receive, send)
