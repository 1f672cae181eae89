"""Tables of the content plan."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import DateTime, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base, Owned, belongs_to


class Category(StrEnum):
    """The content formula's categories."""

    ENGAGING = "engaging"
    USER_GENERATED = "user_generated"
    EDUCATIONAL = "educational"
    PROMOTIONAL = "promotional"


class PostStatus(StrEnum):
    """The status of a post."""

    DRAFT = "draft"
    PLANNED = "planned"
    PUBLISHED = "published"


class PostOrigin(StrEnum):
    """Where a post came from."""

    PLANNED = "planned"
    """Created here."""
    FOUND = "found"
    """Polling found it on the platform; it was not planned here."""


PARTIAL_INDEXES: Final = (
    ("published", ("published_at",), "published_at IS NOT NULL"),
    ("published_in_community", ("community_id", "published_at"), "published_at IS NOT NULL"),
    ("planned", ("planned_at",), "planned_at IS NOT NULL"),
    ("planned_in_community", ("community_id", "planned_at"), "planned_at IS NOT NULL"),
    # Few posts of a workspace: those not published, those with a category, those made here.
    ("unpublished", ("status", "created_at"), "status <> 'published'"),
    ("unpublished_planned", ("status", "planned_at"), "status <> 'published' AND planned_at IS NOT NULL"),
    ("unpublished_published", ("status", "published_at"), "status <> 'published' AND published_at IS NOT NULL"),
    ("category", ("category", "created_at"), "category IS NOT NULL"),
    ("category_planned", ("category", "planned_at"), "category IS NOT NULL AND planned_at IS NOT NULL"),
    ("category_published", ("category", "published_at"), "category IS NOT NULL AND published_at IS NOT NULL"),
    ("made_here", ("created_at",), "origin = 'planned'"),
    ("made_here_published", ("published_at",), "origin = 'planned' AND published_at IS NOT NULL"),
    ("found_planned", ("planned_at",), "origin = 'found' AND planned_at IS NOT NULL"),
)
"""Indexes of lists of posts by a filter and a sort; some are empty, and say that no post is in such a list."""


class Post(Owned, Base):
    """An item of the content plan."""

    __tablename__ = "post"
    __table_args__ = (
        belongs_to("project", "project_id"),
        belongs_to("community", "community_id"),
        ForeignKeyConstraint(["workspace_id", "publication_id"], ["publication.workspace_id", "publication.id"]),
        # Polling and a person may report the same publication at once: these two let only one post have it.
        Index(
            "uq_post_publication_id",
            "workspace_id",
            "publication_id",
            unique=True,
            postgresql_where=text("publication_id IS NOT NULL"),
        ),
        Index(
            "uq_post_permalink_key",
            "workspace_id",
            "community_id",
            "permalink_key",
            unique=True,
            postgresql_where=text("permalink_key IS NOT NULL"),
        ),
        Index(
            "ix_post_unmatched",
            "workspace_id",
            "community_id",
            postgresql_where=text("publication_id IS NULL AND status = 'published'"),
        ),
        Index(None, "workspace_id", "created_at", "id"),
        Index(None, "workspace_id", "project_id", "created_at", "id"),
        Index(None, "workspace_id", "project_id", "planned_at", "id"),
        Index(None, "workspace_id", "project_id", "published_at", "id"),
        Index(None, "workspace_id", "community_id", "created_at", "id"),
        *(
            Index(f"ix_post_{name}", "workspace_id", *columns, "id", postgresql_where=text(condition))
            for name, columns, condition in PARTIAL_INDEXES
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )

    project_id: Mapped[UUID]
    community_id: Mapped[UUID]
    publication_id: Mapped[UUID | None]
    """The publication on the platform, once it is matched."""
    origin: Mapped[str]
    text: Mapped[str]
    category: Mapped[str | None]
    status: Mapped[str]
    plan_status: Mapped[str | None]
    """The status before a person marked it as published; null: nobody has."""
    planned_for: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    """Local wall time in `timezone`."""
    timezone: Mapped[str]
    planned_at: Mapped[datetime | None]
    """The same instant in UTC, computed (`times.instant`)."""
    permalink: Mapped[str | None]
    """Its address on the platform, as it was given."""
    permalink_key: Mapped[str | None]
    """What identifies the post in it: as its platform's adapter says, else its normalised form (`permalinks`)."""
    published_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class PostLexeme(Base):
    """A word of a post's text (`search.WordIndex`). Without a foreign key, as those of inquiries."""

    __tablename__ = "post_lexeme"
    __table_args__ = (Index(None, "workspace_id", "post_id"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    lexeme: Mapped[str] = mapped_column(primary_key=True)
    post_id: Mapped[UUID] = mapped_column(primary_key=True)


class MixPolicy(Base):
    """A project's own shares of the content formula, in per cent; the default is 40/30/25/5."""

    __tablename__ = "mix_policy"
    __table_args__ = (belongs_to("project", "project_id"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    shares: Mapped[dict[str, Any]]
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime]


class MixPolicyVersion(Base):
    """Shares that a project aimed at from an instant on; before the first one those of the default."""

    __tablename__ = "mix_policy_version"
    __table_args__ = (belongs_to("project", "project_id"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    shares: Mapped[dict[str, Any]]
    since: Mapped[datetime]
