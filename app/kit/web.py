"""The ASGI middleware of every request, from the outermost in.

RequestContext         a request id, a log line, a metric, and a problem response for uncaught exceptions
RateLimitMiddleware    `RateLimit` headers on every response, 429 beyond the limit
BodyLimit              413 while the body streams in, before it is stored anywhere
"""

import hashlib
import ipaddress
import math
import re
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

import structlog
from cachetools import TTLCache
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit import telemetry
from app.kit.clock import Clock
from app.kit.errors import problem
from app.kit.ids import uuid7
from app.kit.pages import STRICT

log = structlog.get_logger("app.http")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_LONGEST_LENGTH = 18
_LENGTH = re.compile(r"[0-9]+", re.ASCII)


class RequestContext:
    """Gives each request an id, logs and measures it, and answers 500 to an uncaught exception.

    Successful requests to paths that begin with one of `unlogged_prefixes` are measured, but not logged.
    """

    def __init__(self, app: ASGIApp, *, unlogged_prefixes: tuple[str, ...] = ()) -> None:
        self.app = app
        self.unlogged_prefixes = unlogged_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = Headers(scope=scope).get("x-request-id", "")
        request_id = received if _REQUEST_ID.fullmatch(received) else str(uuid7())
        scope["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                response_headers = MutableHeaders(scope=message)
                response_headers["X-Request-ID"] = request_id
                response_headers["X-Content-Type-Options"] = "nosniff"
                if response_headers.get("content-type", "").startswith("text/html"):
                    response_headers.setdefault("Content-Security-Policy", STRICT)
                    response_headers["X-Frame-Options"] = "DENY"
            await send(message)

        started = time.perf_counter()
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            repeated = _repeated_header(scope)
            app = self.app if repeated is None else _refusal_of_repeated(repeated, scope)
            await app(scope, receive, send_with_id)
        except Exception:
            log.exception("request.crashed", method=scope["method"], route=_route(scope))
            if status:
                raise  # the response has begun: the server can only close the connection
            await problem(
                status=500,
                title="Internal error",
                code="internal-error",
                detail="Something went wrong on our side. It is logged under this request_id.",
                instance=scope["path"],
                request_id=request_id,
            )(scope, receive, send_with_id)
        finally:
            took = time.perf_counter() - started
            route = _route(scope)
            telemetry.REQUEST_SECONDS.labels(scope["method"], route, str(status)).observe(took)
            if status >= 400 or not scope["path"].startswith(self.unlogged_prefixes):
                log.info(
                    "request",
                    method=scope["method"],
                    route=route,
                    status=status,
                    ms=round(took * 1000, 1),
                    **_concerned(scope),
                )
            structlog.contextvars.reset_contextvars(**bound)
            structlog.contextvars.unbind_contextvars("actor", "workspace_id")  # bound by authentication


def _concerned(scope: Scope) -> dict[str, str]:
    """The community that a request is about, where its path names one."""
    community_id = (scope.get("path_params") or {}).get("community_id")
    return {} if community_id is None else {"community_id": str(community_id)}


_SINGLE: Final = frozenset((b"authorization", b"content-length", b"content-type", b"host", b"idempotency-key"))
"""Headers that are sent once: of two, a proxy in front may evaluate the other one."""


def _repeated_header(scope: Scope) -> str | None:
    """The name of a header that is sent more than once though it may not be."""
    names = [name for name, _ in scope["headers"] if name in _SINGLE]
    return next((name.decode() for name in names if names.count(name) > 1), None)


def _refusal_of_repeated(header: str, scope: Scope) -> Response:
    return problem(
        status=400,
        title="Bad request",
        code="repeated-header",
        detail=f"Send one {header.title()} header.",
        instance=scope["path"],
        request_id=scope["request_id"],
    )


def _route(scope: Scope) -> str:
    """The matched route's path template, never the path itself, which may hold a secret (a hook's id)."""
    route: str = getattr(scope.get("route"), "path_format", "none")
    return route


class BodyTooLarge(HTTPException):
    """The request's body is over the limit."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(413, f"The body is larger than {max_bytes} bytes.")


class BodyLimit:
    """Refuses a body that is too large, counting the bytes received besides its Content-Length."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        is_number = _LENGTH.fullmatch(announced) is not None
        too_large = is_number and (len(announced) > _LONGEST_LENGTH or int(announced) > self.max_bytes)
        received = 0

        async def counted() -> Message:
            nonlocal received
            if not is_number:
                raise HTTPException(400)
            if too_large:
                raise BodyTooLarge(self.max_bytes)
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self.max_bytes:
                    raise BodyTooLarge(self.max_bytes)
            return message

        await self.app(scope, counted, send)


class Usage:
    """How often the caller of a request has called in this minute."""

    __slots__ = ("_credential", "_limits", "caller", "count")

    def __init__(self, limits: "RateLimitMiddleware", caller: str, credential: bytes | None) -> None:
        self._limits, self._credential = limits, credential
        self.caller = caller
        self.count = self._add(1)

    def verified(self, key: str) -> None:
        """The request's credential is this API key, which is counted in place of the address."""
        if self._credential is not None and self.caller != key:
            self._add(-1)
            self._limits.verified[self._credential] = self.caller = key
            self.count = self._add(1)

    def _add(self, number: int) -> int:
        self._limits.counts[self.caller] += number
        return self._limits.counts[self.caller]


def verified(scope: Scope, key: str) -> None:
    """Count this request as one of an API key, which was found to be good."""
    usage: Usage | None = scope.get("usage")
    if usage is not None:
        usage.verified(key)


class RateLimitMiddleware:
    """Limits the requests of each API key, and of each client address without a good one, per minute.

    A key counts once it was verified: made-up ones all count as their address. A key that was verified within
    `VERIFIED_SECONDS` is recognised before it is verified again, so that others at its address, who have used up
    that address's limit, do not shut it out.

    The windows are the clock's minutes, the same for all. Counts are this process's own: a protection against a
    runaway script, not a quota. Paths that begin with one of `exempt` are not counted.
    """

    VERIFIED_SECONDS: Final = 600.0
    VERIFIED_SIZE: Final = 10_000

    def __init__(
        self,
        app: ASGIApp,
        *,
        per_minute: int,
        trusted_proxies: Iterable[str],
        exempt: tuple[str, ...],
        clock: Clock,
    ) -> None:
        self.app = app
        self.per_minute = per_minute
        self.clock = clock
        self.minute = 0.0
        self.counts: Counter[str] = Counter()
        self.verified: TTLCache[bytes, str, float] = TTLCache(
            self.VERIFIED_SIZE, self.VERIFIED_SECONDS, clock.monotonic
        )
        """By the hash of the `Authorization` header: the key itself is not kept."""
        self.proxies = [ipaddress.ip_network(proxy) for proxy in trusted_proxies]
        self.exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        address = client_address(scope, headers, self.proxies)
        scope["client_address"] = address
        if scope["path"].startswith(self.exempt):
            await self.app(scope, receive, send)
            return
        minute, elapsed = divmod(self.clock.now().timestamp(), 60)
        if minute != self.minute:  # all counts start anew, so that none is stored for callers that are gone
            self.minute, self.counts = minute, Counter()
        authorization = headers.get("authorization")
        credential = None if authorization is None else hashlib.sha256(authorization.encode()).digest()
        caller = address if credential is None else self.verified.get(credential, address)
        usage = scope["usage"] = Usage(self, caller, credential)
        reset = math.ceil(60 - elapsed)

        async def send_with_limit(message: Message) -> None:
            if message["type"] == "http.response.start":
                response_headers = MutableHeaders(scope=message)
                remaining = max(self.per_minute - usage.count, 0)
                response_headers["RateLimit-Policy"] = f'"default";q={self.per_minute};w=60'
                response_headers["RateLimit"] = f'"default";r={remaining};t={reset}'
            await send(message)

        if usage.count <= self.per_minute:
            await self.app(scope, receive, send_with_limit)
            return
        await problem(
            status=429,
            title="Too many requests",
            code="too-many-requests",
            detail=f"At most {self.per_minute} requests a minute; come back in {reset} s.",
            instance=scope["path"],
            request_id=scope.get("request_id"),
            headers={"Retry-After": str(reset)},
        )(scope, receive, send_with_limit)


Networks = list[ipaddress.IPv4Network | ipaddress.IPv6Network]


def client_address(scope: Scope, headers: Headers, proxies: Networks) -> str:
    """The client's address: the last one in the chain of proxies that is not one of `proxies`."""
    nearest = scope["client"][0] if scope.get("client") else "unknown"
    # A proxy may append to the header or add another one: the last entry was written last.
    forwarded = ",".join(headers.getlist("x-forwarded-for"))
    chain = [part.strip() for part in forwarded.split(",") if part.strip()]
    while chain and _within(nearest, proxies):
        nearest = chain.pop()
    return nearest


def _within(address: str, networks: Networks) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
