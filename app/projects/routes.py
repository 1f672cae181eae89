"""Projects, their briefs and their working hours."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response, status
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.current import CurrentActor, ListDep, PagerDep, ReadDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.kit.db import in_workspace
from app.kit.errors import NotFound
from app.kit.lists import WORKSPACE, Listing, Sort, json_page, parameter
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.preconditions import ExpectedVersions, version_tag
from app.kit.routing import TAGGED, problems
from app.kit.schemas import Search
from app.projects import service, target_routes, team_routes
from app.projects.models import Brief, Project
from app.projects.schemas import (
    BriefRead,
    BriefUpdate,
    ProjectCreate,
    ProjectRead,
    ProjectUpdate,
    WorkingHoursRead,
    WorkingHoursUpdate,
)

ROUTER = Router("/v1/projects", tag="projects")

_PROJECTS: Final = Listing(
    select(*(getattr(Project, name) for name in ProjectRead.model_fields)).where(in_workspace(Project, WORKSPACE)),
    Project.id,
    sorts={"created_at": Sort(Keyset((Project.created_at, Project.id)))},
    filters={
        "archived": {True: Project.archived_at.is_not(None), False: Project.archived_at.is_(None)},
        # A workspace's projects are few enough to be searched one by one.
        "q": Project.title.ilike(parameter("q", Project.title)),
    },
)
_VERSIONS: Final = Keyset((Brief.version,))
_EMPTY: Final = BriefUpdate().model_dump()


@ROUTER.post(
    "",
    operation_id="projects.create",
    permission=Permission.PROJECTS_CREATE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(409) | {201: TAGGED},
)
async def create(body: ProjectCreate, actor: CurrentActor, session: SessionDep, response: Response) -> ProjectRead:
    """Start a project for a client.

    Its days are the local days of `timezone`; working hours are Monday to Friday, 09:00 to 18:00, unless others
    are given.
    """
    hours = body.working_hours.parsed() if body.working_hours is not None else None
    project = await service.create(session, actor, title=body.title, timezone=body.timezone, hours=hours)
    return _project_read(project, response)


@ROUTER.get("", operation_id="projects.list", permission=Permission.PROJECTS_READ, response_model=Page[ProjectRead])
async def list_projects(
    lists: ListDep,
    archived: Annotated[bool | None, Query(description="Only archived projects, or only the others.")] = None,
    q: Annotated[Search, Query(description="Part of the title.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The agency's projects, newest first.

    Archived ones are among them, unless `archived` says otherwise.
    """
    rows, next_cursor = await lists.page(
        _PROJECTS, sort="created_at", limit=limit, cursor=cursor, filters={"archived": archived, "q": q}
    )
    return json_page([dict(row) for row in rows], next_cursor)


@ROUTER.get("/{project_id}", operation_id="projects.read", permission=Permission.PROJECTS_READ, responses=problems(404))
async def read(project_id: UUID, actor: CurrentActor, connection: ReadDep, response: Response) -> ProjectRead:
    """A project; its ETag is what `If-Match` takes.

    Title, time zone and whether it is archived. Brief, working hours and policy have addresses of their own
    below it.
    """
    return _project_read(await _row(connection, actor.workspace_id, project_id), response)


@ROUTER.patch(
    "/{project_id}", operation_id="projects.update", permission=Permission.PROJECTS_WRITE, responses=problems(404, 412)
)
async def update(
    project_id: UUID,
    body: ProjectUpdate,
    actor: CurrentActor,
    session: SessionDep,
    expected_versions: ExpectedVersions,
    response: Response,
) -> ProjectRead:
    """Change a project's title or zone, archive it or restore it.

    In another zone its days are other days: its daily figures are computed anew.
    """
    project = await service.update(
        session, actor, project_id=project_id, **body.changes(), expected_versions=expected_versions
    )
    return _project_read(project, response)


@ROUTER.get(
    "/{project_id}/working-hours",
    operation_id="working-hours.read",
    permission=Permission.PROJECTS_READ,
    responses=problems(404),
)
async def read_hours(
    project_id: UUID, actor: CurrentActor, connection: ReadDep, response: Response
) -> WorkingHoursRead:
    """When the agency answers for this project.

    Response times count only what lies within them. Its ETag is the project's.
    """
    return _hours(await _row(connection, actor.workspace_id, project_id), response)


