"""Tables of access.

`user_account` and `api_key` are not a workspace's: they are looked up before a workspace is known.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base, Owned
from app.kit.ids import uuid7


class Role(StrEnum):
    """What a person is in a workspace; more of them come with seats in projects."""

    OWNER = "owner"


class Scope(StrEnum):
    """What an API key may do."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class Workspace(Base):
    """An agency."""

    __tablename__ = "workspace"

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    """Its own id, under the name that row-level security looks at."""
    name: Mapped[str]
    created_at: Mapped[datetime]


class UserAccount(Base):
    """A person, who may work in several workspaces."""

    __tablename__ = "user_account"
    __table_args__ = (Index("uq_user_account_email", func.lower(text("email")), unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    email: Mapped[str]
    name: Mapped[str]
    created_at: Mapped[datetime]


class Membership(Owned, Base):
    """A person's place in a workspace."""

    __tablename__ = "membership"
    __table_args__ = (
        UniqueConstraint("workspace_id", "user_id"),
        ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"))
    role: Mapped[str]
    created_at: Mapped[datetime]


class ApiKey(Base):
    """A key to a workspace: found by its prefix, proven by its secret, of which only a hash is kept."""

    __tablename__ = "api_key"
    __table_args__ = (
        UniqueConstraint("workspace_id", "id"),
        ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),
    )

    prefix: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    id: Mapped[UUID] = mapped_column(default=uuid7)
    name: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
