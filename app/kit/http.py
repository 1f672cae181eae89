"""The only factory of HTTP clients.

Whatever URL a user gives us, and whatever the server answers, a call made here
- ends within its deadline, which covers DNS lookup, connecting, sending and reading;
- takes no more memory than its cap, counted after decompression while the body arrives;
- follows no redirect, stores no cookie and uses no proxy from the environment;
- connects only to checked addresses: a name is resolved, its addresses are checked, and the
  connection goes to one of those, so that the name cannot resolve to a private one in between;
- shows only scheme, host and port of its URL in logs and exceptions: the rest may contain a token.

The body is read in full before the response is returned. Failures are httpx exceptions:

    httpx.TransportError
    ├── httpx.ConnectError          no connection: certainly not sent
    │   └── AddressRefused          the address is private, special, or not an address
    ├── httpx.ReadError             the connection broke after sending began
    │   └── BodyTooLarge            the response is over `max_bytes`
    ├── httpx.RemoteProtocolError   the response is not HTTP, or ended early
    └── httpx.TimeoutException
        └── DeadlineExceeded        `deadline` is over; `sent`: whether sending had begun
    httpx.DecodingError             the response's compression is broken or unknown

`may_have_been_sent` says which of them leave the outcome of a change unknown.
"""

import asyncio
import logging
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import lru_cache
from types import SimpleNamespace

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from app.kit.addresses import host_refusal, refusal

Client = httpx.AsyncClient
Request = httpx.Request
Response = httpx.Response

MIB = 1024 * 1024
CHUNK = 16 * 1024
KEEP_ALIVE_SECONDS = 30.0
ENCODINGS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
DROPPED_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding", "set-cookie"})
"""Headers that do not describe the decompressed body, and cookies, which are not stored."""
LOGGERS = ("httpx", "httpcore", "aiohttp.client", "aiohttp.internal")


class AddressRefused(httpx.ConnectError):
    """The address is private, special or malformed (see `addresses`)."""


class BodyTooLarge(httpx.ReadError):
    """The response is larger than `max_bytes`."""


class DeadlineExceeded(httpx.TimeoutException):
    """The call took longer than `deadline`. `sent` is False where nothing of the request was sent."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


def may_have_been_sent(error: httpx.RequestError) -> bool:
    """Whether the server may have received, and acted on, the request that failed with this error."""
    if isinstance(error, DeadlineExceeded):
        return error.sent
    return not isinstance(
        error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol
    )


@asynccontextmanager
async def client(
    *,
    allow: Collection[str] = (),
    deadline: float = 20.0,
    max_bytes: int = 8 * MIB,
    concurrency: int = 64,
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client for calls to URLs that users gave us; closed at the end of the block.

    `allow` names `host:port` pairs that may be reached although their addresses are private, the
    host written as in the URL. `deadline` is in seconds, for a whole call; `max_bytes` is the size of a body
    after decompression. At most `concurrency` connections are open, and half as many to one host, so that
    a slow host cannot use them all.
    """
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    allowed = frozenset(entry.lower() for entry in allow)
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_record_sent)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_CheckedResolver(resolver or aiohttp.ThreadedResolver(), allowed),
            ssl=_tls(),
            limit=concurrency,
            limit_per_host=max(1, concurrency // 2),
            keepalive_timeout=KEEP_ALIVE_SECONDS,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=False,
        auto_decompress=False,
        trace_configs=[trace],
    )
    transport = _Transport(session, allowed, deadline=deadline, max_bytes=max_bytes)
    headers = {"accept-encoding": "gzip, deflate", "user-agent": "Instep"}
    async with httpx.AsyncClient(
        transport=transport, trust_env=False, follow_redirects=False, headers=headers, timeout=deadline
    ) as http:
        yield http


