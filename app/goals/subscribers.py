"""What makes goals be measured at once: other terms, and another meaning of days and times."""

from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.goals.events import GoalAgreed, GoalProposed
from app.kit.db import workspace_of
from app.kit.events import Event, subscribe
from app.kit.jobs import enqueue
from app.projects.events import ProjectZoneChanged, ResponseTargetsChanged, WorkingHoursChanged


async def _enqueue_measuring(session: AsyncSession, event: Any) -> None:
    """Enqueue the measuring of a project's goals; where it waits already, it is due now."""
    await enqueue(
        session,
        "goals.measure",
        workspace_id=workspace_of(session),
        key=str(event.project_id),
        project_id=event.project_id,
    )


_CAUSES: Final[tuple[type[Event], ...]] = (
    GoalProposed,
    GoalAgreed,
    ProjectZoneChanged,
    WorkingHoursChanged,
    ResponseTargetsChanged,
)
for _event_class in _CAUSES:
    subscribe(_event_class)(_enqueue_measuring)
