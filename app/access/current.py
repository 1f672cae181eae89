"""What a route asks for: who is calling, and the unit of work or connection in their workspace."""

import hashlib
import math
from collections.abc import AsyncIterator
from typing import Annotated, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access.models import Scope, Workspace
from app.access.service import Actor, Authenticator
from app.kit import idempotency
from app.kit.db import Database, workspace_of
from app.kit.errors import Conflict, Forbidden, Invalid, Unauthenticated
from app.kit.ids import uuid7
from app.kit.paging import Pager
from app.kit.resources import Resources

_bearer = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="An API key of your workspace: `Authorization: Bearer isk_…`"
)
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


async def resources(request: Request) -> Resources:
    """What this process has at hand."""
    found: Resources = request.app.state.resources
    return found


ResourcesDep = Annotated[Resources, Depends(resources)]


_authenticators: WeakKeyDictionary[Database, Authenticator] = WeakKeyDictionary()


def authenticator(db: Database) -> Authenticator:
    """This process's authenticator for a database."""
    found = _authenticators.get(db)
    if found is None:
        found = _authenticators[db] = Authenticator(db)
    return found


async def actor(
    request: Request, resources: ResourcesDep, bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> Actor:
    """Who is calling; what the key may do is checked against the method."""
    if bearer is None:
        raise Unauthenticated("Send your API key: Authorization: Bearer isk_…")
    found = await authenticator(resources.db).admit(bearer.credentials)
    needed = Scope.READ if request.method in _READS else Scope.WRITE
    if needed not in found.scopes and Scope.ADMIN not in found.scopes:
        raise Forbidden(f"This API key lacks the scope {needed.value!r}.", code="missing-scope")
    return found


CurrentActor = Annotated[Actor, Depends(actor)]


async def administrator(found: CurrentActor) -> Actor:
    """Who is calling, with the right to manage the workspace itself."""
    if Scope.ADMIN not in found.scopes:
        raise Forbidden(f"This API key lacks the scope {Scope.ADMIN.value!r}.", code="missing-scope")
    return found


Administrator = Annotated[Actor, Depends(administrator)]


async def work(request: Request, resources: ResourcesDep, who: CurrentActor) -> AsyncIterator[AsyncSession]:
    """A unit of work in the caller's workspace."""
    async with resources.transaction(who.workspace_id) as session:
        await idempotency.begin(request, session)
        yield session


# scope="function": the block ends, and so the commit comes, before the answer is sent.
SessionDep = Annotated[AsyncSession, Depends(work, scope="function")]


async def glance(resources: ResourcesDep, who: CurrentActor) -> AsyncIterator[AsyncConnection]:
    """A connection for a hot read in the caller's workspace."""
    async with resources.db.read_connection(who.workspace_id) as connection:
        yield connection


ReadDep = Annotated[AsyncConnection, Depends(glance, scope="function")]


async def pager(request: Request, resources: ResourcesDep, who: CurrentActor) -> Pager:
    """The cursors of this list with these filters."""
    filters = {name: value for name, value in request.query_params.items() if name not in {"cursor", "limit"}}
    return Pager.of(resources.keyring, who.workspace_id, request.url.path, filters)


PagerDep = Annotated[Pager, Depends(pager)]


async def founding(request: Request, resources: ResourcesDep) -> AsyncIterator[AsyncSession]:
    """A unit of work in a workspace that is about to exist.

    With an `Idempotency-Key` the workspace's id follows from it, so that a repeat makes no second one.
    Whoever signs up has no credential yet that tells a repeat from a stranger's guess, and the answer
    holds a secret: so the key must be hard to guess (`Invalid`), and a repeat is told that the
    workspace exists (`Conflict`), not what was answered first.
    """
    key = idempotency.key_of(request)
    if key is None:
        async with resources.transaction(uuid7()) as session:
            yield session
        return
    if guessable(key):
        raise Invalid(
            f"For a sign-up the {idempotency.HEADER} must be random; take a UUID.", code="guessable-idempotency-key"
        )
    async with resources.transaction(_derived(key)) as session:
        await idempotency.reserve(session, key)
        made = await session.get(Workspace, workspace_of(session))
        if made is not None:
            raise Conflict(
                f"A sign-up with this {idempotency.HEADER} was made already; its answer, and the API key in it, is not "
                "shown again. If that key is lost, whoever runs this installation makes another: "
                f"instep keys create {made.workspace_id}",
                code="idempotency-key-taken",
            )
        yield session


def guessable(key: str) -> bool:
    """Whether a key has clearly less than 128 random bits: it is short, or has few different characters."""
    return len(key) < 22 or len(key) * math.log2(len(set(key))) < 80


def _derived(key: str) -> UUID:
    """A UUID (version 8: of our own making) that only depends on the key."""
    value = int.from_bytes(hashlib.sha256(b"workspace\0" + key.encode()).digest()[:16], "big")
    return UUID(int=value & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x8000 << 64 | 0x8000 << 48)


SignUpSessionDep = Annotated[AsyncSession, Depends(founding, scope="function")]
