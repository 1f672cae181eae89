"""What can go wrong in a request, and how it is told (RFC 9457).

A service raises an `AppError`; nothing else decides a status. `code` is stable and kebab-case:
programs compare it, people read `detail`.

    AppError
    ├── Unauthenticated     401   no credential, or none that is good
    ├── Forbidden           403   a good credential that may not do this
    ├── NotFound            404   also for what belongs to another workspace
    ├── Conflict            409   the present state does not allow it
    ├── PreconditionFailed  412   somebody changed it first
    ├── TooLarge            413   the body is over its documented size
    ├── Invalid             422   the input is not understood
    ├── TooMany             429   over the rate limit
    └── Unavailable         503   something we need is out of reach
        └── CommitOutcomeUnknown  … and whether the change was made cannot be told
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from app.kit.route_index import RouteIndex

PROBLEM = "application/problem+json"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"


class AppError(Exception):
    """A request cannot be done, for a reason its caller can be told."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    code = "internal-error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = list(errors)
        self.headers = dict(headers or {})


class Unauthenticated(AppError):
    status = 401
    title = "Not authenticated"
    code = "unauthenticated"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail, **{"headers": {"WWW-Authenticate": 'Bearer realm="instep"'}, **more})


class Forbidden(AppError):
    status = 403
    title = "Not allowed"
    code = "forbidden"


class NotFound(AppError):
    status = 404
    title = "Not found"
    code = "not-found"

    def __init__(self, detail: str = "There is no such thing here.", **more: Any) -> None:
        super().__init__(detail, **more)


class Conflict(AppError):
    status = 409
    title = "Conflict"
    code = "conflict"


class PreconditionFailed(AppError):
    status = 412
    title = "Precondition failed"
    code = "precondition-failed"


class TooLarge(AppError):
    status = 413
    title = "Body too large"
    code = "body-too-large"


class Invalid(AppError):
    status = 422
    title = "Invalid input"
    code = "invalid-input"


class TooMany(AppError):
    status = 429
    title = "Too many requests"
    code = "too-many-requests"


class Unavailable(AppError):
    status = 503
    title = "Unavailable"
    code = "unavailable"

    def __init__(self, detail: str, *, retry_after: int = 5, **more: Any) -> None:
        super().__init__(detail, **{"headers": {"Retry-After": str(retry_after)}, **more})


class CommitOutcomeUnknown(Unavailable):
    """The connection to PostgreSQL broke during COMMIT: the change is there as a whole, or not at all.

    A request is told what a repeat would do; everything else that meets this (a job, a poll) repeats
    by itself, and finds what is there.
    """

    code = "outcome-unknown"

    def __init__(self, detail: str = "The connection to the database broke during COMMIT.") -> None:
        super().__init__(detail, code=self.code)


