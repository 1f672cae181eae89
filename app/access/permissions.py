"""What a credential may do: permissions, and the scopes of API keys as bundles of them."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from app.access.models import ApiKeyScope


class Permission(StrEnum):
    """Something that a credential may do; each operation declares the one that it needs, where it is routed."""

    WORKSPACE_READ = "workspace:read"
    API_KEYS_READ = "api-keys:read"
    API_KEYS_WRITE = "api-keys:write"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    BRIEFS_READ = "briefs:read"
    BRIEFS_WRITE = "briefs:write"
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
    KPIS_READ = "kpis:read"


SCOPES: Final[Mapping[Permission, ApiKeyScope]] = MappingProxyType(
    {
        Permission.WORKSPACE_READ: ApiKeyScope.READ,
        Permission.API_KEYS_READ: ApiKeyScope.ADMIN,
        Permission.API_KEYS_WRITE: ApiKeyScope.ADMIN,
        Permission.PROJECTS_READ: ApiKeyScope.READ,
        Permission.PROJECTS_WRITE: ApiKeyScope.WRITE,
        Permission.BRIEFS_READ: ApiKeyScope.READ,
        Permission.BRIEFS_WRITE: ApiKeyScope.WRITE,
        Permission.COMMUNITIES_READ: ApiKeyScope.READ,
        Permission.COMMUNITIES_WRITE: ApiKeyScope.WRITE,
        Permission.COMMUNITIES_CONNECT: ApiKeyScope.WRITE,
        Permission.HOOKS_READ: ApiKeyScope.READ,
        Permission.HOOKS_WRITE: ApiKeyScope.WRITE,
        Permission.METRICS_READ: ApiKeyScope.READ,
        Permission.POSTS_READ: ApiKeyScope.READ,
        Permission.POSTS_WRITE: ApiKeyScope.WRITE,
        Permission.POSTS_PUBLISH: ApiKeyScope.WRITE,
        Permission.MIX_READ: ApiKeyScope.READ,
        Permission.MIX_WRITE: ApiKeyScope.WRITE,
        Permission.INQUIRIES_READ: ApiKeyScope.READ,
        Permission.INQUIRIES_WRITE: ApiKeyScope.WRITE,
        Permission.INQUIRIES_REPLY: ApiKeyScope.WRITE,
        Permission.LINKS_READ: ApiKeyScope.READ,
        Permission.LINKS_WRITE: ApiKeyScope.WRITE,
        Permission.KPIS_READ: ApiKeyScope.READ,
    }
)
"""The scope that contains each permission. `admin` contains all of them; `write` does not contain `read`'s."""


def of_scopes(scopes: Iterable[ApiKeyScope]) -> frozenset[Permission]:
    """The permissions of an API key with these scopes."""
    held = frozenset(scopes)
    return frozenset(permission for permission, scope in SCOPES.items() if scope in held or ApiKeyScope.ADMIN in held)
