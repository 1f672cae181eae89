"""The KPIs over HTTP. Responses are serialised without models, for speed: dashboards poll these endpoints."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import Depends, Path, Query, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from app.access.current import CurrentActor, PagerDep, authenticated_actor, connection_of, resources_of
from app.access.permissions import Permission
from app.access.routing import Router
from app.kit.days import FirstDay, LastDay
from app.kit.db import in_workspace
from app.kit.errors import Invalid, NotFound
from app.kit.paging import Cursor, Keyset, Limit
from app.kit.routing import problems
from app.kit.schemas import Instant, Text
from app.kpis import all_kpis, answers, evidence, explanations, projects
from app.kpis.answers import KpiQuery
from app.kpis.contract import Kpi, LoadRequest
from app.kpis.schemas import EvidencePage, KpiAnswer, KpiAnswers, KpiCatalogue, KpiExplanation, Portfolio
from app.kpis.values import GoalType
from app.kpis.windows import Days, Granularity, days_to_load, requested_days
from app.projects.models import Project as ProjectRow

ROUTER = Router("/v1", tag="kpis")

Key = Annotated[Text, Path(description="A `key` of `GET /v1/kpis`.", examples=["first_response_time"])]
GranularityParam = Annotated[
    Granularity, Query(description="The length of the parts of the series. Weeks begin on Monday.")
]
AsOf = Annotated[
    Instant | None,
    Query(description="The instant of the answer that this belongs to, as its link gives it; now without it."),
]
CompareParam = Annotated[Literal["previous", "none"], Query(description="`none` omits the previous window.")]


def _kpi(key: str) -> Kpi:
    """The KPI of the path; `NotFound` where there is none."""
    kpi = all_kpis().get(key)
    if kpi is None:
        raise NotFound("There is no KPI with this key; GET /v1/kpis lists them.")
    return kpi


def _json(content: dict[str, Any]) -> Response:
    # asyncpg returns UUIDs of its own type, which orjson cannot serialise: hence `default`.
    return Response(orjson.dumps(content, default=str, option=orjson.OPT_UTC_Z), media_type="application/json")


def _answer(content: dict[str, Any], query: KpiQuery) -> Response:
    """A response whose ETag ignores the `as_of` of its links, which differs in every response."""
    response = _json(content)
    digest = hashlib.blake2b(bytes(response.body).replace(query.as_of.encode(), b""), digest_size=12).hexdigest()
    response.headers["ETag"] = f'W/"{digest}"'
    return response


class KpiLoader:
    """Loads the inputs of a project's KPIs, each source once."""

    def __init__(
        self,
        workspace_id: UUID,
        connection: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        now: datetime,
        *,
        is_past: bool = False,
    ) -> None:
        self.workspace_id = workspace_id
        self.connection = connection
        """A connection for the actor's reads; it goes back to the pool before anything is computed."""
        self.now = now
        self.is_past = is_past

    def as_of(self, instant: datetime | None) -> "KpiLoader":
        """A loader of the data as of an earlier instant (None: this loader); `Invalid` for a future one."""
        if instant is None:
            return self
        if instant > self.now:
            raise Invalid(
                "This instant has not come.",
                code="invalid-as-of",
                errors=[{"in": "query", "field": "as_of", "code": "invalid-as-of", "detail": "It has not come."}],
            )
        return KpiLoader(self.workspace_id, self.connection, instant, is_past=instant < self.now)

    async def load_query(
        self,
        project_id: UUID,
        kpis: list[Kpi],
        first: date | None,
        last: date | None,
        granularity: Granularity = Granularity.MONTH,
        *,
        compare: bool = False,
        previous: bool = True,
    ) -> KpiQuery:
        """The query with its inputs, those of the previous window too unless nothing asks for it.

        Raises `NotFound` for another workspace's project.
        """
        days = await self._days_to_load(project_id, first, last, granularity, previous=previous)
        request = LoadRequest(self.workspace_id, (project_id,), days.first, days.last, self.now, self.is_past)
        async with self.connection() as connection:
            project, datasets = await projects.one(connection, request, kpis)
        window = requested_days(first, last, granularity, project.today)
        return KpiQuery(project, window, granularity, compare, request, datasets)

    async def _days_to_load(
        self, project_id: UUID, first: date | None, last: date | None, granularity: Granularity, *, previous: bool
    ) -> Days:
        """The days to load. `NotFound` comes before `Invalid`, and validity is judged by the project's own today."""
        try:
            return days_to_load(first, last, granularity, self.now, previous=previous)
        except Invalid:
            today = self.now.date()
            request = LoadRequest(self.workspace_id, (project_id,), today, today, self.now)
            async with self.connection() as connection:
                project, _ = await projects.one(connection, request)
            days = requested_days(first, last, granularity, project.today)
            return Days(days.before.first if previous else days.first, days.last)


