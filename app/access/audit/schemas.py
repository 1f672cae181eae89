"""Response bodies of the record of changes."""

from typing import Any
from uuid import UUID

from pydantic import Field

from app.kit.schemas import Day, Instant, Output


class AuditEntryRead(Output):
    """A change that was made."""

    id: UUID = Field(description="Made of `at`: entries sort by it as they do by their instant.")
    at: Instant = Field(description="The instant at which its transaction began.")
    actor: str = Field(
        description="Who or what made it: `user:` or `key:` with an id, `job:` and its kind, `command:` and its name, "
        "`platform:` and its key, or `anonymous:`.",
        examples=["user:01890a5d-ac96-774b-bcce-b302099a8057"],
    )
    action: str = Field(
        description="The operation, by its `operationId`; a job's or command's action is named alike.",
        examples=["posts.update"],
    )
    project_id: UUID | None = Field(description="The project it is about; null: the agency as a whole.")
    entity_id: UUID | None = Field(description="What was changed: a post, a link, a member, a key …")
    subject: dict[str, Any] = Field(
        description="Ids and counts that the action names.",
        examples=[{"post_id": "01890a5d-ac96-774b-bcce-b302099a8057"}],
    )
    before: dict[str, Any] | None = Field(
        description="The values that were replaced; null where there were none, as of something new. What is long or "
        "must not be kept is there as `sha256` and `length`.",
        examples=[{"category": "engaging"}],
    )
    after: dict[str, Any] | None = Field(
        description="The values that were set; null where none were, as of something deleted.",
        examples=[{"category": "educational"}],
    )
    request_id: str | None = Field(description="The `X-Request-ID` of the request that led to it.")
    sequence: int | None = Field(
        description="Its number in the workspace's chain, from 1; null for some seconds, until it is chained."
    )


class AuditHeadRead(Output):
    """The end of a day in the workspace's chain. Kept elsewhere, it shows later whether the chain was cut off."""

    workspace_id: UUID = Field(description="Whose chain it is: heads of several may be kept in one file.")
    day: Day = Field(description="In UTC.")
    sequence: int = Field(description="Of the day's last entry in the chain.")
    hash: str = Field(
        description="SHA-256, in hexadecimal, over the whole chain up to there.", examples=["9f86d081884c7d65" * 4]
    )
    made_at: Instant = Field(description="The instant at which it was signed, after the day had ended.")
    key_id: UUID = Field(description="The key that signed it.")
    signature: str = Field(
        description="HMAC-SHA256, in hexadecimal, over this head and the one before.", examples=["2c26b46b68ffc68f" * 4]
    )
