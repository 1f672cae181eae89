"""Domain events of inquiries."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from app.kit.events import Event


@dataclass(frozen=True, slots=True)
class _OfInquiry(Event):
    inquiry_id: UUID
    project_id: UUID
    community_id: UUID
    at: datetime
    """When it occurred, which may be long before it was polled."""


@dataclass(frozen=True, slots=True)
class InquiryReceived(_OfInquiry):
    """A customer wrote in a thread for the first time."""

    topic: ClassVar[str | None] = "inquiry.received"
    kind: str


@dataclass(frozen=True, slots=True)
class InquiryAnswered(_OfInquiry):
    """A person of the agency answered for the first time."""

    topic: ClassVar[str | None] = "inquiry.answered"


@dataclass(frozen=True, slots=True)
class InquiryResolved(_OfInquiry):
    """It was closed."""

    topic: ClassVar[str | None] = "inquiry.resolved"
    automatic: bool


@dataclass(frozen=True, slots=True)
class InquiryReopened(_OfInquiry):
    """The customer waits again: they wrote again, or a person reopened the inquiry."""

    topic: ClassVar[str | None] = "inquiry.reopened"


@dataclass(frozen=True, slots=True)
class InquiryMerged(_OfInquiry):
    """Another inquiry turned out to be the same conversation: this one has its messages and its history now."""

    topic: ClassVar[str | None] = "inquiry.merged"
    merged_inquiry_id: UUID
    """The other one, which does not exist any more."""


@dataclass(frozen=True, slots=True)
class ReplyFailed(_OfInquiry):
    """A reply could not be sent."""

    topic: ClassVar[str | None] = "inquiry.reply_failed"
    message_id: UUID
    detail: str


@dataclass(frozen=True, slots=True)
class ReplyNeedsReview(_OfInquiry):
    """It is not known whether a reply was sent: a person has to check."""

    topic: ClassVar[str | None] = "inquiry.reply_needs_review"
    message_id: UUID
