"""People's accounts: created by an invitation, with a password that can be changed and set anew."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import account_links, sessions
from app.access.audit import record
from app.access.models import Language, LinkPurpose, UserAccount, UserWorkspace
from app.kit.actors import Actor, ActorKind
from app.kit.db import now
from app.kit.errors import Conflict, NotFound
from app.kit.ids import uuid7
from app.kit.jobs import enqueue

BY_LINK: Final = Actor(ActorKind.ANONYMOUS, "account-link")
"""Whoever has a single-use link."""
FORGETFUL: Final = Actor(ActorKind.ANONYMOUS, "password-reset")
"""Whoever says that they forgot a password."""
MAIL_RESET: Final = "access.mail-password-reset"
"""The job that makes a link for a new password and sends it."""
NOBODY: Final = UUID(int=0)
"""In place of an account's id: there is none."""


async def by_email(session: AsyncSession, email: str) -> UserAccount | None:
    """The account with this e-mail address, in any case of its letters."""
    account: UserAccount | None = await session.scalar(
        select(UserAccount).where(func.lower(UserAccount.email) == func.lower(email))
    )
    return account


async def locked(session: AsyncSession, user_id: UUID) -> UserAccount:
    """The account with this id, locked until the transaction ends."""
    return await session.get_one(UserAccount, user_id, with_for_update=True, populate_existing=True)


async def create(
    session: AsyncSession,
    actor: Actor,
    *,
    email: str,
    name: str,
    password_hash: str,
    language: str = Language.ENGLISH.value,
) -> UUID:
    """The id of a new account; `Conflict` (`email-taken`) where there is one with this address."""
    user_id: UUID | None = await session.scalar(
        insert(UserAccount)
        .values(
            id=uuid7(),
            email=email,
            name=name,
            language=language,
            created_at=now(session),
            password_hash=password_hash,
            password_changed_at=now(session),
        )
        .on_conflict_do_nothing()
        .returning(UserAccount.id)
    )
    if user_id is None:
        raise Conflict("Somebody with this e-mail address has an account already.", code="email-taken")
    record(session, actor, "users.create", user_id=user_id, account_id=user_id)
    return user_id


async def reset_link(session: AsyncSession, actor: Actor, *, user_id: UUID, by_mail: bool = False) -> str | None:
    """The token of a new link that sets a password; earlier ones are void.

    `by_mail`: a job makes the link and sends it to the person, and there is no token to return.
    """
    record(session, actor, "users.reset-password", user_id=user_id)
    workspace_id = session.info["workspace_id"]
    if by_mail:
        await enqueue(session, MAIL_RESET, workspace_id=workspace_id, key=str(user_id), user_id=user_id)
        return None
    return await account_links.make(session, LinkPurpose.PASSWORD_RESET, workspace_id=workspace_id, user_id=user_id)


async def request_reset(session: AsyncSession, actor: Actor, *, email: str) -> None:
    """Have a link with which to set a new password mailed to the account with this address, if there is one.

    What is done does not depend on whether there is one: an account is looked up, and a job added. So the time that
    it takes does not tell; that job has nothing to do for somebody who has no account.
    """
    account = await by_email(session, email)
    user_id = NOBODY if account is None else account.id
    key = str(uuid7() if account is None else user_id)
    record(session, actor, "password-resets.create")
    await enqueue(session, MAIL_RESET, workspace_id=None, key=key, user_id=user_id)


async def use_reset_link(session: AsyncSession, actor: Actor, *, token: str, password_hash: str) -> UUID:
    """Set the password of the link's account, once; `NotFound` (`link-not-valid`) where the link is not good."""
    link = await account_links.find(session, LinkPurpose.PASSWORD_RESET, token, at=now(session))
    assert link.user_id is not None
    user = await locked(session, link.user_id)
    link.used_at = now(session)
    ended = await _set_password(session, user=user, password_hash=password_hash)
    record(
        session, actor, "password-resets.confirm", user_id=user.id, account_id=user.id, after={"sessions_ended": ended}
    )
    return user.id


async def update(session: AsyncSession, actor: Actor, *, user_id: UUID, changes: dict[str, Any]) -> UserAccount:
    """Change a user's name, picture or language."""
    user = await locked(session, user_id)
    for name, value in changes.items():
        setattr(user, name, value)
    # Names are personal: that they changed is recorded, not what they were.
    record(session, actor, "me.update", user_id=user.id, account_id=user.id, after={"changed": sorted(changes)})
    return user


async def change_password(
    session: AsyncSession, actor: Actor, *, user: UserAccount, password_hash: str, session_id: UUID
) -> None:
    """Set another password; all sessions of the user end but the one with this id."""
    ended = await _set_password(session, user=user, password_hash=password_hash, but=session_id)
    record(session, actor, "me.change-password", user_id=user.id, account_id=user.id, after={"sessions_ended": ended})


async def _set_password(
    session: AsyncSession, *, user: UserAccount, password_hash: str, but: UUID | None = None
) -> int:
    """How many sessions ended with the password before. Which ones is not for each workspace of the account to know."""
    user.password_hash, user.password_changed_at = password_hash, now(session)
    return await sessions.revoke_all(session, user_id=user.id, but=but)


async def require_only_here(session: AsyncSession, *, user_id: UUID) -> None:
    """Raise `NotFound` for somebody who belongs to another workspace too: this one's admins do not own the account."""
    number = await session.scalar(
        select(func.count()).select_from(UserWorkspace).where(UserWorkspace.user_id == user_id)
    )
    if number != 1:
        raise NotFound(
            "This person works in other workspaces too, and sets a new password alone.", code="not-only-here"
        )
