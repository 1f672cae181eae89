"""Domain events of projects."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from app.kit.events import Event


@dataclass(frozen=True, slots=True)
class ProjectCreated(Event):
    """The agency has a new project."""

    topic: ClassVar[str | None] = "project.created"
    project_id: UUID
    title: str


@dataclass(frozen=True, slots=True)
class ProjectZoneChanged(Event):
    """A project's days are now the days of another zone.

    Rooms that store values by the project's day subscribe and recompute them in a job.
    """

    topic: ClassVar[str | None] = "project.zone_changed"
    project_id: UUID
    before: str
    """IANA name."""
    after: str
    """IANA name."""


@dataclass(frozen=True, slots=True)
class WorkingHoursChanged(Event):
    """A project works at other hours from now on."""

    project_id: UUID


@dataclass(frozen=True, slots=True)
class ResponseTargetsChanged(Event):
    """Other targets hold for what began at `since` or later."""

    project_id: UUID
    since: datetime
