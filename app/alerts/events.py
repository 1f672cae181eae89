"""Domain events of alerts."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from app.kit.events import Event


@dataclass(frozen=True, slots=True)
class AlertOpened(Event):
    """Something needs a person."""

    topic: ClassVar[str | None] = "alert.opened"
    alert_id: UUID
    kind: str
    project_id: UUID | None
    subject_id: UUID
    since: datetime


@dataclass(frozen=True, slots=True)
class AlertEnded(Event):
    """It needs nobody any more."""

    topic: ClassVar[str | None] = "alert.ended"
    alert_id: UUID
    kind: str
    project_id: UUID | None
    subject_id: UUID
