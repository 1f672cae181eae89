"""Who or what makes a change. Every transaction has an actor, as it has a workspace."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ActorKind(StrEnum):
    """What an actor is."""

    API_KEY = "key"
    USER = "user"
    """A signed-in person."""
    CLIENT = "client"
    """Whoever has a client link."""
    JOB = "job"
    PLATFORM = "platform"
    """A social platform, by its webhook events."""
    COMMAND = "command"
    """Whoever runs the installation, by a command of `instep`."""
    ANONYMOUS = "anonymous"
    """A request without a credential."""
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who or what makes a change; as text, as it is stored and logged, `key:01890a5d-…` or `job:communities.poll`."""

    kind: ActorKind
    id: str
    """An API key's id, a user's id, a client link's id, a job's kind, a platform's key, a command's name, …"""

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.id}"


SYSTEM: Final = Actor(ActorKind.SYSTEM, "instep")
"""The service itself, for what belongs to no workspace: heartbeats, sweeps, rate limits."""
SIGN_UP: Final = Actor(ActorKind.ANONYMOUS, "sign-up")
