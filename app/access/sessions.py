"""Sessions: a person signs in with an e-mail address and a password, and out again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import second_factor
from app.access.audit import record, snapshot
from app.access.models import UserAccount, UserSession, UserWorkspace
from app.access.passwords import hash_password, is_outdated, verify_password
from app.access.sign_in_limits import Attempt
from app.access.tokens import SESSION, Token
from app.kit.actors import Actor, ActorKind
from app.kit.crypto import Keyring
from app.kit.db import now, workspace_of
from app.kit.errors import AppError, Forbidden, NotFound, Unauthenticated
from app.kit.ids import uuid7
from app.kit.resources import Resources

LIFETIME: Final = timedelta(days=90)
"""A session ends then, however much it is used."""
OVERLAP: Final = timedelta(seconds=60)
"""How long the token before a rotation is accepted: requests with it may be under way."""
KEPT: Final = timedelta(days=30)
"""How long an ended session is kept: its last address and device may be asked for."""
SIGN_IN: Final = Actor(ActorKind.ANONYMOUS, "sign-in")

MOST_WORKSPACES: Final = 50


class SecondFactorNeeded(Unauthenticated):
    """The password is right, and the account wants a code besides."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What somebody signs in with, and from where."""

    email: str
    password: str
    code: str | None
    workspace_id: UUID | None
    """None: the only workspace of the person."""
    is_cookie: bool
    source: str
    """IP address."""
    user_agent: str | None


class WorkspaceNeeded(AppError):
    """The person works in several workspaces, and has not said in which to sign in."""

    status = 422
    title = "Invalid input"
    code = "workspace-needed"


async def sign_in(resources: Resources, request: SignIn) -> tuple[UserSession, Token]:
    """A new session and its token, which is not stored.

    Raises `WorkspaceNeeded` with the workspaces to choose from, and what `identify` raises.
    """
    person = await identify(resources, request)
    assert person.workspace_id is not None
    async with resources.transaction(person.workspace_id, Actor(ActorKind.USER, str(person.user_id))) as session:
        await person.attempt.succeeded(session)
        return start(session, user_id=person.user_id, request=request)


@dataclass(frozen=True, slots=True)
class Identified:
    """Somebody who has shown who they are."""

    user_id: UUID
    workspace_id: UUID | None
    """Where to sign in; None where that was not asked for."""
    attempt: Attempt


async def identify(resources: Resources, request: SignIn, *, is_joining: bool = False) -> Identified:
    """Verify an e-mail address with its password and, where there is one, the second factor.

    With `is_joining` no workspace is selected: the person is about to join one. Raises `TooMany` beyond the limits of
    failures; `Unauthenticated` (`wrong-credentials`) where the address or the password is wrong, with the same
    answer after the same time; `SecondFactorNeeded` and `Invalid` (`wrong-code`) after the right password.
    """
    async with resources.transaction(None, SIGN_IN) as session:
        user = await session.scalar(_by_email(request.email))
        user_id, stored = (user.id, user.password_hash) if user is not None else (None, None)
        attempt = await Attempt.of(
            session, resources.keyring, email=request.email, user_id=user_id, source=request.source
        )
    async with resources.transaction(None, SIGN_IN) as session:
        await attempt.begin(session)
    # No transaction is held while the password is computed.
    if not await verify_password(request.password, stored) or user_id is None or stored is None:
        raise _wrong_credentials()
    renewed = await hash_password(request.password) if is_outdated(stored) else None
    async with resources.transaction(None, SIGN_IN) as session:
        user = await session.get_one(UserAccount, user_id, with_for_update=True)
        if user.password_hash != stored:  # changed meanwhile
            raise _wrong_credentials()
        if renewed is not None:
            user.password_hash = renewed
        workspace_id = None if is_joining else _selected(await _workspaces(session, user_id), request.workspace_id)
        if second_factor.is_on(user):
            _require_code(resources.keyring, user, request.code, session)
        return Identified(user_id, workspace_id, attempt)


def _require_code(keyring: Keyring, user: UserAccount, code: str | None, session: AsyncSession) -> None:
    if code is None:
        raise SecondFactorNeeded(
            "This account has a second factor: send its code as `code`.", code="second-factor-needed", headers={}
        )
    if not second_factor.accept(keyring, user, code, now(session)):
        raise second_factor.wrong_code()


def _wrong_credentials() -> Unauthenticated:
    return Unauthenticated("The e-mail address or the password is wrong.", code="wrong-credentials", headers={})


async def _workspaces(session: AsyncSession, user_id: UUID) -> list[UUID]:
    query = (
        select(UserWorkspace.workspace_id)
        .where(UserWorkspace.user_id == user_id)
        .order_by(UserWorkspace.workspace_id)
        .limit(MOST_WORKSPACES)
    )
    return list((await session.scalars(query)).all())


