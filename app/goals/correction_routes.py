"""Corrections over HTTP."""

from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, status
from pydantic import ConfigDict, Field
from sqlalchemy import Text, cast, select
from starlette.responses import Response

from app.access.current import CurrentActor, ListDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.goals import corrections
from app.goals.effects import CAVEAT, EffectVerdict
from app.goals.models import Correction, CorrectionStatus
from app.goals.schemas import CommunityIds, KpiKey, OwnText
from app.kit.db import in_workspace, workspace_of
from app.kit.lists import WORKSPACE, Listing, Row, Sort, equal, json_page, json_response, stored_json
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.routing import problems
from app.kit.schemas import EXAMPLE_ID, Day, Id, Input, Instant, Output, example
from app.kpis.values import ValueStatus

ROUTER = Router("/v1", tag="goals")
"""Part of the room's own router."""


class CorrectionCreate(Input):
    """A change that should bring a KPI back onto its path."""

    model_config = example(
        {
            "project_id": EXAMPLE_ID,
            "kpi": "clicks",
            "hypothesis": "Links at the end of long texts are not seen.",
            "change": "Every post leads with its link.",
            "changed_on": "2026-10-16",
            "review_on": "2026-10-30",
        }
    )

    project_id: Id = Field(description="The project.")
    goal_id: Id | None = Field(
        None, description="The goal whose KPI, and whose communities, it is about; null: no goal is."
    )
    kpi: KpiKey | None = Field(None, description="The key of a KPI; null: the goal's, which has no other.")
    community_ids: CommunityIds = Field(
        default_factory=list,
        description="Only what these have is compared; empty: all. With a goal left out: it has its own.",
    )
    hypothesis: OwnText = Field(
        description="Why the KPI is off its path, and why the change should help.",
        examples=["Links at the end of long texts are not seen."],
    )
    change: OwnText = Field(description="What is done otherwise.", examples=["Every post leads with its link."])
    changed_on: Day | None = Field(
        None, description="The first day of the change, in the project's time zone; null: today."
    )
    review_on: Day = Field(
        description="The day on which it is reviewed: the days before it are compared with as many before the change.",
        examples=["2026-10-30"],
    )


class CorrectionRead(Output):
    """A correction."""

    id: Id = Field(description="The correction's id.")
    project_id: Id = Field(description="The project.")
    goal_id: Id | None = Field(description="The goal that it is about; null: none.")
    kpi: str = Field(description="The key of its KPI.")
    community_ids: list[Id] = Field(description="Only what these have is compared; empty: all.")
    hypothesis: str = Field(description="Why the KPI is off its path, and why the change should help.")
    change: str = Field(description="What is done otherwise.")
    changed_on: Day = Field(description="The first day of the change.")
    review_on: Day = Field(description="The day on which it is reviewed.")
    status: CorrectionStatus = Field(description="`measured`: `/effect` has what became of it.")
    opened_by: str = Field(description="Who opened it, by name.")
    created_at: Instant = Field(description="When it was opened.")
    measured_at: Instant | None = Field(description="When it was reviewed; null: not yet.")


