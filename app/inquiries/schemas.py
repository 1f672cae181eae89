"""Request and response schemas of inquiries."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from app.inquiries.conversation import EndedBy
from app.inquiries.models import InquiryKind, InquiryStatus, MessageDirection, ReplyDelivery
from app.inquiries.previews import preview
from app.kit.bulk_results import BulkResult, BulkResults
from app.kit.i18n import reader_language
from app.kit.schemas import Body, Flag, Id, Input, Instant, Output, Text
from app.platforms.contract import AttachmentKind


class CustomerRead(Output):
    """The author of an inquiry."""

    id: str = Field(description="The platform's id.")
    name: str = Field(description="Empty where the platform does not give it.")


COMPUTED: Final = frozenset({"customer", "messages", "waits", "reply_until", "reply_refusal"})
"""Fields of an inquiry that its row does not have."""


class InquiryRead(Output):
    """A conversation with one customer."""

    id: Id
    project_id: Id
    community_id: Id
    publication_id: Id | None = Field(description="The publication it stands under, where it is a comment.")
    channel: str = Field(examples=["comment"], description="comment, message, mention or review.")
    kind: InquiryKind
    kind_by: Literal["rule", "person"] = Field(
        description="Who classified it; a person's classification is never overwritten."
    )
    status: InquiryStatus
    customer: CustomerRead
    preview: str = Field(
        description="The beginning of the customer's latest message; in place of an empty text, what is attached to "
        "it, in the language of `Accept-Language`: English or Russian."
    )
    opened_at: Instant = Field(description="When the customer first wrote.")
    last_message_at: Instant
    first_answered_at: Instant | None
    handled_at: Instant | None = Field(
        description="When a person of the agency first answered or resolved it; automatic ones do not count."
    )
    resolved_at: Instant | None
    resolution: str | None = Field(description="The reason it was resolved for.")
    resolved_automatically: bool
    version: int

    @model_validator(mode="before")
    @classmethod
    def _with_customer(cls, row: Any) -> Any:
        if isinstance(row, dict):
            return row
        names = (name for name in cls.model_fields if name not in COMPUTED)
        fields = {name: getattr(row, name) for name in names}
        fields["preview"] = preview("", row.preview_attachments, reader_language()) or row.preview
        return {**fields, "customer": {"id": row.customer_id, "name": row.customer_name}}


class AttachmentRead(Output):
    """What is attached to a message."""

    kind: AttachmentKind
    url: str | None = Field(
        description="Its address on the platform, which may expire; null where there is none without a token."
    )
    name: str = Field(description="A file's name, a title or a description; empty where there is none.")


class MessageRead(Output):
    """One message of an inquiry."""

    id: Id
    inquiry_id: Id
    external_id: str | None = Field(description="The platform's id; null for a reply that is not sent yet.")
    direction: MessageDirection
    automatic: bool = Field(description="Written by a script: it does not count as an answer.")
    author_id: str | None
    author_name: str
    written_by_id: str | None = Field(
        description="Of the community's own message: the platform's account of the person who wrote it for the "
        "community; null where the platform does not say."
    )
    text: str = Field(description="Empty for a message that is an attachment alone.")
    attachments: list[AttachmentRead]
    sent_at: Instant = Field(description="When it was written; of a reply not sent yet, when it was queued.")
    edited_at: Instant | None
    deleted_at: Instant | None = Field(description="When its deletion was first seen.")
    hidden: bool | None = Field(
        description="A moderator has hidden it from the public; null where the platform does not say."
    )
    url: str | None
    in_reply_to: str | None = Field(description="The platform's id of the message it answers.")
    delivery: ReplyDelivery | None = Field(
        description="State of a reply made here; null for messages found on the platform."
    )
    delivery_detail: str | None = Field(description="For people: what happened, and what to do next.")


class WaitRead(Output):
    """A period in which the customer waited for an answer."""

    started_at: Instant
    ended_at: Instant | None
    ended_by: EndedBy | None
    opening: bool = Field(description="The inquiry's first wait, or the first after it was resolved or reopened.")
    working_seconds: int | None = Field(description="Working time of the project; null while it lasts.")


class ReplyRefusal(Output):
    """Why the platform takes no answer."""

    code: str = Field(examples=["reply-window-closed"])
    detail: str = Field(description="For people.")


class InquiryDetail(InquiryRead):
    """An inquiry with its thread."""

    reply_until: Instant | None = Field(
        description="Until when the platform takes a person's answer to what was written so far; null: without a limit."
    )
    reply_refusal: ReplyRefusal | None = Field(
        description="Why the platform takes no answer now; null where it takes one."
    )
    messages: list[MessageRead] = Field(description="The latest 200, oldest first.")
    waits: list[WaitRead]


class InquiryEventRead(Output):
    """What happened to an inquiry, and who did it."""

    id: Id
    type: str = Field(examples=["resolved"])
    at: Instant
    actor: str | None = Field(description="`key:` and the API key's id; null for automatic events.")
    data: dict[str, Any]


class ReplyCreate(Input):
    """An answer to the customer."""

    text: Body = Field(examples=["Да, мы открыты с десяти до шести. Ждём вас!"])
    automatic: Flag = Field(default=False, description="Written by a script: it does not count as an answer.")


class Classify(Input):
    """Say what the customer wants."""

    kind: InquiryKind


class Resolve(Input):
    """Close an inquiry."""

    reason: Annotated[Body, Field(max_length=1000)] = Field(examples=["Refunded by phone."])
    automatic: Flag = Field(default=False, description="Resolved by a script: the inquiry does not count as handled.")


class Reopen(Input):
    """Reopen an inquiry; the customer waits from now on."""

    reason: Annotated[Body, Field(max_length=1000)] | None = None


class BulkClassify(Classify):
    """Say what the customer of one inquiry wants."""

    action: Literal["classify"]
    id: Id


class BulkResolve(Resolve):
    """Close one inquiry."""

    action: Literal["resolve"]
    id: Id


class BulkReopen(Reopen):
    """Reopen one inquiry."""

    action: Literal["reopen"]
    id: Id


Action = Classify | Resolve | Reopen
BulkAction = Annotated[BulkClassify | BulkResolve | BulkReopen, Field(discriminator="action")]


class InquiryBulk(Input):
    """Many changes at once."""

    items: Annotated[list[BulkAction], Field(min_length=1, max_length=500)] = Field(
        examples=[[{"action": "resolve", "id": "01a206f6-aedc-75ca-a9a8-0814336de1dd", "reason": "Spam."}]]
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({item.id for item in self.items}) < len(self.items):
            raise ValueError("an inquiry is named twice")
        return self


class InquiryBulkResult(BulkResult):
    """The result of one change."""

    inquiry: InquiryRead | None = Field(description="As it is now; null where the change was not made.")


class InquiryBulkResults(BulkResults):
    """The result of each change, in the order of the request."""

    data: list[InquiryBulkResult] = Field(description="One for each item, in the order of the request.")


def _no_wildcard(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


Search = Annotated[
    Text | None,
    Field(min_length=2, max_length=100),
    AfterValidator(lambda value: None if value is None else f"%{_no_wildcard(value)}%"),
]
"""Part of a customer's name or of the latest message; ready for ILIKE."""
