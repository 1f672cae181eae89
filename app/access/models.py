"""Tables of access.

`user_account` and `api_key` are outside row-level security: they are read before the workspace is known.
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
    """A member's role in a workspace."""

    OWNER = "owner"


class ApiKeyScope(StrEnum):
    """What an API key may do."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class Workspace(Base):
    """An agency."""

    __tablename__ = "workspace"

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The primary key; named as the column that row-level security compares."""
    title: Mapped[str]
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
    """A user as a member of a workspace."""

    __tablename__ = "membership"
    __table_args__ = (
        UniqueConstraint("workspace_id", "user_id"),
        ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"))
    role: Mapped[str]
    created_at: Mapped[datetime]


class ApiKey(Base):
    """A key to a workspace: looked up by its prefix, verified by its secret, of which only a hash is stored."""

    __tablename__ = "api_key"
    __table_args__ = (
        UniqueConstraint("workspace_id", "id"),
        ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),
    )

    prefix: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    id: Mapped[UUID] = mapped_column(default=uuid7)
    title: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
