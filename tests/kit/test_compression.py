"""Answers of more than 1 kB are compressed where the client accepts it, and stay what they are in every other way."""

import gzip
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.kit.compression import MINIMUM, Compression
from tests.conftest import Agency

LONG = b'"' + b"x" * MINIMUM + b'"'


async def answer(response: Response, accepted: str = "gzip") -> httpx.Response:
    """A response, as a client that accepts this receives it; its content is not decoded."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    transport = httpx.ASGITransport(Compression(app))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://x", headers={"Accept-Encoding": accepted}) as client,
        client.stream("GET", "/") as received,
    ):
        received._content = b"".join([part async for part in received.aiter_raw()])
        return received


async def test_a_long_answer_is_compressed() -> None:
    received = await answer(Response(LONG, media_type="application/problem+json", headers={"ETag": '"abc"'}))
    assert gzip.decompress(received.content) == LONG
    assert received.headers["content-encoding"] == "gzip"
    assert received.headers["content-length"] == str(len(received.content))
    assert received.headers["vary"] == "Accept-Encoding"
    assert received.headers["etag"] == 'W/"abc"'


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip-not", "br, gzip;q=0"])
async def test_a_client_that_does_not_accept_it_gets_it_plain(accepted: str) -> None:
    received = await answer(Response(LONG, media_type="application/json", headers={"ETag": '"abc"'}), accepted)
    assert received.content == LONG
    assert "content-encoding" not in received.headers
    assert received.headers["vary"] == "Accept-Encoding"
    assert received.headers["etag"] == '"abc"'


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.5", "*", "deflate, gzip;q=1.0, *;q=0.1", "br,gzip"])
async def test_the_ways_to_accept_it(accepted: str) -> None:
    received = await answer(Response(LONG, media_type="text/html"), accepted)
    assert received.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "response",
    [
        lambda: JSONResponse("short"),
        lambda: Response(LONG, media_type="image/png"),
        lambda: Response(LONG, media_type="text/event-stream"),
        lambda: Response(LONG, media_type="application/json", headers={"Content-Encoding": "br"}),
        lambda: Response(status_code=304, headers={"ETag": '"abc"'}),
        lambda: StreamingResponse(iter([LONG, LONG]), media_type="application/json"),
    ],
)
async def test_what_stays_as_it_is(response: Any) -> None:
    made = response()
    before = {name: value for name, value in made.headers.items() if name != "content-length"}
    received = await answer(made)
    assert not received.content.startswith(b"\x1f\x8b")
    assert {name: value for name, value in received.headers.items() if name != "content-length"} == before


async def test_a_compressed_answer_is_found_unchanged_and_can_be_changed(agency: Agency) -> None:
    """Its weak ETag is good for `If-None-Match`, and for `If-Match` where the resource has versions."""
    first = await agency.http.get("/v1/kpis")
    assert first.headers["content-encoding"] == "gzip"
    again = await agency.http.get("/v1/kpis", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    project = await agency.post("/v1/projects", {"name": "Bicycles", "timezone": "UTC"})
    path = f"/v1/projects/{project['id']}/brief"
    await agency.put(path, {"business": "x" * 3000})
    read = await agency.http.get(path)
    assert (read.headers["content-encoding"], read.headers["etag"]) == ("gzip", 'W/"v1"')
    await agency.http.put(path, json={"business": "y"}, headers={"If-Match": read.headers["etag"]})
    assert (await agency.http.get(path)).headers["etag"] == '"v2"'
