"""Kept progress of goals over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from starlette.responses import Response

from app.access.current import ListDep, connection_of
from app.access.permissions import Permission
from app.access.routing import Router
from app.goals import progress_reads
from app.goals.models import GoalKind, GoalStatus, Pace
from app.goals.reads import GoalSort
from app.goals.schemas import GoalProgressRead, GoalProgressRow, KpiKey
from app.kit.lists import json_page, json_response
from app.kit.paging import Cursor, Limit, Page
from app.kit.routing import problems

ROUTER = Router("/v1", tag="goals")
"""Part of the room's own router."""


@ROUTER.get(
    "/goals/{goal_id}/progress",
    operation_id="goals.progress",
    permission=Permission.GOALS_READ,
    responses=problems(404),
    response_model=GoalProgressRead,
)
async def read(goal_id: UUID, lists: ListDep) -> Response:
    """How far a goal is: value so far, expected path, pace, forecast with an 80 % interval.

    As kept when it was last measured (`as_of`): hourly, soon after the project's midnight, and when its terms change.
    Whole days count.
    """
    async with connection_of(lists.request) as connection:
        row = await progress_reads.PROGRESS.one(connection, lists.actor.workspace_id, goal_id)
        content = progress_reads.progress_row(row)
        values = {"workspace_id": lists.actor.workspace_id, "goal_id": goal_id, "revision": content["revision"]}
        content["series"] = await progress_reads.series(connection, values)
    return json_response(content)


@ROUTER.get(
    "/portfolio/goals",
    operation_id="goals.portfolio",
    permission=Permission.GOALS_READ,
    response_model=Page[GoalProgressRow],
)
async def portfolio(
    lists: ListDep,
    goal_type: Annotated[GoalKind | None, Query(alias="type", description="Only those of this goal type.")] = None,
    status: Annotated[GoalStatus | None, Query(description="Only those that stand so.")] = None,
    kpi: Annotated[KpiKey | None, Query(description="Only those on the KPI with this key.")] = None,
    pace: Annotated[Pace | None, Query(description="Only those on this pace when they were last measured.")] = None,
    main: Annotated[bool | None, Query(description="Only main goals, or only the others; both when left out.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """All goals of all projects that are not archived, with their progress, newest first.

    For an overview: one row each, as it was kept when the goal was last measured, without the series.
    """
    rows, next_cursor = await lists.page(
        progress_reads.PROGRESS,
        sort=GoalSort.CREATED,
        limit=limit,
        cursor=cursor,
        filters={"type": goal_type, "status": status, "kpi": kpi, "pace": pace, "main": main, "archived": False},
    )
    return json_page([progress_reads.progress_row(row) for row in rows], next_cursor)