def problem(
    *,
    status: int,
    title: str,
    code: str,
    detail: str,
    instance: str | None,
    request_id: str | None,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem answer; every 4xx and 5xx of this service is made here."""
    body: dict[str, Any] = {
        "type": f"urn:instep:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "request_id": request_id,
        "errors": list(errors),
    }
    return Response(orjson.dumps(body), status_code=status, media_type=PROBLEM, headers=dict(headers or {}))


def render(request: Request, error: AppError) -> Response:
    """An `AppError` as an answer to this request."""
    return problem(
        status=error.status,
        title=error.title,
        code=error.code,
        detail=error.detail,
        instance=request.url.path,
        request_id=request.scope.get("request_id"),
        errors=error.errors,
        headers=error.headers,
    )


_HTTP_CODES: Mapping[int, tuple[str, str, str]] = {
    400: ("bad-request", "Bad request", "The request cannot be understood."),
    404: ("not-found", "Not found", "There is no such thing here."),
    405: ("method-not-allowed", "Method not allowed", "This path does not answer that method; see the Allow header."),
    413: ("body-too-large", "Body too large", "The body is larger than this service takes."),
    415: ("unsupported-media-type", "Unsupported media type", "Send the body as application/json."),
}

_LOST_RACES = frozenset({"40001", "40P01", "55P03"})
"""PostgreSQL's codes for a serialization failure, a deadlock and a lock that was not to be had."""

_AWAY = frozenset({"57P01", "57P02", "57P03", "53300"})
"""PostgreSQL's codes for: it is being stopped, it crashed, it starts up, it has no connection left."""

_BROKEN = ("08", "57P")
"""How PostgreSQL's codes begin when a connection breaks or the server ends: no word about what was under way."""

_OUT_OF_REACH = ("08", "53", "57", "58")
"""PostgreSQL's classes of codes for: the connection broke, it lacks something, it is being stopped, its disk fails."""


def is_outage(error: BaseException) -> bool:
    """Whether an error tells of what is out of reach, and may go well the next time: no fault of what was asked."""
    if isinstance(error, Unavailable | OSError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return isinstance(state, str) and (state in _LOST_RACES | _AWAY or state.startswith(_OUT_OF_REACH))


_EXPLAINED = {
    "extra_forbidden": "This field is not known here.",
    "missing": "This field is required.",
    "string_pattern_mismatch": "This text is not written as it must be; blank ones and NUL characters are refused.",
    "json_invalid": "The body is not valid JSON.",
}


def _field_errors(error: RequestValidationError) -> list[dict[str, Any]]:
    """Where and why, without the input itself: it may hold a secret."""
    return [
        {
            "in": str(item["loc"][0]) if item["loc"] else "body",
            "field": ".".join(str(part) for part in item["loc"][1:] if part != "") or None,
            "code": item["type"].replace("_", "-").replace(".", "-"),
            "detail": _EXPLAINED.get(item["type"], item["msg"]),
        }
        for item in error.errors()
    ]


def broken_off(error: DBAPIError | OSError | TimeoutError) -> bool:
    """Whether PostgreSQL did not answer: the connection is gone, or was given up. False: the error is its answer."""
    if not isinstance(error, DBAPIError):
        return True
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or state is None or state.startswith(_BROKEN)


_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


def _what_a_repeat_does(request: Request) -> str:
    """What to do when it is not known whether this request's change was made."""
    if request.method != "POST":
        return "Read it again before you repeat the change."
    if request.headers.get(IDEMPOTENCY_KEY) is not None:
        return f"Repeat the request with the same {IDEMPOTENCY_KEY}: what was done is not done again."
    return (
        "Look whether it was done before you repeat it. "
        f"With an {IDEMPOTENCY_KEY} a repeat is safe: what was done is not done again."
    )


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem answer."""

    async def app_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        return render(request, error)

    async def outcome_unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, CommitOutcomeUnknown)
        if request.method in _REPEATABLE:
            return render(request, Unavailable("The database is out of reach.", code="database-away"))
        unknown = "The connection to the database broke while the change was being committed; it may have been made."
        return render(request, CommitOutcomeUnknown(f"{unknown} {_what_a_repeat_does(request)}"))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = _field_errors(error)
        return render(request, Invalid(_summary(found), errors=found))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, title, detail = _HTTP_CODES.get(error.status_code, ("http-error", "HTTP error", str(error.detail)))
        return problem(
            status=error.status_code,
            title=title,
            code=code,
            detail=detail,
            instance=request.url.path,
            request_id=request.scope.get("request_id"),
            headers={"Allow": _allowed(request)} if error.status_code == 405 else error.headers,
        )

    async def out_of_reach(request: Request, error: Exception) -> Response:
        state = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
        if state in _LOST_RACES:
            again = "Another request was changing the same; nothing was changed by this one. Send it again."
            return render(request, Unavailable(again, code="busy", retry_after=1))
        if not is_outage(error):
            raise error
        return render(request, Unavailable("The database is out of reach; nothing was changed.", code="database-away"))

    app.add_exception_handler(AppError, app_error)
    app.add_exception_handler(CommitOutcomeUnknown, outcome_unknown)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(DBAPIError, out_of_reach)
    # Whoever connects meets the system's own errors: refused, no such socket, too late.
    app.add_exception_handler(OSError, out_of_reach)


def _allowed(request: Request) -> str:
    """All methods of a path: Starlette names those of the first route that it finds."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, RouteIndex):
            methods |= route.methods(request.scope["path"].removeprefix(request.scope.get("root_path", "")))
        elif route.matches({**request.scope, "method": "OPTIONS"})[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(methods))


def _summary(found: Sequence[Mapping[str, Any]]) -> str:
    first = found[0]
    where = first["field"] or first["in"]
    more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    return f"{where}: {first['detail']}{more}"
