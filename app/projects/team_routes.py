"""The team of a project over HTTP."""

from typing import Any, Final
from uuid import UUID

from fastapi import status
from sqlalchemy import select
from sqlalchemy.orm import aliased

from app.access.authentication import authenticator
from app.access.current import CurrentActor, PagerDep, ReadDep, ResourcesDep, SessionDep
from app.access.models import ProjectSeat, UserAccount
from app.access.permissions import Permission
from app.access.routing import Router
from app.kit.db import in_workspace
from app.kit.errors import NotFound
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.routing import problems
from app.projects import team
from app.projects.models import Project
from app.projects.schemas import SeatCreate, SeatRead, SeatUpdate

ROUTER = Router("/v1/projects", tag="projects")

_SEATS: Final = Keyset((ProjectSeat.id,), descending=False)
_StandIn = aliased(UserAccount)


def _seats(workspace_id: UUID, project_id: UUID) -> Any:
    return (
        select(
            ProjectSeat.id,
            ProjectSeat.project_id,
            ProjectSeat.seat,
            ProjectSeat.about,
            ProjectSeat.created_at,
            UserAccount.id.label("user_id"),
            UserAccount.name,
            UserAccount.picture_url,
            ProjectSeat.stands_in_id,
            _StandIn.name.label("stands_in_name"),
        )
        .join(UserAccount, UserAccount.id == ProjectSeat.user_id)
        .outerjoin(_StandIn, _StandIn.id == ProjectSeat.stands_in_id)
        .where(in_workspace(ProjectSeat, workspace_id), ProjectSeat.project_id == project_id)
    )


@ROUTER.get(
    "/{project_id}/seats", operation_id="seats.list", permission=Permission.PROJECTS_READ, responses=problems(404)
)
async def list_seats(
    project_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    pager: PagerDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[SeatRead]:
    """The team of a project.

    Who does what, and who stands in for whom. The client sees it too.
    """
    project = select(Project.id).where(in_workspace(Project, actor.workspace_id), Project.id == project_id)
    if (await connection.execute(project)).one_or_none() is None:
        raise NotFound
    query = _SEATS.after(_seats(actor.workspace_id, project_id), pager.read(cursor, (UUID,)), limit)
    rows, next_cursor = pager.page((await connection.execute(query)).all(), limit, ("id",))
    return Page(data=[SeatRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@ROUTER.get(
    "/{project_id}/seats/{seat_id}",
    operation_id="seats.read",
    permission=Permission.PROJECTS_READ,
    responses=problems(404),
)
async def read(project_id: UUID, seat_id: UUID, actor: CurrentActor, connection: ReadDep) -> SeatRead:
    """A seat in a project.

    Its holder, what they do here, and who stands in.
    """
    query = _seats(actor.workspace_id, project_id).where(ProjectSeat.id == seat_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound
    return SeatRead.model_validate(row)


@ROUTER.post(
    "/{project_id}/seats",
    operation_id="seats.create",
    permission=Permission.SEATS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def give(
    project_id: UUID, body: SeatCreate, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> SeatRead:
    """Give a member a seat in a project.

    It says what they may do there (`docs/permissions.md`). One may have several.
    """
    row = await team.give(
        session,
        actor,
        project_id=project_id,
        user_id=body.user_id,
        seat=body.seat,
        about=body.about,
        stands_in_id=body.stands_in_id,
    )
    authenticator(resources).credentials.clear_after_commit(session)
    return await _read(session, row)


@ROUTER.patch(
    "/{project_id}/seats/{seat_id}",
    operation_id="seats.update",
    permission=Permission.SEATS_WRITE,
    responses=problems(404),
)
async def update(
    project_id: UUID, seat_id: UUID, body: SeatUpdate, actor: CurrentActor, session: SessionDep
) -> SeatRead:
    """Change what is said of a seat.

    Or who stands in while its holder is away. Another seat is another one: give it, and take this one away.
    """
    row = await team.update(session, actor, project_id=project_id, seat_id=seat_id, changes=body.changes())
    return await _read(session, row)


@ROUTER.delete(
    "/{project_id}/seats/{seat_id}",
    operation_id="seats.delete",
    permission=Permission.SEATS_WRITE,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404),
)
async def take(
    project_id: UUID, seat_id: UUID, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> None:
    """Take a seat away.

    What its holder did stays; without another seat they do not see the project any more.
    """
    await team.take(session, actor, project_id=project_id, seat_id=seat_id)
    authenticator(resources).credentials.clear_after_commit(session)


async def _read(session: SessionDep, row: ProjectSeat) -> SeatRead:
    await session.flush()
    query = _seats(row.workspace_id, row.project_id).where(ProjectSeat.id == row.id)
    return SeatRead.model_validate((await session.execute(query)).one())
