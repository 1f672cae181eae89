"""The KPIs over HTTP. Answers are written as JSON by hand: these are the reads that dashboards poll."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import Depends, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from app.access.current import CurrentActor, PagerDep, ReadDep, ResourcesDep
from app.kit.db import in_workspace
from app.kit.errors import Invalid, NotFound
from app.kit.paging import Cursor, Keyset, Limit
from app.kit.routing import problems, router
from app.kit.schemas import Day
from app.kpis import answers, evidence, explanations, known, projects
from app.kpis.answers import KpiQuery
from app.kpis.contract import GoalType, Kpi, LoadRequest
from app.kpis.schemas import Catalogue, EvidencePage, Explanation, KpiAnswer, KpiAnswers, Portfolio
from app.kpis.windows import Granularity, chosen
from app.projects.models import Project as ProjectRow

ROUTER = router("/v1", tag="kpis")

From = Annotated[
    Day | None, Query(alias="from", description="First day, in the project's zone; 30 days up to `to` without it.")
]
To = Annotated[Day | None, Query(description="Last day, included; today without it.")]
Parts = Annotated[Granularity, Query(description="What the series is made of. Weeks begin on Monday.")]
Compare = Annotated[Literal["previous", "none"], Query(description="`none` leaves the window before out.")]


async def _kpi(key: str) -> Kpi:
    """The KPI of the path."""
    found = known().get(key)
    if found is None:
        raise NotFound("There is no KPI of this key; GET /v1/kpis lists them.")
    return found


Chosen = Annotated[Kpi, Depends(_kpi)]


def _json(content: dict[str, Any]) -> Response:
    # The driver has a UUID type of its own, which orjson takes for a stranger.
    return Response(orjson.dumps(content, default=str, option=orjson.OPT_UTC_Z), media_type="application/json")


class Asking:
    """A question about one project: everything its KPIs need is loaded once."""

    def __init__(self, workspace_id: UUID, connection: AsyncConnection, now: datetime) -> None:
        self.workspace_id = workspace_id
        self.connection = connection
        self.now = now

    async def about(
        self,
        project_id: UUID,
        kpis: list[Kpi],
        first: date | None,
        last: date | None,
        granularity: Granularity = Granularity.MONTH,
        *,
        compare: bool = False,
    ) -> KpiQuery:
        """The question, with its inputs; `NotFound` for another workspace's project."""
        project = await projects.one(self.connection, self.workspace_id, project_id, self.now)
        days = chosen(first, last, granularity, project.today)
        asked = LoadRequest(self.workspace_id, (project,), days.before.first if compare else days.first, days.last)
        loaded = await projects.load(self.connection, asked, kpis)
        return KpiQuery(project, days, granularity, compare, loaded[project.id])


async def _asking(who: CurrentActor, connection: ReadDep, resources: ResourcesDep) -> Asking:
    return Asking(who.workspace_id, connection, resources.clock.now())


Ask = Annotated[Asking, Depends(_asking)]


@ROUTER.get("/kpis", operation_id="kpis.list", response_model=Catalogue)
async def catalogue(_: CurrentActor) -> Response:
    """Every KPI there is, with its formula, source and caveats."""
    return _json({"data": [explanations.documented(kpi) for kpi in known().values()], "next_cursor": None})


@ROUTER.get("/projects/{project_id}/kpis", operation_id="kpis.all", response_model=KpiAnswers, responses=problems(404))
async def of_project(
    project_id: UUID,
    ask: Ask,
    first: From = None,
    to: To = None,
    granularity: Parts = Granularity.DAY,
    goal_type: Annotated[GoalType | None, Query(description="Only KPIs of goals of this type.")] = None,
    compare: Compare = "previous",
) -> Response:
    """All KPIs of a project, or those of one type of goal."""
    kpis = [kpi for kpi in known().values() if goal_type in (None, kpi.goal)]
    question = await ask.about(project_id, kpis, first, to, granularity, compare=compare == "previous")
    return _json(
        {
            "project_id": project_id,
            "window": question.described(),
            "data": [answers.answer(kpi, question) for kpi in kpis],
            "next_cursor": None,
        }
    )


