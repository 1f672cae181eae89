"""Test servers, each with one fault."""

import asyncio
import gzip
import json
import socket
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache

import httpx

from app.kit.http import MIB
from app.platforms.contract import Malformed, OutcomeUnknown, PlatformError, Throttled, Transient
from tests.kit.test_http import Handler, Server, answer, says

Before = Callable[[httpx.Request], httpx.Response | None]


class Deadlines:
    """Replaces `asyncio` in the HTTP client: deadlines expire when a test server calls `expire`."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._made: list[asyncio.Timeout] = []

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Replaces `asyncio.timeout`."""
        self.seconds.append(seconds)
        self._made.append(asyncio.timeout(None))
        return self._made[-1]

    def expire(self) -> None:
        """Expire the deadlines of all calls in progress."""
        for made in self._made:
            with suppress(RuntimeError):  # its call has ended
                made.reschedule(asyncio.get_running_loop().time())


@dataclass(frozen=True, slots=True)
class Fault:
    """What a server does instead of responding, and the errors that an adapter must raise for it."""

    handler: Callable[[Deadlines], Handler]
    to_a_read: type[PlatformError] | tuple[type[PlatformError], ...]
    to_a_change: tuple[type[PlatformError], ...] = (OutcomeUnknown,)
    to_a_renewal: tuple[type[PlatformError], ...] = (OutcomeUnknown,)
    retry_after: float | None = None


def _always(handler: Handler) -> Callable[[Deadlines], Handler]:
    return lambda _: handler


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def _slow_body(deadlines: Deadlines) -> Handler:
    """Sends single bytes, so that only the deadline of the whole call can end it."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"", length=1000))
        for _byte in range(5):
            writer.write(b" ")
            await writer.drain()
        deadlines.expire()

    return handler


def _slow_head(deadlines: Deadlines) -> Handler:
    """The headers of the response are not complete in time."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in answer(b"{}")[:5]:
            writer.write(bytes([byte]))
            await writer.drain()
        deadlines.expire()

    return handler


def _no_response(deadlines: Deadlines) -> Handler:
    async def handler(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        deadlines.expire()

    return handler


async def _truncated(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b'{"response": {', length=1000))
    await writer.drain()
    writer.close()


async def _endless_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    block = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for _block in range(16_384):
        writer.write(block)
        await writer.drain()


