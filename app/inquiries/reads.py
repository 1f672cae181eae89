"""Reads of inquiries, in the one form in which all operations return them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import DateTime, Text, and_, bindparam, cast, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app import platforms
from app.communities.models import Community
from app.communities.reads import project_of_community
from app.inquiries.lexemes import INQUIRY_LEXEMES
from app.inquiries.models import Inquiry, InquiryKind, InquiryStatus, Message, MessageDirection
from app.inquiries.previews import LONGEST, preview
from app.inquiries.replying import reply_terms
from app.inquiries.schemas import InquirySort
from app.kit.db import in_workspace, workspace_of
from app.kit.i18n import reader_language
from app.kit.lists import WORKSPACE, Listing, Row, Sort, equal
from app.kit.paging import Keyset

_COLUMNS: Final = (
    *(Inquiry.id, Inquiry.project_id, Inquiry.community_id, Inquiry.publication_id, Inquiry.channel, Inquiry.kind),
    *(Inquiry.kind_by, Inquiry.status, Inquiry.customer_id, Inquiry.customer_name, Inquiry.preview, Inquiry.opened_at),
    cast(Inquiry.preview_attachments, Text).label("preview_attachments"),
    *(Inquiry.last_message_at, Inquiry.waiting_since, Inquiry.due_at, Inquiry.due_target),
    *(Inquiry.first_answered_at, Inquiry.handled_at),
    *(Inquiry.resolved_at, Inquiry.resolution, Inquiry.resolved_automatically, Inquiry.version),
)
_PLAIN: Final = (
    *("id", "project_id", "community_id", "community_title", "platform", "publication_id", "channel", "kind"),
    *("kind_by", "status", "opened_at", "last_message_at", "waiting_since", "due_at", "due_target"),
    *("first_answered_at", "handled_at", "resolved_at", "resolution", "resolved_automatically", "version"),
)
"""Fields that are columns of the row."""


RESOLVED: Final = InquiryStatus.RESOLVED
AT: Final = bindparam("at", type_=DateTime(timezone=True))
"""The instant as of which something is overdue."""


def _query() -> Any:
    """Inquiries with their community, the latest message, and the customer's latest one, which a reply would answer."""
    existing = (
        in_workspace(Message, WORKSPACE),
        Message.inquiry_id == Inquiry.id,
        Message.content_known,
        Message.deleted_at.is_(None),
    )
    # Of the same instant as in `recount`; a reply that is not sent yet has no id there, and is the latest.
    latest_first = (Message.sent_at.desc(), Message.external_id.desc(), Message.id.desc())
    last = (
        select(
            *(Message.direction, Message.author_name, Message.sent_at, Message.automatic, Message.delivery),
            func.left(Message.text, LONGEST).label("text"),
            cast(Message.attachments, Text).label("attachments"),
        )
        .where(*existing)
        .order_by(*latest_first)
        .limit(1)
        .correlate(Inquiry)
        .lateral("last")
    )
    answered = (
        select(Message.external_id, Message.sent_at)
        .where(*existing, Message.direction == MessageDirection.CUSTOMER.value)
        .order_by(*latest_first)
        .limit(1)
        .correlate(Inquiry)
        .lateral("answered")
    )
    return (
        select(
            *_COLUMNS,
            Community.title.label("community_title"),
            Community.platform,
            Community.disconnected_at.is_(None).label("connected"),
            *(column.label(f"last_{column.key}") for column in last.c),
            answered.c.external_id.label("answered_external_id"),
            answered.c.sent_at.label("answered_sent_at"),
        )
        .select_from(Inquiry)
        .join(Community, and_(Community.workspace_id == Inquiry.workspace_id, Community.id == Inquiry.community_id))
        .outerjoin(last, true())
        .outerjoin(answered, true())
        .where(in_workspace(Inquiry, WORKSPACE))
    )


