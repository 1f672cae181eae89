"""Looks for what needs a person as soon as an event says that there may be something."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts.kinds import kinds
from app.alerts.service import WATCH
from app.kit.db import workspace_of
from app.kit.events import Event, subscribe
from app.kit.jobs import enqueue


async def watch_soon(session: AsyncSession, event: Event) -> None:
    """In the event's transaction: what it is about is committed with the job that looks for it."""
    await enqueue(session, WATCH, workspace_id=workspace_of(session), key="watch")


for _event_class in {event_class: None for kind in kinds().values() for event_class in kind.events}:
    subscribe(_event_class)(watch_soon)
