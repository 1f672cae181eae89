"""An index of operations by the beginnings of their paths, so that routing takes the same time for each.

FastAPI tries all routes in order, and those of an included router twice, which takes longer than many a
handler. Requests that are not found here (an unknown path, another method, a path that ends with a
slash), and all requests while FastAPI's telemetry traces routing, are routed by FastAPI.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

from fastapi.routing import APIRoute
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

Shape: TypeAlias = tuple[str, int, str, str | None]
"""Method, number of path segments, first segment, second segment (None: a parameter)."""


class RouteIndex(BaseRoute):
    """Precedes the routes that it indexes, and dispatches to them."""

    def __init__(self, routes: Iterable[APIRoute]) -> None:
        shapes = [(shape, route) for route in routes for shape in _shapes(route)]
        # In the order of declaration, which decides between `/posts/bulk` and `/posts/{name}`.
        self._routes = {
            shape: [route for other, route in shapes if other in {shape, (*shape[:3], None)}] for shape, _ in shapes
        }

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope.get("root_path") or scope.get("fastapi.telemetry") is not None:
            return Match.NONE, {}
        count, first, second = _segments(scope["path"])
        method = scope["method"]
        candidates = (
            self._routes.get((method, count, first, second)) or self._routes.get((method, count, first, None)) or ()
        )
        for route in candidates:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                return match, child_scope
        return Match.NONE, {}

    def methods(self, path: str) -> set[str]:
        """The methods of the operations at a path."""
        scope = {"type": "http", "path": path}
        indexed = {shape[0] for shape in self._routes}
        return {method for method in indexed if self.matches({**scope, "method": method})[0] is Match.FULL}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["route"].handle(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)  # the routes themselves follow, and resolve it


def _shapes(route: APIRoute) -> list[Shape]:
    count, first, second = _segments(route.path_format)
    if "{" in first or ":path}" in route.path:
        return []
    return [(method, count, first, None if "{" in second else second) for method in sorted(route.methods or ())]


def _segments(path: str) -> tuple[int, str, str]:
    """The number of a path's segments, and the first two of them."""
    segments = path.split("/")
    _, first, second, *_ = (*segments, "", "")
    return len(segments), first, second
