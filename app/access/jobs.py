"""Nightly deletion of what is of no use any more: expired idempotency keys, sessions, links and counters."""

from datetime import timedelta
from typing import Final

from app.access import account_links, sessions, sign_in_limits
from app.access.service import workspaces
from app.kit import idempotency
from app.kit.jobs import Reschedule, Run, enqueue, job

PAGE: Final = 1_000


@job("access.tidy", every=timedelta(hours=24))
async def tidy(run: Run) -> None:
    """Enqueue `access.tidy_workspace` for every workspace."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, "access.tidy_workspace", workspace_id=workspace_id, key="nightly")


@job("access.tidy_workspace")
async def tidy_workspace(run: Run) -> Reschedule | None:
    """Delete up to `PAGE` expired responses of a workspace, and run again where that many were deleted."""
    async with run.step() as session:
        deleted = await idempotency.delete_expired(session, limit=PAGE)
        reschedule = Reschedule(run.now) if deleted == PAGE else None
        await run.finish(session, reschedule)
    return reschedule


@job("access.tidy_accounts", every=timedelta(hours=24))
async def tidy_accounts(run: Run) -> None:
    """Delete sessions and links that ended long ago, and counters of sign-ins whose windows are over."""
    for delete_over in (sessions.delete_over, account_links.delete_over, sign_in_limits.delete_over):
        deleted = PAGE
        while deleted == PAGE:
            async with run.step() as session:
                deleted = await delete_over(session, limit=PAGE)
