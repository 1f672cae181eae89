"""Sign-up, API keys, and authentication by them."""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import record
from app.access.models import ApiKey, ApiKeyScope, Membership, Role, UserAccount, Workspace
from app.access.permissions import Permission, of_scopes
from app.kit.actors import Actor, ActorKind
from app.kit.cache import Cache, OnePer
from app.kit.db import in_the_future, now, workspace_of
from app.kit.errors import Conflict, NotFound, Unauthenticated
from app.kit.ids import uuid7
from app.kit.resources import Resources

_ALPHABET: Final = string.ascii_letters + string.digits
_KEY: Final = re.compile(r"isk_([A-Za-z0-9]{12})_([A-Za-z0-9]{43})")
_REFUSED: Final = "This API key is not known, or expired, or revoked."


@dataclass(frozen=True, slots=True)
class RequestActor(Actor):
    """The actor of an authenticated request, in its workspace, with its permissions."""

    workspace_id: UUID
    permissions: frozenset[Permission]


async def sign_up(
    session: AsyncSession, actor: Actor, *, title: str, owner_name: str, owner_email: str
) -> tuple[Workspace, UserAccount, ApiKey, str]:
    """Create the session's workspace, its owner, and an API key with every scope; the text is that key in full.

    Raises `Conflict` (`email-taken`) where the address has signed up before.
    """
    workspace = Workspace(workspace_id=workspace_of(session), title=title, created_at=now(session))
    session.add(workspace)
    owner_id = await session.scalar(
        insert(UserAccount)
        .values(id=uuid7(), email=owner_email, name=owner_name, created_at=now(session))
        .on_conflict_do_nothing()
        .returning(UserAccount.id)
    )
    if owner_id is None:
        raise Conflict("Somebody with this e-mail address has signed up already.", code="email-taken")
    await session.flush()
    session.add(
        Membership(
            workspace_id=workspace.workspace_id, user_id=owner_id, role=Role.OWNER.value, created_at=now(session)
        )
    )
    record(session, actor, "workspaces.create", user_id=owner_id)
    key, secret = await create_key(session, actor, title="first key", scopes=list(ApiKeyScope), expires_at=None)
    owner = await session.get_one(UserAccount, owner_id)
    return workspace, owner, key, secret


async def workspaces(session: AsyncSession) -> Sequence[UUID]:
    """The ids of all workspaces, for jobs that go over all of them.

    Row-level security hides the workspaces from a transaction without one; but each has had an API key
    since its sign-up, and keys are never deleted.
    """
    return (await session.scalars(select(ApiKey.workspace_id).distinct())).all()


async def create_key(
    session: AsyncSession, actor: Actor, *, title: str, scopes: Sequence[ApiKeyScope], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """A new key of this workspace and its full text, which is not stored.

    Raises `Invalid` (`not-in-the-future`) for an `expires_at` that has passed.
    """
    in_the_future(session, "expires_at", expires_at)
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(43))
    key = ApiKey(
        prefix=prefix,
        workspace_id=workspace_of(session),
        title=title,
        secret_hash=_hash(secret),
        scopes=sorted({scope.value for scope in scopes}),
        created_at=now(session),
        expires_at=expires_at,
        revoked_at=None,
    )
    session.add(key)
    await session.flush()
    record(session, actor, "api-keys.create", key_id=key.id)
    return key, f"isk_{prefix}_{secret}"


async def revoke_key(session: AsyncSession, actor: Actor, *, key_id: UUID) -> ApiKey:
    """Revoke a key from now on; `NotFound` where this workspace has none of this id. Idempotent."""
    key = await session.scalar(
        select(ApiKey).where(ApiKey.workspace_id == workspace_of(session), ApiKey.id == key_id).with_for_update()
    )
    if key is None:
        raise NotFound
    if key.revoked_at is None:
        key.revoked_at = now(session)
        record(session, actor, "api-keys.revoke", key_id=key.id)
    return key


def _hash(secret: str) -> bytes:
    """SHA-256: a secret of 256 random bits cannot be guessed, so it needs no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is needed of an API key to authenticate by it."""

    secret_hash: bytes
    expires_at: datetime | None
    actor: RequestActor


class Authenticator:
    """Authenticates API keys, each cached for `CACHE_SECONDS`.

    A key revoked through another process is accepted here for that long at most; one revoked through this
    process is dropped from the cache with the commit.
    """

    CACHE_SECONDS: Final = 5.0
    CACHE_SIZE: Final = 10_000

    def __init__(self, resources: Resources) -> None:
        self._db, self._clock = resources.db, resources.clock
        self.keys: Final = Cache[str, StoredKey](self._clock, seconds=self.CACHE_SECONDS, size=self.CACHE_SIZE)
        """By prefix."""

    async def authenticate(self, key: str) -> RequestActor:
        """The actor of an API key; `Unauthenticated` where it is unknown, expired or revoked."""
        matched = _KEY.fullmatch(key)
        if matched is None:
            raise Unauthenticated("This is not an API key: they look like isk_…_…")
        prefix, secret = matched.groups()
        stored = await self.keys.get(prefix, lambda: self._look_up(prefix))
        if not hmac.compare_digest(stored.secret_hash, _hash(secret)) or (
            stored.expires_at is not None and stored.expires_at <= self._clock.now()
        ):
            raise Unauthenticated(_REFUSED)
        return stored.actor

    async def _look_up(self, prefix: str) -> StoredKey:
        """Raises `Unauthenticated` where there is none: unknown keys are not cached, or they could fill the cache."""
        async with self._db.read_connection(None) as connection:
            row = (await connection.execute(_BY_PREFIX, {"prefix": prefix})).one_or_none()
        if row is None or row.revoked_at is not None:
            raise Unauthenticated(_REFUSED)
        permissions = of_scopes(map(ApiKeyScope, row.scopes))
        actor = RequestActor(ActorKind.API_KEY, str(row.id), row.workspace_id, permissions)
        return StoredKey(row.secret_hash, row.expires_at, actor)


authenticator: Final = OnePer(Authenticator)
"""The authenticator of a process."""


_BY_PREFIX: Final = select(
    ApiKey.workspace_id, ApiKey.id, ApiKey.secret_hash, ApiKey.scopes, ApiKey.expires_at, ApiKey.revoked_at
).where(ApiKey.prefix == bindparam("prefix"))
