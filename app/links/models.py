"""Tables of tracked links."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base, Owned, belongs_to


class Link(Owned, Base):
    """A short address that leads to the client's site and counts who follows it."""

    __tablename__ = "link"
    __table_args__ = (
        belongs_to("project", "project_id"),
        Index(None, "workspace_id", "project_id", "created_at", "id"),
    )

    project_id: Mapped[UUID]
    community_id: Mapped[UUID | None]
    """The community it is posted in, where it is only one."""
    post_id: Mapped[UUID | None]
    slug: Mapped[str]
    target: Mapped[str]
    title: Mapped[str | None]
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class LinkRoute(Base):
    """From a slug to its link. Not a workspace's table: a visitor comes with a slug alone."""

    __tablename__ = "link_route"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "link_id"], ["link.workspace_id", "link.id"], ondelete="CASCADE"),
    )

    slug: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    link_id: Mapped[UUID]
    target: Mapped[str]


class Click(Owned, Base):
    """Somebody, or something, followed a link."""

    __tablename__ = "click"
    __table_args__ = (
        belongs_to("link", "link_id"),
        Index(None, "workspace_id", "project_id", "day", "id"),
        Index(None, "workspace_id", "link_id", "at", "id"),
    )

    link_id: Mapped[UUID]
    project_id: Mapped[UUID]
    community_id: Mapped[UUID | None]
    at: Mapped[datetime]
    day: Mapped[date]
    """The project's local day."""
    visitor: Mapped[bytes] = mapped_column(LargeBinary)
    """A keyed hash of address and browser: tells visitors apart, tells nobody who they are."""
    bot: Mapped[str | None]
    """Why it is taken for a bot; null for a person."""
    referrer: Mapped[str | None]
    """The host it came from."""


class ClickDay(Base):
    """One link's clicks on one local day of its project."""

    __tablename__ = "click_day"
    __table_args__ = (
        belongs_to("link", "link_id"),
        Index(None, "workspace_id", "project_id", "day"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    link_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    community_id: Mapped[UUID | None]
    people: Mapped[int]
    bots: Mapped[int]
