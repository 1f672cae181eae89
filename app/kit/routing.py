"""Routers and routes with the conventions that all operations share.

Operations document their errors, and support `Idempotency-Key` on POST and `If-None-Match` on GET. Those of a
`public_router` need no credential; `access.routing.Router` is for those that need one.
"""

import hashlib
import inspect
import re
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.kit import idempotency
from app.kit.errors import PROBLEM, UnsupportedMedia
from app.kit.query_parameters import QueryParameters


class FieldProblem(BaseModel):
    """One thing wrong with the input."""

    in_: str = Field(alias="in", description="`body`, `query`, `path` or `header`.")
    field: str | None = Field(description="Where, dotted; null for the whole of it.")
    code: str = Field(description="Stable, for programs.")
    detail: str = Field(description="For people: what is wrong with it.")


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="`urn:instep:problem:` and the code.")
    title: str = Field(description="The kind of error, for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="For people: what happened and what to do.")
    instance: str | None = Field(description="The path that was requested.")
    code: str = Field(description="Stable, for programs.", examples=["not-found"])
    request_id: str | None = Field(description="Name it when you ask for help.")
    errors: list[FieldProblem] = Field(description="What is wrong with which field; may be empty.")


_DESCRIPTIONS = {
    400: "The request cannot be understood.",
    401: "No credential, or none that is good.",
    403: "The credential may not do this.",
    404: "No such thing in this workspace.",
    409: "The present state does not allow it, or the same Idempotency-Key is still being worked on.",
    410: "It was here, and is not any more.",
    412: "It was changed meanwhile: read it again.",
    413: "The body is too large.",
    415: "The body is not of the media type that is taken here, by its `Content-Type`.",
    422: "The input is not understood; `errors` says where.",
    429: "Too many requests; see `Retry-After`.",
    500: "A fault of ours; it is logged under the `request_id`.",
    503: "Something we need is out of reach; see `Retry-After`.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of these error statuses."""
    return {
        status: {"description": _DESCRIPTIONS[status], "content": {PROBLEM: {"schema": {"$ref": PROBLEM_REF}}}}
        for status in statuses
    }


PROBLEM_REF = "#/components/schemas/Problem"
TAGGED: Final = {"headers": {"ETag": {"$ref": "#/components/headers/ETag"}}}
"""In OpenAPI's `responses`: an answer with an `ETag`, of an operation that neither reads nor takes `If-Match`."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


_ID = re.compile(r"{(\w*_id)}")
_TEXT = re.compile(r"{(\w+)}")
_JSON = re.compile(r"application/([\w.+-]+\+)?json\s*(;.*)?", re.IGNORECASE)
CSV: Final = "text/csv"
"""The media type of bodies that are tables: `Body(media_type=CSV)`."""
_CSV = re.compile(r"text/csv\s*(;.*)?", re.IGNORECASE)


class _StorableText(StringConvertor):
    """A segment of a path without NUL, which PostgreSQL cannot store: nothing has such a name."""

    regex = r"[^/\x00]+"


register_url_convertor("text", _StorableText())


class Route(APIRoute):
    """One operation, with the conventions applied.

    Query parameters that it does not declare are refused, and bodies that are not JSON (or the CSV that it declares).
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        # The first line of the docstring is the summary, what follows the description.
        first, _, rest = (inspect.getdoc(endpoint) or "").partition("\n")
        options["summary"] = options.get("summary") or first.rstrip(".")
        options["description"] = options.get("description") or rest.strip() or first
        self.permission: str | None = (options.get("openapi_extra") or {}).get(PERMISSION)
        # A path with a malformed id is not found (404), and `/posts/{post_id}` does not match `/posts/bulk`.
        super().__init__(_TEXT.sub(r"{\1:text}", _ID.sub(r"{\1:uuid}", path)), endpoint, **options)

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()
        if "POST" in (self.methods or ()) and not self.path.startswith(idempotency.EXEMPT_PREFIX):
            handler = idempotency.once(handler)
        elif "GET" in (self.methods or ()):
            handler = _with_etag(handler)
        media_type = None if self.body_field is None else getattr(self.body_field.field_info, "media_type", None)
        return _strict(handler, QueryParameters.of(self.dependant), body_field=self.body_field, media_type=media_type)


def _strict(handler: Handler, parameters: QueryParameters, *, body_field: object, media_type: str | None) -> Handler:
    """Refuse what the operation does not declare, before anything else is done with the request."""
    accepted = _CSV if media_type == CSV else _JSON

    async def answer(request: Request) -> Response:
        parameters.check(request)
        sent = request.headers.get("content-type", "")
        if body_field is not None and not accepted.fullmatch(sent) and _has_body(request):
            if accepted is _CSV:
                raise UnsupportedMedia(f"Send the body as {CSV}.")
            raise UnsupportedMedia
        return await handler(request)

    return answer


def _has_body(request: Request) -> bool:
    """Whether the request's head announces a body."""
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


class RawRoute(Route):
    """An operation without FastAPI's dependencies and parameter validation, for paths with very many requests.

    It takes any query and any body: links are passed on with parameters of others (`utm_source`), platforms send
    theirs. It is called with the path's parameters as the router converted them, `request` and `resources`.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)  # 405
            return
        request = Request(scope, receive, send)
        response = await self.endpoint(**scope["path_params"], request=request, resources=scope["app"].state.resources)
        await response(scope, receive, send)


PERMISSION: Final = "x-permission"
"""The OpenAPI extension with which an operation declares its permission."""


def public_router(prefix: str, *, tag: str, route_class: type[Route] = Route) -> APIRouter:
    """A router of operations that need no credential and no permission."""
    return api_router(prefix, tag, route_class)


def api_router(prefix: str, tag: str, route_class: type[Route], *statuses: int) -> APIRouter:
    """A router of operations that may answer with these error statuses, besides those that all have."""
    tags: list[str | Enum] = [tag]
    return APIRouter(prefix=prefix, tags=tags, route_class=route_class, responses=problems(*statuses, 422, 429, 503))


def _with_etag(handler: Handler) -> Handler:
    async def answer(request: Request) -> Response:
        response = await handler(request)
        if response.status_code != 200 or not isinstance(getattr(response, "body", None), bytes):
            return response
        tag = response.headers.get("etag")
        if tag is None:
            tag = f'"{hashlib.blake2b(response.body, digest_size=12).hexdigest()}"'
            response.headers["ETag"] = tag
        response.headers.setdefault("Cache-Control", "private, no-cache")
        known_tags = {value.strip().removeprefix("W/") for value in request.headers.get("if-none-match", "").split(",")}
        if tag.removeprefix("W/") not in known_tags:
            return response
        headers = {
            name: value for name, value in response.headers.items() if name not in {"content-length", "content-type"}
        }
        return Response(status_code=304, headers=headers)

    return answer
