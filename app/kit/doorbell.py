"""Ringing through arq: the one place, beside the workers, that knows Redis."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from arq.connections import ArqRedis, RedisSettings, create_pool

log = structlog.get_logger()

FUNCTION: Final = "perform"
"""The one arq function: it is told a job's id and finds everything else in PostgreSQL."""

_PATIENCE: Final = 2.0


def serialize(value: dict[str, Any]) -> bytes:
    """JSON in place of arq's pickle: what comes out of Redis is never executed."""
    return orjson.dumps(value)


def deserialize(data: bytes) -> dict[str, Any]:
    """What `serialize` made."""
    found: dict[str, Any] = orjson.loads(data)
    return found


def redis_settings(url: str) -> RedisSettings:
    """arq's way to say where Redis is; `unix:///path?db=1` too."""
    if url.startswith("unix://"):
        path, _, query = url.removeprefix("unix://").partition("?")
        database = query.removeprefix("db=") if query.startswith("db=") else "0"
        return RedisSettings(unix_socket_path=path, database=int(database), conn_timeout=2, conn_retries=3)
    found = RedisSettings.from_dsn(url)
    found.conn_timeout, found.conn_retries = 2, 3
    return found


class ArqDoorbell:
    """Rings in the background: a request never waits for Redis, nor fails because of it."""

    def __init__(self, url: str) -> None:
        self._settings = redis_settings(url)
        self._redis: ArqRedis | None = None
        self._ringing: set[asyncio.Task[None]] = set()

    async def ring(self, jobs: Sequence[tuple[UUID, str]]) -> None:
        """Ring for these jobs; the same ring twice is one."""
        task = asyncio.create_task(self._ring(list(jobs)))
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)

    async def _ring(self, jobs: Sequence[tuple[UUID, str]]) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                redis = await self._pool()
                for job_id, ring in jobs:
                    await redis.enqueue_job(
                        FUNCTION, str(job_id), _job_id=f"{job_id}:{ring}", _expires=timedelta(hours=1)
                    )
        except Exception as error:
            # The sweeper finds these jobs in PostgreSQL; nothing is lost.
            log.warning("doorbell.silent", jobs=len(jobs), error=repr(error))

    async def _pool(self) -> ArqRedis:
        if self._redis is None:
            self._redis = await create_pool(
                self._settings, job_serializer=serialize, job_deserializer=deserialize, retry=0
            )
        return self._redis

    async def close(self) -> None:
        """Ring what is still to be rung, then let go of Redis."""
        await asyncio.gather(*self._ringing, return_exceptions=True)
        if self._redis is not None:
            with contextlib.suppress(Exception):
                await self._redis.aclose()
