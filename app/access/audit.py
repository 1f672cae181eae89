"""The record of changes: who or what changed what. Every service function that changes something calls `record`."""

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.actors import Actor
from app.kit.db import after_commit

log = structlog.get_logger()


def record(session: AsyncSession, actor: Actor, action: str, **subject: object) -> None:
    """Record that `actor` makes a change in this transaction; it is logged after the commit.

    Also where the outcome of the commit is unknown: then the change may not have been made.

    `action` is named like an operation (`posts.update`). `subject`: what was changed, ids and counts only, never
    what a person wrote.
    """
    workspace_id = session.info["workspace_id"]  # None: an account's own matter

    async def write() -> None:
        log.info(
            "change",
            action=action,
            actor=str(actor),
            workspace_id=workspace_id and str(workspace_id),
            **{
                name: value if value is None or isinstance(value, int) else str(value)
                for name, value in subject.items()
            },
        )

    after_commit(session, write)
