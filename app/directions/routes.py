"""The directions of a project over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from app.access.current import CurrentActor, ReadDep, ResourcesDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.directions import activity
from app.directions.activity import QUIET_AFTER, WEEK, DirectionActivity, ProjectActivity
from app.directions.deeds import DEEDS, SEATS, TITLES
from app.directions.schemas import (
    DirectionDeeds,
    DirectionHolder,
    DirectionRead,
    DirectionsRead,
    DirectionWarning,
    DirectionWeek,
)
from app.kit.errors import NotFound
from app.kit.routing import problems

ROUTER = Router("/v1/projects", tag="projects")

Weeks = Annotated[
    int,
    Query(ge=1, le=53, description="How many local weeks are counted, from Monday to Sunday, the present one last."),
]


@ROUTER.get(
    "/{project_id}/directions",
    operation_id="directions.read",
    permission=Permission.KPIS_READ,
    responses=problems(404),
)
async def read(
    project_id: UUID, actor: CurrentActor, connection: ReadDep, resources: ResourcesDep, weeks: Weeks = 8
) -> DirectionsRead:
    """Which directions of a project are held and at work: content, promotion, community, management.

    Each with who holds it, its deeds by week, and a warning where nobody holds it or it went quiet while others
    worked. Deeds are entries of the record of changes made by people of the agency; answers are messages, those
    written in the platform's own app among them.
    """
    projects = await activity.read(
        connection, actor.workspace_id, resources.clock.now(), weeks=weeks, project_ids=[project_id]
    )
    if not projects:
        raise NotFound
    (project,) = projects
    return DirectionsRead(
        project_id=project_id,
        timezone=project.timezone,
        data=[_direction(project, one) for one in project.directions],
    )


def _direction(project: ProjectActivity, one: DirectionActivity) -> DirectionRead:
    weeks = [
        DirectionWeek(first=monday, last=monday + 6 * (WEEK / 7), deeds=deeds)
        for monday, deeds in zip(project.mondays, one.weeks, strict=True)
    ]
    return DirectionRead(
        direction=one.direction,
        title=TITLES[one.direction],
        seats=sorted(SEATS[one.direction]),
        holders=[DirectionHolder(user_id=each.user_id, name=each.name, seat=each.seat) for each in one.holders],
        deeds=sum(one.weeks),
        by_deed=[
            DirectionDeeds(deed=deed, title=DEEDS[deed].title, deeds=deeds) for deed, deeds in one.by_deed.items()
        ],
        weeks=weeks,
        quiet_weeks=one.quiet_weeks,
        quiet_after=QUIET_AFTER[one.direction],
        warnings=_warnings(one),
    )


def _warnings(one: DirectionActivity) -> list[DirectionWarning]:
    made = []
    if one.is_unheld:
        seats = " or ".join(f"`{seat}`" for seat in sorted(SEATS[one.direction]))
        detail = f"Nobody holds it: give somebody the seat {seats} (POST /v1/projects/{{id}}/seats)."
        made.append(DirectionWarning(code="direction-unheld", detail=detail))
    if one.is_quiet:
        detail = f"Weeks in which nothing was done here while others worked: {one.quiet_weeks}, up to now."
        made.append(DirectionWarning(code="direction-quiet", detail=detail))
    return made
