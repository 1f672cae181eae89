"""The only maker of HTTP clients.

Whatever address a user gives us, and whatever the other side answers, a call made here
- ends within its deadline, which covers looking up the name, connecting, sending and reading;
- takes no more memory than its cap, counted after decompression while the body comes in;
- follows no redirect, keeps no cookie and asks no proxy of the environment;
- connects only to an address that was checked: a name is resolved, its addresses are checked, and
  the connection goes to one of those, so that a name cannot turn private in between;
- says nothing of its URL in logs and exceptions but scheme, host and port: a token may stand in
  the rest.

The body is read in full before the answer is handed over. Failures are httpx exceptions:

    httpx.TransportError
    ├── httpx.ConnectError          no connection: surely not sent
    │   └── AddressRefused          the address is private, special, or not an address
    ├── httpx.ReadError             the connection broke after sending
    │   └── BodyTooLarge            the answer is over `max_bytes`
    ├── httpx.RemoteProtocolError   the answer is not HTTP, or ended early
    └── httpx.TimeoutException
        └── DeadlineExceeded        `deadline` is over; `sent` tells whether anything went out
    httpx.DecodingError             the answer's compression is broken or unknown

`may_have_been_sent` tells which of them leave the outcome of a change unknown.
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

from app.kit.addresses import literal, refusal

Client = httpx.AsyncClient
Request = httpx.Request
Response = httpx.Response

MIB = 1024 * 1024
CHUNK = 16 * 1024
KEEP_ALIVE_SECONDS = 30.0
ENCODINGS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
SECOND_HAND = frozenset({"content-encoding", "content-length", "transfer-encoding", "set-cookie"})
"""Headers that are no longer true of the body handed over, or that we do not keep."""
LOGGERS = ("httpx", "httpcore", "aiohttp.client", "aiohttp.internal")


class AddressRefused(httpx.ConnectError):
    """The address is not one that we connect to."""


class BodyTooLarge(httpx.ReadError):
    """The answer is larger than the client accepts."""


class DeadlineExceeded(httpx.TimeoutException):
    """The call took too long. `sent` is False where nothing of the request can have gone out."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


def may_have_been_sent(error: httpx.RequestError) -> bool:
    """Whether the other side may have seen, and acted on, the request that failed so."""
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
    """A client for calls to addresses that users gave us, closed on leaving.

    `allow` names `host:port` pairs that may be reached although their addresses are private, the
    host spelt as in the URL. `deadline` is in seconds and holds for a whole call, `max_bytes` for
    a body after decompression. At most `concurrency` connections are open, and half as many to
    one host, so that a slow host leaves room for the others.
    """
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    allowed = frozenset(entry.lower() for entry in allow)
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_sent)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_Checked(resolver or aiohttp.ThreadedResolver(), allowed),
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
    ) as made:
        yield made


def metered(
    client: Client, before: Callable[[Request], Awaitable[None]], after: Callable[[Response], Awaitable[None]]
) -> Client:
    """The same connections behind a client that awaits `before` ahead of every single request, `after` its answer.

    What `before` raises ends the call, and nothing is sent. Not to be closed: it owns nothing.
    """

    class Metered(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await before(request)
            response = await client._transport.handle_async_request(request)
            await after(response)
            return response

    return httpx.AsyncClient(
        transport=Metered(), trust_env=False, follow_redirects=False, headers=client.headers, timeout=client.timeout
    )


class _Transport(httpx.AsyncBaseTransport):
    """One call: checked, within its deadline, its body read in full.

    It speaks to aiohttp itself: `httpx-aiohttp` reports a connection that broke *after* sending as
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
            failure = _translated(error, where, sent=progress.sent)
        # Raised out here, so that no exception of aiohttp, with the URL inside, hangs on it.
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
            headers=[(k, v) for k, v in response.raw_headers if k.lower().decode("latin-1") not in SECOND_HAND],
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
    """A body that grows no larger than `limit`, whatever is packed into it."""

    def __init__(self, limit: int, encoding: str | None) -> None:
        if encoding is not None and encoding not in ENCODINGS:
            raise httpx.DecodingError("the answer is compressed in a way that was not offered")
        self.inflates = encoding is not None
        self._limit = limit
        self._window = ENCODINGS.get(encoding or "", 0)
        self._inflate = zlib.decompressobj(self._window) if self.inflates else None
        self._parts: list[bytes] = []
        self._size = 0

    def too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the answer is larger than {self._limit} bytes")

    def add(self, chunk: bytes) -> None:
        while chunk:
            part, chunk = self._unpack(chunk)
            self._size += len(part)
            if self._size > self._limit:
                raise self.too_large()
            self._parts.append(part)

    def finish(self) -> bytes:
        if self._inflate is not None and self._parts and not self._inflate.eof:
            raise httpx.RemoteProtocolError("the answer ended early")
        return b"".join(self._parts)

    def _unpack(self, chunk: bytes) -> tuple[bytes, bytes]:
        """The plain bytes of a chunk, no more than one over the limit, and what is left of it."""
        if self._inflate is None:
            return chunk, b""
        if self._inflate.eof:  # another gzip member follows
            self._inflate = zlib.decompressobj(self._window)
        room = self._limit - self._size + 1
        try:
            part = self._inflate.decompress(chunk, room)
        except zlib.error:
            if self._parts or self._window != zlib.MAX_WBITS:
                raise httpx.DecodingError("the answer's compression is broken") from None
            # Some servers send raw deflate, without the zlib header that the name promises.
            self._window = -zlib.MAX_WBITS
            self._inflate = zlib.decompressobj(self._window)
            return self._unpack(chunk)
        return part, self._inflate.unconsumed_tail or self._inflate.unused_data


class _Checked(AbstractResolver):
    """Resolves a name to those of its addresses that may be connected to."""

    def __init__(self, inner: AbstractResolver, allowed: frozenset[str]) -> None:
        self._inner = inner
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if f"{host.lower()}:{port}" in self._allowed:
            return found
        good = [record for record in found if refusal(record["host"]) is None]
        if found and not good:
            raise AddressRefused(f"{host} has no public address ({refusal(found[0]['host'])})")
        return good

    async def close(self) -> None:
        await self._inner.close()


def _check_literal(url: URL, allowed: frozenset[str]) -> None:
    """aiohttp asks no resolver for an address written as digits, so that one is checked here."""
    host = url.raw_host or ""
    if (address := literal(host)) is None:
        return
    spelt = f"[{host}]" if ":" in host else host
    reason = refusal(address)
    if reason is not None and f"{spelt}:{url.port}".lower() not in allowed:
        raise AddressRefused(f"{host} is not a public address ({reason})")


async def _note_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    """Called before the first byte of a request is written."""
    context.trace_request_ctx.sent = True


def _translated(error: Exception, where: str, *, sent: bool) -> httpx.RequestError:
    kind: Callable[[str], httpx.RequestError]
    if not sent:
        kind, what = httpx.ConnectError, f"cannot connect to {where}"
    elif isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        kind, what = httpx.RemoteProtocolError, f"the answer of {where} ended early or is not HTTP"
    else:
        kind, what = httpx.ReadError, f"the connection to {where} broke before its answer"
    return kind(f"{what} ({type(error).__name__})")


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Certificates are checked against certifi's roots, or `SSL_CERT_FILE`'s."""
    return httpx.create_ssl_context()
