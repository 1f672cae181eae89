"""Domain events of links."""

from dataclasses import dataclass
from uuid import UUID

from app.kit.events import Event


@dataclass(frozen=True, slots=True)
class LinkMadeForPost(Event):
    """A link is being made for a post. The room of posts refuses it unless the post is one of the link's project.

    The foreign key does not see to that: its check is not bound by row-level security, and knows no projects.
    """

    project_id: UUID
    post_id: UUID
