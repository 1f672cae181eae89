"""Appending entries to the chains of their workspaces."""

from datetime import timedelta
from typing import Final

from sqlalchemy import select

from app.access.audit import chain
from app.access.audit.models import AuditUnchained
from app.kit.jobs import Reschedule, Run, enqueue, job

CHAIN: Final = "audit.chain-workspace"


@job("audit.chain", every=timedelta(seconds=10))
async def chain_all(run: Run) -> None:
    """Enqueue `audit.chain-workspace` for every workspace with entries that are not chained yet."""
    async with run.step() as session:
        workspaces = await session.scalars(select(AuditUnchained.workspace_id).distinct())
        for workspace_id in workspaces.all():
            await enqueue(session, CHAIN, workspace_id=workspace_id, key="chain")


@job(CHAIN)
async def chain_workspace(run: Run) -> Reschedule | None:
    """Append a page of entries, and run again where there may be more."""
    async with run.step() as session:
        appended = await chain.append(session, run.resources.keyring, limit=chain.PAGE)
        reschedule = Reschedule(run.now) if appended == chain.PAGE else None
        await run.finish(session, reschedule)
    return reschedule
