"""The chain of a workspace's entries, and its daily heads.

A link's hash covers the hash before it, its entry and when it was chained; its signature covers the hash and the place.
So an entry cannot be changed, nor a link removed, moved or made, without the key. What remains is to cut off the
end, links and heads and entries alike: that shows against a head that was exported (`GET /v1/audit/heads`), or in the
log, where every append and every head is a line.

The writers of entries do not wait for each other: only this job, one at a time for a workspace, knows the chain's end.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from sqlalchemy import JSON, Text, bindparam, cast, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import keys
from app.access.audit.models import AuditEntry, AuditHead, AuditLink, AuditUnchained
from app.access.audit.recording import SEAL, Entry
from app.kit.crypto import Keyring
from app.kit.db import after_commit, lock, now, workspace_of

log = structlog.get_logger()

PAGE: Final = 1_000

ENTRY_COLUMNS: Final = tuple(
    cast(column, Text).label(column.key) if isinstance(column.type, JSON) else column
    for column in (getattr(AuditEntry, name) for name in Entry._fields)
)
"""The columns of an `Entry`; JSON as the text that was stored."""
UNCHAINED: Final = (
    select(AuditUnchained.seal, *ENTRY_COLUMNS)
    .join(
        AuditEntry,
        (AuditEntry.workspace_id == AuditUnchained.workspace_id) & (AuditEntry.id == AuditUnchained.entry_id),
    )
    .where(AuditUnchained.workspace_id == bindparam("workspace"))
    .order_by(AuditUnchained.entry_id)
)
"""The seal and the columns of the entries that are not chained yet."""


def genesis(workspace_id: UUID) -> bytes:
    """What the first link of a workspace has in place of the hash before it."""
    return hashlib.sha256(b"instep audit\0" + workspace_id.bytes).digest()


def link_hash(before: bytes, *, entry_id: UUID, entry_hash: bytes, is_sealed: bool, chained_at: datetime) -> bytes:
    """SHA-256 of the hash before it and the link as a JSON array."""
    link = [str(entry_id), entry_hash.hex(), is_sealed, chained_at.astimezone(UTC).isoformat()]
    return hashlib.sha256(before + orjson.dumps(link)).digest()


def signed_link(workspace_id: UUID, sequence: int, link: bytes) -> bytes:
    """What the signature of a link covers: its place, and its hash."""
    return b"link\0" + orjson.dumps([str(workspace_id), sequence, link.hex()])


def signed_head(
    workspace_id: UUID, *, day: date, sequence: int, link: bytes, made_at: datetime, before: bytes
) -> bytes:
    """What the signature of a head covers. `before`: the signature of the head before; empty for the first."""
    head = [str(workspace_id), day.isoformat(), sequence, link.hex(), made_at.astimezone(UTC).isoformat(), before.hex()]
    return b"head\0" + orjson.dumps(head)


@dataclass(slots=True)
class _End:
    """The last link."""

    sequence: int
    hash: bytes


async def append(session: AsyncSession, keyring: Keyring, *, limit: int) -> int:
    """Append up to `limit` entries that are not chained yet; how many there were.

    The day of the last link is closed first where it has passed.
    """
    workspace_id = workspace_of(session)
    await lock(session, "audit-chain", workspace_id)
    key = await keys.current(session, keyring)
    last = await session.scalar(
        select(AuditLink).where(AuditLink.workspace_id == workspace_id).order_by(AuditLink.sequence.desc()).limit(1)
    )
    if last is not None:
        await _close_day(session, key, last)
    rows = (await session.execute(UNCHAINED.limit(limit), {"workspace": workspace_id})).all()
    if rows:
        end = _End(0, genesis(workspace_id)) if last is None else _End(last.sequence, last.hash)
        await session.execute(insert(AuditLink), _links(session, keyring, key, end, rows))
        await session.execute(
            delete(AuditUnchained).where(
                AuditUnchained.workspace_id == workspace_id, AuditUnchained.entry_id.in_([row.id for row in rows])
            )
        )
        _log_after_commit(session, "audit.chained", entries=len(rows), sequence=end.sequence, hash=end.hash.hex())
    return len(rows)


def _links(
    session: AsyncSession, keyring: Keyring, key: keys.SigningKey, end: _End, rows: Sequence[Any]
) -> list[dict[str, Any]]:
    """The links of these entries; `end` is moved to the last of them."""
    links = []
    for seal, *columns in rows:
        entry = Entry(*columns)
        digest = entry.digest
        is_sealed = seal is not None and keyring.verify(SEAL, digest, seal)
        if not is_sealed:
            # It is chained all the same, marked for ever: left out, it could be removed again.
            log.error("audit.unsealed_entry", entry_id=str(entry.id), action=entry.action)
        sequence = end.sequence + 1
        chained: dict[str, Any] = {
            "entry_id": entry.id,
            "entry_hash": digest,
            "is_sealed": is_sealed,
            "chained_at": now(session),
        }
        end.sequence, end.hash = sequence, link_hash(end.hash, **chained)
        signature = key.sign(signed_link(entry.workspace_id, sequence, end.hash))
        links.append(
            {
                "workspace_id": entry.workspace_id,
                "sequence": sequence,
                **chained,
                "hash": end.hash,
                "key_id": key.id,
                "signature": signature,
            }
        )
    return links


async def _close_day(session: AsyncSession, key: keys.SigningKey, last: AuditLink) -> None:
    """Make the head of the last link's day, if that day has passed and has none."""
    day = last.chained_at.astimezone(UTC).date()
    if day >= now(session).astimezone(UTC).date():
        return
    before = await session.scalar(
        select(AuditHead).where(AuditHead.workspace_id == last.workspace_id).order_by(AuditHead.day.desc()).limit(1)
    )
    if before is not None and before.day >= day:
        return
    data = signed_head(
        last.workspace_id,
        day=day,
        sequence=last.sequence,
        link=last.hash,
        made_at=now(session),
        before=b"" if before is None else before.signature,
    )
    head = AuditHead(
        workspace_id=last.workspace_id,
        day=day,
        sequence=last.sequence,
        hash=last.hash,
        made_at=now(session),
        key_id=key.id,
        signature=key.sign(data),
    )
    session.add(head)
    await session.flush()
    _log_after_commit(session, "audit.head", day=day.isoformat(), sequence=last.sequence, hash=last.hash.hex())


async def seal_again(session: AsyncSession, keyring: Keyring) -> None:
    """Seal what is not chained yet under the current secret key: the old one may be taken away then."""
    workspace_id = workspace_of(session)
    await lock(session, "audit-chain", workspace_id)
    rows = (await session.execute(UNCHAINED, {"workspace": workspace_id})).all()
    for seal, *columns in rows:
        entry = Entry(*columns)
        if seal is not None and keyring.verify(SEAL, entry.digest, seal):
            await session.execute(
                update(AuditUnchained)
                .where(AuditUnchained.workspace_id == workspace_id, AuditUnchained.entry_id == entry.id)
                .values(seal=keyring.sign(SEAL, entry.digest))
            )


def _log_after_commit(session: AsyncSession, event: str, **values: object) -> None:
    workspace_id = str(workspace_of(session))

    async def write() -> None:
        log.info(event, workspace_id=workspace_id, **values)

    after_commit(session, write)
