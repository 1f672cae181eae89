"""Tables of hooks, and of what they received."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base, Owned, belongs_to


class SubscriptionStatus(StrEnum):
    """The status of a hook that the service subscribes at the platform itself."""

    WAITING = "waiting"
    SUBSCRIBED = "subscribed"
    REFUSED = "refused"


class Hook(Owned, Base):
    """The address to which a platform sends a community's events, and the secrets by which its calls are verified."""

    __tablename__ = "hook"
    __table_args__ = (belongs_to("community", "community_id"), UniqueConstraint("workspace_id", "community_id"))

    community_id: Mapped[UUID]
    public_id: Mapped[UUID]
    """The last part of its address (`HookRoute`); hooks of one application share it (`Spec.hook_of_app`), those of the
    installation's own application among all workspaces.
    """
    sealed: Mapped[str]
    """Its secrets by name, as JSON, sealed."""
    status: Mapped[str | None]
    """A `SubscriptionStatus`; null where a person enters the address at the platform."""
    reason: Mapped[str | None]
    """Why it is not subscribed, for people."""
    first_event_at_by_kind: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """When it first received an item of a kind: from then on it should receive all of that kind."""
    checked_at: Mapped[datetime | None]
    """When it was last probed; the next four are the platform's answer."""
    subscribed: Mapped[bool | None]
    delivering: Mapped[bool | None]
    waiting: Mapped[int | None]
    detail: Mapped[str | None]
    created_at: Mapped[datetime]


class HookRoute(Base):
    """From a hook's address to a community of each workspace that shares it.

    Not a workspace's table: a platform's call names nothing but the address.
    """

    __tablename__ = "hook_route"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "community_id"], ["hook.workspace_id", "hook.community_id"], ondelete="CASCADE"
        ),
        UniqueConstraint("hook_id", "workspace_id"),
    )

    hook_id: Mapped[UUID] = mapped_column(primary_key=True)
    """128 random bits, or derived from a secret."""
    workspace_id: Mapped[UUID]
    community_id: Mapped[UUID] = mapped_column(primary_key=True)


class InboundStatus(StrEnum):
    """What has been done with an inbound event."""

    PENDING = "pending"
    """A job will apply it."""
    APPLIED = "applied"
    UNPARSED = "unparsed"
    """This version cannot parse it; it is parsed again every hour until it is deleted."""


class InboundEvent(Base):
    """An event received from a platform; one that arrives again has no further effect.

    No foreign key: it would lock the community's row, which polls hold, and delay the acknowledgement.
    """

    __tablename__ = "inbound_event"
    __table_args__ = (
        Index(None, "workspace_id", "community_id", "received_at"),
        Index("ix_inbound_event_pending", "workspace_id", "batch", postgresql_where=text("status = 'pending'")),
        Index(
            "ix_inbound_event_unparsed",
            "workspace_id",
            "community_id",
            "received_at",
            postgresql_where=text("status = 'unparsed'"),
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    """The platform's."""
    status: Mapped[str]
    batch: Mapped[UUID | None]
    """The events that one job applies; null where it was stored unparsed."""
    payload: Mapped[str | None]
    """The parsed event as JSON; of an unparsed one, the bytes received. Null once it is applied."""
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]


class InboundItem(Base):
    """A post or message that was received with an event."""

    __tablename__ = "inbound_item"
    __table_args__ = (Index(None, "workspace_id", "community_id", "received_at"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    post: Mapped[bool] = mapped_column(primary_key=True)
    """Posts and messages have separate ids."""
    publication_id: Mapped[UUID | None]
    """The publication of a message; its replies belong to the same."""
    received_at: Mapped[datetime]


class InboundGap(Base):
    """A post or message that a poll found, and that the hook should have received before."""

    __tablename__ = "inbound_gap"
    __table_args__ = (
        belongs_to("community", "community_id"),
        Index(None, "workspace_id", "community_id", "found_at"),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    post: Mapped[bool] = mapped_column(primary_key=True)
    kind: Mapped[str]
    """`post`, or the message's kind."""
    sent_at: Mapped[datetime]
    found_at: Mapped[datetime]
