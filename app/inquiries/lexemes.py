"""The words by which inquiries are found."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.inquiries.models import Inquiry, InquiryLexeme, Message, ReplyDelivery
from app.kit.bulk import equals_any
from app.kit.db import Base, in_workspace, workspace_of
from app.kit.search import WordIndex

INQUIRY_LEXEMES: Final = WordIndex(
    Base.metadata.tables[InquiryLexeme.__tablename__], "inquiry_id", Base.metadata.tables[Inquiry.__tablename__]
)


def searched_text(customer_name: str, messages: Iterable[Any]) -> str:
    """What is searched of an inquiry: its customer's name, and the rows `messages` that are not deleted.

    Newest first: of a thread that is too long the oldest messages are left out.
    """
    texts = [message.text for message in messages if message.deleted_at is None]
    return "\n".join((customer_name, *reversed(texts)))


async def texts(session: AsyncSession, after: UUID, limit: int) -> Mapping[UUID, str]:
    """What is searched of the next inquiries by id, which are locked as `recount` does (`search.Texts`)."""
    inquiries = await session.execute(
        select(Inquiry.id, Inquiry.customer_name)
        .where(in_workspace(Inquiry, workspace_of(session)), Inquiry.id > after)
        .order_by(Inquiry.id)
        .limit(limit)
        .with_for_update()
    )
    names = {row.id: row.customer_name for row in inquiries}
    messages: defaultdict[UUID, list[Any]] = defaultdict(list)
    for row in await session.execute(
        select(Message.inquiry_id, Message.text, Message.deleted_at)
        .where(
            in_workspace(Message, workspace_of(session)),
            equals_any(Message.inquiry_id.expression, list(names)),
            Message.content_known,
            or_(Message.delivery.is_(None), Message.delivery == ReplyDelivery.SENT.value),
        )
        .order_by(Message.sent_at, Message.external_id)
    ):
        messages[row.inquiry_id].append(row)
    return {one: searched_text(name, messages[one]) for one, name in names.items()}
