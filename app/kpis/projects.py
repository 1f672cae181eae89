"""Loads projects, their communities and the inputs of their KPIs."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from sqlalchemy import any_, bindparam, exists, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.models import Community as CommunityRow
from app.communities.models import InboundGap
from app.kit.db import in_workspace
from app.kit.errors import NotFound, is_outage
from app.kpis.contract import DAY, Community, Kpi, Loaded, LoadRequest, Project, Reason, Source, Span
from app.kpis.inputs.parameters import WORKSPACE
from app.kpis.statement import Statement
from app.projects.models import Project as ProjectRow

log = structlog.get_logger()

INVALID_PARAMETER: Final = "22023"
"""PostgreSQL's code for, among others: there is no such time zone."""

_COLUMNS: Final = (
    ProjectRow.id,
    ProjectRow.name,
    ProjectRow.timezone,
    ProjectRow.created_at,
    CommunityRow.id,
    CommunityRow.platform,
    CommunityRow.title,
    CommunityRow.created_at,
    CommunityRow.backfill_since,
    CommunityRow.state,
    CommunityRow.size_seen_at,
    CommunityRow.posts_seen_at,
    CommunityRow.conversations_seen_at,
    exists().where(InboundGap.workspace_id == CommunityRow.workspace_id, InboundGap.community_id == CommunityRow.id),
)
_STATEMENT: Final = Statement(
    select(*_COLUMNS)
    .outerjoin(
        CommunityRow,
        (CommunityRow.workspace_id == ProjectRow.workspace_id) & (CommunityRow.project_id == ProjectRow.id),
    )
    .where(
        in_workspace(ProjectRow, WORKSPACE),
        ProjectRow.id == any_(bindparam("project_ids", type_=ARRAY(PG_UUID(as_uuid=True)))),
    )
    .order_by(ProjectRow.created_at, ProjectRow.id, CommunityRow.created_at, CommunityRow.id)
)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    """UTC for one that is not known (any more): see `Project.unusable_reason`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


async def find(
    connection: AsyncConnection, workspace_id: UUID, project_ids: Sequence[UUID], now: datetime
) -> tuple[Project, ...]:
    """These projects, oldest first; one that is not of this workspace is not among them."""
    values = {"workspace_id": workspace_id, "project_ids": list(project_ids)}
    rows = await _STATEMENT.rows(connection, values)
    grouped: dict[UUID, list[Any]] = {}
    for row in rows:
        grouped.setdefault(row[0], []).append(row)
    return tuple(_project(project_rows, now) for project_rows in grouped.values())


async def one(connection: AsyncConnection, workspace_id: UUID, project_id: UUID, now: datetime) -> Project:
    """One project; `NotFound` where this workspace has none of that id."""
    matches = await find(connection, workspace_id, [project_id], now)
    if not matches:
        raise NotFound
    return matches[0]


def _project(rows: Sequence[Any], now: datetime) -> Project:
    project_id, name, timezone, created_at = rows[0][:4]
    zone = _zone(timezone)
    return Project(
        id=project_id,
        name=name,
        zone=zone,
        today=now.astimezone(zone).date(),
        now=now,
        created_at=created_at,
        communities=tuple(_community(row[4:], zone) for row in rows if row[4] is not None),
        timezone=timezone,
    )


def _community(row: Sequence[Any], zone: ZoneInfo) -> Community:
    community_id, platform, title, created_at, backfill_since, state, size, posts, conversations, has_inbound_gaps = row
    connected = created_at.astimezone(zone).date()
    return Community(
        id=community_id,
        platform=platform,
        title=title,
        connected=connected,
        backfill=min(backfill_since.astimezone(zone).date(), connected),
        state=state,
        size_seen_at=size,
        posts_seen_at=posts,
        conversations_seen_at=conversations,
        has_inbound_gaps=has_inbound_gaps,
    )


async def load(
    connection: AsyncConnection, request: LoadRequest, kpis: Iterable[Kpi]
) -> dict[UUID, dict[str, Loaded[Any]]]:
    """The inputs of the KPIs, by project and source: each source is loaded once, for all projects.

    Where loading fails for some projects, they are found by bisection: theirs is `failed`, and the others have their
    data. Raises `Unavailable` where the database is down.
    """
    loaded_by_project: dict[UUID, dict[str, Loaded[Any]]] = {project.id: {} for project in request.projects}
    sources: dict[str, Source[Any]] = {source.key: source for kpi in kpis for source in kpi.needs}
    usable = replace(
        request, projects=tuple(project for project in request.projects if project.unusable_reason is None)
    )
    for key, source in sources.items():
        for project in request.projects:
            if project.unusable_reason is not None:
                loaded_by_project[project.id][key] = _failed(project, request, project.unusable_reason)
        for project_id, loaded in (await _loaded(connection, usable, source)).items():
            loaded_by_project[project_id][key] = loaded
    return loaded_by_project


async def _loaded(connection: AsyncConnection, request: LoadRequest, source: Source[Any]) -> dict[UUID, Loaded[Any]]:
    """One source, bisecting the projects where it fails. Reads are no transaction, so an error aborts nothing."""
    if not request.projects:
        return {}
    try:
        return await source.load(connection, request)
    except Exception as error:
        if is_outage(error):
            raise
        middle = len(request.projects) // 2
        if not middle:
            (project,) = request.projects
            reason = Reason.ZONE_NOT_KNOWN if _concerns_zone(error, project) else Reason.NOT_COMPUTED
            log.exception("kpis.not_loaded", source=source.key, project_id=str(project.id), reason=reason)
            return {project.id: _failed(project, request, reason)}
    halves = (request.projects[:middle], request.projects[middle:])
    parts = [await _loaded(connection, replace(request, projects=half), source) for half in halves]
    return parts[0] | parts[1]


def _failed(project: Project, request: LoadRequest, reason: str) -> Loaded[Any]:
    """No data of any community, for this reason."""
    span = Span(request.last + DAY, None, None, reason, before=reason)
    return Loaded((), dict.fromkeys(project.communities, span), reason, failed=True)


def _concerns_zone(error: Exception, project: Project) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) == INVALID_PARAMETER and f'"{project.timezone}"' in str(cause)
