"""API keys from the command line, for whoever has the database but no key."""

from uuid import UUID

from sqlalchemy import select

from app.access import service
from app.access.models import Scope, Workspace
from app.kit.db import Database
from app.settings import Settings


async def create(settings: Settings, workspace: UUID, name: str) -> str | None:
    """The full text of a new key that may do everything in `workspace`; None where there is no such workspace."""
    database = Database(settings.database_url, pool=1)
    try:
        async with database.transaction(workspace) as session:
            if await session.scalar(select(Workspace.name).where(Workspace.workspace_id == workspace)) is None:
                return None
            _, secret = await service.create_key(session, name=name, scopes=list(Scope), expires_at=None)
            return secret
    finally:
        await database.close()
