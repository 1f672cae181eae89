"""Domain events of clients. They hold no name, no address and nothing that a person wrote."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from app.kit.events import Event


@dataclass(frozen=True, slots=True)
class ClientLinkOpened(Event):
    """A contact has opened their link for the first time."""

    topic: ClassVar[str | None] = "client_link.opened"
    project_id: UUID
    client_link_id: UUID
    contact_id: UUID
    purpose: str
    subject_kind: str
    subject_id: UUID


@dataclass(frozen=True, slots=True)
class ClientStated(Event):
    """A contact has agreed, approved or declined."""

    topic: ClassVar[str | None] = "client.stated"
    project_id: UUID
    client_link_id: UUID
    contact_id: UUID
    statement_id: UUID
    purpose: str
    subject_kind: str
    subject_id: UUID
    revision: str
    content_hash: str
    answer: str
    """`agree`, `approve` or `decline`."""
