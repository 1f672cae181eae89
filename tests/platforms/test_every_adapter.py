"""What holds for every adapter found: how it behaves when the other side does not."""

import asyncio
import gzip
import logging
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.kit import registry
from app.kit.http import MIB, client
from app.platforms import FOLDER, adapter, adapters
from app.platforms.abilities import ListsComments, Replies, ReplyTo
from app.platforms.contract import (
    Adapter,
    Credentials,
    Gone,
    Malformed,
    MessageKind,
    Metric,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    RemotePerson,
    Throttled,
    Token,
    Transient,
)
from tests.kit.test_http import Handler, answer, says, serving

TOKENS = {Token.USER: "user-secret-1234567", Token.COMMUNITY: "group-secret-7654321"}
Call = Callable[[Adapter, Credentials], Awaitable[object]]

READS: dict[str, Call] = {
    "community": lambda made, c: made.community(c),
    "posts": lambda made, c: made.posts(c, None),
    "metrics": lambda made, c: made.metrics(c, ("1",)),
    "conversations": lambda made, c: made.conversations(c, None),
}


async def comments(made: Adapter, c: Credentials) -> object:
    return await made.comments(c, "1", None) if isinstance(made, ListsComments) else await made.posts(c, None)


async def reply(made: Adapter, c: Credentials, kind: MessageKind) -> object:
    if not isinstance(made, Replies):
        pytest.skip("this platform takes no replies")
    to = ReplyTo("comment-1" if kind is MessageKind.COMMENT else "message-1", "t", kind, RemotePerson("5", "A"), "1")
    return await made.reply(c, to, "text", "key")


@pytest.fixture(params=sorted(adapters()))
def kind(request: pytest.FixtureRequest) -> type[Adapter]:
    key: str = request.param
    return adapter(key)


@pytest.fixture(params=[*READS, "comments"])
def read(request: pytest.FixtureRequest) -> Call:
    return READS.get(request.param, comments)


def asking(address: str) -> Credentials:
    return Credentials("https://a.example/@name", f"http://{address}", "77", TOKENS)


def test_adapters_are_found_by_their_files() -> None:
    assert {"mastodon", "vk"} <= set(adapters())
    for key, found in adapters().items():
        assert found.spec.key == key
        assert registry.declared(FOLDER, "ADAPTER", type)[key] is found
        assert found.spec.metrics <= set(Metric)
        assert found.spec.metrics_batch > 0
        assert found.address(found.spec.address_hint).canonical
    with pytest.raises(KeyError):
        adapter("no such platform")


def hang_up() -> Handler:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    return handler


def slowly() -> Handler:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"", length=1000))
        for _second in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    return handler


def truncated() -> Handler:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b'{"response": {', length=1000))
        await writer.drain()
        writer.close()

    return handler


def bomb() -> Handler:
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    packed = b"".join(packer.compress(b" " * MIB) for _ in range(64)) + packer.flush()
    return says(packed, "content-encoding: gzip")


FAULTS: dict[str, tuple[Handler, type[PlatformError]]] = {
    "closed without an answer": (hang_up(), Transient),
    "a byte a second": (slowly(), Transient),
    "truncated": (truncated(), Transient),
    "a compressed bomb": (bomb(), Malformed),
    "a gigabyte": (says(b"", length=10**9), Malformed),
    "a redirect": (says(b"", "location: /", status="302 Found"), Malformed),
    "truncated JSON": (says(b'{"response": {"items": [{"id"'), Malformed),
    "truncated compression": (says(gzip.compress(b"{}" * 100)[:-12], "content-encoding: gzip"), Transient),
    "a wrong type": (says(b'{"response": "text"}'), Malformed),
    "another language": (says(b"<html>hello</html>"), Malformed),
    "500": (says(b"", status="500 Internal Server Error"), Transient),
    "503 with a page": (says(b"<html>", status="503 Service Unavailable"), Transient),
    "429 with the time": (says(b"", "retry-after: 7", status="429 Too Many Requests"), Throttled),
    "429 without": (says(b"", status="429 Too Many Requests"), Throttled),
}


def deadline(fault: str) -> float:
    """Short where it is what ends the call; else a busy machine would be taken for a slow server."""
    return 0.5 if fault == "a byte a second" else 60.0


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_read_that_fails_has_its_class(
    kind: type[Adapter], read: Call, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    handler, expected = FAULTS[fault]
    async with (
        serving(handler) as server,
        client(allow=[server.address], deadline=deadline(fault), max_bytes=MIB) as http,
    ):
        with pytest.raises(expected) as caught:
            await read(kind(http), asking(server.address))
        assert server.heads, "it was asked"
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after == (7.0 if "with the" in fault else None)
    told = f"{caught.value} {caught.value!r} {caught.value.__dict__} {caught.value.__cause__} {caplog.text}"
    assert not any(token in told for token in TOKENS.values())


SENT: dict[str, Handler] = {
    name: FAULTS[name][0]
    for name in ("closed without an answer", "a byte a second", "truncated", "a gigabyte", "500", "another language")
}


@pytest.fixture
async def free_port() -> AsyncIterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("about", [MessageKind.COMMENT, MessageKind.MESSAGE])
@pytest.mark.parametrize("fault", SENT)
async def test_a_change_whose_answer_is_lost_is_unknown_and_sent_once(
    kind: type[Adapter], about: MessageKind, fault: str
) -> None:
    status = (
        b'{"id":"1","created_at":"2026-01-01T00:00:00Z","visibility":"public","content":"","uri":"u",'
        b'"account":{"id":"2","acct":"a"},"favourites_count":0,"reblogs_count":0,"replies_count":0}'
    )
    changes = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal changes
        if server.heads[-1].startswith(b"GET"):  # some read what they answer first
            writer.write(answer(status))
            return
        changes += 1
        await SENT[fault](reader, writer)

    async with (
        serving(handler) as server,
        client(allow=[server.address], deadline=deadline(fault), max_bytes=MIB) as http,
    ):
        with pytest.raises(OutcomeUnknown):
            await reply(kind(http), asking(server.address), about)
    assert changes == 1


async def test_a_change_that_was_never_sent_may_be_tried_again(kind: type[Adapter], free_port: int) -> None:
    address = f"127.0.0.1:{free_port}"
    async with client(allow=[address], deadline=2) as http:
        with pytest.raises(Transient):
            await reply(kind(http), asking(address), MessageKind.MESSAGE)


async def test_an_inner_address_is_refused(kind: type[Adapter], read: Call) -> None:
    async with serving(says(b"{}")) as server, client() as http:
        with pytest.raises(Rejected):
            await read(kind(http), asking(server.address))
        assert server.connections == 0


async def test_nothing_hides_an_error_as_an_empty_answer(kind: type[Adapter], read: Call) -> None:
    """What is empty must have been said to be empty."""
    for body in (b"", b"{}", b"null", b'{"response": null}'):
        async with serving(says(body)) as server, client(allow=[server.address]) as http:
            with pytest.raises((Malformed, Gone)):
                await read(kind(http), asking(server.address))
