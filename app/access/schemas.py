"""Request and response bodies of access."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, HttpUrl, PlainSerializer

from app.access.models import InvitationMail, Language, Role, Seat
from app.access.passwords import MAX_LENGTH, MIN_LENGTH
from app.access.permissions import Permission
from app.kit.schemas import Flag, Id, Input, Instant, Output, Patch, ShortText, example

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
        description="The part of the link after `?token=`.",
        examples=["qkQxK3mW7dS0sZ8hVQ5p2cT1nJ4rYbL9eXaFgHuOiMw"],
    ),
]
Picture = Annotated[HttpUrl, PlainSerializer(str, return_type=str)]


class Owner(Input):
    """The person who signs up."""

    name: ShortText = Field(description="The person's name.", examples=["Anna"])
    email: Email = Field(description="Where the person is written to; one account per address.")
    password: Password | None = Field(None, description="To sign in with; null: API keys alone, for now.")


class WorkspaceCreate(Input):
    """Sign-up of an agency."""

    model_config = example({"title": "Step & Co", "owner": {"name": "Anna", "email": "anna@agency.example"}})

    title: ShortText = Field(description="The agency's name, for people.", examples=["Step & Co"])
    owner: Owner = Field(description="The first member, who may do everything.")


class WorkspaceRead(Output):
    """An agency."""

    id: Id = Field(validation_alias="workspace_id", description="The workspace's id.")
    title: str = Field(description="The agency's name, for people.")
    created_at: Instant = Field(description="When it signed up.")


class UserRead(Output):
    """A person."""

    id: Id = Field(description="The person's id.")
    name: str = Field(description="The person's name.")
    email: str = Field(description="Where the person is written to.")
    picture_url: str | None = Field(description="A picture of the person; null: none.")
    language: Language = Field(description="In which the person gets mail and alerts.")


class ApiKeyCreate(Input):
    """A new API key."""

    model_config = example(
        {
            "title": "reporting script",
            "permissions": ["projects:read", "kpis:read"],
            "expires_at": "2099-01-01T00:00:00Z",
        }
    )

    title: ShortText = Field(description="What the key is for, in your words.", examples=["reporting script"])
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

    model_config = example({"overlap_seconds": 3600})

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

    id: Id = Field(description="The key's id.")
    title: str = Field(description="What the key is for.")
    prefix: str = Field(description="The part of the key that is not secret, to recognise it by.")
    owner_id: Id = Field(description="The user whose key it is: it never does more than they may.")
    permissions: list[Permission] | None = Field(description="What it may do; null: all that its owner may.")
    project_ids: list[Id] | None = Field(description="In which projects; null: all that its owner sees.")
    created_at: Instant = Field(description="When it was made.")
    last_used_at: Instant | None = Field(description="To within five minutes; null: never.")
    expires_at: Instant | None = Field(description="When it ends; null: it does not.")
    revoked_at: Instant | None = Field(description="When it was revoked; null: it was not.")
    previous_until: Instant | None = Field(
        description="Until when the secret before the last rotation is accepted; null: it was never rotated."
    )


class ApiKeyMade(ApiKeyRead):
    """A new API key with its secret."""

    key: str = Field(description="Keep it: it is not shown again.", examples=["isk_8MTJ4bWc0aQz_…"])


class WorkspaceMade(Output):
    """A signed-up agency, its owner and a first key that may do everything."""

    workspace: WorkspaceRead = Field(description="The agency.")
    owner: UserRead = Field(description="Its first member.")
    api_key: ApiKeyMade = Field(description="A first key, which may do everything its owner may.")


class SessionCreate(Input):
    """Signing in."""

    model_config = example({"email": "anna@agency.example", "password": "three brown bicycles", "cookie": False})

    email: Email = Field(description="The account's e-mail address, in any case of its letters.")
    password: Password = Field(description="The account's password.")
    code: Code | None = Field(None, description="Where the account has a second factor.")
    workspace_id: Id | None = Field(None, description="Where the person works in several workspaces.", examples=[None])
    cookie: Flag = Field(
        False, description="True for pages in a browser: the session is then set as a cookie that no script reads."
    )


class SessionRead(Output):
    """A signed-in session."""

    id: Id = Field(description="The session's id.")
    is_cookie: bool = Field(description="It is a browser's, in a cookie.")
    created_at: Instant = Field(description="When the person signed in.")
    last_used_at: Instant = Field(description="To within five minutes. A session ends after 14 days without use.")
    expires_at: Instant = Field(description="When it ends, however much it is used.")
    user_agent: str | None = Field(description="What the device said of itself.")
    address: str | None = Field(description="From where it was signed in.")


class SessionMade(Output):
    """A new session."""

    session: SessionRead = Field(description="The session.")
    token: str | None = Field(
        description="Send it as `Authorization: Bearer …`; null where it is set as a cookie.",
        examples=["iss_8MTJ4bWc0aQz_…"],
    )
    csrf_token: str = Field(description="With a cookie: send it as `X-CSRF-Token` with requests that change something.")


class ProjectPermissions(Output):
    """What the credential may do in a project."""

    project_id: Id = Field(description="The project.")
    permissions: list[Permission] = Field(description="What it may do there.")


class Me(Output):
    """What the credential of this request stands for."""

    workspace: WorkspaceRead = Field(description="The agency it belongs to.")
    user: UserRead = Field(description="The signed-in person, or the owner of the API key.")
    role: Role | None = Field(description="The person's role in the workspace; null: they are no member any more.")
    api_key: ApiKeyRead | None = Field(description="The key; null: a person is signed in.")
    session: SessionRead | None = Field(description="The session; null: it is an API key.")
    csrf_token: str | None = Field(description="Of a session in a cookie.")
    has_second_factor: bool = Field(description="A sign-in of the person needs a code.")
    permissions: list[Permission] = Field(description="Held in the workspace and in all its projects.")
    projects: list[ProjectPermissions] = Field(description="Held in single projects, besides.")


class MeUpdate(Patch):
    """What people say of themselves."""

    model_config = example({"name": "Anna"})

    name: ShortText = Field(description="The person's name, as the team and the client see it.", examples=["Anna"])
    picture_url: Picture | None = Field(
        description="The address of a picture; null: none.", examples=["https://agency.example/anna.jpg"]
    )
    language: Language = Field(description="In which you get mail and alerts.", examples=["ru"])


class PasswordChange(Input):
    """Another password."""

    model_config = example({"current_password": "three brown bicycles", "password": "four green bicycles"})

    current_password: Password | None = Field(None, description="The one that is to be changed.")
    password: Password = Field(description=f"The new one: {MIN_LENGTH} characters at least, not one guessed first.")


class SecondFactorBegun(Output):
    """A secret for an authenticator app."""

    uri: str = Field(description="`otpauth://…`, for an app on this device.")
    qr_svg: str = Field(description="The same as an SVG image, for an app on another device.")


class SecondFactorCode(Input):
    """A code of the authenticator app."""

    model_config = example({"code": "492039"})

    code: Code = Field(description="What the app shows, or a recovery code.")


class RecoveryCodes(Output):
    """Codes for when the device is lost, each for one sign-in."""

    codes: list[str] = Field(description="Keep them: they are not shown again.")


class MemberSeat(Output):
    """A seat of a member."""

    project_id: Id = Field(description="The project.")
    seat: Seat = Field(description="What the member does there.")


def _no_seats(value: Any) -> Any:
    return [] if value is None else value


class MemberRead(Output):
    """A member of the workspace."""

    id: Id = Field(description="The person's id.")
    name: str = Field(description="The person's name.")
    email: str = Field(description="Where the person is written to.")
    picture_url: str | None = Field(description="A picture of the person; null: none.")
    role: Role = Field(description="What the person may do in the workspace.")
    joined_at: Instant = Field(description="Since when the person is a member.")
    seats: Annotated[list[MemberSeat], BeforeValidator(_no_seats)] = Field(description="Of the projects that you see.")


class MemberUpdate(Patch):
    """Another role of a member."""

    model_config = example({"role": "member"})

    role: Role = Field(description="Owners alone make and unmake owners.", examples=["member"])


class InvitedSeat(Input):
    """A seat that an invitation gives."""

    project_id: Id = Field(description="The project.")
    seat: Seat = Field(description="What the person will do there.", examples=["designer"])
    about: ShortText | None = Field(
        None,
        description="What they do there, in a line for the client.",
        examples=["answers your customers on weekdays"],
    )


class InvitationCreate(Input):
    """An invitation to the workspace."""

    model_config = example({"email": "boris@agency.example", "name": "Boris", "role": "member", "seats": []})

    email: Email = Field(description="Who is invited.")
    name: ShortText = Field(description="The person's name.", examples=["Boris"])
    role: Role = Field(Role.MEMBER, description="Owners alone invite owners.")
    seats: list[InvitedSeat] = Field(
        default_factory=list, max_length=200, description="The seats that come with it.", examples=[[]]
    )
    language: Language | None = Field(
        None, description="In which the person is written to; null: as you are.", examples=["ru"]
    )


class InvitedSeatRead(Output):
    """A seat that an invitation gives."""

    project_id: Id = Field(description="The project.")
    seat: Seat = Field(description="What the person will do there.")
    about: str | None = Field(description="What they do there, in a line.")


class InvitationRead(Output):
    """An invitation."""

    id: Id = Field(description="The invitation's id.")
    email: str = Field(description="Who is invited.")
    name: str = Field(description="The person's name.")
    role: Role = Field(description="The role that comes with it.")
    seats: list[InvitedSeatRead] = Field(description="The seats that come with it.")
    created_at: Instant = Field(description="When it was made.")
    expires_at: Instant = Field(description="Until when it can be accepted.")
    accepted_at: Instant | None = Field(description="When it was accepted; null: not yet.")
    revoked_at: Instant | None = Field(description="When it was revoked; null: it was not.")
    language: Language = Field(description="In which the person is written to.")
    mail: InvitationMail | None = Field(
        description="What became of the mail with its link; null: none was sent, and the link was shown."
    )
    mail_detail: str | None = Field(description="Why the mail failed; null: it did not.")


class InvitationMade(InvitationRead):
    """A new invitation, with its link where that is not sent by mail."""

    link: str | None = Field(
        description="For whoever is invited, once; it is not shown again. Null where this installation mails it."
    )


class InvitationAccept(Input):
    """Accepting an invitation."""

    model_config = example({"token": "qkQxK3mW7dS0sZ8hVQ5p2cT1nJ4rYbL9eXaFgHuOiMw", "password": "three brown bicycles"})

    token: LinkToken = Field(description="The part of the link after `?token=`.")
    name: ShortText | None = Field(None, description="Where it differs from the invitation's.", examples=["Boris"])
    password: Password = Field(description="A new one; of somebody who has an account already: the one they have.")
    code: Code | None = Field(None, description="Of somebody who has an account with a second factor.")
    cookie: Flag = Field(False, description="As in `POST /v1/sessions`.")


class PasswordResetMade(Output):
    """A link with which a member sets a new password, where that is not sent by mail."""

    link: str | None = Field(
        description="For the member, once; it is not shown again. Null where this installation mails it to them."
    )
    mailed: bool = Field(description="It is on its way to the member's address.")


class PasswordResetCreate(Input):
    """Somebody who forgot a password."""

    model_config = example({"email": "anna@agency.example"})

    email: Email = Field(description="The account's e-mail address, in any case of its letters.")


class PasswordReset(Input):
    """A new password, by a link."""

    model_config = example({"token": "qkQxK3mW7dS0sZ8hVQ5p2cT1nJ4rYbL9eXaFgHuOiMw", "password": "four green bicycles"})

    token: LinkToken = Field(description="The part of the link after `?token=`.")
    password: Password = Field(description=f"The new one: {MIN_LENGTH} characters at least, not one guessed first.")


class Done(Output):
    """The request was carried out."""

    done: bool = Field(True, description="Always true: a refusal is a problem.")
