"""What a process has at hand while it lives: made once at its start, passed to whoever works."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.clock import Clock
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.http import Client
from app.settings import Settings


class Doorbell(Protocol):
    """Tells the workers that jobs are due; it never raises and never waits long."""

    async def ring(self, jobs: Sequence[tuple[UUID, str]]) -> None:
        """Ring for jobs, each an id with what tells this ring from others; the same ring twice is one."""
        ...


class SilentDoorbell:
    """Rings nothing: the sweeper finds the jobs."""

    async def ring(self, jobs: Sequence[tuple[UUID, str]]) -> None:
        return


@dataclass(frozen=True, slots=True)
class Resources:
    """The things that a request or a job works with."""

    settings: Settings
    clock: Clock
    db: Database
    keyring: Keyring
    doorbell: Doorbell
    http: Client | None = None
    """For calls to platforms. Workers have it; requests never make such a call."""

    @asynccontextmanager
    async def transaction(self, workspace_id: UUID | None) -> AsyncIterator[AsyncSession]:
        """One unit of work (`Database.transaction`) whose new jobs are rung after its commit."""
        async with self.db.transaction(workspace_id) as session:
            session.info["doorbell"] = self.doorbell
            yield session
