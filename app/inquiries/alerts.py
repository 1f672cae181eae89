"""What of inquiries needs a person: customers who wait, what is due, and replies that did not go out."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import literal_column, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import Seat
from app.alerts.contract import AlertKind, Concern, ConcernQuery
from app.communities.models import Community
from app.inquiries.events import ReplyFailed, ReplyNeedsReview
from app.inquiries.models import DueTarget, Inquiry, Message, ReplyDelivery

LATEST: Final = timedelta(days=30)
"""A reply that failed, or a deadline that was over, longer ago is not looked for any more."""
AHEAD: Final = timedelta(minutes=30)
"""How long before a deadline, by the clock, somebody is told of it."""

_OWED: Final = {
    DueTarget.FIRST_RESPONSE: "the answer to a customer",
    DueTarget.RESOLUTION: "the resolution of an inquiry",
}


async def waiting(session: AsyncSession, query: ConcernQuery) -> Sequence[Concern]:
    """Inquiries whose customers wait, since the community was connected: what waited before is a backlog."""
    statement = (
        select(Inquiry.id, Inquiry.project_id, Inquiry.waiting_since, Community.title, Community.address)
        .join(Community, (Community.workspace_id == Inquiry.workspace_id) & (Community.id == Inquiry.community_id))
        .where(
            Inquiry.workspace_id == query.workspace_id,
            Inquiry.waiting_since.is_not(None),
            Inquiry.waiting_since >= Community.created_at,
            Community.disconnected_at.is_(None),
        )
    )
    rows = await session.execute(query.page(statement, since=Inquiry.waiting_since, subject=Inquiry.id))
    return [Concern(row.id, row.project_id, row.waiting_since, {"community": row.title or row.address}) for row in rows]


async def due(session: AsyncSession, query: ConcernQuery, *, is_over: bool) -> Sequence[Concern]:
    """Inquiries whose deadline is over, or those in which it comes; what was due before the community was connected is
    a backlog.
    """
    since = Inquiry.due_at if is_over else Inquiry.due_at - AHEAD
    begins, ends = (query.at - LATEST, query.before) if is_over else (query.at, query.before + AHEAD)
    statement = (
        select(Inquiry.id, Inquiry.project_id, Inquiry.due_at, Inquiry.due_target, Community.title, Community.address)
        .join(Community, (Community.workspace_id == Inquiry.workspace_id) & (Community.id == Inquiry.community_id))
        .where(
            Inquiry.workspace_id == query.workspace_id,
            Inquiry.due_at.is_not(None),
            Inquiry.due_at >= begins,
            Inquiry.due_at <= ends,
            Inquiry.due_at < query.at if is_over else true(),
            Inquiry.due_at >= Community.created_at,
            Community.disconnected_at.is_(None),
        )
    )
    rows = await session.execute(query.page(statement, since=since, subject=Inquiry.id))
    return [
        Concern(
            row.id,
            row.project_id,
            row.due_at if is_over else row.due_at - AHEAD,
            {
                "community": row.title or row.address,
                "owed": _OWED[DueTarget(row.due_target)],
                "due_at": row.due_at.isoformat(),
            },
        )
        for row in rows
    ]


async def undelivered(session: AsyncSession, query: ConcernQuery, *, delivery: ReplyDelivery) -> Sequence[Concern]:
    """Replies that stand so, while the customer waits."""
    statement = (
        select(Message.id, Inquiry.project_id, Message.sent_at, Community.title, Community.address)
        .join(Inquiry, (Inquiry.workspace_id == Message.workspace_id) & (Inquiry.id == Message.inquiry_id))
        .join(Community, (Community.workspace_id == Message.workspace_id) & (Community.id == Message.community_id))
        .where(
            Message.workspace_id == query.workspace_id,
            Message.delivery == literal_column(f"'{delivery.value}'"),  # a constant: partial indexes serve it
            Message.sent_at > query.at - LATEST,
            Inquiry.waiting_since.is_not(None),
        )
    )
    rows = await session.execute(query.page(statement, since=Message.sent_at, subject=Message.id))
    return [Concern(row.id, row.project_id, row.sent_at, {"community": row.title or row.address}) for row in rows]


KINDS: Final = (
    AlertKind(
        key="inquiry-waiting",
        title="A customer waits for an answer",
        text="{community}: a customer has been waiting since {since}.",
        seats=(Seat.COMMUNITY_MANAGER,),
        threshold=timedelta(hours=1),
        in_working_time=True,
        find=waiting,
    ),
    AlertKind(
        key="inquiry-due-soon",
        title="An inquiry is due soon",
        text="{community}: {owed} is due at {due_at}.",
        seats=(Seat.COMMUNITY_MANAGER,),
        threshold=timedelta(0),
        find=partial(due, is_over=False),
        translated=("owed",),
    ),
    AlertKind(
        key="inquiry-overdue",
        title="An inquiry is overdue",
        text="{community}: {owed} was due at {due_at}.",
        seats=(Seat.COMMUNITY_MANAGER,),
        threshold=timedelta(0),
        find=partial(due, is_over=True),
        translated=("owed",),
    ),
    AlertKind(
        key="reply-failed",
        title="An answer could not be sent",
        text="{community}: an answer of {since} was not sent, and the customer still waits.",
        seats=(Seat.COMMUNITY_MANAGER,),
        threshold=timedelta(0),
        find=partial(undelivered, delivery=ReplyDelivery.FAILED),
        events=(ReplyFailed,),
    ),
    AlertKind(
        key="reply-needs-review",
        title="Nobody knows whether an answer was sent",
        text="{community}: look whether the answer of {since} has arrived, and answer again if it has not.",
        seats=(Seat.COMMUNITY_MANAGER,),
        threshold=timedelta(0),
        find=partial(undelivered, delivery=ReplyDelivery.NEEDS_REVIEW),
        events=(ReplyNeedsReview,),
    ),
)
