"""Goals: proposed by the agency, changed by further revisions, withdrawn."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.access.models import UserAccount
from app.goals import baselines, views
from app.goals.baselines import StatedBaseline
from app.goals.events import GoalProposed, GoalWithdrawn
from app.goals.models import (
    OPEN,
    Goal,
    GoalAgreement,
    GoalAnswer,
    GoalKind,
    GoalRevision,
    GoalStatus,
    Pace,
    Side,
)
from app.goals.terms import (
    Terms,
    checked_period,
    goal_kpi,
    require_communities_fit,
    require_currency,
    require_direction,
    require_possible,
    selected_communities,
)
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, invalid_field
from app.kit.events import publish
from app.kit.ids import uuid7
from app.kit.preconditions import require_version
from app.kpis import all_kpis
from app.kpis.contract import Kpi
from app.kpis.windows import Days
from app.projects.models import Project


async def create(
    session: AsyncSession,
    actor: Actor,
    *,
    user_id: UUID,
    project_id: UUID,
    kind: GoalKind,
    kpi: str,
    title: str,
    target: float,
    first_day: date,
    last_day: date,
    community_ids: Sequence[UUID] = (),
    stated: StatedBaseline | None = None,
    currency: str | None = None,
    is_main: bool = False,
) -> Goal:
    """Propose a goal to the client: its first revision. `user_id`: who proposes it.

    Raises what `terms` and `baselines` raise for terms that cannot be promised, `NotFound` for a project or a
    community that is not there, and `Conflict` (`second-main-goal`) where the project has an open main goal.
    """
    project = await fetch(session, Project, project_id)
    definition = goal_kpi(kpi, kind)
    require_currency(definition, currency)
    require_communities_fit(definition, community_ids)
    _require_possible(definition, target, stated)
    period = checked_period(first_day, last_day, today=_today(session, project))
    communities = await selected_communities(session, project_id, community_ids) if community_ids else []
    goal = Goal(
        workspace_id=workspace_of(session),
        id=uuid7(),
        project_id=project_id,
        type=kind.value,
        kpi=kpi,
        is_main=is_main,
        status=GoalStatus.PROPOSED.value,
        revision=0,
        agreed_revision=None,
        pace=Pace.UNKNOWN.value,
        version=0,
        created_at=now(session),
        updated_at=now(session),
        closed_at=None,
    )
    start = await _baseline(session, goal, project, communities, period, stated, currency)
    proposed = Terms(title, communities, start, target, currency, period, project.timezone, is_main)
    require_direction(definition, start.level, target)
    revision = await _propose(session, actor, goal, proposed, user_id)
    audit.record(
        session,
        actor,
        "goals.create",
        goal_id=goal.id,
        project_id=project_id,
        after={**audit.snapshot(goal), **audit.snapshot(revision)},
    )
    return goal


async def change(
    session: AsyncSession,
    actor: Actor,
    *,
    user_id: UUID,
    goal_id: UUID,
    values: Mapping[str, Any],
    expected_versions: Collection[int] | None = None,
) -> Goal:
    """Propose the goal's next revision; where nothing would be different, there is none.

    `values`: of `title`, `target`, `period` (`Days`), `community_ids` (empty: all), `stated` (None:
    measured) and `is_main` those that change. Raises what `create` raises, `PreconditionFailed`, and `Conflict`
    (`goal-closed`).
    """
    goal = await locked(session, goal_id, expected_versions)
    latest = await revision_of(session, goal, goal.revision)
    project = await fetch(session, Project, goal.project_id)
    period = Days(latest.first_day, latest.last_day)
    requested: Days = values.get("period", period)
    if requested != period:
        period = checked_period(*requested, today=_today(session, project))
    communities = latest.communities
    if "community_ids" in values:
        ids = values["community_ids"]
        require_communities_fit(all_kpis()[goal.kpi], ids)
        communities = await selected_communities(session, goal.project_id, ids) if ids else []
        if [one["id"] for one in communities] == [one["id"] for one in latest.communities]:
            communities = latest.communities
    target = values.get("target", latest.target)
    _require_possible(all_kpis()[goal.kpi], target, values.get("stated"))
    start = await _next_baseline(session, goal, project, latest, communities, period, values)
    proposed = Terms(
        title=values.get("title", latest.title),
        communities=communities,
        baseline=start,
        target=target,
        currency=latest.currency,
        period=period,
        timezone=latest.timezone,
        is_main=values.get("is_main", latest.is_main),
    )
    require_direction(all_kpis()[goal.kpi], start.level, target)
    if views.changes(latest, _revision(goal, proposed)):
        # Another zone of the project alone makes no revision, but the next one has it.
        before = {**audit.snapshot(goal), **audit.snapshot(latest)}
        revision = await _propose(session, actor, goal, replace(proposed, timezone=project.timezone), user_id)
        audit.record(
            session,
            actor,
            "goals.update",
            goal_id=goal.id,
            project_id=goal.project_id,
            before=before,
            after={**audit.snapshot(goal), **audit.snapshot(revision)},
        )
    return goal


async def withdraw(
    session: AsyncSession, actor: Actor, *, goal_id: UUID, expected_versions: Collection[int] | None = None
) -> Goal:
    """Take a goal back; its revisions and agreements stay readable. Idempotent.

    Raises `PreconditionFailed`, and `Conflict` (`goal-closed`) for one that has ended.
    """
    goal = await fetch(session, Goal, goal_id, for_update=True)
    if goal.status == GoalStatus.WITHDRAWN:
        return goal
    goal = await locked(session, goal_id, expected_versions)
    before = audit.snapshot(goal)
    goal.status = GoalStatus.WITHDRAWN.value
    goal.closed_at = goal.updated_at = now(session)
    goal.version += 1
    await session.flush()
    audit.record(
        session,
        actor,
        "goals.withdraw",
        goal_id=goal.id,
        project_id=goal.project_id,
        before=before,
        after=audit.snapshot(goal),
    )
    await publish(session, GoalWithdrawn(project_id=goal.project_id, goal_id=goal.id))
    return goal


async def locked(session: AsyncSession, goal_id: UUID, expected_versions: Collection[int] | None = None) -> Goal:
    """An open goal, locked; `Conflict` (`goal-closed`) where it was withdrawn or has ended, `PreconditionFailed`."""
    goal = await fetch(session, Goal, goal_id, for_update=True)
    require_version(goal.version, expected_versions)
    if goal.status not in OPEN:
        raise Conflict(f"This goal is {goal.status}: propose another one, POST /v1/goals.", code="goal-closed")
    return goal


async def revision_of(session: AsyncSession, goal: Goal, number: int) -> GoalRevision:
    """The goal's revision with this number, which is there."""
    rows = await session.scalars(
        select(GoalRevision).where(
            in_workspace(GoalRevision, workspace_of(session)),
            GoalRevision.goal_id == goal.id,
            GoalRevision.number == number,
        )
    )
    return rows.one()


