"""Tables of goals.

`goal` says where a goal stands; what it promises is in its revisions, which are never changed.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Double, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Audited, Base, Owned, belongs_to
from app.kpis.values import GoalType


class GoalKind(StrEnum):
    """The client's task that a goal serves."""

    SUPPORT = GoalType.SUPPORT.value
    AWARENESS = GoalType.AWARENESS.value
    TRAFFIC = GoalType.TRAFFIC.value


class GoalStatus(StrEnum):
    """Where a goal stands, with its latest revision."""

    PROPOSED = "proposed"
    """The latest revision waits for the client's answer."""
    AGREED = "agreed"
    DECLINED = "declined"
    """The client declined the latest revision; one that was agreed before still holds."""
    WITHDRAWN = "withdrawn"
    ENDED = "ended"
    """Its period is over."""


OPEN = (GoalStatus.PROPOSED, GoalStatus.AGREED, GoalStatus.DECLINED)
"""The statuses of goals that can still be changed."""
_OPEN = "status IN ('proposed', 'agreed', 'declined')"


class Pace(StrEnum):
    """Whether a goal will be met, as far as that can be told."""

    ON_TRACK = "on_track"
    AT_RISK = "at_risk"
    OFF_TRACK = "off_track"
    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"


class Side(StrEnum):
    """Of the agency or of its client."""

    AGENCY = "agency"
    CLIENT = "client"


class GoalAnswer(StrEnum):
    """What was stated about a revision: the agency proposes it, the client agrees or declines."""

    PROPOSE = "propose"
    AGREE = "agree"
    DECLINE = "decline"


class Goal(Owned, Audited, Base):
    """Something that the agency promises to reach for the client."""

    __tablename__ = "goal"
    AUDITED = ("type", "kpi", "is_main", "status", "revision", "agreed_revision", "pace", "closed_at")
    __table_args__ = (
        belongs_to("project", "project_id"),
        Index(
            "uq_goal_main",
            *("workspace_id", "project_id"),
            unique=True,
            postgresql_where=text(f"is_main AND {_OPEN}"),
        ),
        Index("ix_goal_open", "workspace_id", "project_id", "id", postgresql_where=text(_OPEN)),
        Index(None, "workspace_id", "created_at", "id"),
        Index(None, "workspace_id", "project_id", "created_at", "id"),
        Index(None, "workspace_id", "type", "created_at", "id"),
        Index(None, "workspace_id", "kpi", "created_at", "id"),
        Index(None, "workspace_id", "status", "created_at", "id"),
        Index(None, "workspace_id", "pace", "created_at", "id"),
        Index("ix_goal_main", "workspace_id", "created_at", "id", postgresql_where=text("is_main")),
    )

    project_id: Mapped[UUID]
    type: Mapped[str]
    kpi: Mapped[str]
    """The KPI's key."""
    is_main: Mapped[bool]
    """As the latest revision says; each project has one main goal at a time."""
    status: Mapped[str]
    revision: Mapped[int]
    """The number of the latest revision."""
    agreed_revision: Mapped[int | None]
    """The number of the latest revision that the client has agreed to: it holds until a later one is agreed."""
    pace: Mapped[str] = mapped_column(default=Pace.UNKNOWN.value)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    """When it was withdrawn, or ended."""


class GoalRevision(Owned, Audited, Base):
    """What a goal promises. Never changed: another promise is another revision."""

    __tablename__ = "goal_revision"
    AUDITED = ("title", "target", "currency", "first_day", "last_day", "timezone")
    DIGESTED = ("communities", "baseline")
    __table_args__ = (
        belongs_to("project", "project_id"),
        belongs_to("goal", "goal_id"),
        UniqueConstraint("workspace_id", "goal_id", "number"),
    )

    project_id: Mapped[UUID]
    goal_id: Mapped[UUID]
    number: Mapped[int]
    title: Mapped[str]
    kpi: Mapped[str]
    kpi_version: Mapped[int]
    """The version of the KPI's formula when it was proposed."""
    communities: Mapped[list[Any]]
    """`id`, `platform` and `title` of each, as they were; empty: all of the project, later ones too, but for levels."""
    baseline: Mapped[dict[str, Any]]
    """As `baselines.Baseline` writes it."""
    target: Mapped[float] = mapped_column(Double())
    """In the KPI's unit."""
    currency: Mapped[str | None]
    """ISO 4217, where the unit is money; None elsewhere."""
    first_day: Mapped[date]
    last_day: Mapped[date]
    timezone: Mapped[str]
    """The project's, as it was; the days are the project's local days."""
    is_main: Mapped[bool]
    compared_with: Mapped[int | None]
    """The number of the revision that was agreed when this one was proposed; None: none was."""
    content_hash: Mapped[str]
    """SHA-256 of what the client is shown of it (`clients.subjects.content_hash`)."""
    proposed_by: Mapped[str]
    """The actor."""
    proposer_name: Mapped[str]
    proposed_at: Mapped[datetime]


