"""Answers of more than 1 kB are compressed for clients that accept gzip."""

import asyncio
import re
import zlib
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MINIMUM: Final = 1024
"""Bytes; what is smaller fits into one packet anyway."""
LEVEL: Final = 4
"""Of zlib: lists of JSON become a few percent larger than at level 9, in a third of the time."""
_IN_A_THREAD: Final = 128 * 1024
"""Bytes from which compressing would stop all other requests for milliseconds."""
_TYPES: Final = re.compile(r"text/(?!event-stream)|application/([\w.-]+\+)?(json|javascript|xml)\b")
_ACCEPTS: Final = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q=(?P<q>[\d.]+)\s*)?(?:,|$)", re.IGNORECASE)


class Compression:
    """Compresses whole answers; what is streamed, or encoded already, stays as it is.

    The ETag of a compressed answer is weak, as its bytes are others; `If-Match` and `If-None-Match` take weak tags
    like strong ones. `Vary` tells caches that the answer depends on `Accept-Encoding`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message  # kept back until the body shows whether it is compressed
                return
            if start is not None:
                if _is_compressible(start, message):
                    headers = MutableHeaders(scope=start)
                    headers.add_vary_header("Accept-Encoding")
                    if _accepts_gzip(Headers(scope=scope).get("accept-encoding", "")):
                        message = {**message, "body": await _compress(message["body"])}
                        headers["Content-Encoding"] = "gzip"
                        headers["Content-Length"] = str(len(message["body"]))
                        if headers.get("etag", "W/").startswith('"'):
                            headers["ETag"] = f"W/{headers['etag']}"
                begin, start = start, None
                await send(begin)
            await send(message)

        await self.app(scope, receive, send_compressed)


def _accepts_gzip(header: str) -> bool:
    """Whether an `Accept-Encoding` allows gzip: it, or `*`, is named without `q=0`."""
    if not header:
        return False
    matched = _ACCEPTS.search(header)
    return matched is not None and (matched["q"] or "1").strip("0.") != ""


def _is_compressible(start: Message, message: Message) -> bool:
    if message.get("more_body", False) or len(message.get("body", b"")) < MINIMUM:
        return False
    headers = Headers(raw=start["headers"])
    return _TYPES.match(headers.get("content-type", "")) is not None and "content-encoding" not in headers


async def _compress(body: bytes) -> bytes:
    if len(body) < _IN_A_THREAD:
        return _gzip(body)
    return await asyncio.to_thread(_gzip, body)


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS + 16)  # + 16: in gzip's format
    return compressor.compress(body) + compressor.flush()
