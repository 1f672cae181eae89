"""The shared resources of a process: created once at its start, passed to requests and jobs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.actors import SYSTEM, Actor
from app.kit.clock import Clock
from app.kit.crypto import Keyring
from app.kit.db import Database, Projects
from app.kit.http import Client
from app.settings import Settings


class Doorbell(Protocol):
    """Notifies the workers that jobs are due; never raises, and returns at once."""

    async def ring(self, jobs: Sequence[tuple[UUID, str]]) -> None:
        """Notify about jobs, each an id and a label of the ring; a repeated id and label are ignored."""
        ...


class SilentDoorbell:
    """Does nothing: the sweeper finds the jobs."""

    async def ring(self, jobs: Sequence[tuple[UUID, str]]) -> None:
        return


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Resources:
    """What requests and jobs use: settings, clock, database, keys, doorbell, HTTP client.

    Objects of this process that belong to them are kept by `kit.cache.OnePer`.
    """

    settings: Settings
    clock: Clock
    db: Database
    keyring: Keyring
    doorbell: Doorbell
    http: Client | None = None
    """For calls to platforms. Workers have it; requests never make such a call."""

    @asynccontextmanager
    async def transaction(
        self, workspace_id: UUID | None, actor: Actor = SYSTEM, *, projects: Projects = None
    ) -> AsyncIterator[AsyncSession]:
        """A transaction (`Database.transaction`) that rings for its new jobs after its commit."""
        async with self.db.transaction(workspace_id, actor, projects=projects) as session:
            session.info.update(doorbell=self.doorbell, keyring=self.keyring)
            yield session