def _selected(workspaces: list[UUID], requested: UUID | None) -> UUID:
    if requested is not None:
        if requested not in workspaces:
            raise NotFound("You do not belong to a workspace with this id.")
        return requested
    if not workspaces:
        raise Forbidden("You do not belong to any workspace (any more).", code="no-workspace")
    if len(workspaces) > 1:
        raise WorkspaceNeeded(
            "You work in several workspaces: send the one to sign in to as `workspace_id`.",
            errors=[
                {"in": "body", "field": "workspace_id", "code": "workspace-needed", "detail": str(each)}
                for each in workspaces
            ],
        )
    return workspaces[0]


def start(session: AsyncSession, *, user_id: UUID, request: SignIn) -> tuple[UserSession, Token]:
    """A new session of a user in this transaction's workspace, and its token, which is not stored."""
    token = Token.new(SESSION)
    made = UserSession(
        prefix=token.prefix,
        id=uuid7(),
        user_id=user_id,
        workspace_id=workspace_of(session),
        secret_hash=token.hash,
        previous_hash=None,
        previous_until=None,
        is_cookie=request.is_cookie,
        created_at=now(session),
        last_used_at=now(session),
        expires_at=now(session) + LIFETIME,
        revoked_at=None,
        user_agent=request.user_agent and request.user_agent[:200],
        address=request.source,
    )
    session.add(made)
    actor = Actor(ActorKind.USER, str(user_id))
    record(session, actor, "sessions.create", session_id=made.id, user_id=user_id, after=snapshot(made))
    return made, token


async def rotate(session: AsyncSession, actor: Actor, *, session_id: UUID) -> tuple[UserSession, Token]:
    """Give a session another token; the one before is accepted for `OVERLAP` more."""
    row = await _own(session, session_id)
    token = Token(SESSION, row.prefix, "").renewed()
    row.previous_hash, row.previous_until = row.secret_hash, now(session) + OVERLAP
    row.secret_hash = token.hash
    record(session, actor, "sessions.rotate", session_id=row.id)
    return row, token


async def revoke(session: AsyncSession, actor: Actor, *, session_id: UUID, user_id: UUID) -> UserSession:
    """End a session of a user; `NotFound` where they have none of this id. Idempotent."""
    row = await _own(session, session_id)
    if row.user_id != user_id:
        raise NotFound
    if row.revoked_at is None:
        before, row.revoked_at = snapshot(row), now(session)
        record(session, actor, "sessions.revoke", session_id=row.id, before=before, after=snapshot(row))
    return row


async def sign_out(session: AsyncSession, actor: Actor, *, session_id: UUID) -> UserSession:
    """End the session of the request."""
    row = await _own(session, session_id)
    before, row.revoked_at = snapshot(row), now(session)
    record(session, actor, "sessions.sign-out", session_id=row.id, before=before, after=snapshot(row))
    return row


async def revoke_all(session: AsyncSession, *, user_id: UUID, but: UUID | None = None) -> int:
    """End all sessions of a user, in all workspaces, except `but`; how many ended by this."""
    rows = (
        await session.scalars(
            select(UserSession)
            .where(UserSession.user_id == user_id, UserSession.revoked_at.is_(None))
            .order_by(UserSession.prefix)
            .with_for_update()
        )
    ).all()
    ended = [row for row in rows if row.id != but]
    for row in ended:
        row.revoked_at = now(session)
    return len(ended)


async def delete_over(session: AsyncSession, *, limit: int) -> int:
    """Delete up to `limit` sessions that ended more than `KEPT` ago; their number."""
    long_ago = now(session) - KEPT
    over = (
        select(UserSession.prefix)
        .where(or_(UserSession.expires_at < long_ago, UserSession.revoked_at < long_ago))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    deleted = delete(UserSession).where(UserSession.prefix.in_(over)).returning(UserSession.prefix)
    return len((await session.scalars(deleted)).all())


async def _own(session: AsyncSession, session_id: UUID) -> UserSession:
    row = await session.scalar(
        select(UserSession)
        .where(UserSession.id == session_id, UserSession.workspace_id == workspace_of(session))
        .with_for_update()
    )
    if row is None:
        raise NotFound
    return row


def csrf_token(keyring: Keyring, session_id: UUID) -> str:
    """What a page sends as `X-CSRF-Token` with its changes; a foreign site can neither read nor guess it."""
    return keyring.sign("csrf", session_id.bytes).hex()


def is_csrf_token(keyring: Keyring, session_id: UUID, text: str) -> bool:
    """Whether a page sent the right token."""
    try:
        signature = bytes.fromhex(text)
    except ValueError:
        return False
    return keyring.verify("csrf", session_id.bytes, signature)


def _by_email(email: str) -> Select[UserAccount]:
    return select(UserAccount).where(func.lower(UserAccount.email) == func.lower(email))
