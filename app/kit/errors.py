"""The errors of requests, and their rendering as problem documents (RFC 9457).

Services raise `AppError`s; nothing else decides a status. `code` is stable and kebab-case:
programs compare it, people read `detail`.

    AppError
    ├── BadRequest          400   the request's head contradicts itself
    ├── Unauthenticated     401   no credential, or an invalid one
    ├── Forbidden           403   a valid credential without the permission
    ├── NotFound            404   also for rows of another workspace
    ├── Conflict            409   the current state does not allow it
    ├── PreconditionFailed  412   changed since it was read
    ├── TooLarge            413   the body is over its documented size
    ├── UnsupportedMedia    415   the body is not JSON
    ├── Invalid             422   the input does not validate
    ├── TooMany             429   over the rate limit
    └── Unavailable         503   the database or a server we need is unreachable
        └── CommitOutcomeUnknown  … and it is unknown whether the change was committed
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Final

import asyncpg
import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from app.kit.route_index import RouteIndex
from app.kit.telemetry import redact
from app.kit.validation import field_errors

PROBLEM = "application/problem+json"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"


class AppError(Exception):
    """A request fails for a reason that is safe to show to its caller."""

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


class BadRequest(AppError):
    status = 400
    title = "Bad request"
    code = "bad-request"


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


class UnsupportedMedia(AppError):
    status = 415
    title = "Unsupported media type"
    code = "unsupported-media-type"

    def __init__(self, detail: str = "Send the body as application/json.", **more: Any) -> None:
        super().__init__(detail, **more)


class Invalid(AppError):
    status = 422
    title = "Invalid input"
    code = "invalid-input"


def invalid_field(field: str, code: str, detail: str) -> Invalid:
    """The `Invalid` of one field of the body."""
    error = {"in": "body", "field": field, "code": code, "detail": detail}
    return Invalid(f"{field}: {detail}", code=code, errors=[error])


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
    """The connection to PostgreSQL broke during COMMIT: the change is committed as a whole, or not at all.

    A request's response says what a repeat would do; jobs and polls repeat by themselves, starting from
    what is committed.
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
    """A problem response; every 4xx and 5xx of this service is made here."""
    body: dict[str, Any] = {
        "type": f"urn:instep:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance and redact(instance),
        "code": code,
        "request_id": request_id,
        "errors": list(errors),
    }
    return Response(orjson.dumps(body), status_code=status, media_type=PROBLEM, headers=dict(headers or {}))


def render(request: Request, error: AppError) -> Response:
    """An `AppError` as the response to this request."""
    return problem(
        status=error.status,
        title=error.title,
        code=error.code,
        detail=error.detail,
        instance=request.scope["path"],
        request_id=request.scope.get("request_id"),
        errors=error.errors,
        headers=error.headers,
    )


_HTTP_CODES: Mapping[int, tuple[str, str, str]] = {
    400: ("bad-request", "Bad request", "The request cannot be understood."),
    404: ("not-found", "Not found", "There is no such thing here."),
    405: ("method-not-allowed", "Method not allowed", "This path does not answer that method; see the Allow header."),
    413: ("body-too-large", "Body too large", "The body is larger than this service takes."),
    408: ("request-timeout", "Request timeout", "The request did not arrive in time."),
    415: ("unsupported-media-type", "Unsupported media type", "Send the body as application/json."),
}


class DatabaseFailure(StrEnum):
    """What a temporary error of the database means; any other error is a fault of the statement."""

    CONTENTION = "contention"
    """The statement lost a race for a lock; nothing was changed."""
    CONNECTION_LOST = "connection lost"
    """The connection broke or the server shut down: the statement, a COMMIT say, was not answered."""
    UNAVAILABLE = "unavailable"
    """The server answered that it could not execute the statement."""


_SQLSTATES: Final[Mapping[str, DatabaseFailure]] = {
    "40001": DatabaseFailure.CONTENTION,  # serialization failure
    "40P01": DatabaseFailure.CONTENTION,  # deadlock detected
    "55P03": DatabaseFailure.CONTENTION,  # lock not available
    "08": DatabaseFailure.CONNECTION_LOST,  # connection exception
    "57P": DatabaseFailure.CONNECTION_LOST,  # operator intervention: shutdown, crash, starting up
    "57": DatabaseFailure.UNAVAILABLE,  # operator intervention: query cancelled
    "53": DatabaseFailure.UNAVAILABLE,  # insufficient resources: too many connections, disk full
    "58": DatabaseFailure.UNAVAILABLE,  # system error
    "25006": DatabaseFailure.UNAVAILABLE,  # read-only: a standby, or a server that is being switched over
    "25P": DatabaseFailure.CONNECTION_LOST,  # the transaction was idle, or open, for too long: disconnected
}
"""By the SQLSTATE or its beginning; of two that match, the first counts."""