@ROUTER.put(
    "/{project_id}/working-hours",
    operation_id="working-hours.replace",
    permission=Permission.PROJECTS_WRITE,
    responses=problems(404, 412),
)
async def replace_hours(
    project_id: UUID,
    body: WorkingHoursUpdate,
    actor: CurrentActor,
    session: SessionDep,
    expected_versions: ExpectedVersions,
    response: Response,
) -> WorkingHoursRead:
    """Set the working hours.

    They count from now on: waits that have ended keep their working time. `If-Match` takes the project's ETag.
    """
    project = await service.set_hours(
        session, actor, project_id=project_id, hours=body.parsed(), expected_versions=expected_versions
    )
    return _hours(project, response)


@ROUTER.get(
    "/{project_id}/brief", operation_id="briefs.read", permission=Permission.BRIEFS_READ, responses=problems(404)
)
async def read_brief(project_id: UUID, actor: CurrentActor, connection: ReadDep, response: Response) -> BriefRead:
    """The latest version of the brief.

    Version 0, and empty, where none was written yet. Its ETag is what `If-Match` takes.
    """
    await _row(connection, actor.workspace_id, project_id)
    latest = _versions(actor.workspace_id, project_id).order_by(Brief.version.desc()).limit(1)
    row = (await connection.execute(latest)).one_or_none()
    version, created_at, content = (0, None, _EMPTY) if row is None else (row.version, row.created_at, row.content)
    response.headers["ETag"] = version_tag(version)
    return BriefRead.of(project_id, version, created_at, content)


@ROUTER.put(
    "/{project_id}/brief",
    operation_id="briefs.replace",
    permission=Permission.BRIEFS_WRITE,
    responses=problems(404, 412),
)
async def replace_brief(
    project_id: UUID,
    body: BriefUpdate,
    actor: CurrentActor,
    session: SessionDep,
    expected_versions: ExpectedVersions,
    response: Response,
) -> BriefRead:
    """Write the next version of the brief; the ones before are kept.

    The whole of it: what is left out is empty in the new version. Earlier versions are kept.
    """
    brief = await service.write_brief(
        session, actor, project_id=project_id, content=body.model_dump(), expected_versions=expected_versions
    )
    response.headers["ETag"] = version_tag(brief.version)
    return BriefRead.of(project_id, brief.version, brief.created_at, brief.content)


@ROUTER.get(
    "/{project_id}/brief/versions",
    operation_id="briefs.list",
    permission=Permission.BRIEFS_READ,
    responses=problems(404),
)
async def list_briefs(
    project_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    pager: PagerDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[BriefRead]:
    """Every version of the brief, newest first.

    Who wants to know what was agreed at the time of a post finds it here by `created_at`.
    """
    await _row(connection, actor.workspace_id, project_id)
    query = _VERSIONS.after(_versions(actor.workspace_id, project_id), pager.read(cursor, (int,)), limit)
    rows, next_cursor = pager.page((await connection.execute(query)).all(), limit, ("version",))
    data = [BriefRead.of(project_id, row.version, row.created_at, row.content) for row in rows]
    return Page(data=data, next_cursor=next_cursor)


async def _row(connection: AsyncConnection, workspace_id: UUID, project_id: UUID) -> Row[Any]:
    query = select(Project.__table__).where(in_workspace(Project, workspace_id), Project.id == project_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound
    return row


def _versions(workspace_id: UUID, project_id: UUID) -> Any:
    return select(Brief.__table__).where(in_workspace(Brief, workspace_id), Brief.project_id == project_id)


def _project_read(project: Project | Row[Any], response: Response) -> ProjectRead:
    response.headers["ETag"] = version_tag(project.version)
    return ProjectRead.model_validate(project)


def _hours(project: Project | Row[Any], response: Response) -> WorkingHoursRead:
    response.headers["ETag"] = version_tag(project.version)
    return WorkingHoursRead.model_validate({"timezone": project.timezone, **project.working_hours})


ROUTER.include(team_routes.ROUTER)
ROUTER.include(target_routes.ROUTER)