class GoalAgreement(Owned, Audited, Base):
    """What one side stated about one revision. Never changed."""

    __tablename__ = "goal_agreement"
    AUDITED = ("revision", "side", "answer")
    DIGESTED = ("text",)
    __table_args__ = (
        belongs_to("project", "project_id"),
        belongs_to("goal", "goal_id"),
        UniqueConstraint("workspace_id", "goal_id", "revision", "side", name="uq_goal_agreement_side"),
        Index(None, "workspace_id", "goal_id", "id"),
    )

    project_id: Mapped[UUID]
    goal_id: Mapped[UUID]
    revision: Mapped[int]
    content_hash: Mapped[str]
    side: Mapped[str]
    answer: Mapped[str]
    actor: Mapped[str]
    name: Mapped[str]
    """The person's, as it was then."""
    user_id: Mapped[UUID | None]
    """The member who stated it; None: a contact did, by a client link."""
    contact_id: Mapped[UUID | None]
    client_statement_id: Mapped[UUID | None]
    """The contact's statement, which has the link."""
    text: Mapped[str | None]
    """In their own words."""
    stated_at: Mapped[datetime]


class GoalProgress(Owned, Base):
    """How far a goal was at the end of a local day. The latest day's is computed again while inputs come late."""

    __tablename__ = "goal_progress"
    __table_args__ = (
        belongs_to("project", "project_id"),
        belongs_to("goal", "goal_id"),
        UniqueConstraint("workspace_id", "goal_id", "day"),
    )

    project_id: Mapped[UUID]
    goal_id: Mapped[UUID]
    day: Mapped[date]
    """The last day that counts."""
    revision: Mapped[int]
    """Whose terms it is measured by: the agreed revision's, or the latest one's where none is agreed."""
    as_of: Mapped[datetime]
    value: Mapped[float | None] = mapped_column(Double())
    """Over the days of the period up to this one; None: unknown."""
    status: Mapped[str]
    reason: Mapped[str | None]
    expected: Mapped[float | None] = mapped_column(Double())
    """Where the expected path is; None: the period has not begun."""
    timezone: Mapped[str | None]
    """The project's, by which its days were counted; None in rows of before it was kept: the revision's."""
    kpi_version: Mapped[int | None]
    """The version of the KPI's formula by which it was measured; None in rows of before it was kept."""
    path: Mapped[str]
    """The expected path's form: `linear` or `weekly_season`."""
    pace: Mapped[str]
    forecast: Mapped[dict[str, Any]]
    """As `progress.Outlook` writes it."""
    scorecard: Mapped[dict[str, Any]]
    """As `progress.Scorecard` writes it."""


class GoalForecast(Owned, Base):
    """What was forecast for the end of a day, kept to be judged when that day is over."""

    __tablename__ = "goal_forecast"
    __table_args__ = (
        belongs_to("project", "project_id"),
        belongs_to("goal", "goal_id"),
        UniqueConstraint("workspace_id", "goal_id", "made_on", "for_day"),
        Index(
            "ix_goal_forecast_judged",
            *("workspace_id", "project_id", "judged_at"),
            postgresql_where=text("judged_at IS NOT NULL"),
        ),
    )

    project_id: Mapped[UUID]
    goal_id: Mapped[UUID]
    revision: Mapped[int]
    made_on: Mapped[date]
    """The last day that it knew of."""
    for_day: Mapped[date]
    value: Mapped[float] = mapped_column(Double())
    low: Mapped[float] = mapped_column(Double())
    high: Mapped[float] = mapped_column(Double())
    method: Mapped[str]
    truth: Mapped[float | None] = mapped_column(Double())
    is_within: Mapped[bool | None]
    """Whether the interval held the truth; None: not known yet."""
    judged_at: Mapped[datetime | None]


class CorrectionStatus(StrEnum):
    """Where a correction stands."""

    OPEN = "open"
    """Its review has not come."""
    MEASURED = "measured"
    WITHDRAWN = "withdrawn"


class Correction(Owned, Audited, Base):
    """A change that should bring a KPI back onto its path, and what became of it."""

    __tablename__ = "correction"
    AUDITED = ("goal_id", "kpi", "changed_on", "review_on", "status", "measured_at")
    DIGESTED = ("community_ids", "hypothesis", "change", "effect")
    __table_args__ = (
        belongs_to("project", "project_id"),
        belongs_to("goal", "goal_id"),
        Index(None, "workspace_id", "created_at", "id"),
        Index(None, "workspace_id", "project_id", "created_at", "id"),
        Index(None, "workspace_id", "goal_id", "created_at", "id"),
        Index(None, "workspace_id", "kpi", "created_at", "id"),
        Index(None, "workspace_id", "status", "created_at", "id"),
    )

    project_id: Mapped[UUID]
    goal_id: Mapped[UUID | None]
    kpi: Mapped[str]
    """The KPI's key."""
    community_ids: Mapped[list[Any]]
    """As text; empty: all of the project."""
    hypothesis: Mapped[str]
    """Why the KPI is off its path, and why the change should help."""
    change: Mapped[str]
    """What is done otherwise."""
    changed_on: Mapped[date]
    """The first local day of the change."""
    review_on: Mapped[date]
    """The local day of the review; the day before is the last one that is measured."""
    status: Mapped[str]
    effect: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """As `effects.Effect` writes it; None: not measured yet."""
    creator_name: Mapped[str]
    created_by: Mapped[str]
    """The actor."""
    created_at: Mapped[datetime]
    measured_at: Mapped[datetime | None]
