"""Liveness, readiness and metrics."""

import subprocess
import sys
from datetime import timedelta

import httpx
import structlog
from sqlalchemy import delete, text

from app.kit import jobs, scheduler
from app.kit.clock import SetClock
from app.kit.jobs import Job, WorkerHeartbeat
from app.kit.resources import Resources
from tests.cli.processes import ROOT


async def delete_jobs_and_heartbeats(resources: Resources) -> None:
    """Those of other tests."""
    async with resources.transaction(None) as session:
        await session.execute(delete(Job))
        await session.execute(delete(WorkerHeartbeat))


async def test_readiness_requires_a_live_worker(
    stranger: httpx.AsyncClient, resources: Resources, clock: SetClock
) -> None:
    await delete_jobs_and_heartbeats(resources)
    assert (await stranger.get("/live")).status_code == 200
    never = await stranger.get("/ready")
    assert (never.status_code, never.json()["code"]) == (503, "no-worker")
    assert never.headers["retry-after"]
    await scheduler.heartbeat(resources, "w1")
    assert (await stranger.get("/ready")).status_code == 200
    clock.advance(timedelta(seconds=31))
    without_heartbeat = await stranger.get("/ready")
    assert (without_heartbeat.status_code, without_heartbeat.json()["code"]) == (503, "no-worker")


async def test_readiness_requires_that_no_job_is_late(
    stranger: httpx.AsyncClient, resources: Resources, clock: SetClock
) -> None:
    await delete_jobs_and_heartbeats(resources)
    async with resources.transaction(None) as session:
        await jobs.enqueue(session, "test.never", workspace_id=None, key="late")
    clock.advance(timedelta(seconds=119))
    await scheduler.heartbeat(resources, "w1")
    assert (await stranger.get("/ready")).status_code == 200
    clock.advance(timedelta(seconds=2))
    late = await stranger.get("/ready")
    assert (late.status_code, late.json()["code"]) == (503, "jobs-late")
    await delete_jobs_and_heartbeats(resources)


async def test_metrics_cover_requests_and_jobs(
    stranger: httpx.AsyncClient, resources: Resources, clock: SetClock
) -> None:
    await delete_jobs_and_heartbeats(resources)
    async with resources.transaction(None) as session:
        await jobs.enqueue(session, "test.dead", workspace_id=None, key="d")
        await session.execute(text("UPDATE job SET state = 'dead'"))
    await stranger.get("/live")
    text_format = (await stranger.get("/metrics")).text
    assert "instep_jobs_dead 1.0" in text_format
    assert "instep_jobs_lag_seconds 0.0" in text_format
    assert 'instep_request_seconds_count{method="GET",route="/live",status="200"}' in text_format
    await delete_jobs_and_heartbeats(resources)


def test_an_api_process_knows_what_workers_count() -> None:
    """In a process of its own: this one has imported the worker's code as well."""
    source = "import app.operations.routes; from app.kit import gauges; print(sorted(gauges._declared))"
    printed = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "['instep_communities', 'instep_replies_under_way']"


async def test_probes_are_not_logged_while_all_is_well(
    stranger: httpx.AsyncClient, resources: Resources, clock: SetClock
) -> None:
    await delete_jobs_and_heartbeats(resources)
    with structlog.testing.capture_logs() as lines:
        for path in ("/live", "/metrics", "/ready"):
            await stranger.get(path)
    assert [(line["route"], line["status"]) for line in lines if line["event"] == "request"] == [("/ready", 503)]