def metered(
    client: Client,
    before: Callable[[Request], Awaitable[None]],
    after: Callable[[Response], Awaitable[None]],
    unanswered: Callable[[Request, Exception], Awaitable[None]],
) -> Client:
    """A client on the same connections that awaits `before` for every request, and `after` for every response.

    `unanswered` is awaited, with the error, where there is no response. Where `before` raises, the request is not
    sent. The client must not be closed: the connections are not its own.
    """

    class Metered(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await before(request)
            try:
                response = await client.send(request, stream=True)
            except httpx.RequestError as error:
                await unanswered(request, error)
                raise
            await after(response)
            return response

    return httpx.AsyncClient(
        transport=Metered(), trust_env=False, follow_redirects=False, headers=client.headers, timeout=client.timeout
    )


class _Transport(httpx.AsyncBaseTransport):
    """One call: its address checked, within its deadline, its body read in full.

    It uses aiohttp directly: `httpx-aiohttp` reports a connection that broke *after* sending as
    `ConnectTimeout`, and a caller would then repeat a change that was made.
    """

    def __init__(
        self, session: aiohttp.ClientSession, allowed: frozenset[str], *, deadline: float, max_bytes: int
    ) -> None:
        self._session = session
        self._allowed = allowed
        self._deadline = deadline
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        progress = SimpleNamespace(sent=False)
        where = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
        try:
            async with asyncio.timeout(self._deadline):
                return await self._exchange(request, progress)
        except httpx.RequestError:
            raise
        except TimeoutError:
            failure: httpx.RequestError = DeadlineExceeded(
                f"{where} did not answer within {self._deadline:g} s", sent=progress.sent
            )
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            failure = AddressRefused(f"{where} is not an address to connect to")
        except (aiohttp.ClientError, OSError) as error:
            failure = _httpx_error(error, where, sent=progress.sent)
        # Raised outside of the handler, so that no exception of aiohttp, which holds the URL, is its context.
        raise failure

    async def _exchange(self, request: httpx.Request, progress: SimpleNamespace) -> httpx.Response:
        url = URL(str(request.url), encoded=True)
        _check_literal(url, self._allowed)
        body = await request.aread()
        response = await self._session.request(
            request.method,
            url,
            headers=request.headers.multi_items(),
            data=body or None,
            allow_redirects=False,
            trace_request_ctx=progress,
        )
        try:
            content = await self._read(response)
        except BaseException:
            response.close()
            raise
        response.release()
        return httpx.Response(
            response.status,
            headers=[(k, v) for k, v in response.raw_headers if k.lower().decode("latin-1") not in DROPPED_HEADERS],
            content=content,
            request=request,
            extensions={"reason_phrase": (response.reason or "").encode("latin-1", "replace")},
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        body = _Body(self._max_bytes, None if encoding == "identity" else encoding)
        if not body.inflates and (response.content_length or 0) > self._max_bytes:
            raise body.too_large()
        async for chunk in response.content.iter_chunked(CHUNK):
            body.add(chunk)
        return body.finish()

    async def aclose(self) -> None:
        await self._session.close()


class _Body:
    """Collects a body, decompressing it, up to `limit` bytes."""

    def __init__(self, limit: int, encoding: str | None) -> None:
        if encoding is not None and encoding not in ENCODINGS:
            raise httpx.DecodingError("the response has a content encoding that was not offered")
        self.inflates = encoding is not None
        self._limit = limit
        self._window = ENCODINGS.get(encoding or "", 0)
        self._inflate = zlib.decompressobj(self._window) if self.inflates else None
        self._parts: list[bytes] = []
        self._size = 0

    def too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the response is larger than {self._limit} bytes")

    def add(self, chunk: bytes) -> None:
        while chunk:
            part, chunk = self._unpack(chunk)
            self._size += len(part)
            if self._size > self._limit:
                raise self.too_large()
            self._parts.append(part)

    def finish(self) -> bytes:
        if self._inflate is not None and self._parts and not self._inflate.eof:
            raise httpx.RemoteProtocolError("the response ended early")
        return b"".join(self._parts)

    def _unpack(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Decompressed bytes of a chunk, at most one more than the limit allows, and the rest of the chunk."""
        if self._inflate is None:
            return chunk, b""
        if self._inflate.eof:  # another gzip member follows
            self._inflate = zlib.decompressobj(self._window)
        room = self._limit - self._size + 1
        try:
            part = self._inflate.decompress(chunk, room)
        except zlib.error:
            if self._parts or self._window != zlib.MAX_WBITS:
                raise httpx.DecodingError("the response's compression is broken") from None
            # Some servers send raw deflate, without the zlib header that the name promises.
            self._window = -zlib.MAX_WBITS
            self._inflate = zlib.decompressobj(self._window)
            return self._unpack(chunk)
        return part, self._inflate.unconsumed_tail or self._inflate.unused_data


class _CheckedResolver(AbstractResolver):
    """Resolves a name to those of its addresses that are not refused (see `addresses`)."""

    def __init__(self, inner: AbstractResolver, allowed: frozenset[str]) -> None:
        self._inner = inner
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        resolved = await self._inner.resolve(host, port, family)
        if f"{host.lower()}:{port}" in self._allowed:
            return resolved
        public = [record for record in resolved if refusal(record["host"]) is None]
        if resolved and not public:
            raise AddressRefused(f"{host} has no public address ({refusal(resolved[0]['host'])})")
        return public

    async def close(self) -> None:
        await self._inner.close()


def _check_literal(url: URL, allowed: frozenset[str]) -> None:
    """Check a host that is an IP address: aiohttp calls no resolver for one."""
    host = url.raw_host or ""
    bracketed = f"[{host}]" if ":" in host else host
    reason = host_refusal(host)
    if reason is not None and f"{bracketed}:{url.port}".lower() not in allowed:
        raise AddressRefused(f"{host} is not a public address ({reason})")


async def _record_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    """Called before the first byte of a request is written."""
    context.trace_request_ctx.sent = True


def _httpx_error(error: Exception, where: str, *, sent: bool) -> httpx.RequestError:
    error_class: Callable[[str], httpx.RequestError]
    if not sent:
        error_class, what = httpx.ConnectError, f"cannot connect to {where}"
    elif isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        error_class, what = httpx.RemoteProtocolError, f"the response of {where} ended early or is not HTTP"
    else:
        error_class, what = httpx.ReadError, f"the connection to {where} broke before its response"
    return error_class(f"{what} ({type(error).__name__})")


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Verifies certificates against certifi's roots, or those of `SSL_CERT_FILE`."""
    return httpx.create_ssl_context()
