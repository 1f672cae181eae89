"""Sign-up of an agency."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import keys, members
from app.access.audit import record
from app.access.models import ApiKey, Language, Role, UserAccount, Workspace
from app.access.tokens import Token
from app.kit.actors import Actor
from app.kit.db import now, workspace_of
from app.kit.errors import Conflict
from app.kit.ids import uuid7


async def sign_up(
    session: AsyncSession,
    actor: Actor,
    *,
    title: str,
    owner_name: str,
    owner_email: str,
    password_hash: str | None = None,
    language: str = Language.ENGLISH.value,
) -> tuple[Workspace, UserAccount, ApiKey, Token]:
    """Create the session's workspace, its owner, and an API key that may do everything the owner may.

    Raises `Conflict` (`email-taken`) where the address has signed up before.
    """
    workspace = Workspace(workspace_id=workspace_of(session), title=title, created_at=now(session))
    session.add(workspace)
    owner_id = await session.scalar(
        insert(UserAccount)
        .values(
            id=uuid7(),
            email=owner_email,
            name=owner_name,
            language=language,
            created_at=now(session),
            password_hash=password_hash,
            password_changed_at=now(session) if password_hash is not None else None,
        )
        .on_conflict_do_nothing()
        .returning(UserAccount.id)
    )
    if owner_id is None:
        raise Conflict("Somebody with this e-mail address has signed up already.", code="email-taken")
    await session.flush()
    record(session, actor, "workspaces.create", user_id=owner_id, after={"title": title})
    await members.add(session, actor, user_id=owner_id, role=Role.OWNER)
    key, token = await keys.create_key(session, actor, title="first key", owner_id=owner_id)
    owner = await session.get_one(UserAccount, owner_id)
    return workspace, owner, key, token


async def workspaces(session: AsyncSession) -> Sequence[UUID]:
    """The ids of all workspaces, for jobs that go over all of them.

    Row-level security hides the workspaces from a transaction without one; but each has had an API key
    since its sign-up, and keys are never deleted.
    """
    return (await session.scalars(select(ApiKey.workspace_id).distinct())).all()
