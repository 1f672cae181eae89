"""The directory finds what FastAPI finds, and leaves the rest to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Message, Receive, Scope, Send

from app.kit.route_index import RouteIndex
from app.kit.routing import RawRoute, Route, router
from app.main import create_app
from app.settings import Settings

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture(scope="module")
def app() -> FastAPI:
    away = "postgresql+asyncpg://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0"
    return create_app(Settings(_env_file=None, environment="test", database_url=away[0], redis_url=away[1]))


@dataclass
class Selected:
    """Asks the application's router which operation it would have handle a request, without handling it."""

    app: FastAPI
    told: tuple[str, dict[str, Any]] = ("", {})

    async def by(self, routes: Sequence[BaseRoute], method: str, path: str) -> tuple[str, dict[str, Any]]:
        """The operation and its parameters, of these routes."""
        self.told = "", {}
        before, self.app.router.routes[:] = list(self.app.router.routes), routes
        try:
            scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], "app": self.app}
            await self.app.router(scope, no_message, no_answer)
        finally:
            self.app.router.routes[:] = before
        return self.told


async def no_message() -> Message:
    raise AssertionError("nobody reads")


async def no_answer(message: Message) -> None:
    raise AssertionError(message)


@pytest.fixture
def selected(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Selected:
    made = Selected(app)

    async def handle(route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        made.told = str(route.operation_id), scope["path_params"]

    monkeypatch.setattr(Route, "handle", handle)
    monkeypatch.setattr(RawRoute, "handle", handle)
    return made


async def test_every_operation_is_found_at_once_and_as_fastapi_finds_it(app: FastAPI, selected: Selected) -> None:
    directory, *others = app.router.routes
    assert isinstance(directory, RouteIndex)
    operations = [(path, method, one) for path, item in app.openapi()["paths"].items() for method, one in item.items()]
    assert len(operations) >= 68
    for path, method, operation in operations:
        asked = path
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                typed = ID if parameter["schema"].get("format") == "uuid" else "some"
                asked = asked.replace("{" + parameter["name"] + "}", typed)
        told = await selected.by([directory], method.upper(), asked)
        assert told == await selected.by(others, method.upper(), asked)
        assert told[0] == operation["operationId"]


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
    directory = app.router.routes[0]
    scope = {"type": "http", "method": method, "path": path, "root_path": "", **more}
    assert directory.matches(scope) == (Match.NONE, {})


@pytest.mark.parametrize(
    ("path", "methods"), [("/v1/projects", {"GET", "POST"}), ("/v1/nothing", set()), ("/live", {"GET"})]
)
def test_the_methods_of_a_path_are_told(app: FastAPI, path: str, methods: set[str]) -> None:
    directory = app.router.routes[0]
    assert isinstance(directory, RouteIndex)
    assert directory.methods(path) == methods


def test_the_first_that_fits_answers() -> None:
    made = router("/things", tag="things")

    def nothing() -> None:
        """Nothing."""

    for path in ("/named", "/{name}", "/other", "/{name}/parts", "/files/{rest:path}"):
        made.add_api_route(path, nothing)
    directory = RouteIndex(route for route in made.routes if isinstance(route, APIRoute))

    def answers(path: str) -> str:
        _, child = directory.matches({"type": "http", "method": "GET", "path": path, "root_path": ""})
        return getattr(child.get("route"), "path_format", "")

    assert answers("/things/named") == "/things/named"
    assert answers("/things/any") == "/things/{name}"
    assert answers("/things/other") == "/things/{name}", "the order of the routes decides"
    assert answers("/things/any/parts") == "/things/{name}/parts"
    assert answers("/things/files/parts") == "/things/{name}/parts"
    assert answers("/things/files/a/b") == "", "as many parts as one likes: FastAPI's"
    with pytest.raises(NoMatchFound):
        directory.url_path_for("nothing")
