"""A cheap load generator: keep-alive connections and prepared requests."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """The result of a burst of requests."""

    requests: int
    seconds: float
    latencies: list[float]
    """Sorted, in seconds."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def at(self, share: float) -> float:
        """A quantile of the latencies, in seconds."""
        return self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)]


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last response is complete."""

    def __init__(self, requests: Iterator[bytes], until: float, latencies: list[float]) -> None:
        self.requests = requests
        self.until = until
        self.latencies = latencies
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.missing = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        if self.missing < 0:
            self.buffer += data
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self.done.set_exception(RuntimeError(self.buffer[:600].decode(errors="replace")))
                self.transport.close()
                return
            at = head.lower().index(b"content-length:")
            self.missing = int(head[at + 15 :].split(b"\r\n", 1)[0]) - len(rest)
            self.buffer = b""
        else:
            self.missing -= len(data)
        if self.missing:
            return
        self.missing = -1
        now = time.perf_counter()
        self.latencies.append(now - self.started)
        if now < self.until:
            self._send()
        else:
            self.transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server hung up"))


def get(path: str, **headers: str) -> bytes:
    """The bytes of a GET."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def burst(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Run:
    """Send requests for some seconds, one after the other on each connection; raises for a response other than 200."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    turn = itertools.cycle(requests)
    started = time.perf_counter()
    opened = [
        await loop.create_connection(lambda: _Connection(turn, started + seconds, latencies), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in opened))
    return Run(len(latencies), time.perf_counter() - started, sorted(latencies))
