"""Goals and agreements over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, status
from sqlalchemy import select
from starlette.responses import Response

from app.access.current import CurrentActor, ListDep, SessionDep, connection_of
from app.access.permissions import Permission
from app.access.routing import Router
from app.goals import agreements, correction_routes, progress_routes, reads, service
from app.goals.baselines import StatedBaseline
from app.goals.models import Goal, GoalAnswer, GoalKind, GoalStatus, Pace
from app.goals.schemas import (
    GoalAgreementCreate,
    GoalAgreementRead,
    GoalCreate,
    GoalRead,
    GoalRevisionRead,
    GoalStatedBaseline,
    GoalUpdate,
    KpiKey,
)
from app.kit.db import in_workspace
from app.kit.errors import NotFound
from app.kit.lists import json_page, json_response
from app.kit.paging import Cursor, Limit, Page
from app.kit.preconditions import ExpectedVersions, version_tag
from app.kit.routing import TAGGED, problems
from app.kit.schemas import Id
from app.kpis.windows import Days

ROUTER = Router("/v1", tag="goals")
ROUTER.include(progress_routes.ROUTER)
ROUTER.include(correction_routes.ROUTER)

ProjectFilter = Annotated[Id | None, Query(description="Only goals of this project.")]


def _answer(content: dict[str, Any], status_code: int = 200) -> Response:
    response = json_response(content)
    response.status_code = status_code
    response.headers["ETag"] = version_tag(content["version"])
    return response


def _stated(body: GoalStatedBaseline | None) -> StatedBaseline | None:
    return None if body is None else StatedBaseline(body.value, body.reason)


@ROUTER.post(
    "/goals",
    operation_id="goals.create",
    permission=Permission.GOALS_WRITE,
    status_code=status.HTTP_201_CREATED,
    response_model=GoalRead,
    responses=problems(404, 409) | {201: TAGGED},
)
async def create(body: GoalCreate, actor: CurrentActor, session: SessionDep) -> Response:
    """Propose a goal to the client.

    The baseline is measured over the 28 days before the period, or stated with a reason. 409: `kpi-without-data`,
    `metric-not-given`, `another-currency`, `second-main-goal`; 422 for a target on the wrong side of the baseline
    (`target-against-direction`) or out of reach (`kpi-out-of-range`), for a period that is over, and for money without
    its currency (`currency-needed`).
    """
    goal = await service.create(
        session,
        actor,
        user_id=actor.user_id,
        project_id=body.project_id,
        kind=body.type,
        kpi=body.kpi,
        title=body.title,
        target=body.target,
        first_day=body.period.from_,
        last_day=body.period.to,
        community_ids=body.community_ids,
        stated=_stated(body.stated_baseline),
        currency=body.currency,
        is_main=body.is_main,
    )
    return _answer(await reads.changed(session, goal.id), status.HTTP_201_CREATED)


@ROUTER.get("/goals", operation_id="goals.list", permission=Permission.GOALS_READ, response_model=Page[GoalRead])
async def list_goals(
    lists: ListDep,
    project_id: ProjectFilter = None,
    goal_type: Annotated[GoalKind | None, Query(alias="type", description="Only those of this goal type.")] = None,
    status: Annotated[GoalStatus | None, Query(description="Only those that stand so.")] = None,
    kpi: Annotated[KpiKey | None, Query(description="Only those on the KPI with this key.")] = None,
    pace: Annotated[Pace | None, Query(description="Only those on this pace when they were last measured.")] = None,
    main: Annotated[bool | None, Query(description="Only main goals, or only the others; both when left out.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Goals with their latest revisions, newest first.

    Filters can be combined. Withdrawn and ended ones are among them.
    """
    rows, next_cursor = await lists.page(
        reads.GOALS,
        sort=reads.GoalSort.CREATED,
        limit=limit,
        cursor=cursor,
        filters={"project_id": project_id, "type": goal_type, "status": status, "kpi": kpi, "pace": pace, "main": main},
    )
    return json_page([reads.goal_read(row) for row in rows], next_cursor)


@ROUTER.get(
    "/goals/{goal_id}",
    operation_id="goals.read",
    permission=Permission.GOALS_READ,
    responses=problems(404),
    response_model=GoalRead,
)
async def read(goal_id: UUID, lists: ListDep) -> Response:
    """One goal with its latest revision, and what that changes.

    Its ETag is what `If-Match` takes.
    """
    return _answer(reads.goal_read(await lists.one(reads.GOALS, goal_id)))


