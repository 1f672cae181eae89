"""Loads projects, their communities and the inputs of their KPIs."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
import structlog
from sqlalchemy import Text, any_, bindparam, cast, exists, func, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.inbound.models import InboundGap
from app.communities.models import Community as CommunityRow
from app.kit.db import in_workspace
from app.kit.errors import NotFound, is_outage
from app.kit.statement import Statement
from app.kpis import all_kpis, annotations
from app.kpis.arithmetic import Datasets
from app.kpis.contract import DAY, CommunityData, Dataset, Kpi, LoadRequest, Project, Source, Span
from app.kpis.inputs.parameters import WORKSPACE
from app.kpis.values import Community, GoalType, Reason
from app.projects.models import Project as ProjectRow

log = structlog.get_logger()

INVALID_PARAMETER: Final = "22023"
"""The SQLSTATE for an invalid parameter value, an unknown time zone among them."""

_COMMUNITIES: Final = (
    select(
        func.json_agg(
            aggregate_order_by(
                func.json_build_array(
                    CommunityRow.id,
                    CommunityRow.platform,
                    CommunityRow.title,
                    CommunityRow.created_at,
                    CommunityRow.backfill_since,
                    CommunityRow.status,
                    CommunityRow.size_seen_at,
                    CommunityRow.posts_seen_at,
                    CommunityRow.conversations_seen_at,
                    CommunityRow.disconnected_at,
                    exists().where(
                        InboundGap.workspace_id == CommunityRow.workspace_id,
                        InboundGap.community_id == CommunityRow.id,
                    ),
                ),
                CommunityRow.created_at,
                CommunityRow.id,
            )
        )
    )
    .where(in_workspace(CommunityRow, WORKSPACE), CommunityRow.project_id == ProjectRow.id)
    .correlate(ProjectRow)
    .scalar_subquery()
)


def _sources_of(kpis: Iterable[Kpi]) -> tuple[Source[Any], ...]:
    """Their sources, in one order, whatever that of the KPIs."""
    return tuple(dict.fromkeys(source for kpi in sorted(kpis, key=lambda kpi: kpi.key) for source in kpi.needs))


@lru_cache(maxsize=1)
def _frequent() -> frozenset[tuple[Source[Any], ...]]:
    """The sources of each KPI, of each task's KPIs, and of all."""
    kpis = all_kpis().values()
    of_tasks = ([kpi for kpi in kpis if kpi.goal is goal] for goal in GoalType)
    return frozenset(map(_sources_of, [(), *([kpi] for kpi in kpis), *of_tasks, kpis]))


