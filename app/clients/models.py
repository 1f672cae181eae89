"""Tables of clients.

`client_link_token` is outside row-level security: whoever follows a link has its token alone. It holds hashes.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base, Owned, belongs_to


class ContactLanguage(StrEnum):
    """A language in which contacts are written to."""

    ENGLISH = "en"
    RUSSIAN = "ru"


class Purpose(StrEnum):
    """What a client link is for; it allows nothing else."""

    READ = "read"
    AGREE = "agree"
    """To something that is agreed with the client: a goal, a brief."""
    APPROVE = "approve"
    """Of something that goes out in the client's name: a post."""


class Answer(StrEnum):
    """What a contact states."""

    AGREE = "agree"
    APPROVE = "approve"
    DECLINE = "decline"


class Contact(Owned, Base):
    """Somebody of the client of a project.

    Of a removed one the name stays, for what they stated.
    """

    __tablename__ = "contact"
    __table_args__ = (
        belongs_to("project", "project_id"),
        Index("uq_contact_email", "workspace_id", "project_id", func.lower(text("email")), unique=True),
        Index(None, "workspace_id", "project_id", "id", postgresql_where=text("removed_at IS NULL")),
    )

    project_id: Mapped[UUID]
    name: Mapped[str]
    email: Mapped[str | None]
    """None: removed."""
    phone: Mapped[str | None]
    about: Mapped[str | None]
    """What they are for the client: owner, marketing director, …"""
    language: Mapped[str]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


_OPEN = "revoked_at IS NULL AND used_at IS NULL"


class ClientLink(Owned, Base):
    """A link by which one contact reads one thing, or states something about it."""

    __tablename__ = "client_link"
    __table_args__ = (
        belongs_to("project", "project_id"),
        belongs_to("contact", "contact_id"),
        Index(None, "workspace_id", "created_at", "id"),
        Index(None, "workspace_id", "project_id", "created_at", "id"),
        Index(None, "workspace_id", "contact_id", "created_at", "id"),
        Index(None, "workspace_id", "purpose", "created_at", "id"),
        Index("ix_client_link_open", "workspace_id", "created_at", "id", postgresql_where=text(_OPEN)),
        Index(
            "ix_client_link_revoked",
            *("workspace_id", "created_at", "id"),
            postgresql_where=text("revoked_at IS NOT NULL"),
        ),
        Index(
            "ix_client_link_used",
            *("workspace_id", "created_at", "id"),
            postgresql_where=text("revoked_at IS NULL AND used_at IS NOT NULL"),
        ),
    )

    project_id: Mapped[UUID]
    contact_id: Mapped[UUID]
    purpose: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    created_by: Mapped[str]
    """The actor."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    """When the latest statement was made with it."""
    opens: Mapped[int] = mapped_column(default=0)
    """By people; not by mail scanners, previews and prefetches, as far as they can be told apart."""
    first_opened_at: Mapped[datetime | None]
    last_opened_at: Mapped[datetime | None]


class ClientLinkToken(Base):
    """Where the link with a token is."""

    __tablename__ = "client_link_token"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "client_link_id"], ["client_link.workspace_id", "client_link.id"], ondelete="CASCADE"
        ),
        Index(None, "workspace_id", "client_link_id"),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    workspace_id: Mapped[UUID]
    client_link_id: Mapped[UUID]


class ClientStatement(Owned, Base):
    """What a contact stated about one revision of a subject. It is never changed."""

    __tablename__ = "client_statement"
    __table_args__ = (
        belongs_to("project", "project_id"),
        belongs_to("client_link", "client_link_id"),
        belongs_to("contact", "contact_id"),
        UniqueConstraint(
            *("workspace_id", "contact_id", "purpose", "subject_kind", "subject_id", "revision"),
            name="uq_client_statement_revision",
        ),
        Index(None, "workspace_id", "client_link_id", "stated_at", "id"),
        Index(None, "workspace_id", "subject_id", "stated_at", "id"),
        Index(None, "workspace_id", "project_id", "stated_at", "id"),
        Index(None, "workspace_id", "stated_at", "id"),
    )

    project_id: Mapped[UUID]
    client_link_id: Mapped[UUID]
    contact_id: Mapped[UUID]
    contact_name: Mapped[str]
    """As it was then."""
    purpose: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    revision: Mapped[str]
    content_hash: Mapped[str]
    """SHA-256, hexadecimal, of what the contact saw (`subjects.content_hash`)."""
    answer: Mapped[str]
    text: Mapped[str | None]
    """In the contact's own words."""
    stated_at: Mapped[datetime]
