"""Sign-up, the request's own credential, API keys."""

from datetime import datetime, timedelta
from uuid import UUID

from fastapi import status
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import (
    account_pages,
    accounts,
    keys,
    member_routes,
    members,
    passwords,
    second_factor,
    service,
    session_routes,
)
from app.access.authentication import RequestActor, authenticator
from app.access.current import (
    CurrentActor,
    PagerDep,
    ReadDep,
    ResourcesDep,
    SessionDep,
    SignUpSessionDep,
)
from app.access.models import ApiKey, Membership, Role, UserAccount, UserSession, Workspace
from app.access.permissions import Permission
from app.access.routing import Router
from app.access.schemas import (
    ApiKeyCreate,
    ApiKeyMade,
    ApiKeyRead,
    ApiKeyRotate,
    Me,
    MeUpdate,
    ProjectPermissions,
    SessionRead,
    UserRead,
    WorkspaceCreate,
    WorkspaceMade,
    WorkspaceRead,
)
from app.access.sessions import csrf_token
from app.access.tokens import API_KEY, Token
from app.kit.actors import SIGN_UP, ActorKind
from app.kit.db import in_workspace
from app.kit.errors import Forbidden
from app.kit.i18n import reader_language
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.resources import Resources
from app.kit.routing import problems, public_router

ROUTER = Router("/v1", tag="access")
PUBLIC = public_router("/v1", tag="access")
PAGES = account_pages.PAGES

_KEYS = Keyset((ApiKey.created_at, ApiKey.id))


def _made(key: ApiKey, token: Token) -> ApiKeyMade:
    return ApiKeyMade(**ApiKeyRead.model_validate(key).model_dump(), key=str(token))


@PUBLIC.post(
    "/workspaces", operation_id="workspaces.create", status_code=status.HTTP_201_CREATED, responses=problems(403, 409)
)
async def sign_up(body: WorkspaceCreate, session: SignUpSessionDep, resources: ResourcesDep) -> WorkspaceMade:
    """Sign up an agency.

    Gives its workspace, its owner and a first API key that may do everything. The key is shown
    only here: an `Idempotency-Key`, which must be random (a UUID, say), keeps a repeat from making a
    second workspace, but a repeat is answered with 409 and not with the first answer.
    """
    if resources.settings.sign_up == "closed":
        raise Forbidden("Sign-up is closed here; ask whoever runs this installation.", code="sign-up-closed")
    password_hash = None
    if body.owner.password is not None:
        passwords.require_strong(body.owner.password, body.owner.name, body.owner.email)
        password_hash = await passwords.hash_password(body.owner.password)
    workspace, owner, key, token = await service.sign_up(
        session,
        SIGN_UP,
        title=body.title,
        owner_name=body.owner.name,
        owner_email=body.owner.email,
        password_hash=password_hash,
        language=reader_language(),
    )
    return WorkspaceMade(
        workspace=WorkspaceRead.model_validate(workspace),
        owner=UserRead.model_validate(owner),
        api_key=_made(key, token),
    )


@ROUTER.get("/me", operation_id="me.read", permission=Permission.WORKSPACE_READ)
async def me(actor: CurrentActor, session: SessionDep, resources: ResourcesDep) -> Me:
    """What the credential of this request stands for.

    The agency, the person, and what the credential may do: everywhere, and in single projects.
    """
    return await _me(session, actor, resources)


@ROUTER.patch("/me", operation_id="me.update", permission=Permission.WORKSPACE_READ)
async def update_me(body: MeUpdate, actor: CurrentActor, session: SessionDep, resources: ResourcesDep) -> Me:
    """Change your name, your picture or your language.

    The team and the client see the first two; the last one is that of the mail and the alerts that you get.
    """
    await accounts.update(session, actor, user_id=actor.user_id, changes=body.changes())
    return await _me(session, actor, resources)


