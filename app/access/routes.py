"""Sign-up, the request's own credential, API keys."""

from datetime import datetime
from uuid import UUID

from fastapi import status
from sqlalchemy import select

from app.access import service
from app.access.current import (
    CurrentActor,
    PagerDep,
    ReadDep,
    ResourcesDep,
    SessionDep,
    SignUpSessionDep,
)
from app.access.models import ApiKey, Workspace
from app.access.permissions import Permission
from app.access.routing import Router
from app.access.schemas import (
    ApiKeyCreate,
    ApiKeyMade,
    ApiKeyRead,
    Me,
    UserRead,
    WorkspaceCreate,
    WorkspaceMade,
    WorkspaceRead,
)
from app.kit.actors import SIGN_UP
from app.kit.errors import Forbidden
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.routing import problems, public_router

ROUTER = Router("/v1", tag="access")
PUBLIC = public_router("/v1", tag="access")

_KEYS = Keyset((ApiKey.created_at, ApiKey.id))


def _made(key: ApiKey, text: str) -> ApiKeyMade:
    return ApiKeyMade(**ApiKeyRead.model_validate(key).model_dump(), key=text)


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
    workspace, owner, key, text = await service.sign_up(
        session, SIGN_UP, title=body.title, owner_name=body.owner.name, owner_email=body.owner.email
    )
    return WorkspaceMade(
        workspace=WorkspaceRead.model_validate(workspace),
        owner=UserRead.model_validate(owner),
        api_key=_made(key, text),
    )


@ROUTER.get("/me", operation_id="me.read", permission=Permission.WORKSPACE_READ)
async def me(actor: CurrentActor, session: SessionDep) -> Me:
    """What the credential of this request stands for.

    For whoever holds a key and does not know what it is for: its workspace, its title and its scopes.
    """
    workspace = await session.get_one(Workspace, actor.workspace_id)
    key = (
        await session.scalars(
            select(ApiKey).where(ApiKey.workspace_id == actor.workspace_id, ApiKey.id == UUID(actor.id))
        )
    ).one()
    return Me(workspace=WorkspaceRead.model_validate(workspace), user=None, api_key=ApiKeyRead.model_validate(key))


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
    responses=problems(409),
)
async def create_key(body: ApiKeyCreate, actor: CurrentActor, session: SessionDep) -> ApiKeyMade:
    """Make an API key; its text is shown only here.

    Only a hash of it is stored. A key may do no more than its scopes say, in this workspace alone.
    """
    key, text = await service.create_key(
        session, actor, title=body.title, scopes=body.scopes, expires_at=body.expires_at
    )
    return _made(key, text)


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
    key = await service.revoke_key(session, actor, key_id=key_id)
    service.authenticator(resources).keys.forget_after_commit(session, key.prefix)
    return ApiKeyRead.model_validate(key)
