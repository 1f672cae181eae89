"""Tables of tracked links."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, PrimaryKeyConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Audited, Base, Owned, belongs_to


class Link(Owned, Audited, Base):
    """A short address that redirects to the client's site and counts clicks."""

    __tablename__ = "link"
    AUDITED = ("slug", "target", "title", "community_id", "post_id", "archived_at")
    __table_args__ = (
        belongs_to("project", "project_id"),
        # Without ON DELETE: a printed link outlives the community or post it was made for.
        ForeignKeyConstraint(["workspace_id", "community_id"], ["community.workspace_id", "community.id"]),
        ForeignKeyConstraint(["workspace_id", "post_id"], ["post.workspace_id", "post.id"]),
        Index(None, "workspace_id", "created_at", "id"),
        Index(None, "workspace_id", "project_id", "created_at", "id"),
        Index(None, "workspace_id", "community_id", "created_at", "id"),
        Index("ix_link_archived", "workspace_id", "created_at", "id", postgresql_where=text("archived_at IS NOT NULL")),
        Index(None, "workspace_id", "post_id", postgresql_where=text("post_id IS NOT NULL")),
        Index(None, "workspace_id", "slug"),
    )

    project_id: Mapped[UUID]
    community_id: Mapped[UUID | None]
    """The community it is posted in, where it is only one."""
    post_id: Mapped[UUID | None]
    slug: Mapped[str]
    target: Mapped[str]
    """The present one, as it was given."""
    target_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Of `LinkTarget`."""
    title: Mapped[str | None]
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class LinkLexeme(Base):
    """A word of a link's title or target (`search.WordIndex`). Without a foreign key, as those of inquiries."""

    __tablename__ = "link_lexeme"
    __table_args__ = (
        # The project first: a member's search, and one in a project, read no other projects' rows.
        PrimaryKeyConstraint("workspace_id", "lexeme", "project_id", "link_id", postgresql_include=["facets"]),
        Index(None, "workspace_id", "link_id"),
    )

    workspace_id: Mapped[UUID]
    lexeme: Mapped[str]
    project_id: Mapped[UUID]
    link_id: Mapped[UUID]
    facets: Mapped[int] = mapped_column(default=0, server_default="0")
    """What a list can be filtered by, as bits (`search.Facets`)."""


class LinkTarget(Base):
    """A target that a link has or had."""

    __tablename__ = "link_target"
    __table_args__ = (belongs_to("link", "link_id"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    link_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    target: Mapped[str]
    since: Mapped[datetime]
    actor: Mapped[str | None]
    """Who set it; null for those set before it was recorded."""


class LinkRoute(Base):
    """Maps a slug to its link. Not isolated by workspace: a request has only the slug."""

    __tablename__ = "link_route"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "link_id"], ["link.workspace_id", "link.id"], ondelete="CASCADE"),
    )

    slug: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    link_id: Mapped[UUID]
    target: Mapped[str]
    """In ASCII, for the `Location` header."""
    target_version: Mapped[int] = mapped_column(default=1, server_default="1")
    archived: Mapped[bool] = mapped_column(default=False)


class Visitor(Base):
    """When a visitor of a link was last counted, so that a double click counts once."""

    __tablename__ = "visitor"
    __table_args__ = (belongs_to("link", "link_id"), {"postgresql_with": {"fillfactor": 70}})

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    link_id: Mapped[UUID] = mapped_column(primary_key=True)
    visitor: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    counted_at: Mapped[datetime]
    click_id: Mapped[UUID]
    """The click that was counted then."""


class Click(Owned, Base):
    """A request for a link, by a person or a bot."""

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
    """A keyed hash of IP address and browser: distinguishes visitors without identifying them."""
    bot: Mapped[str | None]
    """Why it is classified as a bot (see `kit.audience`); null for a person."""
    repeat: Mapped[bool] = mapped_column(default=False)
    """The same person followed the same link again within `recording.REPEAT_WINDOW`; not counted."""
    referrer: Mapped[str | None]
    """The host of the Referer."""
    target_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """The target it was redirected to."""


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
    repeats: Mapped[int]
    """People's clicks that were not counted, within `recording.REPEAT_WINDOW` of one that was."""