async def _me(session: AsyncSession, actor: RequestActor, resources: Resources) -> Me:
    workspace = await session.get_one(Workspace, actor.workspace_id)
    user = await session.get_one(UserAccount, actor.user_id)
    role = await session.scalar(
        select(Membership.role).where(in_workspace(Membership, actor.workspace_id), Membership.user_id == actor.user_id)
    )
    key = signed_in = None
    if actor.kind is ActorKind.API_KEY:
        key = await session.scalar(
            select(ApiKey).where(ApiKey.workspace_id == actor.workspace_id, ApiKey.id == actor.credential_id)
        )
    else:
        signed_in = await session.scalar(select(UserSession).where(UserSession.id == actor.credential_id))
    return Me(
        workspace=WorkspaceRead.model_validate(workspace),
        user=UserRead.model_validate(user),
        role=None if role is None else Role(role),
        api_key=None if key is None else ApiKeyRead.model_validate(key),
        session=None if signed_in is None else SessionRead.model_validate(signed_in),
        csrf_token=csrf_token(resources.keyring, signed_in.id)
        if signed_in is not None and signed_in.is_cookie
        else None,
        has_second_factor=second_factor.is_on(user),
        permissions=sorted(actor.grants.everywhere),
        projects=[
            ProjectPermissions(project_id=project_id, permissions=sorted(held))
            for project_id, held in sorted(actor.grants.in_projects.items())
            if held
        ],
    )


@ROUTER.get("/api-keys", operation_id="api-keys.list", permission=Permission.API_KEYS_READ)
async def list_keys(
    actor: CurrentActor, connection: ReadDep, pager: PagerDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[ApiKeyRead]:
    """The workspace's API keys, newest first; revoked ones too.

    Their secrets are not stored and cannot be shown. A key is recognised by its `prefix`.
    """
    after = pager.read(cursor, (datetime, UUID))
    query = _KEYS.after(select(ApiKey.__table__).where(ApiKey.workspace_id == actor.workspace_id), after, limit)
    rows, next_cursor = pager.page((await connection.execute(query)).all(), limit, ("created_at", "id"))
    return Page(data=[ApiKeyRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@ROUTER.post(
    "/api-keys",
    operation_id="api-keys.create",
    permission=Permission.API_KEYS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def create_key(body: ApiKeyCreate, actor: CurrentActor, session: SessionDep) -> ApiKeyMade:
    """Make an API key of yours; its text is shown only here.

    It never does more than you may at the moment: what is taken from you is taken from it.
    """
    for project_id in body.project_ids or ():
        await members.require_project(session, project_id)
    key, token = await keys.create_key(
        session,
        actor,
        title=body.title,
        owner_id=actor.user_id,
        maker=actor.grants,
        permissions=body.permissions,
        projects=body.project_ids,
        expires_at=body.expires_at,
    )
    return _made(key, token)


@ROUTER.post(
    "/api-keys/{key_id}/rotate",
    operation_id="api-keys.rotate",
    permission=Permission.API_KEYS_WRITE,
    responses=problems(404, 409),
)
async def rotate_key(
    key_id: UUID, body: ApiKeyRotate, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> ApiKeyMade:
    """Give an API key another secret.

    The old one is accepted for `overlap_seconds` more, until all that use the key are changed. The new one is shown
    only here.
    """
    key, token = await keys.rotate_key(session, actor, key_id=key_id, overlap=timedelta(seconds=body.overlap_seconds))
    authenticator(resources).credentials.forget_after_commit(session, (API_KEY, key.prefix))
    return _made(key, token)


@ROUTER.post(
    "/api-keys/{key_id}/revoke",
    operation_id="api-keys.revoke",
    permission=Permission.API_KEYS_WRITE,
    responses=problems(404, 409),
)
async def revoke_key(key_id: UUID, actor: CurrentActor, session: SessionDep, resources: ResourcesDep) -> ApiKeyRead:
    """Make an API key useless from now on.

    Another process of this installation may accept it for five seconds more.
    """
    key = await keys.revoke_key(session, actor, key_id=key_id)
    authenticator(resources).credentials.forget_after_commit(session, (API_KEY, key.prefix))
    return ApiKeyRead.model_validate(key)


for _part in (session_routes, member_routes):
    ROUTER.include(_part.ROUTER)
    PUBLIC.routes.extend(_part.PUBLIC.routes)
