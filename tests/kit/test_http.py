"""The HTTP client against real, misbehaving servers on loopback."""

import asyncio
import gzip
import itertools
import logging
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from app.kit.http import (
    MIB,
    AddressRefused,
    BodyTooLarge,
    DeadlineExceeded,
    client,
    may_have_been_sent,
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TOKEN = "s3cr3t-token-never-shown"


class Server:
    """A bare TCP server: its URL, and the requests it received."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}/"
        self.heads: list[bytes] = []
        self.connections = 0


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Server]:
    made: Server
    tasks: set[asyncio.Task[None]] = set()

    async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                made.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await handler(reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(on_connect, "127.0.0.1", 0)
    made = Server(server.sockets[0].getsockname()[1])
    try:
        yield made
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def says(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> Handler:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(body, *headers, status=status, length=length))

    return handler


async def test_a_response_arrives_whole() -> None:
    json = says(b'{"ok": true}', "content-type: application/json")
    async with serving(json) as server, client(allow=[server.address]) as http:
        response = await http.get(server.url, params={"id[]": ["1", "2"]})
    assert response.json() == {"ok": True}
    assert server.heads[0].startswith(b"GET /?id%5B%5D=1&id%5B%5D=2 HTTP/1.1\r\n")
    assert b"Accept-Encoding: gzip, deflate\r\n" in server.heads[0].replace(b"accept-encoding", b"Accept-Encoding")


async def test_connections_are_kept_and_closed() -> None:
    async with serving(says(b"x" * 100_000)) as server:
        async with client(allow=[server.address]) as http:
            for _ in range(5):
                assert len((await http.get(server.url)).content) == 100_000
        assert server.connections == 1


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, lambda b: zlib.compress(b, wbits=-15)])
async def test_a_compressed_response_is_decompressed(compress: Callable[[bytes], bytes]) -> None:
    plain = b"words " * 10_000
    encoding = "gzip" if compress is gzip.compress else "deflate"
    handler = says(compress(plain), f"content-encoding: {encoding}")
    async with serving(handler) as server, client(allow=[server.address]) as http:
        response = await http.get(server.url)
    assert response.content == plain
    assert "content-encoding" not in response.headers


async def test_several_gzip_members_are_one_response() -> None:
    body = gzip.compress(b"one ") + gzip.compress(b"two")
    async with serving(says(body, "content-encoding: gzip")) as server, client(allow=[server.address]) as http:
        assert (await http.get(server.url)).content == b"one two"


class Deadlines:
    """The client's deadlines, one for each call in the order they began; a test lets them pass."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._made: list[asyncio.Timeout] = []

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """In place of `asyncio.timeout`."""
        self.seconds.append(seconds)
        self._made.append(asyncio.timeout(None))
        return self._made[-1]

    def pass_for(self, first: int) -> None:
        """Let the deadlines of the first so many calls pass."""
        for made in self._made[:first]:
            made.reschedule(asyncio.get_running_loop().time())


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> Deadlines:
    made = Deadlines()
    monkeypatch.setattr("app.kit.http.asyncio", made)
    return made


HANG_TIMEOUT: Final = 60.0
"""Seconds after which a waiting test is taken to hang; no passing test depends on it."""


async def test_a_slow_trickle_does_not_extend_the_deadline(deadlines: Deadlines) -> None:
    dripped = asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"", length=10**9))
        for sent in itertools.count():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)
            if sent == 10:
                dripped.set()

    async with serving(drip) as server, client(allow=[server.address], deadline=7, max_bytes=10**9) as http:
        async with asyncio.timeout(HANG_TIMEOUT):
            call = asyncio.create_task(http.get(server.url))
            await dripped.wait()
            deadlines.pass_for(1)
            with pytest.raises(DeadlineExceeded) as caught:
                await call
    assert deadlines.seconds == [7], "one for the whole call"
    assert caught.value.sent
    assert may_have_been_sent(caught.value)


