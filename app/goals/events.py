"""Domain events of goals. They hold nothing that a person wrote."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from app.kit.events import Event


@dataclass(frozen=True, slots=True)
class _OfRevision(Event):
    project_id: UUID
    goal_id: UUID
    revision: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class GoalProposed(_OfRevision):
    """The agency has proposed a goal, or another revision of one."""

    topic: ClassVar[str | None] = "goal.proposed"


@dataclass(frozen=True, slots=True)
class GoalAgreed(_OfRevision):
    """The client has agreed to a revision, which holds from now on."""

    topic: ClassVar[str | None] = "goal.agreed"


@dataclass(frozen=True, slots=True)
class GoalDeclined(_OfRevision):
    """The client has declined a revision."""

    topic: ClassVar[str | None] = "goal.declined"


@dataclass(frozen=True, slots=True)
class GoalWithdrawn(Event):
    """The agency has taken a goal back."""

    topic: ClassVar[str | None] = "goal.withdrawn"
    project_id: UUID
    goal_id: UUID


@dataclass(frozen=True, slots=True)
class GoalPaceChanged(Event):
    """An agreed goal is on another pace than when it was last measured."""

    topic: ClassVar[str | None] = "goal.pace_changed"
    project_id: UUID
    goal_id: UUID
    revision: int
    before: str
    """A pace: `on_track`, `at_risk`, `off_track`, `met`, `missed` or `unknown`."""
    after: str


@dataclass(frozen=True, slots=True)
class CorrectionOpened(Event):
    """Something is done otherwise, to bring a KPI back onto its path."""

    topic: ClassVar[str | None] = "correction.opened"
    project_id: UUID
    correction_id: UUID
    goal_id: UUID | None
    kpi: str


@dataclass(frozen=True, slots=True)
class CorrectionMeasured(Event):
    """A correction was reviewed."""

    topic: ClassVar[str | None] = "correction.measured"
    project_id: UUID
    correction_id: UUID
    goal_id: UUID | None
    kpi: str
    verdict: str
    """`better`, `worse` or `unclear`."""
