"""What of inquiries needs a person: customers who wait, and replies that did not go out."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import Seat
from app.alerts.contract import AlertKind, Concern, ConcernQuery
from app.communities.models import Community
from app.inquiries.events import ReplyFailed, ReplyNeedsReview
from app.inquiries.models import Inquiry, Message, ReplyDelivery

LATEST: Final = timedelta(days=30)
"""A reply that failed longer ago is not looked for any more."""


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
