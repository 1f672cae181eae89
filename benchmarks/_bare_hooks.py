"""Servers that inbound hooks are compared with: minimal ones, and the usual implementation."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from fastapi import FastAPI, HTTPException
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.platforms import adapter
from app.platforms.capabilities import HookRequest, Receives

PATH: Final = "/hooks/{platform}/{hook_id}"
SECRET: Final = "a-secret-of-the-benchmark"
TABLES: Final = (
    "CREATE TABLE bare_event (id bigserial PRIMARY KEY, body bytea NOT NULL)",
    "CREATE TABLE naive_event (id text PRIMARY KEY, body jsonb NOT NULL)",
    "GRANT ALL ON bare_event, bare_event_id_seq, naive_event TO PUBLIC",
)
URL: Final = "INSTEP_BENCHMARK_URL"
"""The environment variable that names the database of the tables."""


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
    """Reads the body and verifies it."""

    async def take(request: Request) -> PlainTextResponse:
        receiver = adapter(request.path_params["platform"])
        assert issubclass(receiver, Receives)
        call = HookRequest(await request.body(), request.headers, request.query_params)
        return PlainTextResponse(receiver.receive(call, {"secret": SECRET}).response_body)

    return Starlette(routes=[Route(PATH, take, methods=["POST"])])


class _Base(DeclarativeBase):
    pass


class NaiveEvent(_Base):
    """An event, one row and one job each."""

    __tablename__ = "naive_event"

    id: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)


def naive() -> FastAPI:
    """The usual implementation: check whether the event is stored, add it, commit, enqueue a job."""
    queue: ArqRedis
    engine = create_async_engine(os.environ[URL].replace("postgresql://", "postgresql+asyncpg://"), pool_size=10)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal queue
        queue = await create_pool(RedisSettings.from_dsn(os.environ["REDIS_URL"]))
        yield
        await queue.aclose()
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.post(PATH, response_class=PlainTextResponse)
    async def take(platform: str, hook_id: str, body: dict[str, Any]) -> str:
        if body.get("secret") != SECRET:
            raise HTTPException(403)
        async with sessions() as session:
            if await session.get(NaiveEvent, body["event_id"]) is None:
                session.add(NaiveEvent(id=body["event_id"], body=body))
                await session.commit()
                await queue.enqueue_job("apply", body["event_id"])
        return "ok"

    return app
