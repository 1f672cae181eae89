"""Stores polled and pushed messages as inquiries."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import publications
from app.communities.events import CommentsListed, MessagesChanged, MessagesDeleted, MessagesSeen, OpenThreadsDue
from app.inquiries import due_dates, intake, rereading
from app.kit.events import subscribe
from app.projects.events import ProjectZoneChanged, ResponseTargetsChanged, WorkingHoursChanged


@subscribe(MessagesSeen)
async def store(session: AsyncSession, event: MessagesSeen) -> None:
    """In the transaction that stores the poll's cursor or applies the inbound event: both or neither."""
    await intake.store(session, event.community, event.messages)


@subscribe(MessagesDeleted)
async def mark_deleted(session: AsyncSession, event: MessagesDeleted) -> None:
    """In the transaction that applies the inbound event."""
    await intake.mark_deleted(session, event.community, event.external_ids)


@subscribe(MessagesChanged)
async def change(session: AsyncSession, event: MessagesChanged) -> None:
    """In the transaction that applies the inbound event."""
    await intake.change(session, event.community, event.changes)


@subscribe(CommentsListed)
async def mark_absent(session: AsyncSession, event: CommentsListed) -> None:
    """In the transaction that marks the comments read."""
    await rereading.restore(session, event)
    await intake.mark_deleted(session, event.community, await rereading.absent(session, event))


@subscribe(OpenThreadsDue)
async def look_again(session: AsyncSession, event: OpenThreadsDue) -> None:
    """In the transaction that marks the open threads looked at."""
    ids = await rereading.open_publications(session, event.community.community_id, event.since, event.most)
    await publications.read_comments_again(session, event.community, ids)


@subscribe(WorkingHoursChanged)
async def due_by_other_hours(session: AsyncSession, event: WorkingHoursChanged) -> None:
    """In the transaction that changes the hours."""
    await due_dates.hours_changed(session, project_id=event.project_id)


@subscribe(ProjectZoneChanged)
async def due_by_another_clock(session: AsyncSession, event: ProjectZoneChanged) -> None:
    """In the transaction that changes the zone: the working hours are other hours."""
    await due_dates.hours_changed(session, project_id=event.project_id)


@subscribe(ResponseTargetsChanged)
async def measure_again(session: AsyncSession, event: ResponseTargetsChanged) -> None:
    """In the transaction that changes the targets."""
    await due_dates.targets_changed(session, project_id=event.project_id, since=event.since)
