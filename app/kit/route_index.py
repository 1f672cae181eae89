"""Operations found by how their paths begin, so that the last of many is found as fast as the first.

FastAPI asks every route in turn, and those of an included router twice, which takes longer than many
an answer. Whatever is not found here (an unknown path, another method, a path that ends with a
slash), and every request while FastAPI's own telemetry wants to know of each step, goes that way.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

from fastapi.routing import APIRoute
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

Shape: TypeAlias = tuple[str, int, str, str | None]
"""A method, how many parts a path has, its first part, and the second: None where that may be anything."""


class RouteIndex(BaseRoute):
    """Stands before the routes it knows, and answers in their place."""

    def __init__(self, routes: Iterable[APIRoute]) -> None:
        shapes = [(shape, route) for route in routes for shape in _shapes(route)]
        # In their order, which decides between `/posts/bulk` and `/posts/{name}`.
        self._routes = {
            shape: [route for other, route in shapes if other in {shape, (*shape[:3], None)}] for shape, _ in shapes
        }

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope.get("root_path") or scope.get("fastapi.telemetry") is not None:
            return Match.NONE, {}
        count, first, second = _begins(scope["path"])
        method = scope["method"]
        known = self._routes.get((method, count, first, second)) or self._routes.get((method, count, first, None)) or ()
        for route in known:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                return match, child_scope
        return Match.NONE, {}

    def methods(self, path: str) -> set[str]:
        """Those by which a path may be asked."""
        asked = {"type": "http", "path": path}
        known = {shape[0] for shape in self._routes}
        return {method for method in known if self.matches({**asked, "method": method})[0] is Match.FULL}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["route"].handle(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)  # the routes themselves come after


def _shapes(route: APIRoute) -> list[Shape]:
    count, first, second = _begins(route.path_format)
    if "{" in first or ":path}" in route.path:
        return []
    return [(method, count, first, None if "{" in second else second) for method in sorted(route.methods or ())]


def _begins(path: str) -> tuple[int, str, str]:
    """How many parts a path has, and the first two of them."""
    parts = path.split("/")
    _, first, second, *_ = (*parts, "", "")
    return len(parts), first, second
