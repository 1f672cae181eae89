"""Tables of projects."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Audited, Base, Owned, belongs_to


class Project(Owned, Audited, Base):
    """What the agency does for one client."""

    __tablename__ = "project"
    AUDITED = ("title", "timezone", "working_hours", "archived_at")
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),
        Index(None, "workspace_id", "created_at", "id"),
    )

    title: Mapped[str]
    timezone: Mapped[str]
    """IANA name; the project's days are days there."""
    working_hours: Mapped[dict[str, Any]]
    """As `hours.WorkingHours` writes it."""
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class Brief(Owned, Audited, Base):
    """What the agency knows of the client's business; every version is kept."""

    __tablename__ = "brief"
    AUDITED = ("version",)
    DIGESTED = ("content",)
    __table_args__ = (
        belongs_to("project", "project_id"),
        UniqueConstraint("workspace_id", "project_id", "version"),
    )

    project_id: Mapped[UUID]
    version: Mapped[int]
    content: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ResponseTarget(Owned, Base):
    """How fast the agency has promised the client to respond, from a day on; every version is kept."""

    __tablename__ = "response_target"
    __table_args__ = (
        belongs_to("project", "project_id"),
        UniqueConstraint("workspace_id", "project_id", "holds_from"),
    )

    project_id: Mapped[UUID]
    holds_from: Mapped[date]
    """The project's local day from which it holds, until that of the next version."""
    first_response_minutes: Mapped[int]
    """Working minutes."""
    resolution_minutes: Mapped[int | None]
    """Working minutes; null: none is agreed."""
    updated_at: Mapped[datetime]


class ZoneRule(Base):
    """The UTC offset of a time zone from an instant on, where PostgreSQL's own rules differ from tzdata's.

    The same for all workspaces; see `projects.zones`.
    """

    __tablename__ = "zone_rule"

    zone: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    utc_offset: Mapped[timedelta]
