"""What happens to every request, whatever it asks: pure ASGI, from the outside in.

RequestContext   an id, a log line, a metric, and a problem answer for what nobody caught
RateLimit        `RateLimit` headers on every answer, 429 beyond the limit
BodyLimit        413 while the body streams in, before it is stored anywhere
"""

import ipaddress
import math
import re
import time
from collections import Counter
from collections.abc import Iterable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit import telemetry
from app.kit.clock import Clock
from app.kit.errors import problem
from app.kit.ids import uuid7

log = structlog.get_logger("app.http")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_KEY_PREFIX = re.compile(r"Bearer isk_([A-Za-z0-9]{12})_", re.IGNORECASE)


class RequestContext:
    """Gives each request its id, tells how it went, and answers 500 where nobody else did.

    What begins with a path of `crowds` and goes well is counted, and not logged line by line.
    """

    def __init__(self, app: ASGIApp, *, crowds: tuple[str, ...] = ()) -> None:
        self.app = app
        self.crowds = crowds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid7())
        scope["request_id"] = request_id
        status = 0

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        started = time.perf_counter()
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, tell)
        except Exception:
            log.exception("request.crashed", method=scope["method"], route=_route(scope))
            if status:
                raise  # the answer has begun: all that is left is to break the connection
            await problem(
                status=500,
                title="Internal error",
                code="internal-error",
                detail="Something went wrong on our side. It is logged under this request_id.",
                instance=scope["path"],
                request_id=request_id,
            )(scope, receive, tell)
        finally:
            took = time.perf_counter() - started
            route = _route(scope)
            telemetry.REQUEST_SECONDS.labels(scope["method"], route, str(status)).observe(took)
            if status >= 400 or not scope["path"].startswith(self.crowds):
                log.info("request", method=scope["method"], route=route, status=status, ms=round(took * 1000, 1))
            structlog.contextvars.reset_contextvars(**bound)


def _route(scope: Scope) -> str:
    """The template of the path that is asked for, never the path itself: it may hold a secret (a hook's address)."""
    route: str = getattr(scope.get("route"), "path_format", "none")
    return route


class BodyTooLarge(HTTPException):
    """More body than allowed has arrived."""

    def __init__(self, most: int) -> None:
        super().__init__(413, f"The body is larger than {most} bytes.")


class BodyLimit:
    """Stops reading a body that is too large, whatever its Content-Length claims."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        too_large = not announced.isdigit() or int(announced) > self.most
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            if too_large:
                raise BodyTooLarge(self.most)
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self.most:
                    raise BodyTooLarge(self.most)
            return message

        await self.app(scope, counted, send)


class RateLimitMiddleware:
    """Counts the calls of each API key (of each address, without one) in every minute.

    A minute is the clock's, the same for all. Counts are this process's own. They hold off a script that
    runs wild; they are no quota.
    `exempt` names the beginnings of paths that are not counted.
    """

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
        self.most = per_minute
        self.clock = clock
        self.minute = 0.0
        self.made: Counter[tuple[str, str]] = Counter()
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
        key = _KEY_PREFIX.match(headers.get("authorization", ""))
        who = (address, key.group(1) if key else "")
        minute, passed = divmod(self.clock.now().timestamp(), 60)
        if minute != self.minute:  # all begin anew, so that nothing is kept of whoever went away
            self.minute, self.made = minute, Counter()
        self.made[who] += 1
        left, reset = self.most - self.made[who], math.ceil(60 - passed)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                out["RateLimit-Policy"] = f'"default";q={self.most};w=60'
                out["RateLimit"] = f'"default";r={max(left, 0)};t={reset}'
            await send(message)

        if left >= 0:
            await self.app(scope, receive, tell)
            return
        await problem(
            status=429,
            title="Too many requests",
            code="too-many-requests",
            detail=f"At most {self.most} requests a minute; come back in {reset} s.",
            instance=scope["path"],
            request_id=scope.get("request_id"),
            headers={"Retry-After": str(reset)},
        )(scope, receive, tell)


Networks = list[ipaddress.IPv4Network | ipaddress.IPv6Network]


def client_address(scope: Scope, headers: Headers, proxies: Networks) -> str:
    """Who is calling: the nearest address in `X-Forwarded-For` that is not a proxy of ours."""
    nearest = scope["client"][0] if scope.get("client") else "unknown"
    # A proxy may add to the header or add another: what stands last was written last.
    told = ",".join(headers.getlist("x-forwarded-for"))
    chain = [part.strip() for part in told.split(",") if part.strip()]
    while chain and _within(nearest, proxies):
        nearest = chain.pop()
    return nearest


def _within(address: str, networks: Networks) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
