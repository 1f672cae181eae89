"""Tables of access.

`user_account`, `user_workspace`, `api_key`, `user_session`, `account_link` and `sign_in_failure` are outside
row-level security: they are read before the workspace is known. They hold hashes of secrets, never a secret.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Audited, Base, Owned, belongs_to
from app.kit.ids import uuid7


class Role(StrEnum):
    """A member's role in a workspace."""

    OWNER = "owner"
    """May do everything; a workspace always has one."""
    ADMIN = "admin"
    """May do everything but make and unmake owners."""
    MEMBER = "member"
    """May do what their seats allow, in the projects of these seats."""


class Seat(StrEnum):
    """What a member does in a project."""

    MANAGER = "manager"
    """Answers for the project, and gives its other seats."""
    DESIGNER = "designer"
    CONTENT_MANAGER = "content_manager"
    PROMOTION_MANAGER = "promotion_manager"
    COMMUNITY_MANAGER = "community_manager"
    CLIENT = "client"
    """Belongs to the client: sees the project and its team, changes nothing."""


class LinkPurpose(StrEnum):
    """What a single-use link of an account is for."""

    INVITATION = "invitation"
    PASSWORD_RESET = "password-reset"


class Language(StrEnum):
    """A language in which people are written to: those of `i18n.LANGUAGES`."""

    ENGLISH = "en"
    RUSSIAN = "ru"


class InvitationMail(StrEnum):
    """What became of the mail with an invitation's link."""

    QUEUED = "queued"
    SENT = "sent"
    """The mail server has accepted it."""
    FAILED = "failed"
    """It was refused, or not accepted for hours; `mail_detail` says why."""
    UNKNOWN = "unknown"
    """The mail server did not say whether it accepted it. It is not sent again: a second link would end the first."""


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
    picture_url: Mapped[str | None]
    language: Mapped[str] = mapped_column(default=Language.ENGLISH.value, server_default=text("'en'"))
    """In which the person is written to (`Language`)."""
    password_hash: Mapped[str | None]
    """Argon2id, in the PHC format; None for somebody who works with API keys alone."""
    password_changed_at: Mapped[datetime | None]
    totp_secret: Mapped[str | None]
    """Sealed. None: no second factor."""
    totp_confirmed_at: Mapped[datetime | None]
    """None while the secret is not confirmed by a first code: it is not asked for then."""
    totp_last_step: Mapped[int | None]
    """The 30-second step of the last accepted code: a code is accepted once."""
    recovery_codes: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'::jsonb"))
    """SHA-256 in hexadecimal of the codes that are not used yet."""


class Membership(Owned, Audited, Base):
    """A user as a member of a workspace."""

    __tablename__ = "membership"
    AUDITED = ("role",)
    __table_args__ = (
        UniqueConstraint("workspace_id", "user_id"),
        ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"))
    role: Mapped[str]
    created_at: Mapped[datetime]


class UserWorkspace(Base):
    """In which workspaces a user is a member; outside row-level security, for the sign-in, which has none yet."""

    __tablename__ = "user_workspace"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "user_id"], ["membership.workspace_id", "membership.user_id"], ondelete="CASCADE"
        ),
        Index(None, "workspace_id", "user_id"),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)


