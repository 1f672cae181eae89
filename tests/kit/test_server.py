"""What a client may send, and how long it may take: over real connections to a server with short limits."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.kit.server import LimitedProtocol, Limits

PATIENT = Limits()
HASTY = Limits(head_seconds=0.1, body_seconds=0.1, body_rate=1_000_000, send_seconds=0.1, interval=0.01)
LARGE = b"x" * 20_000_000
WITHIN = 10.0
"""Seconds for everything that must happen."""


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body's length; `/large` answers with more than the buffers of sockets hold."""
    request = Request(scope, receive)
    try:
        length = len(await request.body())
    except ClientDisconnect:
        return
    response: Response = PlainTextResponse(LARGE if scope["path"] == "/large" else str(length))
    await response(scope, receive, send)


class Client:
    """A connection, and what it received."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ended: asyncio.Event) -> None:
        self.reader, self.writer = reader, writer
        self.ended = ended
        """Set when the server's side has ended."""

    async def send(self, *parts: bytes) -> None:
        """Send the parts one by one, up to an end of the connection."""
        for part in parts:
            self.writer.write(part)
            try:
                await self.writer.drain()
            except ConnectionError:
                return

    async def rest(self) -> bytes:
        """Everything up to the connection's end."""
        async with asyncio.timeout(WITHIN):
            received = b""
            try:
                while data := await self.reader.read(65_536):
                    received += data
            except ConnectionError:
                pass
            return received

    async def answer(self) -> bytes:
        """The body of one answer with a `Content-Length`."""
        async with asyncio.timeout(WITHIN):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return await self.reader.readexactly(length)


@asynccontextmanager
async def connection(limits: Limits) -> AsyncIterator[Client]:
    """A connection to a server with these limits."""

    ended = asyncio.Event()

    class Protocol(LimitedProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            ended.set()

    Protocol.limits = limits

    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Server(uvicorn.Config(echo, port=0, http=Protocol, ws="none", log_config=None, lifespan="off"))
    serving = asyncio.create_task(server._serve())
    await started.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer, ended)
    finally:
        writer.transport.abort()
        server.should_exit = True
        await serving


def refusal(received: bytes) -> tuple[int, str]:
    """The status and the code of a problem, after which the connection was closed."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head.lower()
    problem = json.loads(body)
    assert int(head.split()[1]) == problem["status"]
    return problem["status"], problem["code"]


async def test_what_is_allowed_passes() -> None:
    async with connection(PATIENT) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"y" * 30_000 + b"\r\n\r\n")
        assert await client.answer() == b"0"
        body = b"z" * 300_000
        second = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n", body + second)
        assert await client.answer() == b"300000"
        assert await client.answer() == b"0"
        chunks = b"".join(b"400\r\n" + b"c" * 1024 + b"\r\n" for _ in range(300))
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", chunks, b"0\r\n\r\n")
        assert await client.answer() == b"307200"


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"y" * 40_000 + b"\r\n\r\n"],
        [b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"],
        [b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(5000)) + b"\r\n"],
        [b"GET / HTTP/1.1\r\nHost: x\r\nA: ", *[b"y" * 10_000] * 1000],
        [b"GET / HTTP/1.1\r\nHost: x\r\n", *[b"A: b\r\n" * 1000] * 1000],
        [b"GET /", *[b"y" * 10_000] * 1000],
    ],
    ids=["header", "path", "headers", "endless header", "endless headers", "endless path"],
)
async def test_a_head_that_is_too_large_is_refused(parts: list[bytes]) -> None:
    async with connection(PATIENT) as client:
        sending = asyncio.create_task(client.send(*parts))
        received = await client.rest()
        await sending
        if received:  # what was still on its way can make the kernel discard the answer
            assert refusal(received) == (431, "head-too-large")
        else:
            assert len(parts) > 1


async def test_endless_trailers_and_tiny_chunks_are_refused() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for parts in ([b"0\r\n", *[b"A: b\r\n" * 1000] * 100], [b"1;" + b"e" * 2_000_000 + b"\r\nx\r\n"]):
        async with connection(PATIENT) as client:
            sending = asyncio.create_task(client.send(head, *parts))
            received = await client.rest()
            await sending
            assert not received or refusal(received) == (400, "bad-request")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n", 408),
        (b"", 408),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123", 408),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n", 408),
        (b"\x16\x03\x01 this is not HTTP\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ],
)
async def test_a_client_that_is_late_or_speaks_no_http_is_told_and_closed(sent: bytes, status: int) -> None:
    async with connection(HASTY) as client:
        await client.send(sent)
        assert refusal(await client.rest())[0] == status


async def test_a_client_that_does_not_read_is_closed() -> None:
    async with connection(HASTY) as client:
        await client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(WITHIN):
            await client.ended.wait()
