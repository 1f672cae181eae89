"""Tables of inquiries."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Audited, Base, Owned, belongs_to


class InquiryStatus(StrEnum):
    """The status of an inquiry."""

    OPEN = "open"
    """A customer waits for an answer."""
    ANSWERED = "answered"
    RESOLVED = "resolved"


class InquiryKind(StrEnum):
    """What a customer wants."""

    QUESTION = "question"
    PROBLEM = "problem"
    THANKS = "thanks"
    OTHER = "other"


class MessageDirection(StrEnum):
    """Who wrote a message."""

    CUSTOMER = "customer"
    AGENCY = "agency"


class DueTarget(StrEnum):
    """The target of a project that a deadline follows from."""

    FIRST_RESPONSE = "first_response"
    """The customer's wait for an answer."""
    RESOLUTION = "resolution"


class ReplyDelivery(StrEnum):
    """The delivery state of a reply sent through Instep."""

    QUEUED = "queued"
    SENDING = "sending"
    """The intent is committed; the platform may or may not have it yet."""
    SENT = "sent"
    FAILED = "failed"
    """The platform refused it; `delivery_detail` says why."""
    OUTCOME_UNKNOWN = "outcome_unknown"
    """It may have been sent. Polling searches the thread for it; it is not sent again."""
    NEEDS_REVIEW = "needs_review"
    """Polling did not find it in time: a person has to check the thread."""


_OF_DUE: Final = ("project_id", "community_id", "kind", "status", "last_message_at", "due_at")


class Inquiry(Owned, Audited, Base):
    """A conversation with one customer, on whatever platform and channel."""

    __tablename__ = "inquiry"
    AUDITED = ("kind", "kind_by", "status", "resolved_automatically")
    __table_args__ = (
        belongs_to("project", "project_id"),
        belongs_to("community", "community_id"),
        UniqueConstraint("workspace_id", "community_id", "thread_id"),
        Index(None, "workspace_id", "project_id", "opened_at", "id"),
        Index(None, "workspace_id", "last_message_at", "id"),
        Index(None, "workspace_id", "project_id", "last_message_at", "id"),
        Index(None, "workspace_id", "community_id", "last_message_at", "id"),
        # With what a search of the open ones compares, so that it reads the index alone.
        Index(
            "ix_inquiry_status_latest",
            *("workspace_id", "status", "last_message_at", "id"),
            postgresql_include=["project_id", "kind", "due_at"],
        ),
        Index(
            "ix_inquiry_handled",
            *("workspace_id", "project_id", "handled_at", "id"),
            postgresql_where=text("handled_at IS NOT NULL"),
        ),
        Index(
            "ix_inquiry_open",
            "workspace_id",
            "community_id",
            "last_message_at",
            postgresql_where=text("status = 'open' AND publication_id IS NOT NULL"),
        ),
        Index(
            "ix_inquiry_publication_id",
            "workspace_id",
            "publication_id",
            postgresql_where=text("publication_id IS NOT NULL"),
        ),
        Index(
            "ix_inquiry_waiting_since_by_status",
            *("workspace_id", "status", "waiting_since", "id"),
            postgresql_include=["project_id", "kind", "due_at"],
            postgresql_where=text("waiting_since IS NOT NULL"),
        ),
        # Few wait at a time, so these three stay small however many inquiries there are.
        *(
            Index(
                f"ix_inquiry_waiting_since{suffix}",
                *("workspace_id", *columns, "waiting_since", "id"),
                postgresql_include=[name for name in ("project_id", "kind", "status", "due_at") if name not in columns],
                postgresql_where=text("waiting_since IS NOT NULL"),
            )
            for suffix, columns in (("", ()), ("_in_project", ("project_id",)), ("_in_community", ("community_id",)))
        ),
        # What is owed: overdue is what has a deadline that is over, and time alone makes it so. With all that a list of
        # it is filtered and sorted by, so that it reads the index alone.
        *(
            Index(
                f"ix_inquiry_due{suffix}",
                *("workspace_id", *columns, "id"),
                postgresql_include=[name for name in _OF_DUE if name not in columns],
                postgresql_where=text("due_at IS NOT NULL"),
            )
            for suffix, columns in (
                ("", ("due_at",)),
                ("_in_project", ("project_id", "due_at")),
                ("_in_community", ("community_id", "due_at")),
                ("_by_status", ("status", "due_at")),
                ("_latest", ("last_message_at",)),
            )
        ),
        CheckConstraint("status <> 'resolved' OR due_at IS NULL", name="resolved_owes_nothing"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    project_id: Mapped[UUID]
    community_id: Mapped[UUID]
    publication_id: Mapped[UUID | None]
    """The publication it stands under, where it is a comment."""
    post_id: Mapped[str | None]
    """The platform's id of that publication."""
    thread_id: Mapped[str]
    """The conversation's id, the platform's or made by the adapter."""
    channel: Mapped[str]
    """comment, message, mention or review."""
    kind: Mapped[str] = mapped_column(default=InquiryKind.OTHER.value)
    kind_by: Mapped[str] = mapped_column(default="rule")
    """`rule` or `person`: a person's classification is never overwritten by a rule."""
    status: Mapped[str] = mapped_column(default=InquiryStatus.OPEN.value)
    customer_id: Mapped[str]
    customer_name: Mapped[str]
    preview: Mapped[str]
    """In English, where the message has no text: a search finds it so."""
    preview_attachments: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """What is attached to that message, if it has no text."""
    opened_at: Mapped[datetime]
    """When the customer first wrote."""
    last_message_at: Mapped[datetime]
    waiting_since: Mapped[datetime | None]
    """When the customer's first message without an answer was written, or the inquiry was reopened; null: no wait."""
    due_at: Mapped[datetime | None]
    """The earliest deadline that is not met yet: `due_at` of the wait that lasts, or `resolution_due_at` of the opening
    wait of what is not resolved; null: nothing is owed, or no target holds.
    """
    due_target: Mapped[str | None]
    """The target it follows from (`DueTarget`)."""
    first_answered_at: Mapped[datetime | None]
    handled_at: Mapped[datetime | None]
    """When a person of the agency first answered it, or resolved it with a reason."""
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None]
    resolved_automatically: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=1)