async def _baseline(
    session: AsyncSession,
    goal: Goal,
    project: Project,
    communities: Sequence[Mapping[str, Any]],
    period: Days,
    stated: StatedBaseline | None,
    currency: str | None,
) -> baselines.Baseline:
    return await baselines.baseline(
        await session.connection(),
        workspace_id=workspace_of(session),
        project_id=project.id,
        kpi=all_kpis()[goal.kpi],
        period=period,
        today=_today(session, project),
        now=now(session),
        community_ids=[UUID(one["id"]) for one in communities],
        stated=stated,
        currency=currency,
    )


async def _next_baseline(
    session: AsyncSession,
    goal: Goal,
    project: Project,
    latest: GoalRevision,
    communities: Sequence[Mapping[str, Any]],
    period: Days,
    values: Mapping[str, Any],
) -> baselines.Baseline:
    """The latest revision's baseline, unless it is changed, or what was measured is not what is promised now.

    Raises `Invalid` (`baseline-of-another-period`) where it was stated, and of another number of days.
    """
    current = baselines.stored(latest.baseline)
    stated = values.get("stated", current.as_stated)
    is_as_long = period.last - period.first == latest.last_day - latest.first_day
    if "stated" not in values and stated is not None and not is_as_long and all_kpis()[goal.kpi].grows_with_days:
        raise invalid_field(
            "stated_baseline",
            "baseline-of-another-period",
            f"What was stated is of {(latest.last_day - latest.first_day).days + 1} days, and the period has "
            f"{(period.last - period.first).days + 1} now: state it anew, or give null to have it measured.",
        )
    is_other = communities != latest.communities or period != Days(latest.first_day, latest.last_day)
    if stated == current.as_stated and (stated is not None or not is_other):
        return current
    return await _baseline(session, goal, project, communities, period, stated, latest.currency)


