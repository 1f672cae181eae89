"""The doorbell: notifies the workers through arq that jobs are due. The only place, beside them, that uses Redis."""

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
"""The name of the one arq function: its argument is a job's id, everything else is in PostgreSQL."""

_RING_TIMEOUT: Final = 2.0
"""Seconds."""


def serialize(value: dict[str, Any]) -> bytes:
    """JSON in place of arq's pickle, whose loading can execute code."""
    return orjson.dumps(value)


def deserialize(data: bytes) -> dict[str, Any]:
    """The inverse of `serialize`."""
    value: dict[str, Any] = orjson.loads(data)
    return value


def redis_settings(url: str) -> RedisSettings:
    """arq's settings for a Redis URL; `unix:///path?db=1` too."""
    if url.startswith("unix://"):
        path, _, query = url.removeprefix("unix://").partition("?")
        database = query.removeprefix("db=") if query.startswith("db=") else "0"
        return RedisSettings(unix_socket_path=path, database=int(database), conn_timeout=2, conn_retries=3)
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout, settings.conn_retries = 2, 3
    return settings


class ArqDoorbell:
    """Rings in the background: no request waits for Redis or fails because of it."""

    def __init__(self, url: str) -> None:
        self._settings = redis_settings(url)
        self._redis: ArqRedis | None = None
        self._ringing: set[asyncio.Task[None]] = set()

    async def ring(self, jobs: Sequence[tuple[UUID, str]]) -> None:
        """Enqueue a ring for each job; a job and a ring that arq has already are ignored."""
        task = asyncio.create_task(self._ring(list(jobs)))
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)

    async def _ring(self, jobs: Sequence[tuple[UUID, str]]) -> None:
        try:
            async with asyncio.timeout(_RING_TIMEOUT):
                redis = await self._pool()
                for job_id, ring in jobs:
                    await redis.enqueue_job(
                        FUNCTION, str(job_id), _job_id=f"{job_id}:{ring}", _expires=timedelta(hours=1)
                    )
        except Exception as error:
            # No job is lost: the sweeper finds these in PostgreSQL.
            log.warning("doorbell.ring_failed", jobs=len(jobs), error=repr(error))

    async def _pool(self) -> ArqRedis:
        if self._redis is None:
            self._redis = await create_pool(
                self._settings, job_serializer=serialize, job_deserializer=deserialize, retry=0
            )
        return self._redis

    async def close(self) -> None:
        """Finish the rings under way, then close the connections to Redis."""
        await asyncio.gather(*self._ringing, return_exceptions=True)
        if self._redis is not None:
            with contextlib.suppress(Exception):
                await self._redis.aclose()
