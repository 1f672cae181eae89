"""Events about communities, for the rooms that subscribe to them.

They are published inside the unit of work that stores the poll's cursor, or marks the inbound event
applied: what a subscriber writes is committed together with that.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from app.kit.events import Event
from app.platforms.capabilities import MessageChange
from app.platforms.contract import PostMetrics, RemoteMessage, Token


@dataclass(frozen=True, slots=True)
class CommunityRef:
    """A community, with what subscribers need to store what was read of it."""

    workspace_id: UUID
    project_id: UUID
    community_id: UUID
    platform: str
    timezone: str
    """The project's, IANA."""
    own_account_ids: frozenset[str] = frozenset()
    """The community's ids on the platform: messages by these authors count as its own."""


@dataclass(frozen=True, slots=True)
class SeenPublication:
    """A publication as it is stored now."""

    id: UUID
    external_id: str
    url: str
    text: str
    published_at: datetime
    new: bool
    """It was not stored before."""


@dataclass(frozen=True, slots=True)
class PublicationsSeen(Event):
    """Publications were found, or found changed."""

    community: CommunityRef
    publications: tuple[SeenPublication, ...]


@dataclass(frozen=True, slots=True)
class PostsMeasured(Event):
    """Counters of publications were read at one instant. Gone ones are not among them."""

    community: CommunityRef
    at: datetime
    metrics: tuple[tuple[UUID, PostMetrics], ...]
    """Each publication's id with its counters."""


@dataclass(frozen=True, slots=True)
class SizeMeasured(Event):
    """A community's size was read; it is None where the platform hides it."""

    community: CommunityRef
    at: datetime
    size: int | None


@dataclass(frozen=True, slots=True)
class SeenMember:
    """Somebody who joined a community, or left it."""

    member: bytes
    """A keyed hash of the account's id on the platform."""
    at: datetime
    joined: bool
    invite_link: str | None


@dataclass(frozen=True, slots=True)
class MembersChanged(Event):
    """The platform said who joined a community and who left it; some may have been said before."""

    community: CommunityRef
    members: tuple[SeenMember, ...]


@dataclass(frozen=True, slots=True)
class MessagesSeen(Event):
    """Messages by customers, and the community's own, were found. Some may have been seen before."""

    community: CommunityRef
    messages: tuple[tuple[RemoteMessage, UUID | None], ...]
    """Each with the id of its publication, if it has one."""


@dataclass(frozen=True, slots=True)
class MessagesDeleted(Event):
    """Messages were deleted on the platform; some may never have been seen."""

    community: CommunityRef
    external_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MessagesChanged(Event):
    """Messages were edited, hidden or shown again on the platform, in this order; some may never have been seen."""

    community: CommunityRef
    changes: tuple[MessageChange, ...]


@dataclass(frozen=True, slots=True)
class CommentsListed(Event):
    """All comments below a publication were read, from `began` on: what was written after `since` and before, and is
    not among them, is deleted; those among them are not.

    Where there is an `in_doubt`, the platform lists nothing below a deleted comment: that holds then for those directly
    below the publication or a listed comment alone. Subscribers add the ids of others that are to be looked up.
    """

    community: CommunityRef
    publication_id: UUID
    external_ids: frozenset[str]
    since: datetime
    began: datetime
    in_doubt: set[str] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class OpenThreadsDue(Event):
    """Open threads below publications are to be looked at again (`publications.read_comments_again`)."""

    community: CommunityRef
    since: datetime | None
    """Those in which somebody wrote since; None: all."""
    most: int
    """The most publications."""


@dataclass(frozen=True, slots=True)
class TokenExpiring(Event):
    """A token ends soon, and only a person can replace it."""

    topic: ClassVar[str | None] = "community.token-expiring"
    community_id: UUID
    project_id: UUID
    platform: str
    kind: Token
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CommunityConnected(Event):
    """A community was read for the first time."""

    topic: ClassVar[str | None] = "community.connected"
    community_id: UUID
    project_id: UUID
    platform: str


@dataclass(frozen=True, slots=True)
class CommunityDisconnected(Event):
    """A person disconnected a community."""

    topic: ClassVar[str | None] = "community.disconnected"
    community_id: UUID
    project_id: UUID
    platform: str
