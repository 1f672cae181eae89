"""The job that counts communities by their state, for the metrics."""

from datetime import timedelta

from app.access.service import workspaces
from app.communities.gauges import BY_STATE, COMMUNITIES
from app.kit import gauges
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
