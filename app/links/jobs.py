"""Jobs of tracked links: moving clicks to the days of a new time zone, and cleaning up."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.access.service import workspaces
from app.kit.db import now, workspace_of
from app.kit.jobs import Reschedule, Run, enqueue, job
from app.kit.search import FIRST
from app.links.lexemes import LINK_LEXEMES, texts
from app.links.recording import VISITOR_RETENTION
from app.projects.zones import local_day_sql

REDATE: Final = "links.redate"
_PAGE_SIZE: Final = 5_000

# Each click whose day changes is subtracted from the old day and added to the new one. Clicks stored
# meanwhile have the new day already.
_MOVE: Final = text(
    """
WITH moving AS (
    SELECT click.id, click.day AS before, {local_day} AS after
    FROM click JOIN project ON project.workspace_id = click.workspace_id AND project.id = click.project_id
    WHERE click.workspace_id = :workspace_id AND click.project_id = :project_id
      AND click.day <> {local_day}
    ORDER BY click.id LIMIT :page
), moved AS (
    UPDATE click SET day = moving.after FROM moving
    WHERE click.workspace_id = :workspace_id AND click.id = moving.id AND click.day = moving.before
    RETURNING click.link_id, click.project_id, click.community_id, click.bot, click.repeat,
              moving.before, moving.after
), changes AS (
    SELECT link_id, project_id, community_id, day,
           sum(sign) FILTER (WHERE bot IS NULL AND NOT repeat) AS people,
           sum(sign) FILTER (WHERE bot IS NOT NULL) AS bots,
           sum(sign) FILTER (WHERE repeat) AS repeats
    FROM moved, LATERAL (VALUES (before, -1), (after, 1)) AS side (day, sign)
    GROUP BY link_id, project_id, community_id, day
), counted AS (
    INSERT INTO click_day AS stored (workspace_id, link_id, day, project_id, community_id, people, bots, repeats)
    SELECT :workspace_id, link_id, day, project_id, community_id,
           coalesce(people, 0), coalesce(bots, 0), coalesce(repeats, 0)
    FROM changes ORDER BY link_id, day
    ON CONFLICT (workspace_id, link_id, day) DO UPDATE
    SET people = stored.people + excluded.people, bots = stored.bots + excluded.bots,
        repeats = stored.repeats + excluded.repeats
)
SELECT count(*) FROM moved
""".replace("{local_day}", local_day_sql("click.at", "project.timezone"))
)
_DELETE_EMPTY_DAYS: Final = text("""
DELETE FROM click_day
WHERE workspace_id = :workspace_id AND project_id = :project_id AND people = 0 AND bots = 0 AND repeats = 0
""")


@job(REDATE, timeout=timedelta(minutes=5))
async def redate(run: Run, project_id: UUID) -> Reschedule | None:
    """Recompute the day of a project's clicks in its present time zone, a page at a time."""
    async with run.step() as session:
        params = {"workspace_id": workspace_of(session), "project_id": project_id}
        moved = await session.scalar(_MOVE, {**params, "page": _PAGE_SIZE})
        if moved:
            return Reschedule(run.now)
        await session.execute(_DELETE_EMPTY_DAYS, params)
    return None


# Locked rows (visitors being counted right now) are skipped, so that this cannot deadlock.
_DELETE_VISITORS: Final = text("""
DELETE FROM visitor WHERE workspace_id = :workspace_id AND (link_id, visitor) IN (
    SELECT link_id, visitor FROM visitor WHERE workspace_id = :workspace_id AND counted_at < :before
    LIMIT :page FOR UPDATE SKIP LOCKED
)
RETURNING link_id
""")


@job("links.tidy", every=timedelta(hours=24))
async def tidy(run: Run) -> None:
    """Enqueue the clean-up of every workspace."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, "links.tidy_workspace", workspace_id=workspace_id, key="nightly")


@job("links.tidy_workspace")
async def tidy_workspace(run: Run) -> Reschedule | None:
    """Delete visitor rows older than `VISITOR_RETENTION`, a page at a time."""
    async with run.step() as session:
        params = {"workspace_id": workspace_of(session), "before": now(session) - VISITOR_RETENTION, "page": _PAGE_SIZE}
        deleted = len((await session.execute(_DELETE_VISITORS, params)).all())
        reschedule = Reschedule(run.now) if deleted == _PAGE_SIZE else None
        await run.finish(session, reschedule)
    return reschedule


_OF_WORKSPACE: Final = "links.reconcile-lexemes-of-workspace"


@job("links.reconcile-lexemes", every=timedelta(hours=24))
async def reconcile_lexemes(run: Run) -> None:
    """Enqueue the comparison of every workspace's words of links with their texts."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, _OF_WORKSPACE, workspace_id=workspace_id, key=str(FIRST), after=FIRST)


@job(_OF_WORKSPACE, timeout=timedelta(minutes=10))
async def reconcile_lexemes_of_workspace(run: Run, after: UUID) -> None:
    """Compare the words of a page of links with their texts; repair, count and log what differs. The next follows."""
    async with run.step() as session:
        changed, last = await LINK_LEXEMES.reconcile(session, texts, after)
        if last is not None:
            await enqueue(session, _OF_WORKSPACE, workspace_id=run.workspace_id, key=str(last), after=last)
        await run.finish(session)
    LINK_LEXEMES.report(changed, run.workspace_id)
