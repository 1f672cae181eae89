"""What a credential may do: permissions, and which of them a role or a seat gives."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from app.access.models import Role, Seat


class Permission(StrEnum):
    """Something that a credential may do; each operation declares the one that it needs, where it is routed."""

    WORKSPACE_READ = "workspace:read"
    """See the agency, its members and one's own account."""
    MEMBERS_WRITE = "members:write"
    """Invite people to the agency, change their roles, let them go."""
    API_KEYS_READ = "api-keys:read"
    API_KEYS_WRITE = "api-keys:write"
    PROJECTS_CREATE = "projects:create"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    SEATS_WRITE = "seats:write"
    """Give and take the seats of a project."""
    BRIEFS_READ = "briefs:read"
    BRIEFS_WRITE = "briefs:write"
    CONTACTS_READ = "contacts:read"
    """See the client's people, with their addresses."""
    CONTACTS_WRITE = "contacts:write"
    CLIENT_LINKS_READ = "client-links:read"
    CLIENT_LINKS_WRITE = "client-links:write"
    """Let the client's people read, agree and approve by a link."""
    COMMUNITIES_READ = "communities:read"
    COMMUNITIES_WRITE = "communities:write"
    """Pause, resume and sync, without their tokens."""
    COMMUNITIES_CONNECT = "communities:connect"
    """Give a community its tokens."""
    HOOKS_READ = "hooks:read"
    """Includes the hook's address, with which anyone can call it."""
    HOOKS_WRITE = "hooks:write"
    METRICS_READ = "metrics:read"
    POSTS_READ = "posts:read"
    POSTS_WRITE = "posts:write"
    POSTS_PUBLISH = "posts:publish"
    MIX_READ = "mix:read"
    MIX_WRITE = "mix:write"
    INQUIRIES_READ = "inquiries:read"
    INQUIRIES_WRITE = "inquiries:write"
    """Classify, resolve and reopen."""
    INQUIRIES_REPLY = "inquiries:reply"
    """Write to customers in the agency's name."""
    LINKS_READ = "links:read"
    LINKS_WRITE = "links:write"
    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    """Make and change campaigns, their spend, links and promo codes."""
    KPIS_READ = "kpis:read"
    GOALS_READ = "goals:read"
    GOALS_WRITE = "goals:write"
    """Propose goals to the client, change and withdraw them."""
    GOALS_AGREE = "goals:agree"
    """Answer for the client; the service asks for the seat `client` besides."""
    AUDIT_READ = "audit:read"
    """See who changed what, and what it was before."""
    ALERTS_READ = "alerts:read"
    """See what needs a person, and who is told of it."""
    ALERTS_WRITE = "alerts:write"
    """Take alerts up."""
    ALERT_BOTS_WRITE = "alert-bots:write"
    """Set the agency's own bots."""


OF_THE_WORKSPACE: Final = frozenset(
    {
        Permission.WORKSPACE_READ,
        Permission.MEMBERS_WRITE,
        Permission.API_KEYS_READ,
        Permission.API_KEYS_WRITE,
        Permission.PROJECTS_CREATE,
        Permission.ALERT_BOTS_WRITE,
    }
)
"""The permissions that no seat gives: they are about the agency as a whole. All others are about a project."""

OF_A_PROJECT: Final = frozenset(Permission) - OF_THE_WORKSPACE

ROLES: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.OWNER: frozenset(Permission),
        Role.ADMIN: frozenset(Permission),
        Role.MEMBER: frozenset({Permission.WORKSPACE_READ}),
    }
)
"""What each role may do in the workspace and in all its projects. Only an owner makes or unmakes an owner."""

_SEEN_BY_ALL: Final = frozenset(
    {
        Permission.PROJECTS_READ,
        Permission.BRIEFS_READ,
        Permission.COMMUNITIES_READ,
        Permission.METRICS_READ,
        Permission.POSTS_READ,
        Permission.MIX_READ,
        Permission.LINKS_READ,
        Permission.CAMPAIGNS_READ,
        Permission.KPIS_READ,
        Permission.GOALS_READ,
    }
)
"""What everybody in a project may see."""

_OF_THE_AGENCY: Final = _SEEN_BY_ALL | {
    Permission.CONTACTS_READ,
    Permission.ALERTS_READ,
    Permission.ALERTS_WRITE,
}
"""What everybody of the agency's own in a project has."""

SEATS: Final[Mapping[Seat, frozenset[Permission]]] = MappingProxyType(
    {
        Seat.MANAGER: OF_A_PROJECT - {Permission.GOALS_AGREE},
        Seat.DESIGNER: _OF_THE_AGENCY | {Permission.POSTS_WRITE},
        Seat.CONTENT_MANAGER: _OF_THE_AGENCY
        | {
            Permission.BRIEFS_WRITE,
            Permission.POSTS_WRITE,
            Permission.POSTS_PUBLISH,
            Permission.MIX_WRITE,
            Permission.LINKS_WRITE,
            Permission.INQUIRIES_READ,
        },
        Seat.PROMOTION_MANAGER: _OF_THE_AGENCY
        | {Permission.LINKS_WRITE, Permission.CAMPAIGNS_WRITE, Permission.POSTS_WRITE},
        Seat.COMMUNITY_MANAGER: _OF_THE_AGENCY
        | {
            Permission.COMMUNITIES_WRITE,
            Permission.INQUIRIES_READ,
            Permission.INQUIRIES_WRITE,
            Permission.INQUIRIES_REPLY,
        },
        Seat.CLIENT: _SEEN_BY_ALL | {Permission.INQUIRIES_READ, Permission.GOALS_AGREE},
    }
)
"""What each seat may do in its project."""