@ROUTER.get(
    "/projects/{project_id}/kpis/{key}", operation_id="kpis.read", response_model=KpiAnswer, responses=problems(404)
)
async def of_key(
    project_id: UUID,
    kpi: Chosen,
    ask: Ask,
    first: From = None,
    to: To = None,
    granularity: Parts = Granularity.DAY,
    compare: Compare = "previous",
) -> Response:
    """One KPI: value, window before, series, communities, freshness and coverage."""
    question = await ask.about(project_id, [kpi], first, to, granularity, compare=compare == "previous")
    return _json(answers.answer(kpi, question))


@ROUTER.get(
    "/projects/{project_id}/kpis/{key}/explain",
    operation_id="kpis.explain",
    response_model=Explanation,
    responses=problems(404),
)
async def explain(project_id: UUID, kpi: Chosen, ask: Ask, first: From = None, to: To = None) -> Response:
    """How a value comes about: formula in words, in symbols and with its amounts; inputs; corrections."""
    return _json(explanations.explain(kpi, await ask.about(project_id, [kpi], first, to)))


@ROUTER.get(
    "/projects/{project_id}/kpis/{key}/evidence",
    operation_id="kpis.evidence",
    response_model=EvidencePage,
    responses=problems(404),
)
async def rows(
    project_id: UUID,
    kpi: Chosen,
    ask: Ask,
    pager: PagerDep,
    first: From = None,
    to: To = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The rows behind a value; recounted by hand, as `recount` says, they give it."""
    question = await ask.about(project_id, [kpi], first, to)
    found, next_cursor = await evidence.page(
        ask.connection,
        kpi,
        question,
        workspace_id=ask.workspace_id,
        pager=pager,
        cursor=cursor,
        limit=limit,
    )
    return _json(
        {
            "key": kpi.key,
            "window": question.described(),
            "recount": kpi.doc.recount,
            "data": found,
            "next_cursor": next_cursor,
        }
    )


_PROJECTS = Keyset((ProjectRow.created_at, ProjectRow.id), descending=False)


@ROUTER.get("/portfolio/kpis", operation_id="kpis.portfolio", response_model=Portfolio)
async def portfolio(
    ask: Ask,
    pager: PagerDep,
    keys: Annotated[
        str | None,
        Query(max_length=2000, description="Keys, comma separated; all KPIs without it.", examples=["clicks,reach"]),
    ] = None,
    first: From = None,
    to: To = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """All projects of the workspace that are not archived, a row each, oldest first."""
    kpis = _of_keys(keys)
    query: Any = select(ProjectRow.created_at, ProjectRow.id).where(
        in_workspace(ProjectRow, ask.workspace_id), ProjectRow.archived_at.is_(None)
    )
    query = _PROJECTS.after(query, pager.read(cursor, (datetime, UUID)), limit)
    page, next_cursor = pager.page((await ask.connection.execute(query)).all(), limit, ("created_at", "id"))
    found = await projects.find(ask.connection, ask.workspace_id, [row.id for row in page], ask.now)
    days = {project.id: chosen(first, to, Granularity.MONTH, project.today) for project in found}
    if not found:
        return _json({"data": [], "next_cursor": None})
    asked = LoadRequest(
        ask.workspace_id,
        found,
        min(of.before.first for of in days.values()),
        max(of.last for of in days.values()),
    )
    loaded = await projects.load(ask.connection, asked, kpis)
    data = [
        answers.row(kpis, KpiQuery(project, days[project.id], Granularity.MONTH, True, loaded[project.id]))
        for project in found
    ]
    return _json({"data": data, "next_cursor": next_cursor})


def _of_keys(keys: str | None) -> list[Kpi]:
    """The KPIs named; `Invalid` where one is not known."""
    if keys is None:
        return list(known().values())
    wanted = list(dict.fromkeys(key.strip() for key in keys.split(",")))
    strange = [key for key in wanted if key not in known()]
    if strange:
        detail = f"Not a KPI: {', '.join(strange)!r}. Known are: {', '.join(known())}."
        raise Invalid(
            detail,
            code="unknown-kpi",
            errors=[{"in": "query", "field": "keys", "code": "unknown-kpi", "detail": detail}],
        )
    return [known()[key] for key in wanted]