@cache
def _compressed() -> bytes:
    """A gzip body that is small compressed and 128 MiB decompressed."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(b" " * MIB) for _ in range(128)) + packer.flush()


async def _gzip_bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await says(_compressed(), "content-encoding: gzip")(reader, writer)


UNWELL = (Transient, OutcomeUnknown)
"""For an error of the server, which may or may not have issued a new token."""

UNANSWERED = (Malformed, *UNWELL)
"""For status 200 with an error: malformed for a platform whose errors have other statuses."""

_ERROR = json.dumps(
    {
        "ok": False,
        "error": {"code": 2, "error_code": 10, "message": "unwell", "error_msg": "unwell", "type": "OAuthException"},
        "error_code": 2,
        "error_msg": "unwell",
        "description": "unwell",
    }
).encode()
"""An internal error in the formats of several platforms, sent with status 200."""

FAULTS: dict[str, Fault] = {
    "closed without an answer": Fault(_always(_hang_up), Transient),
    "no answer in time": Fault(_no_response, Transient),
    "a byte a second": Fault(_slow_body, Transient),
    "a byte a second of the head": Fault(_slow_head, Transient),
    "truncated": Fault(_always(_truncated), Transient),
    "truncated compression": Fault(
        _always(says(gzip.compress(b"{}" * 100)[:-12], "content-encoding: gzip")), Transient
    ),
    "truncated JSON": Fault(_always(says(b'{"response": {"items": [{"id"')), Malformed),
    "a wrong type": Fault(_always(says(b'{"response": "text", "result": "text", "data": "text"}')), Malformed),
    "200 with an error": Fault(_always(says(_ERROR)), UNANSWERED, to_a_renewal=UNANSWERED),
    "another language": Fault(_always(says(b"<html>hello</html>")), Malformed),
    "a compressed bomb": Fault(_always(_gzip_bomb), Malformed),
    "a gigabyte announced": Fault(_always(says(b"", length=10**9)), Malformed),
    "a gigabyte": Fault(_always(_endless_body), Malformed),
    "a redirect loop": Fault(
        _always(says(b"", "location: /", status="302 Found")),
        Malformed,
        to_a_renewal=(Malformed, *UNWELL),
    ),
    "500": Fault(_always(says(b"", status="500 Internal Server Error")), Transient, to_a_renewal=UNWELL),
    "503 with a page": Fault(
        _always(says(b"<html>", status="503 Service Unavailable")), Transient, to_a_renewal=UNWELL
    ),
    "429 with the time": Fault(
        _always(says(b"", "retry-after: 7", status="429 Too Many Requests")), Throttled, (Throttled,), (Throttled,), 7.0
    ),
    "429 without": Fault(_always(says(b"", status="429 Too Many Requests")), Throttled, (Throttled,), (Throttled,)),
}

NEVER_ACCEPTED = "never accepted"
"""In addition to `FAULTS`: `server_that_accepts_nothing`."""


@asynccontextmanager
async def server_that_accepts_nothing() -> AsyncIterator[str]:
    """The address of a server whose backlog is full: connecting to it never completes."""
    with ExitStack() as open_:
        server = open_.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = open_.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"


FAULT_PROPERTY = "fault"
"""The property under which a test records its adapter and fault, also from an xdist worker."""


def table(outcomes_by_case: Mapping[tuple[str, str], list[bool]]) -> str:
    """A text table of faults by adapters: the number of calls tested, or of those that failed."""
    keys = sorted({key for key, _ in outcomes_by_case})
    faults = [fault for fault in (NEVER_ACCEPTED, *FAULTS) if any((key, fault) in outcomes_by_case for key in keys)]
    first = max(map(len, faults), default=0)

    def cell(key: str, fault: str) -> str:
        outcomes = outcomes_by_case.get((key, fault), [])
        failures = outcomes.count(False)
        return f"{failures} FAILED" if failures else str(len(outcomes) or "")

    def line(label: str, cells: list[str]) -> str:
        padded = [cell.center(max(len(key), 8)) for key, cell in zip(keys, cells, strict=True)]
        return f"{label:<{first}}  {'  '.join(padded)}".rstrip()

    return "\n".join([line("", keys), *(line(fault, [cell(key, fault) for key in keys]) for fault in faults)])


LARGE = frozenset({"a compressed bomb", "a gigabyte announced", "a gigabyte"})


@dataclass(slots=True)
class RequestCounts:
    """The requests to a server of `faulty_handler`: those before the change, changes, and all URLs."""

    before: int = 0
    changes: int = 0
    urls: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    """Those in the changes' headers: a change that is refused to one token may be tried with another."""


def faulty_handler(
    fault: Handler, before: Before, server: Callable[[], Server], counts: RequestCounts, *, first: int = 0
) -> Handler:
    """A server with the fault in its response to the change; with `first`, to that request before it (from 1)."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _request(server().heads[-1], reader)
        counts.urls.append(str(request.url))
        response = before(request)
        if response is None:
            counts.changes += 1
            counts.tokens.add(request.headers.get("authorization", ""))
            await fault(reader, writer)
            return
        counts.before += 1
        if counts.before == first:
            await fault(reader, writer)
        else:
            writer.write(raw_response(response))

    return handler


def raw_response(response: httpx.Response) -> bytes:
    """A response as bytes of HTTP/1.1."""
    headers = [f"{name}: {value}" for name, value in response.headers.items() if name != "content-length"]
    return answer(response.content, *headers, status=f"{response.status_code} Said")


async def _request(head: bytes, reader: asyncio.StreamReader) -> httpx.Request:
    line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = line.split(" ")
    headers = httpx.Headers([(name, value.strip()) for name, _, value in (one.partition(":") for one in rest)])
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return httpx.Request(method, f"http://{headers['host']}{path}", headers=headers, content=body)
