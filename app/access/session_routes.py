"""Signing in and out, and what people do with their own account."""

from datetime import datetime
from typing import Final
from uuid import UUID

from fastapi import Request, Response, status
from sqlalchemy import select

from app.access import accounts, passwords, second_factor, sessions
from app.access.authentication import authenticator
from app.access.current import CurrentActor, PagerDep, ReadDep, ResourcesDep, SessionDep
from app.access.models import UserSession
from app.access.permissions import Permission
from app.access.routing import SESSION_COOKIE, Router
from app.access.schemas import (
    Done,
    PasswordChange,
    RecoveryCodes,
    SecondFactorBegun,
    SecondFactorCode,
    SessionCreate,
    SessionMade,
    SessionRead,
)
from app.access.sessions import SignIn, csrf_token
from app.access.tokens import SESSION, Token
from app.kit.actors import ActorKind
from app.kit.errors import Forbidden, Invalid
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.resources import Resources
from app.kit.routing import problems, public_router

ROUTER = Router("/v1", tag="access")
PUBLIC = public_router("/v1", tag="access")

_SESSIONS: Final = Keyset((UserSession.created_at, UserSession.id))
_SESSION_KEY: Final = (datetime, UUID)


@PUBLIC.post(
    "/sessions", operation_id="sessions.create", status_code=status.HTTP_201_CREATED, responses=problems(401, 403)
)
async def sign_in(body: SessionCreate, request: Request, response: Response, resources: ResourcesDep) -> SessionMade:
    """Sign in.

    With the second factor on, the first attempt is answered with 401 `second-factor-needed`; repeat it with `code`.
    A session ends after 14 days without use, and after 90 days.
    """
    row, token = await sessions.sign_in(
        resources, sign_in_of(request, body.email, body.password, body.code, body.workspace_id, cookie=body.cookie)
    )
    return session_made(resources, response, row, token)


def sign_in_of(
    request: Request, email: str, password: str, code: str | None, workspace_id: UUID | None, *, cookie: bool
) -> SignIn:
    """What a request signs in with."""
    source: str = request.scope.get("client_address", "unknown")
    return SignIn(email, password, code, workspace_id, cookie, source, request.headers.get("user-agent"))


def session_made(resources: Resources, response: Response, row: UserSession, token: Token) -> SessionMade:
    """The answer with a session's token, which goes into a cookie where the session is a browser's."""
    if row.is_cookie:
        max_age = int((row.expires_at - resources.clock.now()).total_seconds())
        response.set_cookie(
            SESSION_COOKIE, str(token), max_age=max_age, path="/", secure=True, httponly=True, samesite="lax"
        )
    response.headers["Cache-Control"] = "no-store"
    return SessionMade(
        session=SessionRead.model_validate(row),
        token=None if row.is_cookie else str(token),
        csrf_token=csrf_token(resources.keyring, row.id),
    )


