"""Reads of goals, in the one form in which all operations return them."""

from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Text, cast, false, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.goals import views
from app.goals.models import Goal, GoalAgreement, GoalRevision
from app.goals.schemas import GoalAgreementRead
from app.kit.db import in_workspace, workspace_of
from app.kit.lists import WORKSPACE, Listing, Row, Sort, equal
from app.kit.paging import Keyset


class GoalSort(StrEnum):
    """The order of a list of goals."""

    CREATED = "created_at"


_TERMS: Final = (
    *("number", "title", "target", "first_day", "last_day", "timezone", "communities", "baseline", "is_main"),
    *("currency", "kpi_version", "content_hash", "proposer_name", "proposed_at", "compared_with"),
)
_COMPARED: Final = ("title", "target", "first_day", "last_day", "timezone", "communities", "baseline", "is_main")
_GOAL: Final = (
    *("id", "project_id", "type", "kpi", "status", "pace", "revision", "agreed_revision", "version"),
    *("created_at", "updated_at", "closed_at"),
)
_JSON: Final = frozenset({"communities", "baseline"})
_Latest: Final = aliased(GoalRevision, name="latest")
_Agreed: Final = aliased(GoalRevision, name="agreed")


def _columns(entity: Any, names: tuple[str, ...], prefix: str) -> list[Any]:
    """The columns of a revision; JSON as text, so that it is read once."""
    columns = [(name, getattr(entity, name)) for name in names]
    return [(cast(one, Text) if name in _JSON else one).label(f"{prefix}_{name}") for name, one in columns]


def _is_compared(entity: Any) -> Any:
    return (
        (_Agreed.workspace_id == entity.workspace_id)
        & (_Agreed.goal_id == entity.goal_id)
        & (_Agreed.number == entity.compared_with)
    )


GOALS: Final = Listing(
    select(
        *(getattr(Goal, name) for name in _GOAL),
        *_columns(_Latest, _TERMS, "latest"),
        *_columns(_Agreed, _COMPARED, "agreed"),
    )
    .join(
        _Latest,
        (_Latest.workspace_id == Goal.workspace_id) & (_Latest.goal_id == Goal.id) & (_Latest.number == Goal.revision),
    )
    .outerjoin(_Agreed, _is_compared(_Latest))
    .where(in_workspace(Goal, WORKSPACE)),
    Goal.id,
    sorts={GoalSort.CREATED: Sort(Keyset((Goal.created_at, Goal.id)))},
    filters={
        **equal(project_id=Goal.project_id, type=Goal.type, status=Goal.status, kpi=Goal.kpi, pace=Goal.pace),
        "main": {True: Goal.is_main == true(), False: Goal.is_main == false()},
    },
    ids_first=True,
)
REVISIONS: Final = Listing(
    select(
        GoalRevision.id,
        GoalRevision.number,
        *_columns(GoalRevision, _TERMS, "latest"),
        *_columns(_Agreed, _COMPARED, "agreed"),
    )
    .outerjoin(_Agreed, _is_compared(GoalRevision))
    .where(in_workspace(GoalRevision, WORKSPACE)),
    GoalRevision.id,
    sorts={"number": Sort(Keyset((GoalRevision.number,)))},
    filters=equal(goal_id=GoalRevision.goal_id),
)
AGREEMENTS: Final = Listing(
    select(*(getattr(GoalAgreement, name) for name in GoalAgreementRead.model_fields)).where(
        in_workspace(GoalAgreement, WORKSPACE)
    ),
    GoalAgreement.id,
    sorts={"id": Sort(Keyset((GoalAgreement.id,)))},
    filters=equal(goal_id=GoalAgreement.goal_id),
)


class _Terms:
    """The terms of a revision, from a row."""

    def __init__(self, row: Row, prefix: str, names: tuple[str, ...]) -> None:
        for name in names:
            value = row[f"{prefix}_{name}"]
            setattr(self, name, orjson.loads(value) if name in _JSON else value)


def _terms(row: Row) -> dict[str, Any]:
    latest: Any = _Terms(row, "latest", _TERMS)
    agreed = None if latest.compared_with is None else _Terms(row, "agreed", _COMPARED)
    promised = views.terms(latest)
    period = promised["period"]
    return {
        **promised,
        "period": {"from": period["from"], "to": period["to"]},
        "timezone": latest.timezone,
        "currency": latest.currency,
        "kpi_version": latest.kpi_version,
        "content_hash": latest.content_hash,
        "proposed_by": latest.proposer_name,
        "proposed_at": latest.proposed_at,
        "compared_with": latest.compared_with,
        "changes": views.changes(agreed, latest),
    }


def goal_read(row: Row) -> dict[str, Any]:
    """A goal as `GoalRead` describes it."""
    return {**{name: row[name] for name in _GOAL}, **_terms(row)}


def revision_read(row: Row) -> dict[str, Any]:
    """A revision as `GoalRevisionRead` describes it."""
    return {"number": row["number"], **_terms(row)}


async def changed(session: AsyncSession, goal_id: UUID) -> dict[str, Any]:
    """A goal with the changes of this transaction."""
    await session.flush()
    return goal_read(await GOALS.one(await session.connection(), workspace_of(session), goal_id))