async def _propose(session: AsyncSession, actor: Actor, goal: Goal, proposed: Terms, user_id: UUID) -> GoalRevision:
    """Add the goal's next revision with the agency's signature. The goal is locked, or new."""
    goal.revision += 1
    goal.version += 1
    goal.status = GoalStatus.PROPOSED.value
    goal.is_main = proposed.is_main
    goal.updated_at = now(session)
    await _store(session, goal)
    agreed = None if goal.agreed_revision is None else await revision_of(session, goal, goal.agreed_revision)
    revision = _revision(goal, proposed)
    revision.kpi_version = all_kpis()[goal.kpi].version
    revision.compared_with = goal.agreed_revision
    revision.content_hash = views.hash_of(goal, revision, agreed)
    revision.proposed_by = str(actor)
    revision.proposer_name = await _name(session, user_id)
    revision.proposed_at = now(session)
    agreement = GoalAgreement(
        workspace_id=goal.workspace_id,
        project_id=goal.project_id,
        goal_id=goal.id,
        revision=revision.number,
        content_hash=revision.content_hash,
        side=Side.AGENCY.value,
        answer=GoalAnswer.PROPOSE.value,
        actor=str(actor),
        name=revision.proposer_name,
        user_id=user_id,
        contact_id=None,
        client_statement_id=None,
        text=None,
        stated_at=now(session),
    )
    session.add_all([revision, agreement])
    await session.flush()
    await publish(session, GoalProposed(goal.project_id, goal.id, revision.number, revision.content_hash))
    return revision


async def _store(session: AsyncSession, goal: Goal) -> None:
    """Write the goal's row; `Conflict` (`second-main-goal`) where the project has another open main goal."""
    try:
        async with session.begin_nested():
            session.add(goal)
            await session.flush()
    except IntegrityError as error:
        if "uq_goal_main" not in str(error.orig):
            raise
        raise Conflict(
            "The project has a main goal already: let this one stand beside it (`is_main`: false), or withdraw the "
            "other first.",
            code="second-main-goal",
        ) from error


def _revision(goal: Goal, proposed: Terms) -> GoalRevision:
    """The goal's present revision with these terms, unsigned."""
    return GoalRevision(
        workspace_id=goal.workspace_id,
        project_id=goal.project_id,
        goal_id=goal.id,
        number=goal.revision,
        title=proposed.title,
        kpi=goal.kpi,
        communities=list(proposed.communities),
        baseline=proposed.baseline.as_json,
        target=proposed.target,
        currency=proposed.currency,
        first_day=proposed.period.first,
        last_day=proposed.period.last,
        timezone=proposed.timezone,
        is_main=proposed.is_main,
    )


def _require_possible(kpi: Kpi, target: float, stated: StatedBaseline | None) -> None:
    require_possible(kpi, target, "target")
    if stated is not None:
        require_possible(kpi, stated.value, "stated_baseline.value")


async def _name(session: AsyncSession, user_id: UUID) -> str:
    return (await session.get_one(UserAccount, user_id)).name


def _today(session: AsyncSession, project: Project) -> date:
    return now(session).astimezone(ZoneInfo(project.timezone)).date()