@lru_cache(maxsize=256)
def _statement(sources: tuple[Source[Any], ...]) -> Statement:
    """The statement that reads projects with their communities and the rows of these sources."""
    return Statement(
        select(
            ProjectRow.id,
            ProjectRow.title,
            ProjectRow.timezone,
            ProjectRow.created_at,
            cast(_COMMUNITIES, Text),
            cast(annotations.rows(), Text),
            *(cast(source.rows, Text) for source in sources),
        )
        .where(
            in_workspace(ProjectRow, WORKSPACE),
            ProjectRow.id == any_(bindparam("project_ids", type_=ARRAY(PG_UUID(as_uuid=True)))),
        )
        .order_by(ProjectRow.created_at, ProjectRow.id),
        # Any subset of the KPIs can be requested, and each connection would keep a plan of some megabytes for it.
        keep=len(sources) == 1 or sources in _frequent(),
    )


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    """The zone of this name; UTC where Python does not know it (any more): see `Project.unusable_reason`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


async def load(connection: AsyncConnection, request: LoadRequest, kpis: Iterable[Kpi]) -> dict[Project, Datasets]:
    """The requested projects, oldest first, with the inputs of the KPIs: one statement reads them all.

    Projects of other workspaces are absent. A dataset that cannot be loaded is `failed`; the other sources and
    projects still have their data. Raises `Unavailable` where the database is down.
    """
    sources = _sources_of(kpis)
    rows = sorted((await _rows(connection, request, sources)).values(), key=lambda row: (row[3], row[0].hex))
    loaded: dict[Project, dict[Source[Any], Dataset[Any]]] = {_project(row, request.now): {} for row in rows}
    for number, source in enumerate(sources, _PROJECT_COLUMNS):
        by_project = {
            project: _dataset(source, project, row[number], request) for project, row in zip(loaded, rows, strict=True)
        }
        await _supplement(connection, request, source, by_project)
        for project, dataset in by_project.items():
            loaded[project][source] = dataset
    return dict(loaded)


async def one(connection: AsyncConnection, request: LoadRequest, kpis: Iterable[Kpi] = ()) -> tuple[Project, Datasets]:
    """The one requested project with its inputs; `NotFound` where the workspace has no project of that id."""
    loaded = await load(connection, request, kpis)
    if not loaded:
        raise NotFound
    return next(iter(loaded.items()))


async def _rows(
    connection: AsyncConnection, request: LoadRequest, sources: tuple[Source[Any], ...]
) -> dict[UUID, list[Any]]:
    """The statement's rows by project; a `Reason` takes the place of rows that a source failed to read.

    When the statement fails, the failing part is found by bisecting the projects, then by trying each source. Reads
    are not in a transaction, so an error does not abort the ones after it.
    """
    try:
        rows = await _statement(sources).rows(connection, request.parameters)
        return {row[0]: list(row) for row in rows}
    except Exception as error:
        if is_outage(error) or not sources:
            raise
        ids = request.project_ids
        if len(ids) > 1:
            middle = len(ids) // 2
            halves = [replace(request, project_ids=half) for half in (ids[:middle], ids[middle:])]
            return {**await _rows(connection, halves[0], sources), **await _rows(connection, halves[1], sources)}
        whole = await _rows(connection, request, ())
        for source in sources:
            for project_id, row in whole.items():
                if len(sources) > 1:
                    row += (await _rows(connection, request, (source,)))[project_id][_PROJECT_COLUMNS:]
                else:
                    reason = Reason.ZONE_NOT_KNOWN if _concerns_zone(error, row[2]) else Reason.NOT_COMPUTED
                    _log_failure(source, project_id, reason, error)
                    row.append(reason)
        return whole


def _dataset(source: Source[Any], project: Project, rows: str | None, request: LoadRequest) -> Dataset[Any]:
    if (reason := project.unusable_reason) is not None:
        return _failed(project, request, reason)
    if isinstance(rows, Reason):
        return _failed(project, request, rows)
    try:
        return source.dataset(project, orjson.loads(rows) if rows is not None else None, request)
    except Exception as error:
        _log_failure(source, project.id, Reason.NOT_COMPUTED, error)
        return _failed(project, request, Reason.NOT_COMPUTED)


async def _supplement(
    connection: AsyncConnection, request: LoadRequest, source: Source[Any], by_project: dict[Project, Dataset[Any]]
) -> None:
    """Call the source's `supplement` for all projects; where it fails, again for each project separately."""
    sound = {project: dataset for project, dataset in by_project.items() if not dataset.failed}
    try:
        await source.supplement(connection, request, sound)
    except Exception as error:
        if is_outage(error):
            raise
        if len(sound) > 1:
            for project, dataset in sound.items():
                alone = {project: dataset}
                await _supplement(connection, replace(request, project_ids=(project.id,)), source, alone)
                by_project.update(alone)
            return
        for project in sound:
            _log_failure(source, project.id, Reason.NOT_COMPUTED, error)
            by_project[project] = _failed(project, request, Reason.NOT_COMPUTED)


def _log_failure(source: Source[Any], project_id: UUID, reason: Reason, error: Exception) -> None:
    log.error("kpis.not_loaded", source=source.key, project_id=str(project_id), reason=reason, exc_info=error)


def _failed(project: Project, request: LoadRequest, reason: str) -> Dataset[Any]:
    """A failed dataset: every community is without data, for this reason."""
    span = Span(request.last + DAY, None, None, reason, before=reason)
    return Dataset((CommunityData(one, span, request) for one in project.communities), reason, failed=True)


def _concerns_zone(error: Exception, timezone: str) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) == INVALID_PARAMETER and f'"{timezone}"' in str(cause)


_PROJECT_COLUMNS: Final = 6


def _project(row: Sequence[Any], now: datetime) -> Project:
    project_id, title, timezone, created_at, communities, remarks = row[:_PROJECT_COLUMNS]
    zone = _zone(timezone)
    return Project(
        id=project_id,
        title=title,
        zone=zone,
        today=now.astimezone(zone).date(),
        now=now,
        created_at=created_at,
        communities=_communities(orjson.loads(communities or "[]"), zone, now),
        timezone=timezone,
        annotations=annotations.parsed(remarks),
    )


def _communities(rows: Sequence[Sequence[Any]], zone: ZoneInfo, now: datetime) -> tuple[Community, ...]:
    """The communities that were connected by `now`. A poll later than `now` counts as one at `now`."""
    return tuple(
        _community(columns, zone, now) for columns in rows if datetime.fromisoformat(columns[_CREATED_AT]) <= now
    )


_CREATED_AT: Final = 3


def _community(columns: Sequence[Any], zone: ZoneInfo, now: datetime) -> Community:
    community_id, platform, title, created_at, backfill_since, status, *polled_at, end, has_inbound_gaps = columns
    ended = None if end is None else datetime.fromisoformat(end)
    connected = datetime.fromisoformat(created_at).astimezone(zone).date()
    size, posts, conversations = (min(datetime.fromisoformat(at), now) if at is not None else None for at in polled_at)
    return Community(
        id=UUID(community_id),
        platform=platform,
        title=title,
        connected=connected,
        backfill=min(datetime.fromisoformat(backfill_since).astimezone(zone).date(), connected),
        status=status,
        size_seen_at=size,
        posts_seen_at=posts,
        conversations_seen_at=conversations,
        disconnected=None if ended is None or ended > now else ended.astimezone(zone).date(),
        has_inbound_gaps=has_inbound_gaps,
    )
