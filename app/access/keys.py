"""API keys: made, limited, rotated and revoked."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import record, snapshot
from app.access.grants import Grants
from app.access.models import ApiKey
from app.access.permissions import Permission
from app.access.tokens import API_KEY, Token
from app.kit.actors import Actor
from app.kit.db import in_the_future, now, workspace_of
from app.kit.errors import Conflict, Forbidden, NotFound
from app.kit.ids import uuid7


async def create_key(
    session: AsyncSession,
    actor: Actor,
    *,
    title: str,
    owner_id: UUID,
    maker: Grants | None = None,
    permissions: Collection[Permission] | None = None,
    projects: Collection[UUID] | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, Token]:
    """A new key of a user, and its token, which is not stored.

    `permissions` and `projects` limit it (None: to all that the user has). `maker`: what the credential that makes
    the key may do, None for the installation's own command; raises `Forbidden` (`more-than-yours`) where the new
    key could do more, and `Invalid` (`not-in-the-future`) for an `expires_at` that has passed.
    """
    in_the_future(session, "expires_at", expires_at)
    if maker is not None:
        _no_more_than(maker, permissions, projects)
    token = Token.new(API_KEY)
    key = ApiKey(
        prefix=token.prefix,
        workspace_id=workspace_of(session),
        id=uuid7(),
        title=title,
        secret_hash=token.hash,
        previous_hash=None,
        previous_until=None,
        owner_id=owner_id,
        permissions=None if permissions is None else sorted(permission.value for permission in permissions),
        project_ids=None if projects is None else sorted(map(str, projects)),
        created_at=now(session),
        last_used_at=None,
        expires_at=expires_at,
        revoked_at=None,
    )
    session.add(key)
    await session.flush()
    record(session, actor, "api-keys.create", key_id=key.id, owner_id=owner_id, after=snapshot(key))
    return key, token


def _no_more_than(maker: Grants, permissions: Collection[Permission] | None, projects: Collection[UUID] | None) -> None:
    """Raise `Forbidden` where a key with these limits could do something that its maker may not.

    A limited key that made an unlimited one would have left its limits.
    """
    requested = frozenset(Permission) if permissions is None else frozenset(permissions)
    if maker.everywhere >= requested:
        return
    missing = sorted(
        permission.value
        for permission in requested
        if permission not in maker.everywhere
        and (projects is None or not frozenset(projects) <= (maker.projects_with(permission) or frozenset()))
    )
    if missing:
        raise Forbidden(
            "A key can be given only what its maker may do; yours lacks, in these projects: "
            f"{', '.join(missing)}. Name `permissions` and `project_ids` that it has.",
            code="more-than-yours",
        )


async def locked_key(session: AsyncSession, key_id: UUID) -> ApiKey:
    """The key with this id, locked; `NotFound` where this workspace has none."""
    key = await session.scalar(
        select(ApiKey).where(ApiKey.workspace_id == workspace_of(session), ApiKey.id == key_id).with_for_update()
    )
    if key is None:
        raise NotFound
    return key


async def revoke_key(session: AsyncSession, actor: Actor, *, key_id: UUID) -> ApiKey:
    """Revoke a key from now on; `NotFound` where this workspace has none of this id. Idempotent."""
    key = await locked_key(session, key_id)
    if key.revoked_at is None:
        before, key.revoked_at = snapshot(key), now(session)
        record(session, actor, "api-keys.revoke", key_id=key.id, before=before, after=snapshot(key))
    return key


async def rotate_key(session: AsyncSession, actor: Actor, *, key_id: UUID, overlap: timedelta) -> tuple[ApiKey, Token]:
    """Give a key another secret; the old one is accepted for `overlap` more. The token is not stored.

    Raises `NotFound`, and `Conflict` (`api-key-ended`) for one that is revoked or has expired.
    """
    key = await locked_key(session, key_id)
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now(session)):
        raise Conflict("This key has ended: make another one.", code="api-key-ended")
    token = Token(API_KEY, key.prefix, "").renewed()
    key.previous_hash, key.previous_until = key.secret_hash, now(session) + overlap
    key.secret_hash = token.hash
    record(session, actor, "api-keys.rotate", key_id=key.id, overlap_seconds=int(overlap.total_seconds()))
    return key, token
