"""Which keys have sealed something here: a process that lacks one of them does not start.

Without it, an installation that lost its key would run on with another one: it could open no stored token, and
would seal new ones with a key of its own. Only fingerprints are stored, from which no key can be computed.

A key is added when a process first starts with it in front, and removed when `instep keys reseal` has
sealed everything anew (`forget_others`).
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.crypto import DEVELOPMENT_FINGERPRINT, Keyring
from app.kit.db import Base, Database, now
from app.kit.starting import StartRefused


class SealingKey(Base):
    """A key that has sealed something in this database. Not a workspace's table: keys are the installation's."""

    __tablename__ = "sealing_key"

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    """`Keyring.fingerprints`."""
    first_used_at: Mapped[datetime]


class KeyMissing(StartRefused):
    """A key that has sealed tokens of this database is not configured; the message says what to do."""

    def __init__(self, fingerprints: Sequence[str]) -> None:
        if DEVELOPMENT_FINGERPRINT in fingerprints:
            which = "the development key, which is used where INSTEP_SECRET_KEYS is not set,"
        else:
            which = f"a key (fingerprint {', '.join(one[:8] for one in fingerprints)})"
        super().__init__(
            f"INSTEP_SECRET_KEYS lacks {which} that has sealed tokens in this database. Put it back, behind the "
            "current one and a comma (in an embedded installation into the file secret_key of the data folder). If "
            "it is lost for good, `instep keys adopt` goes on with those that there are: the communities' tokens "
            "are lost then, and have to be given anew."
        )


async def missing(session: AsyncSession, keyring: Keyring) -> list[str]:
    """The fingerprints of keys that have sealed something here and that `keyring` lacks."""
    stored = await session.scalars(select(SealingKey.fingerprint).order_by(SealingKey.first_used_at))
    return [one for one in stored if one not in keyring.fingerprints]


async def require_keys(db: Database, keyring: Keyring) -> None:
    """Record the current key as one that seals; `KeyMissing` where an earlier one is not in `keyring`."""
    async with db.transaction(None) as session:
        if lacking := await missing(session, keyring):
            raise KeyMissing(lacking)
        await _record(session, keyring)


async def forget(session: AsyncSession, fingerprints: Sequence[str]) -> None:
    """These keys are not required any more: they are lost, and what they sealed as well."""
    await session.execute(delete(SealingKey).where(SealingKey.fingerprint.in_(fingerprints)))


async def forget_others(session: AsyncSession, keyring: Keyring) -> None:
    """From now on only the current key is required: nothing that was sealed with another one is still needed."""
    await session.execute(delete(SealingKey).where(SealingKey.fingerprint != keyring.fingerprints[0]))
    await _record(session, keyring)


async def _record(session: AsyncSession, keyring: Keyring) -> None:
    row = insert(SealingKey).values(fingerprint=keyring.fingerprints[0], first_used_at=now(session))
    await session.execute(row.on_conflict_do_nothing())
