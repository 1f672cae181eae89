"""The arq worker: runs the jobs that it is notified about; its cron sweeps for due jobs and sends heartbeats.

arq only notifies. Schedule, attempts and leases of jobs are in PostgreSQL; see `app/kit/jobs.py`.
"""

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from typing import Any, ClassVar
from uuid import UUID

import structlog
from arq import cron, func
from arq.connections import RedisSettings
from arq.cron import CronJob
from prometheus_client import start_http_server

from app.kit import events, gc_freeze, jobs, scheduler, sealing, telemetry
from app.kit.clock import SystemClock
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.deadlines import JOBS
from app.kit.doorbell import FUNCTION, ArqDoorbell, deserialize, redis_settings, serialize
from app.kit.http import client
from app.kit.resources import Resources
from app.platforms import adapters
from app.projects import zones
from app.settings import settings

log = structlog.get_logger()

NAME = f"{socket.gethostname()}:{os.getpid()}"

Context = dict[str, Any]


async def startup(ctx: Context) -> None:
    """Create the process's resources, and load the jobs."""
    config = settings()
    telemetry.configure_logs(level=config.log_level, style=config.log_format)
    clock = SystemClock()
    db = Database(config.database_url, pool=config.database_pool, clock=clock, deadlines=JOBS)
    keyring = Keyring(config.secret_keys)
    await db.require_unprivileged_role()
    await sealing.require_keys(db, keyring)
    await zones.warn(db)
    outbound = AsyncExitStack()
    http = await outbound.enter_async_context(client(allow=config.outbound_allow))
    resources = Resources(config, clock, db, keyring, ArqDoorbell(config.redis_url), http)
    ctx.update(resources=resources, outbound=outbound)
    events.listen()
    jobs.collect()
    adapters()
    gc_freeze.freeze()
    await scheduler.ensure_recurring(resources)
    await scheduler.heartbeat(resources, NAME)
    if config.worker_metrics_port is not None:
        ctx["metrics"] = server = start_http_server(config.worker_metrics_port, config.worker_metrics_host)
        log.info("worker.metrics", host=config.worker_metrics_host, port=server[0].server_port)


async def shutdown(ctx: Context) -> None:
    """Close the connections to PostgreSQL and Redis, the HTTP client, and the metrics port."""
    if "metrics" in ctx:
        server, thread = ctx["metrics"]
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
    resources: Resources | None = ctx.get("resources")
    if resources is None:
        return
    if isinstance(resources.doorbell, ArqDoorbell):
        await resources.doorbell.close()
    await ctx["outbound"].aclose()
    await resources.db.close()


async def perform(ctx: Context, job_id: str) -> None:
    """Run this job, if it is due."""
    await jobs.perform(ctx["resources"], UUID(job_id))


async def sweep(ctx: Context) -> None:
    """Ring for due jobs, in case their own ring was lost."""
    await scheduler.sweep(ctx["resources"])


async def heartbeat(ctx: Context) -> None:
    """Store that this worker is alive."""
    await scheduler.heartbeat(ctx["resources"], NAME)


class WorkerSettings:
    """arq's settings for `instep worker`."""

    functions: ClassVar[list[Any]] = [func(perform, name=FUNCTION, keep_result=0, timeout=3600, max_tries=1)]
    cron_jobs: ClassVar[list[CronJob]] = [
        cron(sweep, second=set(range(0, 60, 2)), unique=False, keep_result=0, max_tries=1),
        cron(heartbeat, second=set(range(0, 60, 5)), unique=False, keep_result=0, max_tries=1),
    ]
    on_startup = startup
    on_shutdown = shutdown
    max_jobs = 50
    poll_delay = 0.02
    keep_result = 0
    job_completion_wait = 10
    handle_signals = True
    job_serializer = serialize
    job_deserializer = deserialize
    redis_settings: ClassVar[RedisSettings] = RedisSettings()


def worker_settings() -> type[WorkerSettings]:
    """`WorkerSettings` with the configured Redis; read when a worker starts, not at import."""
    WorkerSettings.redis_settings = redis_settings(settings().redis_url)
    return WorkerSettings
