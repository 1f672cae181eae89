"""What a credential may do at the moment: everywhere in its workspace, and in which projects.

Pure: computed from a member's role and seats, and from the limits of an API key.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from app.access.models import Role, Seat
from app.access.permissions import OF_THE_WORKSPACE, ROLES, SEATS, Permission

Projects = frozenset[UUID] | None
"""Ids of projects; None: all of the workspace, also those to come."""


@dataclass(frozen=True, slots=True)
class Grants:
    """The permissions of a credential."""

    everywhere: frozenset[Permission]
    """Held in the workspace and in every project of it."""
    in_projects: Mapping[UUID, frozenset[Permission]] = field(default_factory=dict)
    """Held in single projects, besides."""

    def projects_with(self, permission: Permission) -> Projects:
        """The projects in which the permission is held; empty where it is held in none.

        One about the workspace is held nowhere in particular: the projects are those in which anything is held.
        """
        if permission in self.everywhere:
            return self.visible if permission in OF_THE_WORKSPACE else None
        return frozenset(project for project, held in self.in_projects.items() if permission in held)

    def allows(self, permission: Permission) -> bool:
        """Whether the permission is held anywhere."""
        return permission in self.everywhere or any(permission in held for held in self.in_projects.values())

    @property
    def visible(self) -> Projects:
        """The projects in which anything is held."""
        if self.everywhere - OF_THE_WORKSPACE:
            return None
        return frozenset(project for project, held in self.in_projects.items() if held)

    def limited(self, permissions: Collection[Permission] | None, projects: Collection[UUID] | None) -> "Grants":
        """These grants within the limits of an API key: some permissions (None: all), some projects (None: all).

        A key of some projects may do nothing to the workspace but see it: with another key it could leave them.
        """
        kept = frozenset(Permission) if permissions is None else frozenset(permissions)
        held = {project: granted & kept for project, granted in self.in_projects.items()}
        if projects is None:
            return Grants(self.everywhere & kept, held)
        of_projects = self.everywhere & kept - OF_THE_WORKSPACE
        return Grants(
            self.everywhere & kept & {Permission.WORKSPACE_READ},
            {project: of_projects | held.get(project, frozenset()) for project in projects},
        )


def of_member(role: Role, seats: Collection[tuple[UUID, Seat]]) -> Grants:
    """What a member with this role and these seats (project and seat) may do."""
    held: dict[UUID, frozenset[Permission]] = {}
    for project, seat in seats:
        held[project] = held.get(project, frozenset()) | SEATS[seat]
    return Grants(ROLES[role], held)


NOTHING = Grants(frozenset())
"""Of somebody who is no member any more."""