@ROUTER.get("/sessions", operation_id="sessions.list", permission=Permission.WORKSPACE_READ)
async def list_sessions(
    actor: CurrentActor, connection: ReadDep, pager: PagerDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[SessionRead]:
    """Your sessions in this workspace, latest first.

    Those that were ended are left out; end one that you do not know.
    """
    query = select(UserSession.__table__).where(
        UserSession.workspace_id == actor.workspace_id,
        UserSession.user_id == actor.user_id,
        UserSession.revoked_at.is_(None),
    )
    result = await connection.execute(_SESSIONS.after(query, pager.read(cursor, _SESSION_KEY), limit))
    rows, next_cursor = pager.page(result.all(), limit, ("created_at", "id"))
    return Page(data=[SessionRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@ROUTER.post(
    "/sessions/rotate", operation_id="sessions.rotate", permission=Permission.WORKSPACE_READ, responses=problems(409)
)
async def rotate(actor: CurrentActor, session: SessionDep, resources: ResourcesDep, response: Response) -> SessionMade:
    """Give this session another token.

    The one before is accepted for a minute more. Do so now and then: a token that was copied is useless then.
    """
    row, token = await sessions.rotate(session, actor, session_id=_own_session(actor))
    authenticator(resources).credentials.forget_after_commit(session, (SESSION, row.prefix))
    return session_made(resources, response, row, token)


@ROUTER.post(
    "/sessions/sign-out",
    operation_id="sessions.sign-out",
    permission=Permission.WORKSPACE_READ,
    responses=problems(409),
)
async def sign_out(actor: CurrentActor, session: SessionDep, resources: ResourcesDep, response: Response) -> Done:
    """End this session.

    Its token is useless from now on; a browser's cookie is taken away.
    """
    row = await sessions.sign_out(session, actor, session_id=_own_session(actor))
    authenticator(resources).credentials.forget_after_commit(session, (SESSION, row.prefix))
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return Done()


@ROUTER.post(
    "/sessions/{session_id}/revoke",
    operation_id="sessions.revoke",
    permission=Permission.WORKSPACE_READ,
    responses=problems(404, 409),
)
async def revoke(session_id: UUID, actor: CurrentActor, session: SessionDep, resources: ResourcesDep) -> Done:
    """End one of your sessions.

    For a device that is lost, say. Another process of this installation may accept its token for five seconds more.
    """
    row = await sessions.revoke(session, actor, session_id=session_id, user_id=actor.user_id)
    authenticator(resources).credentials.forget_after_commit(session, (SESSION, row.prefix))
    return Done()


@ROUTER.post(
    "/me/password", operation_id="me.change-password", permission=Permission.WORKSPACE_READ, responses=problems(409)
)
async def change_password(
    body: PasswordChange, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> Done:
    """Change your password.

    All your other sessions end, in all workspaces; API keys stay as they are.
    """
    _own_session(actor)
    user = await accounts.locked(session, actor.user_id)
    if user.password_hash is not None and not await passwords.verify_password(
        body.current_password or "", user.password_hash
    ):
        raise Invalid(
            "The current password is wrong.",
            code="wrong-password",
            errors=[{"in": "body", "field": "current_password", "code": "wrong-password", "detail": "It is wrong."}],
        )
    passwords.require_strong(body.password, user.name, user.email)
    hashed = await passwords.hash_password(body.password)
    await accounts.change_password(session, actor, user=user, password_hash=hashed, session_id=actor.credential_id)
    authenticator(resources).credentials.clear_after_commit(session)
    return Done()


@ROUTER.post(
    "/me/second-factor",
    operation_id="second-factor.begin",
    permission=Permission.WORKSPACE_READ,
    responses=problems(409),
)
async def begin_second_factor(actor: CurrentActor, session: SessionDep, resources: ResourcesDep) -> SecondFactorBegun:
    """Get a secret for an authenticator app.

    It counts once it is confirmed by a first code; until then a sign-in needs none.
    """
    _own_session(actor)
    user = await accounts.locked(session, actor.user_id)
    uri, svg = second_factor.begin(session, actor, resources.keyring, user=user)
    return SecondFactorBegun(uri=uri, qr_svg=svg)


@ROUTER.post(
    "/me/second-factor/confirm",
    operation_id="second-factor.confirm",
    permission=Permission.WORKSPACE_READ,
    responses=problems(409),
)
async def confirm_second_factor(
    body: SecondFactorCode, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> RecoveryCodes:
    """Turn the second factor on.

    From now on a sign-in needs a code. The recovery codes are for when the device is lost, each for one sign-in.
    """
    _own_session(actor)
    user = await accounts.locked(session, actor.user_id)
    codes = second_factor.confirm(session, actor, resources.keyring, user=user, code=body.code)
    return RecoveryCodes(codes=codes)


@ROUTER.post(
    "/me/second-factor/turn-off",
    operation_id="second-factor.turn-off",
    permission=Permission.WORKSPACE_READ,
    responses=problems(409),
)
async def turn_off_second_factor(
    body: SecondFactorCode, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> Done:
    """Turn the second factor off.

    This takes a code or a recovery code, so that a stolen session is not enough.
    """
    _own_session(actor)
    user = await accounts.locked(session, actor.user_id)
    second_factor.turn_off(session, actor, resources.keyring, user=user, code=body.code)
    return Done()


def _own_session(actor: CurrentActor) -> UUID:
    """The id of the session that this request is in; `Forbidden` (`session-needed`) for an API key."""
    if actor.kind is not ActorKind.USER:
        raise Forbidden("An API key cannot do this: sign in, POST /v1/sessions.", code="session-needed")
    return actor.credential_id