class ProjectSeat(Owned, Audited, Base):
    """A member's seat in a project."""

    __tablename__ = "project_seat"
    AUDITED = ("user_id", "seat", "stands_in_id")
    DIGESTED = ("about",)
    __table_args__ = (
        UniqueConstraint("workspace_id", "project_id", "user_id", "seat"),
        belongs_to("project", "project_id"),
        ForeignKeyConstraint(
            ["workspace_id", "user_id"], ["membership.workspace_id", "membership.user_id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["workspace_id", "stands_in_id"],
            ["membership.workspace_id", "membership.user_id"],
            ondelete="SET NULL (stands_in_id)",
        ),
        Index(None, "workspace_id", "user_id"),
        Index(None, "workspace_id", "stands_in_id"),
    )

    project_id: Mapped[UUID]
    user_id: Mapped[UUID]
    seat: Mapped[str]
    about: Mapped[str | None]
    """What this person does here, in a line for the client."""
    stands_in_id: Mapped[UUID | None]
    """The user who does it while this one is away."""
    created_at: Mapped[datetime]


class Invitation(Owned, Audited, Base):
    """An invitation to the workspace, with the seats that come with it."""

    __tablename__ = "invitation"
    AUDITED = ("role", "expires_at", "accepted_at", "revoked_at")
    DIGESTED = ("seats",)
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),
        Index(None, "workspace_id", "created_at", "id"),
    )

    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    seats: Mapped[list[Any]]
    """`{"project_id": …, "seat": …, "about": …}`; projects that are gone by then are left out."""
    invited_by: Mapped[str]
    """The actor."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    language: Mapped[str] = mapped_column(default=Language.ENGLISH.value, server_default=text("'en'"))
    """In which the person is written to, and which their account has first."""
    mail: Mapped[str | None]
    """`InvitationMail`; None: it was not sent by mail, and its link was shown."""
    mail_detail: Mapped[str | None]
    """Why the mail failed, for people."""


class AccountLink(Base):
    """A link that may be used once: looked up by the hash of its token."""

    __tablename__ = "account_link"
    __table_args__ = (Index(None, "user_id"), Index(None, "invitation_id"), Index(None, "expires_at"))

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    purpose: Mapped[str]
    workspace_id: Mapped[UUID | None]
    """Of an invitation."""
    invitation_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    """Of a reset: whose password."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class UserSession(Audited, Base):
    """A signed-in person in one workspace: looked up by its prefix, verified by its secret's hash."""

    __tablename__ = "user_session"
    AUDITED = ("is_cookie", "expires_at", "revoked_at")
    __table_args__ = (
        UniqueConstraint("id"),
        ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),
        Index(None, "user_id", "created_at"),
        Index(None, "workspace_id"),
        Index(None, "expires_at"),
    )

    prefix: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    workspace_id: Mapped[UUID]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    previous_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of the secret before the last rotation; accepted until `previous_until`, for requests under way."""
    previous_until: Mapped[datetime | None]
    is_cookie: Mapped[bool]
    """Its token is given to a browser as a cookie, and changes need the CSRF token."""
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    """To within minutes."""
    expires_at: Mapped[datetime]
    """The absolute end; it ends sooner where it is not used."""
    revoked_at: Mapped[datetime | None]
    user_agent: Mapped[str | None]
    address: Mapped[str | None]


class SignInFailure(Base):
    """Failed sign-ins of an account, a source, or both, in a window of time."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (Index(None, "until"),)

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """A hash of what is counted: neither addresses nor e-mail addresses are kept."""
    failures: Mapped[int]
    until: Mapped[datetime]
    """When the count starts anew."""


class ApiKey(Audited, Base):
    """A key to a workspace: looked up by its prefix, verified by its secret, of which only a hash is stored."""

    __tablename__ = "api_key"
    AUDITED = ("title", "owner_id", "permissions", "project_ids", "expires_at", "revoked_at")
    __table_args__ = (
        UniqueConstraint("workspace_id", "id"),
        ForeignKeyConstraint(["workspace_id"], ["workspace.workspace_id"], ondelete="CASCADE"),
        Index(None, "owner_id"),
    )

    prefix: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    id: Mapped[UUID] = mapped_column(default=uuid7)
    title: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    previous_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of the secret before the last rotation; accepted until `previous_until`."""
    previous_until: Mapped[datetime | None]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"))
    """The user whose key it is: it never does more than they may at the moment."""
    permissions: Mapped[list[Any] | None]
    """None: all that its owner has."""
    project_ids: Mapped[list[Any] | None]
    """None: all that its owner sees."""
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    """To within minutes."""
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
