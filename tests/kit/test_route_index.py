"""The route index finds what FastAPI finds, and leaves the rest to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Message, Receive, Scope, Send

from app.kit.route_index import RouteIndex
from app.kit.routing import RawRoute, Route, public_router
from app.main import create_app
from app.settings import Settings

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture(scope="module")
def app() -> FastAPI:
    unreachable = "postgresql+asyncpg://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0"
    return create_app(
        Settings(_env_file=None, environment="test", database_url=unreachable[0], redis_url=unreachable[1])
    )


@dataclass
class Dispatch:
    """Which operation the application's router dispatches a request to, without executing it."""

    app: FastAPI
    operation_called: tuple[str, dict[str, Any]] = ("", {})

    async def through(self, routes: Sequence[BaseRoute], method: str, path: str) -> tuple[str, dict[str, Any]]:
        """The id and path parameters of the operation that these routes dispatch to."""
        self.operation_called = "", {}
        before, self.app.router.routes[:] = list(self.app.router.routes), routes
        try:
            scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], "app": self.app}
            await self.app.router(scope, no_message, no_response)
        finally:
            self.app.router.routes[:] = before
        return self.operation_called


async def no_message() -> Message:
    raise AssertionError("no operation is executed, so no body is read")


async def no_response(message: Message) -> None:
    raise AssertionError(message)


@pytest.fixture
def dispatch(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Dispatch:
    made = Dispatch(app)

    async def handle(route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        made.operation_called = str(route.operation_id), scope["path_params"]

    monkeypatch.setattr(Route, "handle", handle)
    monkeypatch.setattr(RawRoute, "handle", handle)
    return made


async def test_every_operation_is_found_as_fastapi_finds_it(app: FastAPI, dispatch: Dispatch) -> None:
    index, *fastapi_routes = app.router.routes
    assert isinstance(index, RouteIndex)
    operations = [(path, method, one) for path, item in app.openapi()["paths"].items() for method, one in item.items()]
    assert len(operations) >= 68
    for path, method, operation in operations:
        filled = path
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                value = ID if parameter["schema"].get("format") == "uuid" else "some"
                filled = filled.replace("{" + parameter["name"] + "}", value)
        operation_called = await dispatch.through([index], method.upper(), filled)
        assert operation_called == await dispatch.through(fastapi_routes, method.upper(), filled)
        assert operation_called[0] == operation["operationId"]


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "/", {}),
        ("GET", "", {}),
        ("GET", "/v1", {}),
        ("GET", "/v1/nothing", {}),
        ("GET", "/v1/projects/", {}),
        ("GET", "/v1/projects/no-id", {}),
        ("HEAD", "/v1/projects", {}),
        ("GET", "/v1/projects", {"root_path": "/behind"}),
        ("GET", "/v1/projects", {"fastapi.telemetry": object()}),
        ("GET", "/v1/projects", {"type": "websocket"}),
    ],
)
def test_the_rest_is_left_to_fastapi(app: FastAPI, method: str, path: str, more: dict[str, Any]) -> None:
    index = app.router.routes[0]
    scope = {"type": "http", "method": method, "path": path, "root_path": "", **more}
    assert index.matches(scope) == (Match.NONE, {})


@pytest.mark.parametrize(
    ("path", "methods"), [("/v1/projects", {"GET", "POST"}), ("/v1/nothing", set()), ("/live", {"GET"})]
)
def test_the_methods_of_a_path(app: FastAPI, path: str, methods: set[str]) -> None:
    index = app.router.routes[0]
    assert isinstance(index, RouteIndex)
    assert index.methods(path) == methods


def test_the_first_matching_route_is_used() -> None:
    made = public_router("/things", tag="things")

    def endpoint() -> None:
        """Nothing."""

    for path in ("/named", "/{name}", "/other", "/{name}/parts", "/files/{rest:path}"):
        made.add_api_route(path, endpoint)
    index = RouteIndex(route for route in made.routes if isinstance(route, APIRoute))

    def route_of(path: str) -> str:
        _, child = index.matches({"type": "http", "method": "GET", "path": path, "root_path": ""})
        return getattr(child.get("route"), "path_format", "")

    assert route_of("/things/named") == "/things/named"
    assert route_of("/things/any") == "/things/{name}"
    assert route_of("/things/other") == "/things/{name}", "the order of the routes decides"
    assert route_of("/things/any/parts") == "/things/{name}/parts"
    assert route_of("/things/files/parts") == "/things/{name}/parts"
    assert route_of("/things/files/a/b") == "", "any number of segments: left to FastAPI"
    with pytest.raises(NoMatchFound):
        index.url_path_for("nothing")
