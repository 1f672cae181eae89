"""Liveness, readiness and Prometheus metrics."""

from datetime import timedelta
from typing import Final, Literal

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from app.access.current import ResourcesDep
from app.kit import gauges, scheduler, telemetry
from app.kit.errors import Unavailable
from app.kit.registry import rooms
from app.kit.routing import problems, public_router
from app.kit.schemas import Instant

for _ in rooms("gauges"):
    pass  # each declares what it counts

PUBLIC = public_router("", tag="operations")

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=30)
"""Without a heartbeat for this long, no worker is taken to be alive."""
LATE: Final = timedelta(minutes=2)
"""Where a due job has waited for this long, the workers do not keep up."""


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The service can do its work."""

    status: Literal["ok"] = "ok"
    worker_seen_at: Instant | None
    oldest_due_job_at: Instant | None = Field(description="Since when the oldest due job has been waiting.")
    dead_jobs: int = Field(description="Jobs that were given up and wait for a person.")


@PUBLIC.get("/live", operation_id="operations.live")
async def live() -> Live:
    """Whether this process answers at all."""
    return Live()


@PUBLIC.get("/ready", operation_id="operations.ready", responses=problems(503))
async def ready(resources: ResourcesDep) -> Ready:
    """Whether the service can do its work: the database answers, a worker lives, and jobs are not late."""
    try:
        health = await scheduler.health(resources)
    except (SQLAlchemyError, OSError):
        raise Unavailable("The database does not answer.", code="database-away") from None
    at = resources.clock.now()
    if health.heartbeat_at is None or at - health.heartbeat_at > HEARTBEAT_TIMEOUT:
        last_seen = "never" if health.heartbeat_at is None else health.heartbeat_at.isoformat()
        raise Unavailable(f"No worker is alive (last seen: {last_seen}). Start one: instep worker", code="no-worker")
    if health.oldest_due_at is not None and at - health.oldest_due_at > LATE:
        raise Unavailable(
            f"Jobs are late: the oldest has been due since {health.oldest_due_at.isoformat()}.", code="jobs-late"
        )
    return Ready(worker_seen_at=health.heartbeat_at, oldest_due_job_at=health.oldest_due_at, dead_jobs=health.dead)


@PUBLIC.get("/metrics", operation_id="operations.metrics", include_in_schema=False)
async def metrics(request: Request, resources: ResourcesDep) -> Response:
    """Prometheus metrics of this process, and of the installation."""
    health, at = await scheduler.health(resources), resources.clock.now()
    telemetry.JOBS_DEAD.set(health.dead)
    lag = at - health.oldest_due_at if health.oldest_due_at else timedelta(0)
    telemetry.JOBS_LAG.set(lag.total_seconds())
    silence = float("inf") if health.heartbeat_at is None else (at - health.heartbeat_at).total_seconds()
    telemetry.WORKER_SILENCE.set(max(silence, 0.0))
    async with resources.db.read_connection(None) as connection:
        await gauges.show(connection, at)
    return Response(generate_latest() + generate_latest(telemetry.INSTALLATION), media_type=CONTENT_TYPE_LATEST)
