"""Tables of the record of changes: append-only, for the runtime role and for the tables' owner alike.

None has a foreign key: an entry outlives what it is about. A workspace's entries never leave it.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import JSON, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base, Owned


class AuditEntry(Owned, Base):
    """A change: who made it, to what, and what it was before and after. Never a secret, never a customer's words.

    The id is made of the transaction's instant: entries sort by it as they do by `at`.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "workspace_id", "project_id", "id"),
        Index(None, "workspace_id", "project_id", "action", "id"),
        Index(None, "workspace_id", "actor", "id"),
        Index(None, "workspace_id", "action", "id"),
        Index(None, "workspace_id", "entity_id", "id"),
        # Of a project's days who did what, counted from the index alone.
        Index(
            "ix_audit_entry_deeds",
            *("workspace_id", "project_id", "at", "id"),
            postgresql_include=["action", "actor"],
            postgresql_where=text("project_id IS NOT NULL"),
        ),
    )

    at: Mapped[datetime]
    actor: Mapped[str]
    """`Actor` as text."""
    action: Mapped[str]
    """An operation's id, or a name like one."""
    project_id: Mapped[UUID | None]
    """None: about the agency as a whole; members with seats do not see it."""
    entity_id: Mapped[UUID | None]
    """What was changed: the first id of `subject` that is not the project's."""
    request_id: Mapped[str | None]
    subject: Mapped[str] = mapped_column(JSON)
    """Ids and counts. JSON, not JSONB, here and below: the bytes are hashed, so they must stay as they are."""
    before: Mapped[str | None] = mapped_column(JSON)
    after: Mapped[str | None] = mapped_column(JSON)


class AuditUnchained(Base):
    """An entry that is not in the chain yet; written with it, deleted when it is chained.

    The order of a chain is not that of ids: a transaction may commit after one that began later.
    """

    __tablename__ = "audit_unchained"

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    entry_id: Mapped[UUID] = mapped_column(primary_key=True)
    seal: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The installation's signature of the entry: nobody without its key can put one in before it is chained."""


class AuditLink(Base):
    """An entry's place in the chain of its workspace."""

    __tablename__ = "audit_link"
    __table_args__ = (UniqueConstraint("workspace_id", "entry_id"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1, without gaps."""
    entry_id: Mapped[UUID]
    entry_hash: Mapped[bytes] = mapped_column(LargeBinary)
    is_sealed: Mapped[bool]
    """Whether the entry had the installation's seal; without one it was put in by somebody else."""
    chained_at: Mapped[datetime]
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 over the hash before and this link."""
    key_id: Mapped[UUID]
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    """HMAC-SHA256 of the hash with this key."""


class AuditHead(Base):
    """The last link of a day (UTC), signed together with the head before."""

    __tablename__ = "audit_head"

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime]
    key_id: Mapped[UUID]
    signature: Mapped[bytes] = mapped_column(LargeBinary)


class AuditKey(Base):
    """A key that signs links and heads. Of the installation, and sealed with its secret key.

    It is not the secret key itself, so that what it signed can be verified after that one was replaced.
    """

    __tablename__ = "audit_key"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    sealed: Mapped[str]
    created_at: Mapped[datetime]
