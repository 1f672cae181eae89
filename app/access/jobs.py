"""What access does by itself: forget what is of no use any more."""

from datetime import timedelta
from typing import Final

from app.access.service import workspaces
from app.kit import idempotency
from app.kit.jobs import Reschedule, Run, enqueue, job

PAGE: Final = 1_000


@job("access.tidy", every=timedelta(hours=24))
async def tidy(run: Run) -> None:
    """Have every workspace tidied."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, "access.tidy_workspace", workspace_id=workspace_id, key="nightly")


@job("access.tidy_workspace")
async def tidy_workspace(run: Run) -> Reschedule | None:
    """Drop a workspace's old answers to idempotent requests, a page at a time."""
    async with run.step() as session:
        gone = await idempotency.forget(session, most=PAGE)
        again = Reschedule(run.now) if gone == PAGE else None
        await run.finish(session, again)
    return again
