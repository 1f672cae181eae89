"""Request and response bodies of access."""

from typing import Annotated

from pydantic import Field

from app.access.models import ApiKeyScope
from app.kit.schemas import Id, Input, Instant, Output, ShortText, example

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

    name: ShortText = Field(description="The person's name.", examples=["Anna"])
    email: Email = Field(description="Where the person is written to; one account per address.")


class WorkspaceCreate(Input):
    """Sign-up of an agency."""

    model_config = example({"title": "Step & Co", "owner": {"name": "Anna", "email": "anna@agency.example"}})

    title: ShortText = Field(description="The agency's name, for people.", examples=["Step & Co"])
    owner: Owner = Field(description="Who signs up.")


class WorkspaceRead(Output):
    """An agency."""

    id: Id = Field(description="The workspace's id.", validation_alias="workspace_id")
    title: str = Field(description="The agency's name, for people.")
    created_at: Instant = Field(description="When it was signed up.")


class UserRead(Output):
    """A person."""

    id: Id = Field(description="The person's id.")
    name: str = Field(description="The person's name.")
    email: str = Field(description="Where the person is written to.")


class ApiKeyCreate(Input):
    """A new API key."""

    model_config = example({"title": "reporting script", "scopes": ["read"], "expires_at": "2099-01-01T00:00:00Z"})

    title: ShortText = Field(description="What the key is for, in your words.", examples=["reporting script"])
    scopes: list[ApiKeyScope] = Field(
        description="What the key may do; `read` alone unless more is asked for.",
        default=[ApiKeyScope.READ],
        min_length=1,
        max_length=3,
    )
    expires_at: Instant | None = Field(
        None, description="Later than now; null: it does not expire.", examples=["2099-01-01T00:00:00Z"]
    )


class ApiKeyRead(Output):
    """An API key; its secret is shown once, when it is made."""

    id: Id = Field(description="The key's id.")
    title: str = Field(description="What the key is for.")
    prefix: str = Field(description="The beginning of the key's text, by which it is recognised.")
    scopes: list[ApiKeyScope] = Field(description="What the key may do.")
    created_at: Instant = Field(description="When it was made.")
    expires_at: Instant | None = Field(description="From when on it is refused; null: it does not expire.")
    revoked_at: Instant | None = Field(description="When it was revoked; null: it was not.")


class ApiKeyMade(ApiKeyRead):
    """A new API key with its secret."""

    key: str = Field(description="Keep it: it is not shown again.", examples=["isk_8MTJ4bWc0aQz_…"])


class WorkspaceMade(Output):
    """A signed-up agency, its owner and a first key that may do everything."""

    workspace: WorkspaceRead = Field(description="The new workspace.")
    owner: UserRead = Field(description="Its owner.")
    api_key: ApiKeyMade = Field(description="A key that may do everything.")


class Me(Output):
    """What the credential of this request stands for."""

    workspace: WorkspaceRead = Field(description="The workspace that the credential is of.")
    user: UserRead | None = Field(description="The person who is signed in; null for an API key.")
    api_key: ApiKeyRead = Field(description="The key that was sent; never its secret.")
