"""What links do by themselves."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.access.service import workspaces
from app.kit.db import now, workspace_of
from app.kit.jobs import Reschedule, Run, enqueue, job
from app.links.recording import FORGOTTEN

REDATE: Final = "links.redate"
_PAGE: Final = 5_000

# Each click that changes its day takes itself off the one and puts itself on the other. Clicks
# that are stored meanwhile are none of its business: they bear the new day already.
_MOVE: Final = text("""
WITH moving AS (
    SELECT click.id, click.day AS before, (click.at AT TIME ZONE project.timezone)::date AS after
    FROM click JOIN project ON project.workspace_id = click.workspace_id AND project.id = click.project_id
    WHERE click.workspace_id = :workspace_id AND click.project_id = :project_id
      AND click.day <> (click.at AT TIME ZONE project.timezone)::date
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
    INSERT INTO click_day AS kept (workspace_id, link_id, day, project_id, community_id, people, bots, repeats)
    SELECT :workspace_id, link_id, day, project_id, community_id,
           coalesce(people, 0), coalesce(bots, 0), coalesce(repeats, 0)
    FROM changes ORDER BY link_id, day
    ON CONFLICT (workspace_id, link_id, day) DO UPDATE
    SET people = kept.people + excluded.people, bots = kept.bots + excluded.bots,
        repeats = kept.repeats + excluded.repeats
)
SELECT count(*) FROM moved
""")
_TIDY: Final = text("""
DELETE FROM click_day
WHERE workspace_id = :workspace_id AND project_id = :project_id AND people = 0 AND bots = 0 AND repeats = 0
""")


@job(REDATE, timeout=timedelta(minutes=5))
async def redate(run: Run, project_id: UUID) -> Reschedule | None:
    """Give a project's clicks their day in the zone it has now, a page at a time."""
    async with run.step() as session:
        given = {"workspace_id": workspace_of(session), "project_id": project_id}
        moved = await session.scalar(_MOVE, {**given, "page": _PAGE})
        if moved:
            return Reschedule(run.now)
        await session.execute(_TIDY, given)
    return None


# Whoever is being counted at this moment is left alone, and nobody waits for us in a circle.
_FORGET: Final = text("""
DELETE FROM visitor WHERE workspace_id = :workspace_id AND (link_id, visitor) IN (
    SELECT link_id, visitor FROM visitor WHERE workspace_id = :workspace_id AND counted_at < :before
    LIMIT :page FOR UPDATE SKIP LOCKED
)
RETURNING link_id
""")


@job("links.tidy", every=timedelta(hours=24))
async def tidy(run: Run) -> None:
    """Have every workspace tidied."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, "links.tidy_workspace", workspace_id=workspace_id, key="nightly")


@job("links.tidy_workspace")
async def tidy_workspace(run: Run) -> Reschedule | None:
    """Forget when visitors were last counted, where that is of no use any more, a page at a time."""
    async with run.step() as session:
        given = {"workspace_id": workspace_of(session), "before": now(session) - FORGOTTEN, "page": _PAGE}
        gone = len((await session.execute(_FORGET, given)).all())
        again = Reschedule(run.now) if gone == _PAGE else None
        await run.finish(session, again)
    return again
