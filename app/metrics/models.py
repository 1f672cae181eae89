"""Tables of metrics.

Snapshots hold cumulative counters and are never deleted. A rollup row holds, for one day, the sums of
the differences of that day. An unknown metric is null, never 0; `…_n` is the number of differences in
a sum, so that 0 and unknown stay distinct.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base


class DifferenceSource(StrEnum):
    """How a difference was attributed to its day."""

    OBSERVED = "observed"
    """Between two snapshots; it counts for the day of the later one."""
    PRE_TRACKING = "pre_tracking"
    """The value of the first snapshot, taken on a later day than the publication: how it spread over the
    days before is unknown, so it counts for the day of publication."""


class _Counters:
    views: Mapped[int | None]
    reach: Mapped[int | None]
    reactions: Mapped[int | None]
    comments: Mapped[int | None]
    shares: Mapped[int | None]
    quotes: Mapped[int | None]
    saves: Mapped[int | None]


class PostSnapshot(_Counters, Base):
    """A publication's counters at one instant."""

    __tablename__ = "post_snapshot"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "publication_id"], ["publication.workspace_id", "publication.id"], ondelete="CASCADE"
        ),
        # The snapshots of a batch have one instant, so PostgreSQL stores it once: some 7 bytes a snapshot.
        Index(None, "workspace_id", "at"),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-20)
    publication_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-19)
    at: Mapped[datetime] = mapped_column(primary_key=True, sort_order=-18)


class PostLast(_Counters, Base):
    """A publication's latest known counters: each metric's last value that was not null."""

    __tablename__ = "post_last"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "publication_id"], ["publication.workspace_id", "publication.id"], ondelete="CASCADE"
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-20)
    publication_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-19)
    at: Mapped[datetime] = mapped_column(sort_order=-18)
    missing: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Metric → why the last poll gave no value (`unsupported`, `no_permission` …)."""


class RollupDay(Base):
    """The differences of one local day in the counters of a community's posts, by category."""

    __tablename__ = "rollup_day"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "community_id"], ["community.workspace_id", "community.id"], ondelete="CASCADE"
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column(primary_key=True)
    """Of the content formula; empty where none is set."""
    source: Mapped[str] = mapped_column(primary_key=True)
    views: Mapped[int | None]
    views_n: Mapped[int] = mapped_column(default=0)
    reach: Mapped[int | None]
    reach_n: Mapped[int] = mapped_column(default=0)
    reactions: Mapped[int | None]
    reactions_n: Mapped[int] = mapped_column(default=0)
    comments: Mapped[int | None]
    comments_n: Mapped[int] = mapped_column(default=0)
    shares: Mapped[int | None]
    shares_n: Mapped[int] = mapped_column(default=0)
    quotes: Mapped[int | None]
    quotes_n: Mapped[int] = mapped_column(default=0)
    saves: Mapped[int | None]
    saves_n: Mapped[int] = mapped_column(default=0)
    snapshots: Mapped[int] = mapped_column(default=0)
    """How many snapshots were taken that day. They count in the `observed` row, even where their values
    count elsewhere (pre-tracking) or none was known; in a `pre_tracking` row it is 0."""


class CommunitySnapshot(Base):
    """A community's size at one instant."""

    __tablename__ = "community_snapshot"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "community_id"], ["community.workspace_id", "community.id"], ondelete="CASCADE"
        ),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    size: Mapped[int]


class CommunityDay(Base):
    """A community's size over one local day of its project."""

    __tablename__ = "community_day"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "community_id"], ["community.workspace_id", "community.id"], ondelete="CASCADE"
        ),
        Index(None, "workspace_id", "project_id", "day"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    first: Mapped[int]
    first_at: Mapped[datetime]
    last: Mapped[int]
    last_at: Mapped[datetime]
    lowest: Mapped[int]
    highest: Mapped[int]
    snapshots: Mapped[int]
    compared_since: Mapped[date | None]
    """The polled day before, from whose last poll to this day's last one the growth is compared with who joined and
    left; null: it is not compared."""
    unexplained: Mapped[int | None]
    """By how much the size has grown more than by the joins less the leaves that were received in that time."""


class MemberChange(Base):
    """Somebody joined a community, or left it, as the platform said at that instant."""

    __tablename__ = "member_change"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "community_id"], ["community.workspace_id", "community.id"], ondelete="CASCADE"
        ),
        Index(None, "workspace_id", "community_id", "at"),
        Index(None, "workspace_id", "project_id", "at"),
        Index(
            "ix_member_change_invited",
            "workspace_id",
            "project_id",
            "at",
            postgresql_where=text("invite_link IS NOT NULL"),
        ),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)
    member: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """A keyed hash of the account's id on the platform: tells members apart without identifying them."""
    at: Mapped[datetime] = mapped_column(primary_key=True)
    joined: Mapped[bool] = mapped_column(primary_key=True)
    """False: the member left."""
    project_id: Mapped[UUID]
    invite_link: Mapped[str | None]
    """The invite link that was used, as far as the platform shows it: its beginning, where somebody else made it."""
    recorded_at: Mapped[datetime]


class MemberDay(Base):
    """How many joined a community and left it on one local day of its project."""

    __tablename__ = "member_day"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "community_id"], ["community.workspace_id", "community.id"], ondelete="CASCADE"
        ),
        Index(None, "workspace_id", "project_id", "day"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    joins: Mapped[int]
    leaves: Mapped[int]
    first_joins: Mapped[int]
    """Of the joins: a member's first one that is known."""
