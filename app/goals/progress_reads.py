"""Reads of kept progress: nothing is computed on the way."""

from typing import Any, Final

from sqlalchemy import BigInteger, Text, and_, bindparam, cast, exists, false, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from app.goals.models import Goal, GoalProgress, GoalRevision, Pace
from app.goals.progress import PathForm
from app.goals.reads import GoalSort
from app.kit.db import in_workspace
from app.kit.lists import WORKSPACE, Listing, Row, Sort, equal, parameter, stored_json
from app.kit.paging import Keyset
from app.kit.statement import Statement
from app.kpis import all_kpis
from app.kpis.values import ValueStatus
from app.projects.models import Project

_GOAL: Final = ("project_id", "type", "kpi", "is_main", "status")
_MEASURED: Final = ("day", "as_of", "value", "expected", "path", "pace", "reason")
_IN_PORTFOLIO: Final = exists().where(
    Project.workspace_id == Goal.workspace_id, Project.id == Goal.project_id, Project.archived_at.is_(None)
)
_latest: Final = (
    select(
        *(getattr(GoalProgress, name).label(f"measured_{name}") for name in _MEASURED),
        GoalProgress.revision.label("measured_revision"),
        GoalProgress.status.label("value_status"),
        GoalProgress.timezone.label("measured_timezone"),
        GoalProgress.kpi_version.label("measured_version"),
        cast(GoalProgress.forecast, Text).label("forecast"),
        cast(GoalProgress.scorecard, Text).label("scorecard"),
    )
    .where(GoalProgress.workspace_id == WORKSPACE, GoalProgress.goal_id == Goal.id)
    .order_by(GoalProgress.day.desc())
    .limit(1)
    .correlate(Goal)
    .lateral("measured")
)
_number: Final = func.coalesce(_latest.c.measured_revision, Goal.agreed_revision, Goal.revision)

PROGRESS: Final = Listing(
    select(
        *(Goal.id, Goal.created_at, Goal.agreed_revision),
        *(getattr(Goal, name) for name in _GOAL),
        *(GoalRevision.number, GoalRevision.title, GoalRevision.target, GoalRevision.timezone),
        *(GoalRevision.currency, GoalRevision.kpi_version),
        *(GoalRevision.first_day, GoalRevision.last_day),
        GoalRevision.baseline["level"].as_float().label("baseline"),
        *_latest.c,
    )
    .select_from(Goal)
    .outerjoin(_latest, true())
    .join(
        GoalRevision,
        and_(
            GoalRevision.workspace_id == Goal.workspace_id,
            GoalRevision.goal_id == Goal.id,
            GoalRevision.number == _number,
        ),
    )
    .where(in_workspace(Goal, WORKSPACE)),
    Goal.id,
    sorts={GoalSort.CREATED: Sort(Keyset((Goal.created_at, Goal.id)))},
    filters={
        **equal(type=Goal.type, status=Goal.status, kpi=Goal.kpi, pace=Goal.pace),
        "main": {True: Goal.is_main == true(), False: Goal.is_main == false()},
        "archived": {True: ~_IN_PORTFOLIO, False: _IN_PORTFOLIO},
    },
    ids_always_first=True,
)
_SERIES: Final = Statement(
    select(GoalProgress.day, GoalProgress.value, GoalProgress.expected, GoalProgress.pace)
    .where(
        in_workspace(GoalProgress, WORKSPACE),
        GoalProgress.goal_id == parameter("goal_id", GoalProgress.goal_id),
        GoalProgress.revision == bindparam("revision", type_=BigInteger()),
    )
    .order_by(GoalProgress.day)
)


def progress_row(row: Row) -> dict[str, Any]:
    """A goal's progress as `GoalProgressRow` describes it."""
    kpi, is_measured = all_kpis()[row["kpi"]], row["measured_day"] is not None
    measured = {name: row[f"measured_{name}"] for name in _MEASURED}
    if not is_measured:
        measured |= {"reason": "not-measured-yet", "path": PathForm.LINEAR.value, "pace": Pace.UNKNOWN.value}
    return {
        "goal_id": row["id"],
        **{name: row[name] for name in _GOAL},
        "title": row["title"],
        "unit": kpi.unit.value,
        "direction": kpi.direction.value,
        "adds_up": kpi.adds_up.value,
        "revision": row["number"],
        "is_agreed": row["number"] == row["agreed_revision"],
        "target": row["target"],
        "currency": row["currency"],
        "kpi_version": row["kpi_version"],
        "measured_version": row["measured_version"] or row["kpi_version"],
        "baseline": row["baseline"],
        "period": {"from": row["first_day"], "to": row["last_day"]},
        "timezone": row["measured_timezone"] or row["timezone"],
        **measured,
        "value_status": row["value_status"] if is_measured else ValueStatus.UNKNOWN.value,
        "forecast": stored_json(row["forecast"]),
        "scorecard": stored_json(row["scorecard"]),
    }


async def series(connection: AsyncConnection, values: dict[str, Any]) -> list[dict[str, Any]]:
    """The measured days of a goal, by one revision."""
    return [dict(row) for row in await _SERIES.rows(connection, values)]
