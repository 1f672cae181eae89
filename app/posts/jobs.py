"""Jobs of the content plan: the words by which posts are found are compared with their texts, nightly."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from app.access.service import workspaces
from app.kit.jobs import Run, enqueue, job
from app.kit.search import FIRST
from app.posts.lexemes import POST_LEXEMES, texts

_OF_WORKSPACE: Final = "posts.reconcile-lexemes-of-workspace"


@job("posts.reconcile-lexemes", every=timedelta(hours=24))
async def reconcile_lexemes(run: Run) -> None:
    """Enqueue the comparison of every workspace's words of posts with their texts."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, _OF_WORKSPACE, workspace_id=workspace_id, key=str(FIRST), after=FIRST)


@job(_OF_WORKSPACE, timeout=timedelta(minutes=10))
async def reconcile_lexemes_of_workspace(run: Run, after: UUID) -> None:
    """Compare the words of a page of posts with their texts; repair, count and log what differs. The next follows."""
    async with run.step() as session:
        changed, last = await POST_LEXEMES.reconcile(session, texts, after)
        if last is not None:
            await enqueue(session, _OF_WORKSPACE, workspace_id=run.workspace_id, key=str(last), after=last)
        await run.finish(session)
    POST_LEXEMES.report(changed, run.workspace_id)
