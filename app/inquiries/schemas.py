"""Request and response schemas of inquiries."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from app.inquiries.conversation import EndedBy
from app.inquiries.models import DueTarget, InquiryKind, InquiryStatus, MessageDirection, ReplyDelivery
from app.kit.bulk_results import BulkResult, BulkResults
from app.kit.schemas import EXAMPLE_ID, Body, Flag, Id, Input, Instant, Output, example
from app.platforms.contract import AttachmentKind


class InquirySort(StrEnum):
    """The order of a list of inquiries."""

    LAST_MESSAGE = "last_message_at"
    WAITING = "waiting_since"
    DUE = "due_at"


class CustomerRead(Output):
    """The author of an inquiry."""

    id: str = Field(description="The platform's id.", examples=["225000001"])
    name: str = Field(description="Empty where the platform does not give it.", examples=["Olga"])


class LastMessageRead(Output):
    """The latest message of an inquiry that is not deleted, the customer's or the agency's."""

    direction: MessageDirection = Field(description="Who wrote it.", examples=["customer"])
    author_name: str = Field(description="Empty where the platform does not give it.", examples=["Olga"])
    preview: str = Field(
        description="Its first 200 characters; in place of an empty text, what is attached to it.",
        examples=["How much is a cake for ten?"],
    )
    sent_at: Instant = Field(description="When it was written; of a reply not sent yet, when it was queued.")
    automatic: bool = Field(description="Written by a script.", examples=[False])
    delivery: ReplyDelivery | None = Field(
        description="State of a reply made here; null for messages found on the platform.", examples=[None]
    )


class ReplyRefusal(Output):
    """Why the platform takes no answer."""

    code: str = Field(description="Stable, for programs.", examples=["reply-window-closed"])
    detail: str = Field(
        description="For people.",
        examples=["Instagram takes no answer to a message so old. It does once the customer has written again."],
    )


class InquiryRead(Output):
    """A conversation with one customer, with what an inbox shows of it."""

    id: Id = Field(description="The inquiry's id.")
    project_id: Id = Field(description="The client's project.")
    community_id: Id = Field(description="Where the customer wrote.")
    community_title: str | None = Field(
        description="The community's name on its platform; null until its first poll.", examples=["Coffee house"]
    )
    platform: str = Field(description="The community's, a `key` of `GET /v1/platforms`.", examples=["vk"])
    publication_id: Id | None = Field(description="The publication it stands under, where it is a comment.")
    channel: str = Field(examples=["comment"], description="comment, message, mention or review.")
    kind: InquiryKind = Field(description="What the customer wants.", examples=["question"])
    kind_by: Literal["rule", "person"] = Field(
        description="Who classified it; a person's classification is never overwritten.", examples=["rule"]
    )
    status: InquiryStatus = Field(description="`open`: a customer waits for an answer.", examples=["open"])
    customer: CustomerRead = Field(description="Who wrote first.")
    preview: str = Field(
        description="The beginning of the customer's latest message; in place of an empty text, what is attached to "
        "it, in the language of `Accept-Language`: English or Russian.",
        examples=["How much is a cake for ten?"],
    )
    last_message: LastMessageRead | None = Field(
        description="The latest message that is not deleted, a reply made here included; null where all are deleted."
    )
    opened_at: Instant = Field(description="When the customer first wrote.")
    last_message_at: Instant = Field(description="When the latest message was written, deleted ones included.")
    waiting_since: Instant | None = Field(
        description="Since when the customer waits for an answer, by the clock; null: the customer does not wait."
    )
    due_at: Instant | None = Field(
        description="Until when the agency owes the next step by the project's targets: an answer to the customer who "
        "waits, or the resolution, whichever is due earlier. Null: nothing is owed (answered where no target for "
        "resolutions held, or resolved), no target held on the day on which it began, or nobody works in the next 400 "
        "days. `GET /v1/inquiries/{inquiry_id}/deadlines` explains it."
    )
    due_target: DueTarget | None = Field(
        description="The target it follows from: `first_response` (the customer's wait for an answer) or `resolution`.",
        examples=["first_response"],
    )
    overdue: bool = Field(description="`due_at` is over, at the instant of this answer.", examples=[False])
    reply_until: Instant | None = Field(
        description="Until when the platform takes a person's answer to what was written so far; null: without a limit."
    )
    reply_refusal: ReplyRefusal | None = Field(
        description="Why the platform takes no answer now; null where it takes one."
    )
    first_answered_at: Instant | None = Field(description="When the agency first answered; null: not yet.")
    handled_at: Instant | None = Field(
        description="When a person of the agency first answered or resolved it; automatic ones do not count."
    )
    resolved_at: Instant | None = Field(description="When it was closed; null: it is not.")
    resolution: str | None = Field(description="The reason it was resolved for.", examples=["Refunded by phone."])
    resolved_automatically: bool = Field(description="A script closed it.", examples=[False])
    version: int = Field(description="Goes up with each change.", examples=[3])


class AttachmentRead(Output):
    """What is attached to a message."""

    kind: AttachmentKind = Field(description="What it is.")
    url: str | None = Field(
        description="Its address on the platform, which may expire; null where there is none without a token."
    )
    name: str = Field(description="A file's name, a title or a description; empty where there is none.")


class MessageRead(Output):
    """One message of an inquiry."""

    id: Id = Field(description="The message's id.")
    inquiry_id: Id = Field(description="The inquiry it belongs to.")
    external_id: str | None = Field(description="The platform's id; null for a reply that is not sent yet.")
    direction: MessageDirection = Field(description="Who wrote it.")
    automatic: bool = Field(description="Written by a script: it does not count as an answer.")
    author_id: str | None = Field(description="The platform's id of the author; null where it is not known.")
    author_name: str = Field(description="The author's name; empty where the platform does not give it.")
    written_by_id: str | None = Field(
        description="Of the community's own message: the platform's account of the person who wrote it for the "
        "community; null where the platform does not say."
    )
    text: str = Field(description="Empty for a message that is an attachment alone.")
    attachments: list[AttachmentRead] = Field(description="What is attached.")
    sent_at: Instant = Field(description="When it was written; of a reply not sent yet, when it was queued.")
    edited_at: Instant | None = Field(description="When it was last edited; null: it was not, or that is not known.")
    deleted_at: Instant | None = Field(description="When its deletion was first seen.")
    hidden: bool | None = Field(
        description="A moderator has hidden it from the public; null where the platform does not say."
    )
    url: str | None = Field(description="Where it stands on the platform; null where it has no address.")
    in_reply_to: str | None = Field(description="The platform's id of the message it answers.")
    delivery: ReplyDelivery | None = Field(
        description="State of a reply made here; null for messages found on the platform."
    )
    delivery_detail: str | None = Field(description="For people: what happened, and what to do next.")


class WaitRead(Output):
    """A period in which the customer waited for an answer."""

    started_at: Instant = Field(description="When the customer's message began the wait.")
    due_at: Instant | None = Field(
        description="Until when the project's target for responses is met; null: none held when the wait began."
    )
    resolution_due_at: Instant | None = Field(
        description="Of an `opening` wait: until when the project's target for resolutions is met by what began with "
        "it; null: none held on that day."
    )
    ended_at: Instant | None = Field(description="When it ended; null: it lasts.")
    ended_by: EndedBy | None = Field(description="What ended it; null: it lasts.")
    opening: bool = Field(description="The inquiry's first wait, or the first after it was resolved or reopened.")
    working_seconds: int | None = Field(
        description="Working time of the project within it; null while it lasts. 0 where the answer came before the "
        "next working hour began, on a weekend for example.",
        examples=[0],
    )
    seconds: int | None = Field(
        description="The same by the clock: what the customer felt; null while it lasts.", examples=[47100]
    )


class InquiryDetail(InquiryRead):
    """An inquiry with its thread."""

    first_response_seconds: int | None = Field(
        description="From the customer's first message to the agency's answer, by the clock; null: not answered.",
        examples=[47100],
    )
    first_response_working_seconds: int | None = Field(
        description="The working time of the project within it, which the KPI `first_response_time` counts.",
        examples=[0],
    )
    messages: list[MessageRead] = Field(description="The latest 200, oldest first.")
    waits: list[WaitRead] = Field(description="When the customer waited, oldest first.")


class StatusCounts(Output):
    """The numbers of inquiries by status."""

    open: int = Field(description="A customer waits for an answer.", examples=[12])
    answered: int = Field(description="The agency wrote last.", examples=[40])
    resolved: int = Field(description="Closed.", examples=[311])


class DueCounts(StatusCounts):
    """The numbers of inquiries by status, and how many of them are overdue."""

    overdue: int = Field(description="Those of them that are overdue at the instant of this answer.", examples=[2])


class KindCounts(DueCounts):
    """The numbers of inquiries of one kind."""

    kind: InquiryKind = Field(description="What the customers want.", examples=["question"])


class CommunityCounts(DueCounts):
    """The numbers of inquiries of one community."""

    community_id: Id = Field(description="The community.")
    project_id: Id = Field(description="Its project.")
    community_title: str | None = Field(
        description="Its name on its platform; null until its first poll.", examples=["Coffee house"]
    )
    platform: str = Field(description="A `key` of `GET /v1/platforms`.", examples=["vk"])


class InquiryCounts(Output):
    """The numbers of inquiries; all are exact."""

    total: int = Field(description="All that the filters let through.", examples=[363])
    overdue: int = Field(
        description="Those of them that are overdue at the instant of this answer: as many as the list has with "
        "`overdue=true`.",
        examples=[2],
    )
    by_status: StatusCounts = Field(description="By status.")
    by_kind: list[KindCounts] = Field(description="By kind and status; every kind, those without an inquiry too.")
    by_community: list[CommunityCounts] = Field(
        description="By community and status, the one connected first before the others; without those that have none."
    )


class InquiryEventRead(Output):
    """What happened to an inquiry, and who did it."""

    id: Id = Field(description="The event's id.")
    type: str = Field(description="What happened.", examples=["resolved"])
    at: Instant = Field(description="When it happened.")
    actor: str | None = Field(description="`key:` and the API key's id; null for automatic events.")
    data: dict[str, Any] = Field(description="What more is known of it; its fields depend on `type`.")


class ReplyCreate(Input):
    """An answer to the customer."""

    model_config = example({"text": "Да, мы открыты с десяти до шести. Ждём вас!"})

    text: Body = Field(description="What the customer reads.", examples=["Да, мы открыты с десяти до шести. Ждём вас!"])
    automatic: Flag = Field(default=False, description="Written by a script: it does not count as an answer.")


class Classify(Input):
    """Say what the customer wants."""

    model_config = example({"kind": "problem"})

    kind: InquiryKind = Field(description="What the customer wants.")


class Resolve(Input):
    """Close an inquiry."""

    model_config = example({"reason": "Refunded by phone."})

    reason: Annotated[Body, Field(max_length=1000)] = Field(
        description="Why it is closed, for whoever reads the history.", examples=["Refunded by phone."]
    )
    automatic: Flag = Field(default=False, description="Resolved by a script: the inquiry does not count as handled.")


class Reopen(Input):
    """Reopen an inquiry; the customer waits from now on."""

    model_config = example({"reason": "The customer has called again."})

    reason: Annotated[Body, Field(max_length=1000)] | None = Field(
        None, description="Why, for whoever reads the history; null: none is given."
    )


class BulkClassify(Classify):
    """Say what the customer of one inquiry wants."""

    model_config = example({"action": "classify", "id": EXAMPLE_ID, "kind": "problem"})

    action: Literal["classify"] = Field(description="What is done with the inquiry.")
    id: Id = Field(description="The inquiry's id.")


class BulkResolve(Resolve):
    """Close one inquiry."""

    model_config = example({"action": "resolve", "id": EXAMPLE_ID, "reason": "Spam."})

    action: Literal["resolve"] = Field(description="What is done with the inquiry.")
    id: Id = Field(description="The inquiry's id.")


class BulkReopen(Reopen):
    """Reopen one inquiry."""

    model_config = example({"action": "reopen", "id": EXAMPLE_ID})

    action: Literal["reopen"] = Field(description="What is done with the inquiry.")
    id: Id = Field(description="The inquiry's id.")


Action = Classify | Resolve | Reopen
BulkAction = Annotated[BulkClassify | BulkResolve | BulkReopen, Field(discriminator="action")]


class InquiryBulk(Input):
    """Many changes at once."""

    model_config = example({"items": [{"action": "resolve", "id": EXAMPLE_ID, "reason": "Spam."}]})

    items: Annotated[list[BulkAction], Field(min_length=1, max_length=500)] = Field(
        description="What to do with which inquiry; each inquiry once.",
        examples=[[{"action": "resolve", "id": "01a206f6-aedc-75ca-a9a8-0814336de1dd", "reason": "Spam."}]],
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
