"""Liveness, readiness and Prometheus metrics."""

import asyncio
from datetime import timedelta
from typing import Final, Literal

import structlog
from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from app.access.current import ResourcesDep
from app.kit import gauges, scheduler, telemetry
from app.kit.errors import Unavailable, is_outage
from app.kit.registry import rooms
from app.kit.resources import Resources
from app.kit.routing import problems, public_router
from app.kit.schemas import Instant
from app.operations.readiness import fault

for _ in rooms("gauges"):
    pass  # each declares what it counts

PUBLIC = public_router("", tag="operations")

log = structlog.get_logger()

DATABASE_TIMEOUT: Final = timedelta(seconds=1.5)
"""Whoever probes `/ready` gives up after a few seconds, and would learn nothing."""

_LEFT_BEHIND: Final[set[asyncio.Future[scheduler.Health]]] = set()


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = Field("ok", description="Always `ok`.")


class Ready(BaseModel):
    """The service can do its work."""

    status: Literal["ok"] = Field("ok", description="Always `ok`: otherwise the answer is a 503.")
    worker_seen_at: Instant | None = Field(description="When a worker last showed that it is alive.")
    oldest_due_job_at: Instant | None = Field(description="Since when the oldest due job has been waiting.")
    dead_jobs: int = Field(description="Jobs that were given up and wait for a person.")


@PUBLIC.get("/live", operation_id="operations.live")
async def live() -> Live:
    """Whether this process answers at all.

    It reads nothing and waits for nothing: for whatever restarts a process that hangs.
    """
    return Live()


@PUBLIC.get("/ready", operation_id="operations.ready", responses=problems(503))
async def ready(resources: ResourcesDep) -> Ready:
    """Whether the service can do its work.

    For load balancers and monitors: the database answers, a worker lives, and jobs are not late. Else it is
    503, and its `code` says what is missing: `database-away`, `no-worker` or `jobs-late`.
    """
    health = await _health(resources)
    at = resources.clock.now()
    if (wrong := fault(health, at)) is not None:
        raise Unavailable(wrong.detail, code=wrong.code)
    return Ready(worker_seen_at=health.heartbeat_at, oldest_due_job_at=health.oldest_due_at, dead_jobs=health.dead)


async def _health(resources: Resources) -> scheduler.Health:
    """The health of the queue; `Unavailable` where the database does not answer within `DATABASE_TIMEOUT`.

    The question is left behind then: giving it up waits for the database, too.
    """
    asking = asyncio.ensure_future(scheduler.health(resources))
    done, _ = await asyncio.wait({asking}, timeout=DATABASE_TIMEOUT.total_seconds())
    try:
        if done:
            return asking.result()
    except Exception as error:
        if not is_outage(error):
            raise
        log.warning("ready.database_away", error=type(error).__name__)
    else:
        asking.cancel()
        _LEFT_BEHIND.add(asking)
        asking.add_done_callback(_LEFT_BEHIND.discard)
    raise Unavailable("The database does not answer.", code="database-away")


@PUBLIC.get("/metrics", operation_id="operations.metrics", include_in_schema=False)
async def metrics(request: Request, resources: ResourcesDep) -> Response:
    """Prometheus metrics of this process, and of the installation."""
    health, at = await _health(resources), resources.clock.now()
    telemetry.JOBS_DEAD.set(health.dead)
    lag = at - health.oldest_due_at if health.oldest_due_at else timedelta(0)
    telemetry.JOBS_LAG.set(lag.total_seconds())
    silence = float("inf") if health.heartbeat_at is None else (at - health.heartbeat_at).total_seconds()
    telemetry.WORKER_SILENCE.set(max(silence, 0.0))
    async with resources.db.read_connection(None) as connection:
        await gauges.show(connection, at)
    return Response(generate_latest() + generate_latest(telemetry.INSTALLATION), media_type=CONTENT_TYPE_LATEST)
