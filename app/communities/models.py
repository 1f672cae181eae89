"""Tables of communities."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Audited, Base, Owned, belongs_to


class CommunityStatus(StrEnum):
    """The status of a community's connection."""

    CONNECTING = "connecting"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    REAUTH_REQUIRED = "reauth_required"
    PAUSED = "paused"
    FAILED = "failed"
    """It could not be connected; `status_reason` says why."""
    DISCONNECTED = "disconnected"
    """A person disconnected it, at `disconnected_at`: nothing is read any more, and what was read stays."""


UNPOLLED: Final = frozenset({CommunityStatus.PAUSED, CommunityStatus.FAILED, CommunityStatus.DISCONNECTED})
"""States in which a community is not read."""


REREAD: Final = ("threads", "revisions")
"""Parts that are read again by the clock alone."""


class Community(Owned, Audited, Base):
    """A community that the agency runs for a client: a VK group, a Mastodon account …"""

    __tablename__ = "community"
    AUDITED = ("platform", "address", "status", "disconnected_at")
    __table_args__ = (
        belongs_to("project", "project_id"),
        UniqueConstraint("workspace_id", "platform", "address"),
        # Two spellings of one address (a name and a number) turn out to be one community when it is read.
        Index(
            "uq_community_external_id",
            "workspace_id",
            "platform",
            "base_url",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index(None, "workspace_id", "project_id", "created_at", "id"),
        Index(
            "ix_community_workspace_id_metrics_group",
            "workspace_id",
            "metrics_group",
            postgresql_where=text("metrics_group <> ''"),
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )

    project_id: Mapped[UUID]
    platform: Mapped[str]
    address: Mapped[str]
    base_url: Mapped[str]
    external_id: Mapped[str | None]
    title: Mapped[str | None]
    url: Mapped[str | None]
    status: Mapped[str] = mapped_column(default=CommunityStatus.CONNECTING.value)
    status_code: Mapped[str | None]
    status_reason: Mapped[str | None]
    """For people, with what to do next."""
    missing_scopes: Mapped[list[Any]] = mapped_column(default=list)
    failures: Mapped[int] = mapped_column(default=0)
    """Polls that failed in a row, or reads of the part that failed most often in a row."""
    part_problems: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'::jsonb"))
    """What keeps parts from being read (`polling.parts.PartProblem`), by the part's name."""
    refusals: Mapped[int] = mapped_column(default=0)
    """Polls whose token was refused, since the platform last accepted it."""
    metrics_poll_code: Mapped[str | None]
    """Why the counters of its metrics group could not be read the last time; null: they could."""
    metrics_poll_reason: Mapped[str | None]
    """The same for people."""
    metrics_poll_failures: Mapped[int] = mapped_column(default=0)
    """Runs of its metrics group in a row that failed while this community made the calls."""
    backfill_since: Mapped[datetime]
    """Older posts and messages are not read."""
    backfilled_at: Mapped[datetime | None]
    backfilled_to: Mapped[datetime | None]
    """How far back the backfill has come: all newer posts are read."""
    posts_cursor: Mapped[str | None]
    conversations_cursor: Mapped[str | None]
    """The cursor of the list of conversations, or of the event stream where the platform has one."""
    # When the last completed read of each part began: everything until then is stored. Figures depend on it, so only
    # a read changes it, and only forward. `request` has a part read again.
    size_seen_at: Mapped[datetime | None]
    posts_seen_at: Mapped[datetime | None]
    conversations_seen_at: Mapped[datetime | None]
    tokens_seen_at: Mapped[datetime | None]
    reread_at: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'::jsonb"))
    """When open threads (`threads`) and recent posts (`revisions`) were last looked at again, as ISO 8601."""
    # When a read of each part was last requested. It is not cleared: a read that began later has fulfilled it.
    size_requested_at: Mapped[datetime | None]
    posts_requested_at: Mapped[datetime | None]
    conversations_requested_at: Mapped[datetime | None]
    tokens_requested_at: Mapped[datetime | None]
    posts_idle_polls: Mapped[int] = mapped_column(default=0)
    """Polls in a row that found no new post."""
    conversations_idle_polls: Mapped[int] = mapped_column(default=0)
    costs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """By part: the units that one read takes from each limit, smoothed (`fair_share.smoothed`)."""
    content_interval_multiplier: Mapped[float] = mapped_column(default=1.0)
    """The factor by which rate limits make intervals longer (`fair_share`); 1: not at all."""
    metrics_interval_multiplier: Mapped[float] = mapped_column(default=1.0)
    planned_at: Mapped[datetime | None]
    metrics_group: Mapped[str] = mapped_column(default="")
    """Posts of communities in one metrics group are measured in one call (`batches`); empty: on its own."""
    polled_at: Mapped[datetime | None]
    """When the last poll that succeeded ended."""
    throttled_until: Mapped[datetime | None]
    last_event_at: Mapped[datetime | None]
    """When the open hook last received an event about it; null: never, or there is no hook."""
    aliases: Mapped[list[Any]] = mapped_column(default=list)
    """Other ids by which events name it (`CommunitySnapshot.aliases`)."""
    disconnected_at: Mapped[datetime | None]
    """Since when it is disconnected; null: it is connected."""
    created_at: Mapped[datetime]

    @property
    def push_is_active(self) -> bool:
        """The hook received an event within the last day before conversations were read: it works."""
        seen = self.conversations_seen_at or self.created_at
        return self.last_event_at is not None and seen - self.last_event_at < timedelta(days=1)

    def request(self, at: datetime, *parts: str) -> None:
        """Make parts (`size`, `posts` …) due at once; `*_seen_at` stays.

        A request is dated later than the last read, even where the clocks of two machines differ.
        """
        for part in parts:
            seen_at: datetime | None = getattr(self, f"{part}_seen_at")
            later = at if seen_at is None else max(at, seen_at + datetime.resolution)
            setattr(self, f"{part}_requested_at", later)

    def seen_at(self, part: str) -> datetime | None:
        """When the last completed read of a part began; None: it was never read."""
        if part in REREAD:
            return datetime.fromisoformat(self.reread_at[part]) if part in self.reread_at else None
        at: datetime | None = getattr(self, f"{part}_seen_at")
        return at

    def requested(self, part: str) -> datetime | None:
        """When a part was requested; None where it was read since, or never requested."""
        seen_at = self.seen_at(part)
        # What has no column of its own is requested together with the size.
        requested_at: datetime | None = getattr(self, f"{part}_requested_at", self.size_requested_at)
        answered = requested_at is None or (seen_at is not None and requested_at <= seen_at)
        return None if answered else requested_at


class CommunityToken(Owned, Base):
    """A token for a community, sealed. VK needs two kinds at once."""

    __tablename__ = "community_token"
    __table_args__ = (
        belongs_to("community", "community_id"),
        UniqueConstraint("workspace_id", "community_id", "kind"),
    )

    community_id: Mapped[UUID]
    kind: Mapped[str]
    sealed: Mapped[str]
    fingerprint: Mapped[str]
    """Equal for two communities with the same token."""
    version: Mapped[int] = mapped_column(default=0)
    """The number of times it was replaced."""
    expires_at: Mapped[datetime | None]
    missing_scopes: Mapped[list[Any]] = mapped_column(default=list)
    """Permissions that it should have and lacks, as the platform says."""
    inspected_at: Mapped[datetime | None]
    warned_at: Mapped[datetime | None]
    """When its expiry was announced."""
    renewing_until: Mapped[datetime | None]
    """A worker is renewing it; until then no other one does."""
    renewed_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class Publication(Owned, Base):
    """A post on a platform, in its last version that was read."""

    __tablename__ = "publication"
    __table_args__ = (
        belongs_to("community", "community_id"),
        belongs_to("project", "project_id"),
        UniqueConstraint("workspace_id", "community_id", "external_id"),
        Index(
            "ix_publication_measure_at",
            "workspace_id",
            "community_id",
            "measure_at",
            postgresql_where=text("measure_at IS NOT NULL"),
        ),
        Index(
            "ix_publication_moved",
            "workspace_id",
            "community_id",
            "published_at",
            postgresql_where=text(
                "gone_at IS NULL AND comments IS DISTINCT FROM comments_read "
                "AND (comments > 0 OR comments_read IS NOT NULL)"
            ),
        ),
        Index(
            "ix_publication_album",
            "workspace_id",
            "community_id",
            "album",
            postgresql_where=text("album IS NOT NULL"),
        ),
        Index(None, "workspace_id", "project_id", "published_at", "id"),
        Index(None, "workspace_id", "community_id", "published_at", "id"),
        # A project's deleted posts, which what counts leaves out.
        Index(
            "ix_publication_gone",
            *("workspace_id", "project_id", "gone_at", "id"),
            postgresql_where=text("gone_at IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )

    community_id: Mapped[UUID]
    project_id: Mapped[UUID]
    external_id: Mapped[str]
    album: Mapped[str | None]
    """As in `RemotePost.album`."""
    url: Mapped[str]
    text: Mapped[str]
    category: Mapped[str | None]
    """Of the content formula; kept here for the rollups, decided in the content plan."""
    published_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    gone_at: Mapped[datetime | None]
    """When it was first seen to be deleted."""
    measure_at: Mapped[datetime | None]
    """When its counters are due again; null when they are not read any more."""
    total: Mapped[int | None]
    """The sum of all counters when they were last read, to see whether any has changed."""
    unchanged_polls: Mapped[int] = mapped_column(default=0)
    """Metrics polls in a row at which no counter had changed."""
    comments: Mapped[int | None]
    """The comments counter when it was last read."""
    comments_read: Mapped[int | None]
    """The comments counter when its comments were last read to the end; -1: they are to be read again."""
    comments_cursor: Mapped[str | None]


class PublicationCount(Owned, Base):
    """A change in the number of a community's publications (`tallies.Tally`)."""

    __tablename__ = "publication_count"
    __table_args__ = (belongs_to("community", "community_id"), Index(None, "workspace_id", "community_id"))

    community_id: Mapped[UUID]
    project_id: Mapped[UUID]
    change: Mapped[int]


class UnreadItem(Base):
    """An item that the platform does not let be read now (`polling.unread_items`)."""

    __tablename__ = "unread_item"
    __table_args__ = (belongs_to("community", "community_id"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    community_id: Mapped[UUID] = mapped_column(primary_key=True)
    part: Mapped[str] = mapped_column(primary_key=True)
    """A `polling.parts.Part`."""
    external_id: Mapped[str] = mapped_column(primary_key=True)
    """The post's whose counters or comments it is about, or that of an item of a list."""
    failures: Mapped[int]
    code: Mapped[str]
    reason: Mapped[str]
    since: Mapped[datetime]
    retry_at: Mapped[datetime]
    retry_cursor: Mapped[str | None]
    """Reads it alone, where it is an item of a list."""
    list_name: Mapped[str]
    """Of the list to which it belongs, where the part has several; else empty."""


class RateDemand(Base):
    """Units that a consumer would take a day from a limit. Not a workspace's table, as `RateLimitUse`."""

    __tablename__ = "rate_demand"
    __table_args__ = (Index(None, "at"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    seconds: Mapped[int] = mapped_column(primary_key=True)
    consumer: Mapped[UUID] = mapped_column(primary_key=True)
    """A community's id, or one derived from a metrics group's name."""
    workspace_id: Mapped[UUID | None]
    """The consumer's."""
    content: Mapped[float]
    metrics: Mapped[float]
    at: Mapped[datetime]


class RateLimitUse(Base):
    """Units used of each limit of a platform. Not a workspace's table: two
    workspaces may share a token or an address. `key` is a hash.
    """

    __tablename__ = "rate_limit_use"

    key: Mapped[str] = mapped_column(primary_key=True)
    seconds: Mapped[int] = mapped_column(primary_key=True)
    slots: Mapped[list[Any]]
    """`[number, units]` of each slot of the window that has any, oldest first; a cooldown: `[[until, 0]]`."""
