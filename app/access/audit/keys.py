"""The keys that sign the chain: made here, sealed with the installation's secret key, and kept for ever.

A key is followed by another one when the secret key is replaced (`instep keys reseal`): whoever had the old secret key
and a copy of the database could sign with the keys of that time, but not what comes after.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access.audit.models import AuditKey
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import lock, now
from app.kit.ids import uuid7


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key, opened."""

    id: UUID
    secret: bytes = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """HMAC-SHA256 of `data`."""
        return hmac.digest(self.secret, data, hashlib.sha256)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether this is the signature of `data`."""
        return hmac.compare_digest(self.sign(data), signature)


async def current(session: AsyncSession, keyring: Keyring) -> SigningKey:
    """The latest key; a first one is made, and another one where the secret key of the latest is lost."""
    latest = select(AuditKey).order_by(AuditKey.id.desc()).limit(1)
    key = _opened(await session.scalar(latest), keyring)
    if key is None:
        await lock(session, "audit-key")
        key = _opened(await session.scalar(latest), keyring) or _add(session, keyring)
        await session.flush()
    return key


async def every(connection: AsyncConnection, keyring: Keyring) -> Mapping[UUID, SigningKey]:
    """The keys that can be opened, by id."""
    rows = (await connection.execute(select(AuditKey.id, AuditKey.sealed))).all()
    keys = (_opened(AuditKey(id=row.id, sealed=row.sealed), keyring) for row in rows)
    return {key.id: key for key in keys if key is not None}


async def replace(session: AsyncSession, keyring: Keyring) -> None:
    """Seal the keys under the current secret key, and sign with a new one from now on.

    One whose secret key is lost stays as it is.
    """
    await lock(session, "audit-key")
    for row in await session.scalars(select(AuditKey).order_by(AuditKey.id).with_for_update()):
        try:
            row.sealed = keyring.reseal(row.sealed)
        except SealBroken:
            continue
    _add(session, keyring)


def _add(session: AsyncSession, keyring: Keyring) -> SigningKey:
    key = SigningKey(uuid7(), secrets.token_bytes(32))
    session.add(AuditKey(id=key.id, sealed=keyring.seal(key.secret.hex()), created_at=now(session)))
    return key


def _opened(row: AuditKey | None, keyring: Keyring) -> SigningKey | None:
    try:
        return None if row is None else SigningKey(row.id, bytes.fromhex(keyring.open(row.sealed)))
    except SealBroken:
        return None