async def _kpi_loader(request: Request) -> KpiLoader:
    now = resources_of(request).clock.now()
    return KpiLoader(authenticated_actor(request).workspace_id, lambda: connection_of(request), now)


KpiLoaderDep = Annotated[KpiLoader, Depends(_kpi_loader)]


@ROUTER.get("/kpis", operation_id="kpis.list", permission=Permission.KPIS_READ, response_model=KpiCatalogue)
async def catalogue(_: CurrentActor) -> Response:
    """All KPIs, with formula, source and caveats.

    Each with its formula, its source, its caveats, and the kinds of row that its evidence consists of. The list
    changes only with the version of the service.
    """
    return _json({"data": [explanations.documented(kpi) for kpi in all_kpis().values()], "next_cursor": None})


@ROUTER.get(
    "/projects/{project_id}/kpis",
    operation_id="kpis.all",
    permission=Permission.KPIS_READ,
    response_model=KpiAnswers,
    responses=problems(404),
)
async def of_project(
    project_id: UUID,
    loader: KpiLoaderDep,
    first: FirstDay = None,
    to: LastDay = None,
    granularity: GranularityParam = Granularity.DAY,
    goal_type: Annotated[GoalType | None, Query(description="Only KPIs of goals of this type.")] = None,
    compare: CompareParam = "previous",
) -> Response:
    """All KPIs of a project, or those of one type of goal.

    Each as `GET /v1/projects/{project_id}/kpis/{key}` gives it. Days are the project's local days.
    """
    kpis = [kpi for kpi in all_kpis().values() if goal_type in (None, kpi.goal)]
    query = await loader.load_query(project_id, kpis, first, to, granularity, compare=compare == "previous")
    content = {
        "project_id": project_id,
        "window": query.described(),
        "data": [answers.answer(kpi, query) for kpi in kpis],
        "next_cursor": None,
    }
    return _answer(content, query)


@ROUTER.get(
    "/projects/{project_id}/kpis/{key}",
    operation_id="kpis.read",
    permission=Permission.KPIS_READ,
    response_model=KpiAnswer,
    responses=problems(404),
)
async def of_key(
    project_id: UUID,
    key: Key,
    loader: KpiLoaderDep,
    first: FirstDay = None,
    to: LastDay = None,
    granularity: GranularityParam = Granularity.DAY,
    compare: CompareParam = "previous",
) -> Response:
    """One KPI: value, previous window, series, communities, freshness and coverage.

    An unknown value is null with a reason, never 0. `links` lead to the explanation and the evidence of this
    very answer.
    """
    kpi = _kpi(key)
    query = await loader.load_query(project_id, [kpi], first, to, granularity, compare=compare == "previous")
    return _answer(answers.answer(kpi, query), query)


@ROUTER.get(
    "/projects/{project_id}/kpis/{key}/explain",
    operation_id="kpis.explain",
    permission=Permission.KPIS_READ,
    response_model=KpiExplanation,
    responses=problems(404),
)
async def explain(
    project_id: UUID, key: Key, loader: KpiLoaderDep, first: FirstDay = None, to: LastDay = None, as_of: AsOf = None
) -> Response:
    """How a value is computed: formula in words, in symbols and with its amounts; inputs; adjustments.

    With the `as_of` of an answer, as its link has it, it explains that answer, whatever was read since.
    """
    kpi = _kpi(key)
    return _json(explanations.explain(kpi, await loader.as_of(as_of).load_query(project_id, [kpi], first, to)))


