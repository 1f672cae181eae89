"""Tables of the content plan."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, PrimaryKeyConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Audited, Base, Owned, belongs_to


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
    ("category", ("category", "created_at"), "category IS NOT NULL"),
    ("category_planned", ("category", "planned_at"), "category IS NOT NULL AND planned_at IS NOT NULL"),
    ("category_published", ("category", "published_at"), "category IS NOT NULL AND published_at IS NOT NULL"),
    ("made_here", ("created_at",), "origin = 'planned'"),
    ("made_here_published", ("published_at",), "origin = 'planned' AND published_at IS NOT NULL"),
    ("category_in_project", ("project_id", "category", "created_at"), "category IS NOT NULL"),
    *(
        (f"category_{name}_in_{place}", (f"{place}_id", "category", at), f"category IS NOT NULL AND {at} IS NOT NULL")
        for place in ("project", "community")
        for name, at in (("planned", "planned_at"), ("published", "published_at"))
    ),
    ("category_in_community", ("community_id", "category", "created_at"), "category IS NOT NULL"),
)
"""Indexes of lists of posts by a filter or two and a sort."""
IMPOSSIBLE: Final = (
    ("found_is_published", "origin <> 'found' OR status = 'published'"),
    ("found_is_not_planned", "origin <> 'found' OR planned_at IS NULL"),
    ("unpublished_has_no_date", "status = 'published' OR published_at IS NULL"),
)
"""What no post can be. PostgreSQL answers a list of such posts without reading (`constraint_exclusion`)."""


class Post(Owned, Audited, Base):
    """An item of the content plan."""

    __tablename__ = "post"
    AUDITED = (
        "community_id",
        "status",
        "category",
        "planned_for",
        "timezone",
        "permalink",
        "published_at",
        "publication_id",
    )
    DIGESTED = ("text",)
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
        *(CheckConstraint(condition, name=name) for name, condition in IMPOSSIBLE),
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
    __table_args__ = (
        # The project first: a member's search, and one in a project, read no other projects' rows.
        PrimaryKeyConstraint("workspace_id", "lexeme", "project_id", "post_id", postgresql_include=["facets"]),
        Index(None, "workspace_id", "post_id"),
    )

    workspace_id: Mapped[UUID]
    lexeme: Mapped[str]
    project_id: Mapped[UUID]
    post_id: Mapped[UUID]
    facets: Mapped[int] = mapped_column(default=0, server_default="0")
    """What a list can be filtered by, as bits (`search.Facets`)."""


class MixPolicy(Audited, Base):
    """A project's own shares of the content formula, in per cent; the default is 40/30/25/5."""

    __tablename__ = "mix_policy"
    AUDITED = ("shares", "version")
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