async def test_a_deadline_that_passes_before_sending_says_so() -> None:
    class Stuck(AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
            await asyncio.Event().wait()
            raise AssertionError

        async def close(self) -> None:
            pass

    async with client(deadline=0.1, resolver=Stuck()) as http:
        with pytest.raises(DeadlineExceeded) as caught:
            await http.post("http://slow.example/", data={"a": "b"})
    assert not caught.value.sent
    assert not may_have_been_sent(caught.value)


async def test_a_gigabyte_is_not_held_in_memory() -> None:
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        block = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _block in range(16_384):
            writer.write(block)
            await writer.drain()

    async with serving(flood) as server, client(allow=[server.address], max_bytes=MIB) as http:
        tracemalloc.start()
        with pytest.raises(BodyTooLarge):
            await http.get(server.url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 6 * MIB, f"{peak} bytes at the peak"


async def test_a_zip_bomb_is_not_held_in_memory() -> None:
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(b"\0" * MIB) for _ in range(1024)) + packer.flush()
    assert len(bomb) < 2 * MIB
    handler = says(bomb, "content-encoding: gzip")
    async with serving(handler) as server, client(allow=[server.address], max_bytes=MIB) as http:
        tracemalloc.start()
        with pytest.raises(BodyTooLarge):
            await http.get(server.url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8 * MIB, f"{peak} bytes at the peak"


async def test_a_body_that_announces_its_size_is_refused_unread() -> None:
    async with serving(says(b"", length=10**9)) as server, client(allow=[server.address], max_bytes=MIB) as http:
        with pytest.raises(BodyTooLarge):
            await http.get(server.url)


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    for packed, headers in ((b"x" * 1000, ()), (gzip.compress(b"x" * 1000), ("content-encoding: gzip",))):
        async with serving(says(packed, *headers)) as server:
            async with client(allow=[server.address], max_bytes=1000) as http:
                assert len((await http.get(server.url)).content) == 1000
            async with client(allow=[server.address], max_bytes=999) as http:
                with pytest.raises(BodyTooLarge):
                    await http.get(server.url)


async def test_a_redirect_is_not_followed() -> None:
    async with serving(says(b"", "location: /", status="302 Found")) as server:
        async with client(allow=[server.address]) as http:
            assert (await http.get(server.url)).status_code == 302
        assert len(server.heads) == 1


async def test_cookies_are_not_kept() -> None:
    async with serving(says(b"", "set-cookie: a=b")) as server, client(allow=[server.address]) as http:
        await http.get(server.url)
        await http.get(server.url)
        assert not http.cookies
    assert b"cookie" not in server.heads[1].lower()


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(says(b"proxied")) as proxy, serving(says(b"direct")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with client(allow=[server.address]) as http:
            assert (await http.get(server.url)).content == b"direct"
        assert not proxy.heads


TRUNCATED = [
    says(b"half", length=100),
    says(gzip.compress(b"words" * 1000)[:-20], "content-encoding: gzip"),
    says(b"", status="200 OK", length=5),
]


@pytest.mark.parametrize("handler", TRUNCATED)
async def test_after_a_truncated_response_the_request_may_have_been_acted_on(handler: Handler) -> None:
    async def then_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handler(reader, writer)
        writer.close()

    async with serving(then_close) as server, client(allow=[server.address]) as http:
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await http.post(server.url, data={"a": "b"})
    assert may_have_been_sent(caught.value)


async def test_after_a_closed_connection_the_request_may_have_been_acted_on() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serving(hang_up) as server, client(allow=[server.address]) as http:
        with pytest.raises(httpx.ReadError) as caught:
            await http.post(server.url, data={"a": "b"})
        assert len(server.heads) == 1, "a change is sent once"
    assert may_have_been_sent(caught.value)


async def test_after_a_refused_connection_the_request_was_not_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with client(allow=[f"127.0.0.1:{port}"]) as http:
            with pytest.raises(httpx.ConnectError) as caught:
                await http.post(f"http://127.0.0.1:{port}/", data={"a": "b"})
    assert not may_have_been_sent(caught.value)


@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(b"x" * 1000)[:10] + b"garbage" * 50])
async def test_broken_compression_is_an_error(body: bytes) -> None:
    async with serving(says(body, "content-encoding: gzip")) as server, client(allow=[server.address]) as http:
        with pytest.raises(httpx.DecodingError):
            await http.get(server.url)


async def test_a_compression_that_was_not_offered_is_an_error() -> None:
    async with serving(says(b"x", "content-encoding: br")) as server, client(allow=[server.address]) as http:
        with pytest.raises(httpx.DecodingError):
            await http.get(server.url)


async def test_what_is_not_http_is_an_error() -> None:
    async def send_no_http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    async with serving(send_no_http) as server, client(allow=[server.address]) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(server.url)


NOT_PUBLIC = [
    "http://127.0.0.1:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://2130706433:{port}/",
    "http://127.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://0:{port}/",
    "http://localhost:{port}/",
    "http://localhost.:{port}/",
    "http://169.254.169.254/latest/meta-data",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("url", NOT_PUBLIC)
async def test_an_address_that_is_not_public_is_not_connected_to(url: str) -> None:
    async with serving(says(b"inside")) as server, client() as http:
        port = server.address.rpartition(":")[2]
        with pytest.raises((httpx.ConnectError, httpx.UnsupportedProtocol)) as caught:
            await http.get(url.format(port=port))
        assert server.connections == 0
    assert not may_have_been_sent(caught.value)


async def test_an_allowed_private_address_is_allowed_for_one_port_alone() -> None:
    async with serving(says(b"a")) as one, serving(says(b"b")) as other, client(allow=[one.address]) as http:
        assert (await http.get(one.url)).content == b"a"
        with pytest.raises(AddressRefused):
            await http.get(other.url)
        assert other.connections == 0


class Rebinding(AbstractResolver):
    """Resolves a name to a public address the first time, and to a private one afterwards."""

    def __init__(self) -> None:
        self.lookups = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.lookups += 1
        address = "203.0.114.1" if self.lookups == 1 else "127.0.0.1"
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0),
        ]

    async def close(self) -> None:
        pass