class EffectSide(Output):
    """The KPI's value over the days on one side of a change."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Day = Field(alias="from", description="The first day.")
    to: Day = Field(description="The last day.")
    value: float | None = Field(description="The value; null: unknown.")
    currency: str | None = Field(description="Of an amount of money, ISO 4217.")
    status: ValueStatus = Field(description="Whether all of it is known.")
    reason: str | None = Field(description="Why something of it is missing; null: nothing is.")


class EffectMeasured(Output):
    """What a KPI was before a change, and after it."""

    before: EffectSide = Field(description="As many days before the change as after it.")
    after: EffectSide = Field(description="The days from the change to the review.")
    difference: float | None = Field(description="After less before; null: one of them is unknown.")
    usual_difference: float | None = Field(
        description="The median difference of such days in the past, where nothing was changed; null: too short."
    )
    low: float | None = Field(
        description="With `high` the interval, at 80 %, of what the difference is beyond the usual ones."
    )
    high: float | None = Field(description="The interval's upper end.")
    compared: int = Field(description="How many differences of the past the interval follows from.")
    verdict: EffectVerdict = Field(description="`unclear`: the interval holds 0, or there is none.")
    reason: str | None = Field(
        description="Why there is no interval, or no value: a KPI's reason that holds on one side alone, so that both "
        "cannot be compared, or `too-little-history`; null: there is."
    )
    caveat: str = Field(description="What it is not.", examples=[CAVEAT])


class CorrectionEffect(Output):
    """What became of a correction."""

    correction_id: Id = Field(description="The correction.")
    status: CorrectionStatus = Field(description="Where it stands.")
    review_on: Day = Field(description="When it is reviewed.")
    measured_at: Instant | None = Field(description="When it was reviewed; null: not yet.")
    effect: EffectMeasured | None = Field(description="What was measured; null: it was not reviewed.")


class CorrectionSort(StrEnum):
    """The order of a list of corrections."""

    CREATED = "created_at"


_PLAIN: Final = (
    *("id", "project_id", "goal_id", "kpi", "hypothesis", "change", "changed_on", "review_on", "status"),
    *("created_at", "measured_at"),
)
_CORRECTIONS: Final = Listing(
    select(
        *(getattr(Correction, name) for name in _PLAIN),
        Correction.creator_name,
        cast(Correction.community_ids, Text).label("community_ids"),
        cast(Correction.effect, Text).label("effect"),
    ).where(in_workspace(Correction, WORKSPACE)),
    Correction.id,
    sorts={CorrectionSort.CREATED: Sort(Keyset((Correction.created_at, Correction.id)))},
    filters=equal(
        project_id=Correction.project_id, goal_id=Correction.goal_id, kpi=Correction.kpi, status=Correction.status
    ),
)


def _read(row: Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _PLAIN},
        "community_ids": stored_json(row["community_ids"]),
        "opened_by": row["creator_name"],
    }


async def _changed(session: SessionDep, correction: Correction, status_code: int) -> Response:
    await session.flush()
    row = await _CORRECTIONS.one(await session.connection(), workspace_of(session), correction.id)
    response = json_response(_read(row))
    response.status_code = status_code
    return response


@ROUTER.post(
    "/corrections",
    operation_id="corrections.create",
    permission=Permission.GOALS_WRITE,
    status_code=status.HTTP_201_CREATED,
    response_model=CorrectionRead,
    responses=problems(404, 409),
)
async def create(body: CorrectionCreate, actor: CurrentActor, session: SessionDep) -> Response:
    """Open a correction: why a KPI is off its path, what is done otherwise, and when it is reviewed.

    It is shown on the KPI's series and in its explanation from its first day to its review. 409 `goal-closed` for a
    goal that was withdrawn or has ended: there is no path to bring it back onto.
    """
    correction = await corrections.create(session, actor, user_id=actor.user_id, **body.model_dump())
    return await _changed(session, correction, status.HTTP_201_CREATED)


@ROUTER.get(
    "/corrections",
    operation_id="corrections.list",
    permission=Permission.GOALS_READ,
    response_model=Page[CorrectionRead],
)
async def list_corrections(
    lists: ListDep,
    project_id: Annotated[Id | None, Query(description="Only corrections in this project.")] = None,
    goal_id: Annotated[Id | None, Query(description="Only those of this goal.")] = None,
    kpi: Annotated[KpiKey | None, Query(description="Only those of the KPI with this key.")] = None,
    status: Annotated[CorrectionStatus | None, Query(description="Only those that stand so.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Corrections, newest first.

    Filters can be combined. Withdrawn ones are among them.
    """
    rows, next_cursor = await lists.page(
        _CORRECTIONS,
        sort=CorrectionSort.CREATED,
        limit=limit,
        cursor=cursor,
        filters={"project_id": project_id, "goal_id": goal_id, "kpi": kpi, "status": status},
    )
    return json_page([_read(row) for row in rows], next_cursor)


@ROUTER.get(
    "/corrections/{correction_id}",
    operation_id="corrections.read",
    permission=Permission.GOALS_READ,
    responses=problems(404),
    response_model=CorrectionRead,
)
async def read(correction_id: UUID, lists: ListDep) -> Response:
    """One correction.

    What is done otherwise, why, and when that is reviewed.
    """
    return json_response(_read(await lists.one(_CORRECTIONS, correction_id)))


@ROUTER.get(
    "/corrections/{correction_id}/effect",
    operation_id="corrections.effect",
    permission=Permission.GOALS_READ,
    responses=problems(404),
    response_model=CorrectionEffect,
)
async def read_effect(correction_id: UUID, lists: ListDep) -> Response:
    """What became of a correction: its KPI before and after, with the uncertainty.

    Measured once, on the day of the review. It is no experiment, and says so.
    """
    row = await lists.one(_CORRECTIONS, correction_id)
    return json_response(
        {
            "correction_id": row["id"],
            **{name: row[name] for name in ("status", "review_on", "measured_at")},
            "effect": stored_json(row["effect"]),
        }
    )


@ROUTER.post(
    "/corrections/{correction_id}/withdraw",
    operation_id="corrections.withdraw",
    permission=Permission.GOALS_WRITE,
    responses=problems(404, 409),
    response_model=CorrectionRead,
)
async def withdraw(correction_id: UUID, actor: CurrentActor, session: SessionDep) -> Response:
    """Take a correction back that was not reviewed yet.

    It is not shown on its KPI any more; 409 `correction-measured` after the review.
    """
    correction = await corrections.withdraw(session, actor, correction_id=correction_id)
    return await _changed(session, correction, status.HTTP_200_OK)