@ROUTER.get(
    "/projects/{project_id}/kpis/{key}/evidence",
    operation_id="kpis.evidence",
    permission=Permission.KPIS_READ,
    response_model=EvidencePage,
    responses=problems(404, 409),
)
async def rows(
    project_id: UUID,
    key: Key,
    loader: KpiLoaderDep,
    pager: PagerDep,
    first: FirstDay = None,
    to: LastDay = None,
    as_of: AsOf = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The rows behind a value, from which it can be recomputed by hand as `recount` says.

    All pages are as of one instant. Where one of the rows, or the set of communities that count, changes meanwhile,
    the next page is refused with 409 `evidence-changed`.
    """
    kpi = _kpi(key)
    position = evidence.start(kpi, pager, cursor, as_of or loader.now)
    query = await loader.as_of(position.as_of).load_query(project_id, [kpi], first, to, previous=False)
    async with loader.connection() as connection:
        page = await evidence.page(
            connection, kpi, query, workspace_id=loader.workspace_id, pager=pager, position=position, limit=limit
        )
    return _json(
        {
            "key": kpi.key,
            "window": query.described(),
            "as_of": position.as_of,
            "recount": kpi.doc.recount,
            **page,
        }
    )


_PROJECTS = Keyset((ProjectRow.created_at, ProjectRow.id), descending=False)


@ROUTER.get("/portfolio/kpis", operation_id="kpis.portfolio", permission=Permission.KPIS_READ, response_model=Portfolio)
async def portfolio(
    loader: KpiLoaderDep,
    pager: PagerDep,
    keys: Annotated[
        Text | None,
        Query(max_length=2000, description="Keys, comma separated; all KPIs without it.", examples=["clicks,reach"]),
    ] = None,
    first: FirstDay = None,
    to: LastDay = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """All projects of the workspace that are not archived, a row each, oldest first.

    For an overview: values without series and breakdown. Each row has the days of its own project's zone.
    """
    kpis = _of_keys(keys)
    statement: Any = select(ProjectRow.created_at, ProjectRow.id).where(
        in_workspace(ProjectRow, loader.workspace_id), ProjectRow.archived_at.is_(None)
    )
    statement = _PROJECTS.after(statement, pager.read(cursor, (datetime, UUID)), limit)
    async with loader.connection() as connection:
        rows, next_cursor = pager.page((await connection.execute(statement)).all(), limit, ("created_at", "id"))
        if not rows:
            return _json({"kpis": [answers.described(kpi) for kpi in kpis], "data": [], "next_cursor": None})
        days = days_to_load(first, to, Granularity.MONTH, loader.now)
        ids = tuple(row.id for row in rows)
        request = LoadRequest(loader.workspace_id, ids, days.first, days.last, loader.now)
        loaded = await projects.load(connection, request, kpis)
    data = []
    for project, datasets in loaded.items():
        window = requested_days(first, to, Granularity.MONTH, project.today)
        data.append(answers.row(kpis, KpiQuery(project, window, Granularity.MONTH, True, request, datasets)))
    return _json({"kpis": [answers.described(kpi) for kpi in kpis], "data": data, "next_cursor": next_cursor})


def _of_keys(keys: str | None) -> list[Kpi]:
    """The KPIs with these comma-separated keys, all without any; `Invalid` for an unknown key."""
    if keys is None:
        return list(all_kpis().values())
    requested_keys = list(dict.fromkeys(key.strip() for key in keys.split(",")))
    unknown = [key for key in requested_keys if key not in all_kpis()]
    if unknown:
        detail = f"Not a KPI: {', '.join(unknown)!r}. Known are: {', '.join(all_kpis())}."
        raise Invalid(
            detail,
            code="unknown-kpi",
            errors=[{"in": "query", "field": "keys", "code": "unknown-kpi", "detail": detail}],
        )
    return [all_kpis()[key] for key in requested_keys]
