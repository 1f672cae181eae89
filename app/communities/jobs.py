"""The job that counts communities by their state, for the metrics."""

from datetime import timedelta
from typing import Final

from sqlalchemy import bindparam, func, select

from app.access.service import workspaces
from app.communities.models import Community
from app.kit import gauges
from app.kit.jobs import Reschedule, Run, job

COMMUNITIES: Final = gauges.CountedGauge(
    "instep_communities", "Communities, by platform and state.", ["platform", "state"]
)
_BY_STATE: Final = (
    select(Community.platform, Community.state, func.count())
    .where(Community.workspace_id == bindparam("workspace"))
    .group_by(Community.platform, Community.state)
)


@job("communities.count", timeout=timedelta(minutes=10), every=gauges.INTERVAL)
async def count(run: Run) -> Reschedule:
    """Count the communities of all workspaces."""
    began = run.resources.clock.monotonic()
    async with run.step() as session:
        workspace_ids = await workspaces(session)
    counts = await gauges.count(run.resources.db, workspace_ids, _BY_STATE)
    async with run.step() as session:
        await COMMUNITIES.store(session, counts)
    return Reschedule(gauges.next_count(run.now, run.resources.clock.monotonic() - began))
