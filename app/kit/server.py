"""The HTTP server's protocol: uvicorn's, with limits to what a client may send and to how long it may take.

uvicorn limits neither the size of a request's head nor the time that head, body and the reading of the answer
take: one connection could fill the memory, and idle ones could use up the file descriptors.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final
from weakref import WeakKeyDictionary

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from app.kit.errors import problem


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may send, and in what time. Sizes are in bytes, times in seconds."""

    head: int = 32 * 1024
    """The request line with all headers; a proxy's own limit is mostly 8 to 32 KiB."""
    head_seconds: float = 10.0
    """From the first byte of a head (of a new connection: from its beginning) to its end."""
    body_seconds: float = 10.0
    """For a body, and 1 s more for each `body_rate` bytes that have arrived."""
    body_rate: int = 1000
    send_seconds: float = 30.0
    """In which the client must have read something of what waits to be sent."""
    interval: float = 1.0
    """Between two looks at all connections: no request pays for a timer."""


_FRAMING: Final = 8
"""Bytes of chunk sizes and separators for each byte of a chunked body: more than any that makes sense."""


async def _head_too_large(scope: Scope, receive: Receive, send: Send) -> None:
    response = problem(
        status=431,
        title="Head too large",
        code="head-too-large",
        detail="The request line and the headers together are larger than this service takes.",
        instance=None,
        request_id=None,
        headers={"Connection": "close", "X-Content-Type-Options": "nosniff"},
    )
    await response(scope, receive, send)


class LimitedProtocol(HttpToolsProtocol):
    """A connection whose client must keep to `limits`; one that does not is answered, where it can be, and closed."""

    limits: ClassVar[Limits] = Limits()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._heads = 0
        """How many heads were complete."""
        self._head_began: float | None = None
        self._head_size = 0
        """Of a head that came in several pieces."""
        self._body_began: float | None = None
        self._body_size = 0
        self._received = 0
        """Since the body began, with what frames its chunks, and trailers."""
        self._unsent = 0
        self._unsent_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._head_began = self._unsent_since = self.loop.time()
        _watch(self.loop).add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        _watch(self.loop).discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        heads, head_was_open, body_was_open = self._heads, self._head_began is not None, self._body_began is not None
        super().data_received(data)
        if self._heads != heads or self.transport.is_closing():
            return  # a head that ended was measured there
        if head_was_open and self._head_began is not None:
            self._head_size += len(data)
            if self._head_size > self.limits.head:
                self._refuse(431, "head-too-large", "The request line and the headers together are too large.")
        elif body_was_open and self._body_began is not None:
            self._received += len(data)
            if self._received - self._body_size > self.limits.head + _FRAMING * self._body_size:
                self._refuse(400, "bad-request", "The body has too much around it: chunks too small, or trailers.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_began is None:
            self._head_began = self.loop.time()
        self._head_size = 0

    def on_headers_complete(self) -> None:
        self._heads += 1
        self._head_began = None
        self._body_began, self._body_size, self._received = self.loop.time(), 0, 0
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value) + 4
        if size <= self.limits.head:
            super().on_headers_complete()
            return
        app, self.app = self.app, _head_too_large
        super().on_headers_complete()
        self.app = app

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._body_began = None
        super().on_message_complete()

    def look(self, now: float) -> None:
        """Close the connection where its client is late."""
        limits = self.limits
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent < self._unsent:
            self._unsent_since = now
        self._unsent = unsent
        if now - self._unsent_since > limits.send_seconds:
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self._head_began is not None and now - self._head_began > limits.head_seconds:
            self._refuse(408, "request-timeout", "The head of the request did not arrive in time.")
        elif self._body_began is not None and not self.flow.read_paused:
            answered = self.cycle.response_complete
            allowed = limits.body_seconds + (0 if answered else self._body_size / limits.body_rate)
            if now - self._body_began > allowed:
                self._refuse(408, "request-timeout", "The body of the request did not arrive in time.")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(400, "bad-request", msg)

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Close the connection, with a problem where no response is under way."""
        answers = self.cycle is not None and not self.cycle.response_complete
        if not answers or not (self.cycle.response_started or self.pipeline):
            response = problem(
                status=status, title=HTTPStatus(status).phrase, code=code, detail=detail, instance=None, request_id=None
            )
            head = [STATUS_LINE[status]]
            for name, value in (*response.raw_headers, (b"x-content-type-options", b"nosniff")):
                head += [name, b": ", value, b"\r\n"]
            self.transport.write(b"".join((*head, b"connection: close\r\n\r\n", bytes(response.body))))
        self.transport.close()


class _Watch:
    """Looks at all connections of an event loop again and again, while there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connections: set[LimitedProtocol] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: LimitedProtocol) -> None:
        """Look at this connection, too."""
        self._connections.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(connection.limits.interval, self._look)

    def discard(self, connection: LimitedProtocol) -> None:
        """It has ended."""
        self._connections.discard(connection)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        for connection in tuple(self._connections):
            connection.look(now)
        for connection in self._connections:
            self.add(connection)
            break


_WATCHES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch]] = WeakKeyDictionary()


def _watch(loop: asyncio.AbstractEventLoop) -> _Watch:
    watch = _WATCHES.get(loop)
    if watch is None:
        watch = _WATCHES[loop] = _Watch(loop)
    return watch
