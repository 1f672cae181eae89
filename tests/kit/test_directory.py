"""The directory finds what FastAPI finds, and leaves the rest to it."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match, NoMatchFound

from app.kit.directory import Directory
from app.kit.routing import router
from app.main import create_app
from app.settings import Settings

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture(scope="module")
def app() -> FastAPI:
    away = "postgresql+asyncpg://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0"
    return create_app(Settings(_env_file=None, environment="test", database_url=away[0], redis_url=away[1]))


def found(app: FastAPI, method: str, path: str, *, slowly: bool = False, **more: Any) -> tuple[str, dict[str, Any]]:
    """Which operation answers, and with which parameters; the name is empty where none does."""
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], **more}
    for route in app.router.routes:
        if slowly and isinstance(route, Directory):
            continue
        match, child = route.matches(scope)
        if match is Match.FULL and not isinstance(route, Directory):
            _, child, _, _ = route._match(scope)  # type: ignore[attr-defined]  # what FastAPI itself asks next
        if match is Match.FULL:
            return getattr(child.get("route"), "operation_id", "") or "", child["path_params"]
    return "", {}


def test_every_operation_is_found_at_once_and_as_fastapi_finds_it(app: FastAPI) -> None:
    directory = app.router.routes[0]
    assert isinstance(directory, Directory)
    operations = [(path, method, one) for path, item in app.openapi()["paths"].items() for method, one in item.items()]
    assert len(operations) >= 68
    for path, method, operation in operations:
        asked = path
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                typed = ID if parameter["schema"].get("format") == "uuid" else "some"
                asked = asked.replace("{" + parameter["name"] + "}", typed)
        told = found(app, method.upper(), asked)
        assert told == found(app, method.upper(), asked, slowly=True)
        assert told[0] == operation["operationId"]
        scope = {"type": "http", "method": method.upper(), "path": asked, "root_path": ""}
        assert directory.matches(scope)[0] is Match.FULL, "not by FastAPI"


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
    assert isinstance(directory, Directory)
    assert directory.methods(path) == methods


def test_the_first_that_fits_answers() -> None:
    made = router("/things", tag="things")

    def nothing() -> None:
        """Nothing."""

    for path in ("/named", "/{name}", "/other", "/{name}/parts", "/files/{rest:path}"):
        made.add_api_route(path, nothing)
    directory = Directory(route for route in made.routes if isinstance(route, APIRoute))

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
