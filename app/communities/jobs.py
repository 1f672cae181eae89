"""The jobs that count communities by their state, for the metrics, and that request what a request could not."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from app.access.service import workspaces
from app.communities import syncing
from app.communities.gauges import BY_STATE, COMMUNITIES
from app.kit import gauges
from app.kit.errors import Conflict
from app.kit.jobs import Reschedule, Run, job


@job("communities.count", timeout=timedelta(minutes=10), every=gauges.INTERVAL)
async def count(run: Run) -> Reschedule:
    """Count the communities of all workspaces."""
    began = run.resources.clock.monotonic()
    async with run.step() as session:
        workspace_ids = await workspaces(session)
    counts = await gauges.count(run.resources.db, workspace_ids, BY_STATE)
    async with run.step() as session:
        await COMMUNITIES.store(session, counts)
    return Reschedule(gauges.next_count(run.now, run.resources.clock.monotonic() - began))


@job(syncing.REQUEST_READS)
async def request_reads(run: Run, community_id: UUID) -> None:
    """Have everything of a community read, where a poll had locked it when that was requested."""
    async with run.step() as session:
        with suppress(Conflict):  # it was paused or disconnected meanwhile
            await syncing.request_reads(session, community_id)
        await run.finish(session)
