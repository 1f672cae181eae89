"""Dependencies of routes: the authenticated actor, and a session or connection in the actor's workspace."""

import hashlib
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access.authentication import RequestActor
from app.access.models import Workspace
from app.kit import idempotency
from app.kit.actors import SIGN_UP
from app.kit.db import workspace_of
from app.kit.errors import Conflict, Invalid
from app.kit.ids import uuid7
from app.kit.lists import Listing, Row
from app.kit.paging import Pager
from app.kit.resources import Resources
from app.kit.search import WordIndex

# None of these depends on another one: FastAPI solves the dependencies of a dependency again wherever it is used.


def resources_of(request: Request) -> Resources:
    """This process's `Resources`."""
    process_resources: Resources = request.app.state.resources
    return process_resources


async def resources(request: Request) -> Resources:
    """This process's `Resources`."""
    return resources_of(request)


ResourcesDep = Annotated[Resources, Depends(resources)]


def authenticated_actor(request: Request) -> RequestActor:
    """The actor that the request's `ProtectedRoute` has authenticated; a `KeyError` in a public operation."""
    authenticated: RequestActor = request.scope["actor"]
    return authenticated


async def actor(request: Request) -> RequestActor:
    """The actor of the request's credential, who has the permission that the operation declares."""
    return authenticated_actor(request)


CurrentActor = Annotated[RequestActor, Depends(actor)]


async def write_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A transaction in the actor's workspace and projects, in which the request's `Idempotency-Key` is claimed."""
    current = authenticated_actor(request)
    async with resources_of(request).transaction(current.workspace_id, current, projects=current.projects) as session:
        await idempotency.begin(request, session, actor=str(current))
        yield session


# scope="function": the generator ends, and so the transaction commits, before the response is sent.
SessionDep = Annotated[AsyncSession, Depends(write_session, scope="function")]


def connection_of(request: Request) -> AbstractAsyncContextManager[AsyncConnection]:
    """An autocommit connection for reads in the actor's workspace and projects."""
    current = authenticated_actor(request)
    return resources_of(request).db.read_connection(current.workspace_id, projects=current.projects)


async def read_connection(request: Request) -> AsyncIterator[AsyncConnection]:
    """An autocommit connection for reads in the actor's workspace and projects."""
    async with connection_of(request) as connection:
        yield connection


ReadDep = Annotated[AsyncConnection, Depends(read_connection, scope="function")]


def pager_of(request: Request) -> Pager:
    """Reads and writes the cursors of the requested list with the requested filters."""
    filters = {name: value for name, value in request.query_params.items() if name not in {"cursor", "limit"}}
    workspace_id = authenticated_actor(request).workspace_id
    return Pager.of(resources_of(request).keyring, workspace_id, request.scope["path"], filters)


async def pager(request: Request) -> Pager:
    """Reads and writes the cursors of the requested list with the requested filters."""
    return pager_of(request)


PagerDep = Annotated[Pager, Depends(pager)]


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A request for a list, in the actor's workspace. One dependency, as each costs as much as some ten rows."""

    actor: RequestActor
    resources: Resources
    request: Request

    async def page(
        self,
        listing: Listing,
        *,
        sort: Any,
        limit: int,
        cursor: str | None,
        filters: Mapping[str, Any],
        search: tuple[WordIndex, str | None] | None = None,
    ) -> tuple[list[Row], str | None]:
        """A page's rows and the cursor of the next one; the connection is free again before they are serialised.

        `search`: the words of the listed rows, and those that a row must have (None: any row).
        """
        async with connection_of(self.request) as connection:
            if search is not None:
                index, q = search
                workspace_id, listed = self.actor.workspace_id, filters
                matching = await index.find(
                    connection,
                    workspace_id,
                    q,
                    {**filters, "sort": sort},
                    lambda most: listing.is_short(connection, workspace_id, sort, listed, most),
                )
                filters = {**filters, **matching}
            return await listing.page(
                connection,
                pager_of(self.request),
                workspace_id=self.actor.workspace_id,
                sort=sort,
                limit=limit,
                cursor=cursor,
                filters=filters,
            )

    async def one(self, listing: Listing, row_id: UUID) -> Row:
        """The row with this id; `NotFound` where there is none in the actor's workspace."""
        async with connection_of(self.request) as connection:
            return await listing.one(connection, self.actor.workspace_id, row_id)


async def list_request(request: Request) -> ListRequest:
    """The request, of the actor of the request's API key."""
    return ListRequest(authenticated_actor(request), resources_of(request), request)


ListDep = Annotated[ListRequest, Depends(list_request)]


async def sign_up_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A transaction in the workspace that a sign-up is about to create.

    With an `Idempotency-Key` the workspace's id is derived from the key, so that a repeat creates no second
    one. A sign-up has no credential that would tell a repeat from somebody else's guess of the key, and its
    response holds a secret. So the key must be hard to guess (`Invalid`), and a repeat is answered with
    `Conflict`, not with the first response.
    """
    key = idempotency.key_of(request)
    if key is None:
        async with resources_of(request).transaction(uuid7(), SIGN_UP) as session:
            yield session
        return
    if guessable(key):
        raise Invalid(
            f"For a sign-up the {idempotency.HEADER} must be random; take a UUID.", code="guessable-idempotency-key"
        )
    async with resources_of(request).transaction(_derived(key), SIGN_UP) as session:
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
