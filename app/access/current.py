"""Dependencies of routes: the authenticated actor, and a session or connection in the actor's workspace."""

import hashlib
import math
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access.models import Workspace
from app.access.permissions import SCOPES, Permission
from app.access.service import RequestActor, authenticator
from app.kit import idempotency
from app.kit.actors import SIGN_UP
from app.kit.db import workspace_of
from app.kit.errors import Conflict, Forbidden, Invalid, Unauthenticated
from app.kit.ids import uuid7
from app.kit.paging import Pager
from app.kit.resources import Resources
from app.kit.routing import required_permission

_bearer = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="An API key of your workspace: `Authorization: Bearer isk_…`"
)


async def resources(request: Request) -> Resources:
    """This process's `Resources`."""
    process_resources: Resources = request.app.state.resources
    return process_resources


ResourcesDep = Annotated[Resources, Depends(resources)]


async def actor(
    request: Request, resources: ResourcesDep, bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> RequestActor:
    """The actor of the request's API key, who has the permission that the operation declares.

    Raises `Unauthenticated` without a valid key, `Forbidden` without the permission.
    """
    if bearer is None:
        raise Unauthenticated("Send your API key: Authorization: Bearer isk_…")
    authenticated = await authenticator(resources).authenticate(bearer.credentials)
    structlog.contextvars.bind_contextvars(actor=str(authenticated))
    required = Permission(required_permission(request))
    if required not in authenticated.permissions:
        raise Forbidden(
            f"This API key lacks the permission {required.value!r}, a part of the scope {SCOPES[required].value!r}.",
            code="missing-scope",
        )
    return authenticated


CurrentActor = Annotated[RequestActor, Depends(actor)]


async def write_session(request: Request, resources: ResourcesDep, actor: CurrentActor) -> AsyncIterator[AsyncSession]:
    """A transaction in the actor's workspace, in which the request's `Idempotency-Key` is claimed."""
    async with resources.transaction(actor.workspace_id, actor) as session:
        await idempotency.begin(request, session)
        yield session


# scope="function": the generator ends, and so the transaction commits, before the response is sent.
SessionDep = Annotated[AsyncSession, Depends(write_session, scope="function")]


async def read_connection(resources: ResourcesDep, actor: CurrentActor) -> AsyncIterator[AsyncConnection]:
    """An autocommit connection for reads in the actor's workspace."""
    async with resources.db.read_connection(actor.workspace_id) as connection:
        yield connection


ReadDep = Annotated[AsyncConnection, Depends(read_connection, scope="function")]


async def pager(request: Request, resources: ResourcesDep, actor: CurrentActor) -> Pager:
    """Reads and writes the cursors of the requested list with the requested filters."""
    filters = {name: value for name, value in request.query_params.items() if name not in {"cursor", "limit"}}
    return Pager.of(resources.keyring, actor.workspace_id, request.url.path, filters)


PagerDep = Annotated[Pager, Depends(pager)]


async def sign_up_session(request: Request, resources: ResourcesDep) -> AsyncIterator[AsyncSession]:
    """A transaction in the workspace that a sign-up is about to create.

    With an `Idempotency-Key` the workspace's id is derived from the key, so that a repeat creates no second
    one. A sign-up has no credential that would tell a repeat from somebody else's guess of the key, and its
    response holds a secret. So the key must be hard to guess (`Invalid`), and a repeat is answered with
    `Conflict`, not with the first response.
    """
    key = idempotency.key_of(request)
    if key is None:
        async with resources.transaction(uuid7(), SIGN_UP) as session:
            yield session
        return
    if guessable(key):
        raise Invalid(
            f"For a sign-up the {idempotency.HEADER} must be random; take a UUID.", code="guessable-idempotency-key"
        )
    async with resources.transaction(_derived(key), SIGN_UP) as session:
        await idempotency.reserve(session, key)
        existing = await session.get(Workspace, workspace_of(session))
        if existing is not None:
            raise Conflict(
                f"A sign-up with this {idempotency.HEADER} was made already; its answer, and the API key in it, is not "
                "shown again. If that key is lost, whoever runs this installation makes another: "
                f"instep keys create {existing.workspace_id}",
                code="idempotency-key-taken",
            )
        yield session


def guessable(key: str) -> bool:
    """Whether a key clearly has fewer than 128 random bits: it is short, or has few distinct characters."""
    return len(key) < 22 or len(key) * math.log2(len(set(key))) < 80


def _derived(key: str) -> UUID:
    """A UUID (version 8, custom) that depends on the key alone."""
    value = int.from_bytes(hashlib.sha256(b"workspace\0" + key.encode()).digest()[:16], "big")
    return UUID(int=value & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x8000 << 64 | 0x8000 << 48)


SignUpSessionDep = Annotated[AsyncSession, Depends(sign_up_session, scope="function")]