INQUIRIES: Final = Listing(
    _query(),
    Inquiry.id,
    sorts={
        InquirySort.LAST_MESSAGE: Sort(Keyset((Inquiry.last_message_at, Inquiry.id))),
        InquirySort.WAITING: Sort(
            Keyset((Inquiry.waiting_since, Inquiry.id), descending=False), Inquiry.waiting_since.is_not(None)
        ),
        InquirySort.DUE: Sort(Keyset((Inquiry.due_at, Inquiry.id), descending=False), Inquiry.due_at.is_not(None)),
    },
    filters={
        **equal(project_id=Inquiry.project_id, community_id=Inquiry.community_id),
        "status": {one.value: Inquiry.status == one.value for one in InquiryStatus},
        "kind": {one.value: Inquiry.kind == one.value for one in InquiryKind},
        "overdue": {True: Inquiry.due_at < AT, False: or_(Inquiry.due_at.is_(None), Inquiry.due_at >= AT)},
        "due_later": {True: Inquiry.due_at >= AT},
        "at": true(),  # the parameter of those before
        # Not by an index of the status: PostgreSQL takes it for independent of being overdue, expects few rows, and
        # would sort all of them.
        "status_of_overdue": {
            one.value: (Inquiry.status == one.value).is_(true()) for one in InquiryStatus if one != RESOLVED
        },
        **INQUIRY_LEXEMES.filters(Inquiry.__table__.c.id),
    },
    ids_first=True,
    within=project_of_community(),
)


@dataclass(frozen=True, slots=True)
class _Answered:
    """The message that a reply would answer."""

    external_id: str | None
    sent_at: datetime


def overdue_filters(
    overdue: bool | None, at: datetime, *, sort: InquirySort, status: InquiryStatus | None
) -> dict[str, Any]:
    """The filters of `INQUIRIES` for what is overdue as of `at`, or is not, and has this status."""
    if overdue is None:
        return {"status": status}
    if overdue and sort is InquirySort.LAST_MESSAGE and status not in {None, RESOLVED}:
        return {"overdue": True, "at": at, "status_of_overdue": status}
    if not overdue and sort is InquirySort.DUE:
        return {"due_later": True, "at": at, "status": status}  # a range of the index
    return {"overdue": overdue, "at": at, "status": status}


def is_overdue(due_at: datetime | None, at: datetime) -> bool:
    """Whether a deadline is over: what is met at that very instant is met in time."""
    return due_at is not None and due_at < at


def inquiry_read(row: Row, at: datetime) -> dict[str, Any]:
    """An inquiry as `InquiryRead` describes it; a reply and the deadline are judged as of `at`."""
    answered = None
    if row["answered_sent_at"] is not None:
        answered = _Answered(row["answered_external_id"], row["answered_sent_at"])
    terms = reply_terms(
        platforms.adapters().get(row["platform"]),
        row["platform"],
        row["channel"],
        answered,
        at,
        connected=row["connected"],
    )
    refusal = terms.refusal
    return {
        **{name: row[name] for name in _PLAIN},
        "preview": _preview(row["preview"], row["preview_attachments"]),
        "customer": {"id": row["customer_id"], "name": row["customer_name"]},
        "last_message": _last_message(row),
        "overdue": is_overdue(row["due_at"], at),
        "reply_until": terms.until,
        "reply_refusal": None if refusal is None else {"code": refusal.code, "detail": refusal.detail},
    }


def _preview(text: str, attachments: str) -> str:
    """The text; where there are attachments (JSON) in place of one, these in the reader's language."""
    return text if attachments == "[]" else preview("", orjson.loads(attachments), reader_language())


def _last_message(row: Row) -> dict[str, Any] | None:
    if row["last_sent_at"] is None:
        return None
    text: str = row["last_text"]
    return {
        "direction": row["last_direction"],
        "author_name": row["last_author_name"],
        "preview": text or _preview("", row["last_attachments"]),
        "sent_at": row["last_sent_at"],
        "automatic": row["last_automatic"],
        "delivery": row["last_delivery"],
    }


async def changed(session: AsyncSession, ids: Iterable[UUID], at: datetime) -> Mapping[UUID, dict[str, Any]]:
    """Inquiries by id, with the changes of this transaction."""
    await session.flush()
    rows = await INQUIRIES.by_ids(await session.connection(), workspace_of(session), ids)
    return {inquiry_id: inquiry_read(row, at) for inquiry_id, row in rows.items()}