@ROUTER.patch(
    "/goals/{goal_id}",
    operation_id="goals.update",
    permission=Permission.GOALS_WRITE,
    responses=problems(404, 409, 412),
    response_model=GoalRead,
)
async def update(
    goal_id: UUID, body: GoalUpdate, actor: CurrentActor, session: SessionDep, expected_versions: ExpectedVersions
) -> Response:
    """Propose another revision of a goal, which the client has to agree to again.

    Until then the agreed one holds. Where nothing would be different, no revision is made.
    """
    values = body.changes()
    if "period" in values:
        values["period"] = Days(body.period.from_, body.period.to)
    if "stated_baseline" in values:
        del values["stated_baseline"]
        values["stated"] = _stated(body.stated_baseline)
    await service.change(
        session, actor, user_id=actor.user_id, goal_id=goal_id, values=values, expected_versions=expected_versions
    )
    return _answer(await reads.changed(session, goal_id))


@ROUTER.post(
    "/goals/{goal_id}/withdraw",
    operation_id="goals.withdraw",
    permission=Permission.GOALS_WRITE,
    responses=problems(404, 409, 412),
    response_model=GoalRead,
)
async def withdraw(
    goal_id: UUID, actor: CurrentActor, session: SessionDep, expected_versions: ExpectedVersions
) -> Response:
    """Take a goal back, agreed or not.

    Its revisions and agreements stay readable; client links to it take no answer any more.
    """
    await service.withdraw(session, actor, goal_id=goal_id, expected_versions=expected_versions)
    return _answer(await reads.changed(session, goal_id))


async def _require_goal(lists: ListDep, goal_id: UUID) -> None:
    query = select(Goal.id).where(in_workspace(Goal, lists.actor.workspace_id), Goal.id == goal_id)
    async with connection_of(lists.request) as connection:
        if (await connection.execute(query)).one_or_none() is None:
            raise NotFound


@ROUTER.get(
    "/goals/{goal_id}/revisions",
    operation_id="goals.revisions",
    permission=Permission.GOALS_READ,
    responses=problems(404),
    response_model=Page[GoalRevisionRead],
)
async def list_revisions(goal_id: UUID, lists: ListDep, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """What a goal has promised so far, latest first.

    Every revision as it was proposed, with what it changed of the one that was agreed then.
    """
    await _require_goal(lists, goal_id)
    rows, next_cursor = await lists.page(
        reads.REVISIONS, sort="number", limit=limit, cursor=cursor, filters={"goal_id": goal_id}
    )
    return json_page([reads.revision_read(row) for row in rows], next_cursor)


@ROUTER.get(
    "/goals/{goal_id}/agreements",
    operation_id="goals.agreements",
    permission=Permission.GOALS_READ,
    responses=problems(404),
    response_model=Page[GoalAgreementRead],
)
async def list_agreements(goal_id: UUID, lists: ListDep, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """What both sides have stated about a goal, latest first.

    Who proposed, agreed and declined, when, and about which revision.
    """
    await _require_goal(lists, goal_id)
    rows, next_cursor = await lists.page(
        reads.AGREEMENTS, sort="id", limit=limit, cursor=cursor, filters={"goal_id": goal_id}
    )
    return json_page([dict(row) for row in rows], next_cursor)


@ROUTER.post(
    "/goals/{goal_id}/agreements",
    operation_id="goals.agree",
    permission=Permission.GOALS_AGREE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def agree(
    goal_id: UUID, body: GoalAgreementCreate, actor: CurrentActor, session: SessionDep
) -> GoalAgreementRead:
    """Agree to a goal's latest revision, or decline it, as a member with the seat `client`.

    The same answer again gets the same agreement. 409: `revision-outdated` where there is a later revision,
    `already-answered` where the client has answered this one otherwise. 403 `client-seat-needed` for the agency.
    """
    agreement = await agreements.answer_as_member(
        session,
        actor,
        goal_id=goal_id,
        user_id=actor.user_id,
        revision=body.revision,
        answer=GoalAnswer(body.answer.value),
        text=body.text,
    )
    return GoalAgreementRead.model_validate(agreement)
