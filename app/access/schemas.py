"""Request and response bodies of access."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, HttpUrl, PlainSerializer

from app.access.models import Role, Seat
from app.access.passwords import MAX_LENGTH, MIN_LENGTH
from app.access.permissions import Permission
from app.kit.schemas import Flag, Id, Input, Instant, Output, Patch, ShortText

Email = Annotated[
    str,
    Field(
        strict=True,
        min_length=3,
        max_length=254,
        # Only the form: whether mail arrives there is not checked.
        pattern=r"^[^\s@\x00]+@[^\s@\x00.]+(\.[^\s@\x00.]+)+$",
        examples=["anna@agency.example"],
    ),
]


Password = Annotated[
    str,
    Field(
        strict=True,
        min_length=1,
        max_length=MAX_LENGTH,
        pattern=r"^[^\x00]+$",
        description=f"{MIN_LENGTH} characters at least, not one that is guessed first.",
        examples=["three brown bicycles"],
    ),
]
Code = Annotated[
    str,
    Field(
        strict=True,
        min_length=6,
        max_length=20,
        pattern=r"^[0-9A-Za-z -]+$",
        description="A code of the authenticator app, or a recovery code.",
        examples=["492039"],
    ),
]
LinkToken = Annotated[
    str,
    Field(
        strict=True,
        pattern=r"^[A-Za-z0-9_-]{43}$",
        description="The part of the link after `#`.",
        examples=["qkQxK3mW7dS0sZ8hVQ5p2cT1nJ4rYbL9eXaFgHuOiMw"],
    ),
]
Picture = Annotated[HttpUrl, PlainSerializer(str, return_type=str)]


class Owner(Input):
    """The person who signs up."""

    name: ShortText = Field(examples=["Anna"])
    email: Email
    password: Password | None = Field(None, description="To sign in with; null: API keys alone, for now.")


class WorkspaceCreate(Input):
    """Sign-up of an agency."""

    name: ShortText = Field(examples=["Step & Co"])
    owner: Owner


class WorkspaceRead(Output):
    """An agency."""

    id: Id = Field(validation_alias="workspace_id")
    name: str
    created_at: Instant


class UserRead(Output):
    """A person."""

    id: Id
    name: str
    email: str
    picture_url: str | None


class ApiKeyCreate(Input):
    """A new API key."""

    name: ShortText = Field(examples=["reporting script"])
    permissions: list[Permission] | None = Field(
        None,
        min_length=1,
        max_length=len(Permission),
        description="What it may do, within what its owner may at the moment; null: all of that.",
        examples=[["projects:read", "kpis:read"]],
    )
    project_ids: list[Id] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="In which projects; null: in all that its owner sees, also those to come.",
        examples=[None],
    )
    expires_at: Instant | None = Field(
        None, description="Later than now; null: it does not expire.", examples=["2099-01-01T00:00:00Z"]
    )


class ApiKeyRotate(Input):
    """How an API key changes its secret."""

    overlap_seconds: int = Field(
        3600,
        strict=True,
        ge=0,
        le=7 * 24 * 3600,
        description="For how long the old secret is accepted besides the new one.",
        examples=[3600],
    )


class ApiKeyRead(Output):
    """An API key; its secret is shown once, when it is made."""

    id: Id
    name: str
    prefix: str
    owner_id: Id = Field(description="The user whose key it is: it never does more than they may.")
    permissions: list[Permission] | None = Field(description="Null: all that its owner has.")
    project_ids: list[Id] | None = Field(description="Null: all that its owner sees.")
    created_at: Instant
    last_used_at: Instant | None = Field(description="To within five minutes; null: never.")
    expires_at: Instant | None
    revoked_at: Instant | None
    previous_until: Instant | None = Field(
        description="Until when the secret before the last rotation is accepted; null: it was never rotated."
    )


class ApiKeyMade(ApiKeyRead):
    """A new API key with its secret."""

    key: str = Field(description="Keep it: it is not shown again.", examples=["isk_8MTJ4bWc0aQz_…"])


class WorkspaceMade(Output):
    """A signed-up agency, its owner and a first key that may do everything."""

    workspace: WorkspaceRead
    owner: UserRead
    api_key: ApiKeyMade


class SessionCreate(Input):
    """Signing in."""

    email: Email
    password: Password
    code: Code | None = Field(None, description="Where the account has a second factor.")
    workspace_id: Id | None = Field(None, description="Where the person works in several workspaces.")
    cookie: Flag = Field(
        False, description="True for pages in a browser: the session is then set as a cookie that no script reads."
    )


class SessionRead(Output):
    """A signed-in session."""

    id: Id
    is_cookie: bool
    created_at: Instant
    last_used_at: Instant = Field(description="To within five minutes. A session ends after 14 days without use.")
    expires_at: Instant = Field(description="When it ends, however much it is used.")
    user_agent: str | None
    address: str | None = Field(description="From where it was signed in.")


class SessionMade(Output):
    """A new session."""

    session: SessionRead
    token: str | None = Field(
        description="Send it as `Authorization: Bearer …`; null where it is set as a cookie.",
        examples=["iss_8MTJ4bWc0aQz_…"],
    )
    csrf_token: str = Field(description="With a cookie: send it as `X-CSRF-Token` with requests that change something.")


class ProjectPermissions(Output):
    """What the credential may do in a project."""

    project_id: Id
    permissions: list[Permission]


class Me(Output):
    """What the credential of this request stands for."""

    workspace: WorkspaceRead
    user: UserRead = Field(description="The signed-in person, or the owner of the API key.")
    role: Role | None = Field(description="The person's role in the workspace.")
    api_key: ApiKeyRead | None
    session: SessionRead | None
    csrf_token: str | None = Field(description="Of a session in a cookie.")
    has_second_factor: bool
    permissions: list[Permission] = Field(description="Held in the workspace and in all its projects.")
    projects: list[ProjectPermissions] = Field(description="Held in single projects, besides.")


class MeUpdate(Patch):
    """What people say of themselves."""

    name: ShortText = Field(examples=["Anna"])
    picture_url: Picture | None = Field(examples=["https://agency.example/anna.jpg"])


class PasswordChange(Input):
    """Another password."""

    current_password: Password | None = Field(None, description="Null where there is none yet.")
    password: Password


class SecondFactorBegun(Output):
    """A secret for an authenticator app."""

    uri: str = Field(description="`otpauth://…`, for an app on this device.")
    qr_svg: str = Field(description="The same as an SVG image, for an app on another device.")


class SecondFactorCode(Input):
    """A code of the authenticator app."""

    code: Code


class RecoveryCodes(Output):
    """Codes for when the device is lost, each for one sign-in."""

    recovery_codes: list[str] = Field(description="Keep them: they are not shown again.")


class MemberSeat(Output):
    """A seat of a member."""

    project_id: Id
    seat: Seat


def _no_seats(value: Any) -> Any:
    return [] if value is None else value


class MemberRead(Output):
    """A member of the workspace."""

    id: Id
    name: str
    email: str
    picture_url: str | None
    role: Role
    joined_at: Instant
    seats: Annotated[list[MemberSeat], BeforeValidator(_no_seats)] = Field(description="Of the projects that you see.")


class MemberUpdate(Patch):
    """Another role of a member."""

    role: Role


class InvitedSeat(Input):
    """A seat that an invitation gives."""

    project_id: Id
    seat: Seat
    about: ShortText | None = Field(None, examples=["answers your customers on weekdays"])


class InvitationCreate(Input):
    """An invitation to the workspace."""

    email: Email
    name: ShortText = Field(examples=["Boris"])
    role: Role = Field(Role.MEMBER, description="Owners alone invite owners.")
    seats: list[InvitedSeat] = Field(default_factory=list, max_length=200, examples=[[]])


class InvitationRead(Output):
    """An invitation."""

    id: Id
    email: str
    name: str
    role: Role
    seats: list[InvitedSeat]
    created_at: Instant
    expires_at: Instant
    accepted_at: Instant | None
    revoked_at: Instant | None


class InvitationMade(InvitationRead):
    """A new invitation, with its link."""

    link: str | None = Field(
        description="For whoever is invited, once. Null where it is sent by mail; it is not shown again."
    )


class InvitationAccept(Input):
    """Accepting an invitation."""

    token: LinkToken
    name: ShortText | None = Field(None, description="Where it differs from the invitation's.", examples=["Boris"])
    password: Password = Field(description="A new one; of somebody who has an account already: the one they have.")
    code: Code | None = Field(None, description="Of somebody who has an account with a second factor.")
    cookie: Flag = Field(False, description="As in `POST /v1/sessions`.")


class PasswordResetRequest(Input):
    """Asking for a link that sets a new password."""

    email: Email


class PasswordResetRequested(Output):
    """What was done: the same whether or not there is an account."""

    detail: str


class PasswordResetMade(Output):
    """A link with which a member sets a new password."""

    link: str | None = Field(description="For the member, once. Null where it is sent by mail.")


class PasswordReset(Input):
    """A new password, by a link."""

    token: LinkToken
    password: Password


class Done(Output):
    """The request was carried out."""

    done: bool = True
