"""Request and response bodies of access."""

from typing import Annotated

from pydantic import Field

from app.access.models import ApiKeyScope
from app.kit.schemas import Id, Input, Instant, Output, ShortText

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


class Owner(Input):
    """The person who signs up."""

    name: ShortText = Field(examples=["Anna"])
    email: Email


class WorkspaceCreate(Input):
    """Sign-up of an agency."""

    title: ShortText = Field(examples=["Step & Co"])
    owner: Owner


class WorkspaceRead(Output):
    """An agency."""

    id: Id = Field(validation_alias="workspace_id")
    title: str
    created_at: Instant


class UserRead(Output):
    """A person."""

    id: Id
    name: str
    email: str


class ApiKeyCreate(Input):
    """A new API key."""

    title: ShortText = Field(examples=["reporting script"])
    scopes: list[ApiKeyScope] = Field(default=[ApiKeyScope.READ], min_length=1, max_length=3)
    expires_at: Instant | None = Field(
        None, description="Later than now; null: it does not expire.", examples=["2099-01-01T00:00:00Z"]
    )


class ApiKeyRead(Output):
    """An API key; its secret is shown once, when it is made."""

    id: Id
    title: str
    prefix: str
    scopes: list[ApiKeyScope]
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None


class ApiKeyMade(ApiKeyRead):
    """A new API key with its secret."""

    key: str = Field(description="Keep it: it is not shown again.", examples=["isk_8MTJ4bWc0aQz_…"])


class WorkspaceMade(Output):
    """A signed-up agency, its owner and a first key that may do everything."""

    workspace: WorkspaceRead
    owner: UserRead
    api_key: ApiKeyMade


class Me(Output):
    """What the credential of this request stands for."""

    workspace: WorkspaceRead
    user: UserRead | None
    api_key: ApiKeyRead