async def test_a_name_that_turns_private_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[str] = []

    async def no_network(_loop: object, _sock: object, address: tuple[str, int]) -> None:
        dialled.append(address[0])
        raise OSError("no traffic leaves a test")

    resolver = Rebinding()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(type(loop), "sock_connect", no_network, raising=False)
    async with serving(says(b"inside")) as server:
        port = server.address.rpartition(":")[2]
        async with client(resolver=resolver) as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(f"http://rebind.example:{port}/")
        async with client(resolver=resolver) as http:
            with pytest.raises(AddressRefused):
                await http.get(f"http://rebind.example:{port}/")
        assert server.connections == 0
    assert resolver.lookups == 2
    assert set(dialled) == {"203.0.114.1"}, "the address that was checked is the one that is dialled"


async def test_a_slow_host_leaves_connections_for_others(deadlines: Deadlines) -> None:
    both = asyncio.Event()
    waiting: list[asyncio.Task[httpx.Response]] = []

    async def never(_: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        if len(slow.heads) == 2:
            both.set()
        await asyncio.Event().wait()

    async with (
        serving(never) as slow,
        serving(says(b"quick")) as quick,
        client(allow=[slow.address, quick.address], concurrency=4) as http,
    ):
        async with asyncio.timeout(HANG_TIMEOUT):
            waiting += [asyncio.create_task(http.get(slow.url)) for _ in range(8)]
            await both.wait()
            assert (await http.get(quick.url)).content == b"quick"
            assert not any(call.done() for call in waiting), "it was answered while they all waited"
            deadlines.pass_for(8)
            ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert len(slow.heads) == 2
    assert all(isinstance(error, DeadlineExceeded) for error in ended)
    assert sum(error.sent for error in ended if isinstance(error, DeadlineExceeded)) == 2


async def test_neither_logs_nor_errors_show_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serving(hang_up) as server, serving(says(b"ok")) as good:
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with client(allow=[server.address, good.address]) as http:
            await http.get(f"{good.url}bot{TOKEN}/getMe?access_token={TOKEN}", headers=headers)
            for url in (f"{server.url}bot{TOKEN}", f"http://127.0.0.1:1/bot{TOKEN}?t={TOKEN}", f"gopher://{TOKEN}/"):
                with pytest.raises(httpx.RequestError) as caught:
                    await http.get(url, headers=headers)
                error: BaseException | None = caught.value
                while error is not None:
                    if "gopher" not in url:
                        assert TOKEN not in f"{error} {error!r} {error.args}"
                    error = error.__cause__ or error.__context__
    assert TOKEN not in caplog.text
