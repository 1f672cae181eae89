"""What happens to a project."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from app.kit.events import Event


@dataclass(frozen=True, slots=True)
class ProjectCreated(Event):
    """The agency has a new project."""

    topic: ClassVar[str | None] = "project.created"
    project_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class ProjectZoneChanged(Event):
    """A project's days are now the days of another zone.

    Whoever keeps figures by the project's day recomputes them: the metrics room subscribes, and
    makes the rollups anew in a job.
    """

    topic: ClassVar[str | None] = "project.zone_changed"
    project_id: UUID
    before: str
    """IANA name."""
    after: str
    """IANA name."""
