"""Corrections: opened where a KPI leaves its path, reviewed by a job, withdrawn."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.access.models import UserAccount
from app.goals.events import CorrectionMeasured, CorrectionOpened
from app.goals.models import OPEN, Correction, CorrectionStatus, Goal
from app.goals.service import revision_of
from app.goals.terms import require_communities_fit, selected_communities
from app.kit.actors import Actor
from app.kit.db import fetch, now, workspace_of
from app.kit.errors import Conflict, invalid_field
from app.kit.events import publish
from app.kit.jobs import enqueue
from app.kpis import all_kpis
from app.kpis.contract import DAY
from app.projects.models import Project

SHORTEST: Final = 3
"""Days between a change and its review."""
LONGEST: Final = 366
REVIEW_AT: Final = timedelta(minutes=15)
"""After the midnight on which the day of the review begins."""
LATE_FIGURES: Final = timedelta(days=3)
"""For so long a review waits for figures that a platform tells late."""
AGAIN: Final = timedelta(hours=6)
"""How often it looks whether they have come."""


async def create(
    session: AsyncSession,
    actor: Actor,
    *,
    user_id: UUID,
    project_id: UUID,
    goal_id: UUID | None,
    kpi: str | None,
    community_ids: Sequence[UUID],
    hypothesis: str,
    change: str,
    changed_on: date | None,
    review_on: date,
) -> Correction:
    """Open a correction, of a goal's KPI in the goal's communities, or of any KPI. Its review is enqueued.

    Raises `NotFound`, `Conflict` (`goal-closed`), and `Invalid`: `goal-of-another-project`, `kpi-of-another-goal`,
    `communities-of-the-goal`, `kpi-needed`, `unknown-kpi`, `kpi-of-whole-project`, `review-too-early`,
    `review-in-the-past`, `review-too-late`, and what `selected_communities` raises.
    """
    project = await fetch(session, Project, project_id)
    zone = ZoneInfo(project.timezone)
    today = now(session).astimezone(zone).date()
    ids = [str(one) for one in community_ids]
    if goal_id is not None:
        goal = await fetch(session, Goal, goal_id)
        _require_fit(goal, project_id, kpi, community_ids)
        latest = await revision_of(session, goal, goal.agreed_revision or goal.revision)
        kpi, ids = goal.kpi, [one["id"] for one in latest.communities]
    elif community_ids:
        ids = [one["id"] for one in await selected_communities(session, project_id, community_ids)]
    if kpi is None:
        raise invalid_field("kpi", "kpi-needed", "Name a KPI, or a goal, whose KPI it is then about.")
    if kpi not in all_kpis():
        raise invalid_field("kpi", "unknown-kpi", "There is no KPI with this key; GET /v1/kpis lists them.")
    require_communities_fit(all_kpis()[kpi], community_ids)
    first = changed_on or today
    _check_review(first, review_on, today)
    correction = Correction(
        workspace_id=workspace_of(session),
        project_id=project_id,
        goal_id=goal_id,
        kpi=kpi,
        community_ids=ids,
        hypothesis=hypothesis,
        change=change,
        changed_on=first,
        review_on=review_on,
        status=CorrectionStatus.OPEN.value,
        effect=None,
        creator_name=(await session.get_one(UserAccount, user_id)).name,
        created_by=str(actor),
        created_at=now(session),
        measured_at=None,
    )
    session.add(correction)
    await session.flush()
    await enqueue(
        session,
        "corrections.measure",
        workspace_id=correction.workspace_id,
        key=str(correction.id),
        at=max(review_time(review_on, zone), now(session)),
        correction_id=correction.id,
    )
    audit.record(
        session,
        actor,
        "corrections.create",
        correction_id=correction.id,
        project_id=project_id,
        after=audit.snapshot(correction),
    )
    await publish(session, CorrectionOpened(project_id, correction.id, goal_id, kpi))
    return correction


def _require_fit(goal: Goal, project_id: UUID, kpi: str | None, community_ids: Sequence[UUID]) -> None:
    if goal.project_id != project_id:
        raise invalid_field("goal_id", "goal-of-another-project", "Take a goal of this project, or none.")
    if kpi not in {None, goal.kpi}:
        detail = f"The goal is on {goal.kpi}: leave `kpi` out, or the goal."
        raise invalid_field("kpi", "kpi-of-another-goal", detail)
    if community_ids:
        detail = "A goal has its own communities: leave `community_ids` out, or the goal."
        raise invalid_field("community_ids", "communities-of-the-goal", detail)
    if goal.status not in OPEN:
        raise Conflict(
            f"This goal is {goal.status}: nothing brings it back onto its path. Leave it out, and name the KPI.",
            code="goal-closed",
        )


def _check_review(changed_on: date, review_on: date, today: date) -> None:
    if review_on < today:
        raise invalid_field("review_on", "review-in-the-past", f"Give a day from {today} on.")
    if review_on < changed_on + SHORTEST * DAY:
        detail = f"Leave the change {SHORTEST} days at least: review it on {changed_on + SHORTEST * DAY} or later."
        raise invalid_field("review_on", "review-too-early", detail)
    if review_on > changed_on + LONGEST * DAY:
        detail = f"Review it within {LONGEST} days: on {changed_on + LONGEST * DAY} or earlier."
        raise invalid_field("review_on", "review-too-late", detail)


def review_time(review_on: date, zone: ZoneInfo) -> datetime:
    """When a review is due: soon after its local day has begun."""
    return datetime(review_on.year, review_on.month, review_on.day, tzinfo=zone) + REVIEW_AT


async def withdraw(session: AsyncSession, actor: Actor, *, correction_id: UUID) -> Correction:
    """Take a correction back: it is not reviewed, nor shown on its KPI. Idempotent.

    Raises `Conflict` (`correction-measured`) for one whose review was.
    """
    correction = await fetch(session, Correction, correction_id, for_update=True)
    if correction.status == CorrectionStatus.MEASURED:
        raise Conflict("It was reviewed already, and its effect stays.", code="correction-measured")
    if correction.status == CorrectionStatus.OPEN:
        before = audit.snapshot(correction)
        correction.status = CorrectionStatus.WITHDRAWN.value
        audit.record(
            session,
            actor,
            "corrections.withdraw",
            correction_id=correction.id,
            project_id=correction.project_id,
            before=before,
            after=audit.snapshot(correction),
        )
    return correction


async def keep(session: AsyncSession, actor: Actor, *, correction_id: UUID, effect: dict[str, Any]) -> None:
    """Keep what the review has measured, of a correction that is open."""
    correction = await fetch(session, Correction, correction_id, for_update=True)
    if correction.status != CorrectionStatus.OPEN:
        return
    before = audit.snapshot(correction)
    correction.status = CorrectionStatus.MEASURED.value
    correction.effect = effect
    correction.measured_at = now(session)
    audit.record(
        session,
        actor,
        "corrections.measure",
        correction_id=correction.id,
        project_id=correction.project_id,
        before=before,
        after=audit.snapshot(correction),
    )
    await publish(
        session,
        CorrectionMeasured(
            correction.project_id, correction.id, correction.goal_id, correction.kpi, str(effect["verdict"])
        ),
    )
