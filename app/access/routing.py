"""The router of operations that need a credential."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeVar

import structlog
from fastapi.security.utils import get_authorization_scheme_param
from starlette.requests import Request
from starlette.responses import Response

from app.access.authentication import Credential, RequestActor, authenticator
from app.access.permissions import Permission
from app.access.refusals import refusal, refusal_for_found
from app.access.sessions import is_csrf_token
from app.kit import i18n
from app.kit.errors import Forbidden, NotFound, Unauthenticated
from app.kit.resources import Resources
from app.kit.routing import PERMISSION, Handler, Route, api_router
from app.kit.web import verified

_BEARER: Final = "Bearer"
_COOKIE: Final = "Cookie"
SESSION_COOKIE: Final = "__Host-instep"
CSRF_HEADER: Final = "X-CSRF-Token"
SECURITY_SCHEMES: Final = {
    _BEARER: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`Authorization: Bearer isk_…`) or a session (`Bearer iss_…`).",
    },
    _COOKIE: {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "A browser's session. Requests that change something carry its `csrf_token` as `X-CSRF-Token`.",
    },
}
"""OpenAPI's `securitySchemes`."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


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
            actor = request.scope["actor"] = await self._authenticate(request)
            accept_language = i18n.AcceptLanguage(request.headers.get("accept-language", ""))
            i18n.ACCEPT_LANGUAGE.set(accept_language)
            try:
                response = await handler(request)
            except NotFound as error:
                database = request.app.state.resources.db
                refused = await refusal_for_found(database, request, actor, self.required)
                raise refused or error from error
            if accept_language.decides:
                response.headers.add_vary_header("Accept-Language")
            return response

        return authenticated

    async def _authenticate(self, request: Request) -> RequestActor:
        """The actor of the request's credential.

        Raises `Unauthenticated` without a valid one, `Forbidden` where it lacks the operation's permission, or
        comes from a browser without the token that other sites do not have.
        """
        required, resources = self.required, request.app.state.resources
        scheme, text = get_authorization_scheme_param(request.headers.get("authorization"))
        cookie = request.cookies.get(SESSION_COOKIE) if not scheme else None
        if cookie is None and (scheme.lower() != "bearer" or not text):
            raise Unauthenticated("Send an API key, or a session: Authorization: Bearer isk_…")
        credential = await authenticator(resources).authenticate(text if cookie is None else cookie)
        if cookie is not None and request.method not in _SAFE:
            require_csrf_token(resources, credential, request.headers.get(CSRF_HEADER, ""))
        actor = credential.acting(required)
        verified(request.scope, f"{credential.kind}:{credential.id}")
        structlog.contextvars.bind_contextvars(actor=str(actor), workspace_id=str(actor.workspace_id))
        if not actor.grants.allows(required):
            raise await refusal(resources.db, request, actor, required)
        return actor


def require_csrf_token(resources: Resources, credential: Credential, token: str) -> None:
    """Raise `Forbidden` (`csrf`) where a browser's request does not carry the token of its session.

    A browser sends the cookie with requests that another site makes it send; that site does not know the token.
    """
    if not is_csrf_token(resources.keyring, credential.id, token):
        raise Forbidden(f"Send the session's csrf_token as {CSRF_HEADER}.", code="csrf")


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
        declared = {PERMISSION: permission.value, "security": [{_BEARER: []}, {_COOKIE: []}]}
        extra = {**options.pop("openapi_extra", {}), **declared}
        return self.api.api_route(path, methods=[method], openapi_extra=extra, **options)