class InquiryCount(Owned, Base):
    """A change in the number of a community's inquiries of one status and kind; the sum of all is that number.

    Rows are only added, so that no transaction waits for another one that counts the same; a job replaces them by
    their sums (`counts`).
    """

    __tablename__ = "inquiry_count"
    __table_args__ = (belongs_to("community", "community_id"),)

    community_id: Mapped[UUID]
    project_id: Mapped[UUID]
    status: Mapped[str]
    kind: Mapped[str]
    change: Mapped[int]


class Message(Owned, Base):
    """One message of a thread, a customer's or the agency's.

    The agency's messages in a thread are stored even before a customer's, because pages are polled in any
    order; such a thread is no inquiry yet.
    """

    __tablename__ = "message"
    __table_args__ = (
        belongs_to("inquiry", "inquiry_id"),
        Index(
            "uq_message_external_id",
            "workspace_id",
            "community_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index(None, "workspace_id", "inquiry_id", "sent_at", "id"),
        Index(None, "workspace_id", "community_id", "thread_id"),
        Index(
            "ix_message_undelivered",
            "workspace_id",
            "delivery",
            postgresql_where=text("delivery IS NOT NULL AND delivery NOT IN ('sent', 'failed')"),
        ),
        Index(
            "ix_message_answers",
            *("workspace_id", "community_id", "sent_at", "id"),
            postgresql_include=["delivery"],
            postgresql_where=text("direction = 'agency' AND automatic IS FALSE AND content_known IS TRUE"),
        ),
        Index("ix_message_failed", "workspace_id", "sent_at", "id", postgresql_where=text("delivery = 'failed'")),
    )

    inquiry_id: Mapped[UUID | None]
    """Null until a customer has written in its thread."""
    community_id: Mapped[UUID]
    thread_id: Mapped[str]
    external_id: Mapped[str | None]
    """The platform's id; null for a reply that is not sent yet."""
    direction: Mapped[str]
    automatic: Mapped[bool] = mapped_column(default=False)
    """Written by a bot: it does not count as an answer."""
    author_id: Mapped[str | None]
    author_name: Mapped[str]
    written_by_id: Mapped[str | None]
    """As in `RemoteMessage.written_by_id`."""
    text: Mapped[str]
    sent_at: Mapped[datetime]
    """When it was written; for a queued reply, when it was queued."""
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    """When its deletion was first seen; its text is kept."""
    content_known: Mapped[bool] = mapped_column(default=True)
    """False where only its deletion was ever seen: such a message is not shown and not counted."""
    hidden: Mapped[bool | None]
    """A moderator has hidden it from the public; null where the platform does not say."""
    attachments: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """Objects with `kind`, `url` and `name` (`contract.Attachment`)."""
    url: Mapped[str | None]
    in_reply_to: Mapped[str | None]
    delivery: Mapped[str | None]
    """Of a reply made here (`ReplyDelivery`); null for messages found on the platform."""
    delivery_detail: Mapped[str | None]
    """For people: what happened, and what to do next."""
    intended_at: Mapped[datetime | None]
    """When the intent to send it was last committed; null while it is queued."""


class InquiryLexeme(Base):
    """A word of an inquiry: of its customer's name, or of a message that is not deleted (`search.WordIndex`).

    No foreign key: checking it costs ten times as much as the row. Who deletes an inquiry removes its words.
    """

    __tablename__ = "inquiry_lexeme"
    __table_args__ = (
        # The project first: a member's search, and one in a project, read no other projects' rows.
        PrimaryKeyConstraint("workspace_id", "lexeme", "project_id", "inquiry_id", postgresql_include=["facets"]),
        Index(None, "workspace_id", "inquiry_id"),
    )

    workspace_id: Mapped[UUID]
    lexeme: Mapped[str]
    project_id: Mapped[UUID]
    inquiry_id: Mapped[UUID]
    facets: Mapped[int] = mapped_column(default=0, server_default="0")
    """What a list can be filtered by, as bits (`search.Facets`)."""


class EarlyDeletion(Base):
    """A deletion event of a message that has not been seen yet."""

    __tablename__ = "early_deletion"
    __table_args__ = (belongs_to("community", "community_id"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    deleted_at: Mapped[datetime]


class ResponseWait(Owned, Base):
    """A period in which a customer waited for the agency's answer."""

    __tablename__ = "response_wait"
    __table_args__ = (
        belongs_to("inquiry", "inquiry_id"),
        UniqueConstraint("workspace_id", "inquiry_id", "started_at"),
        Index(None, "workspace_id", "project_id", "ended_at", "id"),
        Index(
            "ix_response_wait_due",
            *("workspace_id", "project_id", "due_at", "id"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        # Also those without a deadline, by when they began: other working hours may give them one.
        Index(
            "ix_response_wait_resolution_due",
            *("workspace_id", "project_id", "resolution_due_at", "started_at"),
            postgresql_where=text("opening IS TRUE"),
        ),
    )

    inquiry_id: Mapped[UUID]
    project_id: Mapped[UUID]
    community_id: Mapped[UUID]
    started_at: Mapped[datetime]
    """The customer's first message that had no answer yet."""
    due_at: Mapped[datetime | None]
    """Until when the project's target for the first response is met (`waits`); null: it had none."""
    resolution_due_at: Mapped[datetime | None]
    """Of an opening wait: until when the project's target for the resolution of what began with it is met."""
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]
    """`answer`, or `resolution` where it was resolved without one."""
    opening: Mapped[bool]
    """The first wait of the inquiry, or the first after it was reopened."""
    working_seconds: Mapped[int | None]
    """Working time between start and end, by the project's working hours in force when it ended."""


class ResolvedEpisode(Owned, Base):
    """A period from a customer's opening message, or a reopening, to the resolution."""

    __tablename__ = "resolved_episode"
    __table_args__ = (
        belongs_to("inquiry", "inquiry_id"),
        UniqueConstraint("workspace_id", "inquiry_id", "started_at"),
        Index(None, "workspace_id", "project_id", "resolved_at", "id"),
    )

    inquiry_id: Mapped[UUID]
    project_id: Mapped[UUID]
    community_id: Mapped[UUID]
    started_at: Mapped[datetime]
    resolved_at: Mapped[datetime]
    automatic: Mapped[bool]
    """No person resolved it."""
    working_seconds: Mapped[int]
    """Working time between start and resolution, by the project's working hours in force when it was resolved."""
    target_seconds: Mapped[int | None]
    """The project's target for resolutions on the day it began, as working time; null: there was none."""


class InquiryEvent(Owned, Base):
    """What happened to an inquiry, and who did it."""

    __tablename__ = "inquiry_event"
    __table_args__ = (
        belongs_to("inquiry", "inquiry_id"),
        Index(None, "workspace_id", "inquiry_id", "at", "sequence"),
    )

    sequence: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    """The order of events of one instant. It counts those of all workspaces, so it is not for callers."""
    inquiry_id: Mapped[UUID]
    type: Mapped[str]
    at: Mapped[datetime]
    actor: Mapped[str | None]
    data: Mapped[dict[str, Any]]