def database_failure(error: BaseException) -> DatabaseFailure | None:
    """What an error of the database, or of connecting to it, means; None for a fault of the statement."""
    if isinstance(error, OSError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return DatabaseFailure.CONNECTION_LOST
    if isinstance(error, PoolTimeoutError):
        return DatabaseFailure.UNAVAILABLE
    if isinstance(error, asyncpg.InterfaceError) and "closed" in str(error):
        return DatabaseFailure.CONNECTION_LOST  # while a connection was being opened: SQLAlchemy wraps all others
    state = _sqlstate(error)
    return next(
        (failure for begin, failure in _SQLSTATES.items() if state is not None and state.startswith(begin)), None
    )


def _sqlstate(error: BaseException) -> str | None:
    state = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return state if isinstance(state, str) else None


def lost_race(error: BaseException) -> bool:
    """Whether PostgreSQL has rolled a transaction back so that another one could go on: it can be repeated at once."""
    return _sqlstate(error) in {"40001", "40P01"}


def is_locked(error: BaseException) -> bool:
    """Whether PostgreSQL gave a statement up because another transaction keeps a lock that it needs."""
    return _sqlstate(error) == "55P03"


def is_outage(error: BaseException) -> bool:
    """Whether an error is temporary (an unreachable server, a lost lock race), not a fault of the statement."""
    return isinstance(error, Unavailable) or database_failure(error) is not None


def is_refusal(error: BaseException) -> bool:
    """Whether PostgreSQL answered that it does not execute the statement as it is, so that nothing was changed.

    False also for an error of the driver, which has no SQLSTATE: whether the server answered is not known then.
    """
    temporary = database_failure(error) not in {None, DatabaseFailure.CONTENTION}
    return isinstance(error, DBAPIError) and _sqlstate(error) is not None and not temporary


def is_unanswered(error: DBAPIError | OSError | TimeoutError) -> bool:
    """Whether the connection broke, or timed out, before PostgreSQL answered. False: the error is its answer.

    An error without an SQLSTATE is of the driver, not of PostgreSQL.
    """
    return database_failure(error) is DatabaseFailure.CONNECTION_LOST or _sqlstate(error) is None


READ_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Requests by these change nothing."""


def _repeat_advice(request: Request) -> str:
    """How to proceed when it is unknown whether this request's change was committed."""
    if request.method != "POST":
        return "Read it again before you repeat the change."
    if request.headers.get(IDEMPOTENCY_KEY) is not None:
        return f"Repeat the request with the same {IDEMPOTENCY_KEY}: what was done is not done again."
    return (
        "Look whether it was done before you repeat it. "
        f"With an {IDEMPOTENCY_KEY} a repeat is safe: what was done is not done again."
    )


def install(app: FastAPI) -> None:
    """Render every error of `app` as a problem response."""

    async def app_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        return render(request, error)

    async def outcome_unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, CommitOutcomeUnknown)
        if request.method in READ_METHODS:
            return render(request, Unavailable("The database is out of reach.", code="database-away"))
        unknown = "The connection to the database broke while the change was being committed; it may have been made."
        return render(request, CommitOutcomeUnknown(f"{unknown} {_repeat_advice(request)}"))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        every = error.errors()
        errors = field_errors(every)
        return render(request, Invalid(_summary(errors, len(every)), errors=errors))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, title, detail = _HTTP_CODES.get(error.status_code, ("http-error", "HTTP error", str(error.detail)))
        return problem(
            status=error.status_code,
            title=title,
            code=code,
            detail=detail,
            instance=request.scope["path"],
            request_id=request.scope.get("request_id"),
            headers={"Allow": _allowed(request)} if error.status_code == 405 else error.headers,
        )

    async def disconnected(request: Request, error: Exception) -> Response:
        return render(request, BadRequest("The connection ended before the body did."))  # nobody reads it

    async def database_error(request: Request, error: Exception) -> Response:
        failure = database_failure(error)
        if failure is DatabaseFailure.CONTENTION:
            detail = "Another request was changing the same; nothing was changed by this one. Send it again."
            return render(request, Unavailable(detail, code="busy", retry_after=1))
        if failure is None:
            raise error
        return render(request, Unavailable("The database is out of reach; nothing was changed.", code="database-away"))

    app.add_exception_handler(AppError, app_error)
    app.add_exception_handler(CommitOutcomeUnknown, outcome_unknown)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(DBAPIError, database_error)
    app.add_exception_handler(PoolTimeoutError, database_error)
    # Connecting fails with OSErrors (connection refused, no such socket, timeout) and with errors of the driver
    # that SQLAlchemy does not wrap.
    app.add_exception_handler(OSError, database_error)
    app.add_exception_handler(asyncpg.PostgresError, database_error)
    app.add_exception_handler(asyncpg.InterfaceError, database_error)
    app.add_exception_handler(ClientDisconnect, disconnected)


def _allowed(request: Request) -> str:
    """All methods of a path; Starlette's own `Allow` names only those of the first route that matches."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, RouteIndex):
            methods |= route.methods(request.scope["path"].removeprefix(request.scope.get("root_path", "")))
        elif route.matches({**request.scope, "method": "OPTIONS"})[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(methods))


def _summary(errors: Sequence[Mapping[str, Any]], count: int) -> str:
    first = errors[0]
    where = first["field"] or first["in"]
    more = f" ({count - 1} more)" if count > 1 else ""
    return f"{where}: {first['detail']}{more}"
