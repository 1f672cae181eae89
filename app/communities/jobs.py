"""Jobs of counts, for the metrics and for health, and of reads that a request could not ask for."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from app.access.service import workspaces
from app.communities import syncing
from app.communities.gauges import BY_STATE, COMMUNITIES
from app.communities.publication_counts import PUBLICATION_TALLY
from app.kit import gauges
from app.kit.errors import Conflict
from app.kit.jobs import Reschedule, Run, enqueue, job


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


@job("communities.compact-counts", every=timedelta(hours=1))
async def compact_counts(run: Run) -> None:
    """Enqueue the compacting of every workspace's counts of publications."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, "communities.compact-counts-of-workspace", workspace_id=workspace_id, key="hourly")


@job("communities.compact-counts-of-workspace")
async def compact_counts_of_workspace(run: Run) -> None:
    """Replace the changes in the numbers of publications by their sums."""
    async with run.step() as session:
        await PUBLICATION_TALLY.compact(session)
        await run.finish(session)


@job("communities.reconcile-counts", every=timedelta(hours=24))
async def reconcile_counts(run: Run) -> None:
    """Enqueue the comparison of every workspace's counts of publications with a recount."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(
                session, "communities.reconcile-counts-of-workspace", workspace_id=workspace_id, key="nightly"
            )


@job("communities.reconcile-counts-of-workspace", timeout=timedelta(minutes=10))
async def reconcile_counts_of_workspace(run: Run) -> None:
    """Compare the numbers of publications with a recount; correct, count and log those that differ."""
    async with run.step() as session:
        corrected = await PUBLICATION_TALLY.reconcile(session)
        await run.finish(session)
    PUBLICATION_TALLY.report(corrected)
