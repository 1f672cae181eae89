"""The router of operations that need a credential."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeVar

import structlog
from fastapi.security.utils import get_authorization_scheme_param
from starlette.requests import Request
from starlette.responses import Response

from app.access.permissions import SCOPES, Permission
from app.access.service import RequestActor, authenticator
from app.kit import i18n
from app.kit.errors import Forbidden, Unauthenticated
from app.kit.routing import PERMISSION, Handler, Route, api_router
from app.kit.web import verified

_API_KEY: Final = "ApiKey"
SECURITY_SCHEMES: Final = {
    _API_KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key of your workspace: `Authorization: Bearer isk_…`",
    }
}
"""OpenAPI's `securitySchemes`."""


class ProtectedRoute(Route):
    """An operation that is refused before anything else is done, unless the credential has its permission."""

    @property
    def required(self) -> Permission:
        """The permission; a `LookupError` where none is declared."""
        if self.permission is None:
            raise LookupError(f"{self.operation_id} declares no permission")
        return Permission(self.permission)

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()

        async def authenticated(request: Request) -> Response:
            request.scope["actor"] = await self._authenticate(request)
            i18n.ACCEPT_LANGUAGE.set(request.headers.get("accept-language", ""))
            return await handler(request)

        return authenticated

    async def _authenticate(self, request: Request) -> RequestActor:
        """The actor of the request's API key.

        Raises `Unauthenticated` without a valid key, `Forbidden` where it lacks the operation's permission.
        """
        required = self.required
        scheme, credential = get_authorization_scheme_param(request.headers.get("authorization"))
        if scheme.lower() != "bearer" or not credential:
            raise Unauthenticated("Send your API key: Authorization: Bearer isk_…")
        actor = await authenticator(request.app.state.resources).authenticate(credential)
        verified(request.scope, str(actor))
        structlog.contextvars.bind_contextvars(actor=str(actor), workspace_id=str(actor.workspace_id))
        if required not in actor.permissions:
            scope = SCOPES[required].value
            raise Forbidden(
                f"This API key lacks the permission {required.value!r}, a part of the scope {scope!r}.",
                code="missing-scope",
            )
        return actor


Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Router:
    """A room's operations that need a credential, each with the permission that the credential must have.

    The options are those of `APIRouter`.
    """

    def __init__(self, prefix: str, *, tag: str) -> None:
        self.api: Final = api_router(prefix, tag, ProtectedRoute, 401, 403)

    def get(self, path: str, *, permission: StrEnum, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a GET operation."""
        return self._operation("GET", path, permission, options)

    def post(self, path: str, *, permission: StrEnum, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a POST operation."""
        return self._operation("POST", path, permission, options)

    def put(self, path: str, *, permission: StrEnum, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a PUT operation."""
        return self._operation("PUT", path, permission, options)

    def patch(self, path: str, *, permission: StrEnum, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a PATCH operation."""
        return self._operation("PATCH", path, permission, options)

    def delete(self, path: str, *, permission: StrEnum, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a DELETE operation."""
        return self._operation("DELETE", path, permission, options)

    def include(self, other: "Router") -> None:
        """Add another router's operations, under their own prefix."""
        self.api.routes.extend(other.api.routes)

    def _operation(
        self, method: str, path: str, permission: StrEnum, options: dict[str, Any]
    ) -> Callable[[Endpoint], Endpoint]:
        declared = {PERMISSION: permission.value, "security": [{_API_KEY: []}]}
        extra = {**options.pop("openapi_extra", {}), **declared}
        return self.api.api_route(path, methods=[method], openapi_extra=extra, **options)
