"""Tables of alerts."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base, Owned, belongs_to


class AlertStatus(StrEnum):
    """Where an alert stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """Somebody has taken it up: nobody is told of it any more."""
    ENDED = "ended"
    """It needs nobody any more."""


class DeliveryStatus(StrEnum):
    """Where the delivery of an alert to one person by one channel stands."""

    PLANNED = "planned"
    """It is sent when it is due."""
    SENDING = "sending"
    """The intent is committed; it may or may not have been sent."""
    SENT = "sent"
    FAILED = "failed"
    """It was not accepted, and is not tried again; `detail` says why."""
    UNKNOWN = "unknown"
    """It may have arrived. It is not sent again by this channel."""
    CANCELLED = "cancelled"
    """The alert ended, was acknowledged, or became somebody else's before it was due."""


class Timing(StrEnum):
    """When a person wants to be told."""

    AT_ONCE = "at_once"
    WORKING_HOURS = "working_hours"
    """In the working hours of the alert's project: at their next beginning at the latest."""
    DIGEST = "digest"
    """Once a day."""


class BotStatus(StrEnum):
    """Whether an agency's bot can be used."""

    CHECKING = "checking"
    """A job asks the platform whether it accepts the token."""
    READY = "ready"
    REFUSED = "refused"
    """The platform does not accept the token (any more)."""


def _of_member(column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["workspace_id", column], ["membership.workspace_id", "membership.user_id"], ondelete="CASCADE"
    )


class Alert(Owned, Base):
    """Something that needs, or needed, a person."""

    __tablename__ = "alert"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),
        belongs_to("project", "project_id"),
        UniqueConstraint("workspace_id", "kind", "subject_id", "since"),
        Index(None, "workspace_id", "opened_at", "id"),
        Index(None, "workspace_id", "project_id", "opened_at", "id"),
        Index(None, "workspace_id", "kind", "opened_at", "id"),
        *(
            Index(f"ix_alert_{name}", "workspace_id", *columns, "id", postgresql_where=text(f"status = '{status}'"))
            for name, status, columns in (
                ("open", "open", ("opened_at",)),
                ("acknowledged", "acknowledged", ("opened_at",)),
                ("ended", "ended", ("opened_at",)),
            )
        ),
        Index("ix_alert_lasting", "workspace_id", "kind", "id", postgresql_where=text("status <> 'ended'")),
    )

    kind: Mapped[str]
    project_id: Mapped[UUID | None]
    """None: it is about the workspace."""
    subject_id: Mapped[UUID]
    since: Mapped[datetime]
    """Since when it needs a person; with kind and subject, what makes an alert of its own."""
    facts: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(default=AlertStatus.OPEN.value)
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[UUID | None]
    """The user; kept where they are no member any more."""


class AlertDelivery(Owned, Base):
    """An alert to one person by one channel."""

    __tablename__ = "alert_delivery"
    __table_args__ = (
        belongs_to("alert", "alert_id"),
        _of_member("user_id"),
        UniqueConstraint("workspace_id", "alert_id", "user_id", "channel"),
        Index(
            "ix_alert_delivery_due",
            *("workspace_id", "user_id", "channel", "due_at"),
            postgresql_where=text("status IN ('planned', 'sending')"),
        ),
        Index(None, "workspace_id", "user_id", "channel", "id"),
    )

    alert_id: Mapped[UUID]
    user_id: Mapped[UUID]
    channel: Mapped[str]
    """`mail`, or a platform whose bot writes to the person."""
    status: Mapped[str] = mapped_column(default=DeliveryStatus.PLANNED.value)
    planned_at: Mapped[datetime]
    """When it was planned."""
    due_at: Mapped[datetime]
    """When it is sent, or tried again."""
    message_id: Mapped[UUID | None]
    """Of the message that it is, or was, sent in with others of the same person and channel: the first one's id."""
    unsettled: Mapped[int] = mapped_column(default=0)
    """Attempts of which it is not known whether they sent it."""
    intended_at: Mapped[datetime | None]
    """When its first attempt began: a repeat is the same message, with the same date."""
    sent_at: Mapped[datetime | None]
    detail: Mapped[str | None]
    """Why it is not sent (yet), for people."""


class AlertPreference(Base):
    """How a person wants to be told in a workspace."""

    __tablename__ = "alert_preference"
    __table_args__ = (_of_member("user_id"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    channels: Mapped[list[Any] | None]
    """None: all that there are for them."""
    muted_kinds: Mapped[list[Any]] = mapped_column(default=list)
    timing: Mapped[str] = mapped_column(default=Timing.WORKING_HOURS.value)
    digest_hour: Mapped[int] = mapped_column(default=9)
    timezone: Mapped[str] = mapped_column(default="UTC")
    away_until: Mapped[datetime | None]
    """Until then those who stand in for them are told instead."""


class AlertPolicy(Base):
    """How long the concerns of a project may last before anybody is alerted."""

    __tablename__ = "alert_policy"
    __table_args__ = (belongs_to("project", "project_id"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    minutes: Mapped[dict[str, Any]]
    """By kind, where it is not the kind's own."""
    updated_at: Mapped[datetime]


class AlertBot(Base):
    """An agency's own bot, with which it writes to its people."""

    __tablename__ = "alert_bot"
    __table_args__ = (ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[str]
    """The token."""
    username: Mapped[str | None]
    """None until the platform has said it."""
    cursor: Mapped[str | None]
    """Up to where started chats were read."""
    status: Mapped[str] = mapped_column(default=BotStatus.CHECKING.value)
    detail: Mapped[str | None]
    updated_at: Mapped[datetime]


class AlertChat(Base):
    """A person's chat with their agency's bot."""

    __tablename__ = "alert_chat"
    __table_args__ = (
        _of_member("user_id"),
        Index(
            "ix_alert_chat_code",
            *("workspace_id", "platform", "code_expires_at"),
            postgresql_where=text("code_hash IS NOT NULL"),
        ),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(primary_key=True)
    chat_id: Mapped[str | None]
    """None until the person has started it."""
    linked_at: Mapped[datetime | None]
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of the code that links the chat; it may be used once."""
    code_expires_at: Mapped[datetime | None]
