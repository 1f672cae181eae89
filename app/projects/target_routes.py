"""A project's targets for responses."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Response
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.current import CurrentActor, ReadDep, ResourcesDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.kit.clock import Clock
from app.kit.db import in_workspace
from app.kit.errors import NotFound
from app.kit.preconditions import ExpectedVersions, version_tag
from app.kit.routing import problems
from app.projects import targets
from app.projects.models import Project
from app.projects.schemas import ResponseTargetRead, ResponseTargetsRead, ResponseTargetsUpdate

ROUTER = Router("/v1/projects", tag="projects")
"""Part of the room's own router."""


@ROUTER.get(
    "/{project_id}/response-targets",
    operation_id="response-targets.read",
    permission=Permission.PROJECTS_READ,
    responses=problems(404),
)
async def read(
    project_id: UUID, actor: CurrentActor, connection: ReadDep, resources: ResourcesDep, response: Response
) -> ResponseTargetsRead:
    """How fast the agency has promised the client to respond, in working time.

    Every version with the day from which it holds. The ETag is the project's.
    """
    query = select(Project.timezone, Project.version).where(
        in_workspace(Project, actor.workspace_id), Project.id == project_id
    )
    project: Any = (await connection.execute(query)).one_or_none()
    if project is None:
        raise NotFound
    return await _read(connection, actor.workspace_id, project_id, project, resources.clock, response)


@ROUTER.put(
    "/{project_id}/response-targets",
    operation_id="response-targets.replace",
    permission=Permission.PROJECTS_WRITE,
    responses=problems(404, 412),
)
async def replace(
    project_id: UUID,
    body: ResponseTargetsUpdate,
    actor: CurrentActor,
    session: SessionDep,
    resources: ResourcesDep,
    expected_versions: ExpectedVersions,
    response: Response,
) -> ResponseTargetsRead:
    """Agree on targets from a day on.

    What began before that day keeps its own targets, so figures of the past do not change; 422 `target-in-the-past`
    for a day before today. `If-Match` takes the project's ETag.
    """
    project = await targets.set_targets(
        session,
        actor,
        project_id=project_id,
        holds_from=body.holds_from,
        first_response_minutes=body.first_response_minutes,
        resolution_minutes=body.resolution_minutes,
        expected_versions=expected_versions,
    )
    connection = await session.connection()
    return await _read(connection, actor.workspace_id, project_id, project, resources.clock, response)


async def _read(
    connection: AsyncConnection,
    workspace_id: UUID,
    project_id: UUID,
    project: Project | Row[Any],
    clock: Clock,
    response: Response,
) -> ResponseTargetsRead:
    agreed = await targets.response_targets(connection, workspace_id, project_id)
    today = clock.now().astimezone(ZoneInfo(project.timezone)).date()
    current = agreed.on(today)
    response.headers["ETag"] = version_tag(project.version)
    return ResponseTargetsRead(
        timezone=project.timezone,
        current=ResponseTargetRead.model_validate(current) if current is not None else None,
        versions=[ResponseTargetRead.model_validate(version) for version in agreed.versions],
    )
