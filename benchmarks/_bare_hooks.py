"""The least that could take a platform's call: what inbound hooks are measured beside."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.platforms import adapter
from app.platforms.abilities import Call, Receives

PATH: Final = "/hooks/{platform}/{hook_id}"
SECRET: Final = "a-secret-of-the-benchmark"
TABLE: Final = "CREATE TABLE bare_event (id bigserial PRIMARY KEY, body bytea NOT NULL)"
URL: Final = "INSTEP_BENCHMARK_URL"
"""The environment variable that names the database of the table."""


def insert() -> Starlette:
    """Reads the body and inserts one row, unverified."""
    pool: asyncpg.Pool

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        nonlocal pool
        pool = await asyncpg.create_pool(os.environ[URL], min_size=10, max_size=10)
        yield
        await pool.close()

    async def take(request: Request) -> PlainTextResponse:
        await pool.execute("INSERT INTO bare_event (body) VALUES ($1)", await request.body())
        return PlainTextResponse("ok")

    return Starlette(routes=[Route(PATH, take, methods=["POST"])], lifespan=lifespan)


def verify() -> Starlette:
    """Reads the body and verifies it, and forgets it."""

    async def take(request: Request) -> PlainTextResponse:
        receiver = adapter(request.path_params["platform"])
        assert issubclass(receiver, Receives)
        call = Call(await request.body(), request.headers, request.query_params)
        return PlainTextResponse(receiver.receive(call, {"secret": SECRET}).answer)

    return Starlette(routes=[Route(PATH, take, methods=["POST"])])
