"""Verification of a workspace's record of changes: what was changed, removed, moved or put in since it was written."""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Select, and_, bindparam, exists, select
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.audit import keys
from app.access.audit.chain import ENTRY_COLUMNS, UNCHAINED, genesis, link_hash, signed_head, signed_link
from app.access.audit.keys import SigningKey
from app.access.audit.models import AuditEntry, AuditHead, AuditLink, AuditUnchained
from app.access.audit.recording import SEAL, Entry
from app.kit.crypto import Keyring
from app.kit.statement import one_snapshot

PAGE: Final = 5_000
MOST_FAULTS: Final = 1_000
"""How many faults of a workspace are named; beyond that they are counted."""


class FaultKind(StrEnum):
    """What was done to the record."""

    ENTRY_CHANGED = "entry-changed"
    """An entry is not what it was when it was written."""
    ENTRY_MISSING = "entry-missing"
    """A link, or a place in the queue, has no entry any more."""
    ENTRY_INSERTED = "entry-inserted"
    """An entry is in no link and not in the queue, or was not written by this installation."""
    LINK_MISSING = "link-missing"
    """Sequences are missing within the chain, or at its beginning."""
    LINK_CHANGED = "link-changed"
    """A link was changed, or made by somebody without the key, or does not follow on any other."""
    REORDERED = "reordered"
    """A link, or its entry, was in another place."""
    HEAD_MISSING = "head-missing"
    """A day that has passed has links and no head."""
    HEAD_MISMATCH = "head-mismatch"
    """A head has no valid signature, or the chain does not have its hash at its sequence."""
    END_MISSING = "end-missing"
    """The chain ends before a head of it."""
    KEY_LOST = "key-lost"
    """What signed this cannot be opened with INSTEP_SECRET_KEYS; its signatures are not verified."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was written."""

    workspace_id: UUID
    kind: FaultKind
    detail: str
    sequence: int | None = None
    entry_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a day, as somebody has kept it outside of the database."""

    workspace_id: UUID
    day: date
    sequence: int
    hash: bytes


@dataclass(slots=True)
class Report:
    """The result for one workspace."""

    workspace_id: UUID
    entries: int = 0
    """Those that are chained."""
    unchained: int = 0
    heads: int = 0
    faults: list[Fault] = field(default_factory=list)
    more_faults: int = 0
    """How many are not in `faults`."""

    def add(self, kind: FaultKind, detail: str, sequence: int | None = None, entry_id: UUID | None = None) -> None:
        """Add a fault."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(self.workspace_id, kind, detail, sequence, entry_id))
        else:
            self.more_faults += 1


async def verify(
    connection: AsyncConnection, keyring: Keyring, workspace_id: UUID, *, exported: Sequence[Head] = ()
) -> Report:
    """Verify the whole record of a workspace, of one snapshot of the database.

    `connection` is one for reads in the workspace. `exported`: heads that were kept elsewhere.
    """
    report = Report(workspace_id)
    async with one_snapshot(connection):
        signing = await keys.every(connection, keyring)
        heads = (
            await connection.execute(
                select(AuditHead.__table__).where(AuditHead.workspace_id == workspace_id).order_by(AuditHead.day)
            )
        ).all()
        of_workspace = [head for head in exported if head.workspace_id == workspace_id]
        reader = _Reader(report, signing, {head.sequence for head in heads} | {head.sequence for head in of_workspace})
        async for page in _pages(connection, workspace_id):
            reader.page(page)
        _verify_heads(report, signing, reader, heads)
        for head in of_workspace:
            _compare(report, reader, head.day, head.sequence, head.hash, "an exported head")
        await _verify_unchained(connection, keyring, report)
    return report


async def _pages(connection: AsyncConnection, workspace_id: UUID) -> AsyncIterator[Sequence[Any]]:
    """The links in the order of their sequence, each with its entry."""
    after: int = -(2**63)
    while True:
        page = (await connection.execute(_LINKS, {"workspace": workspace_id, "after": after})).all()
        yield page
        if len(page) < PAGE:
            return
        after = page[-1].sequence


_LINK_COLUMNS: Final = ("sequence", "entry_id", "entry_hash", "is_sealed", "chained_at", "hash", "key_id", "signature")
_LINKS: Final[Select[Any]] = (
    select(*(getattr(AuditLink, name).label(name) for name in _LINK_COLUMNS), *ENTRY_COLUMNS)
    .join(
        AuditEntry,
        and_(AuditEntry.workspace_id == AuditLink.workspace_id, AuditEntry.id == AuditLink.entry_id),
        isouter=True,
    )
    .where(
        AuditLink.workspace_id == bindparam("workspace", type_=PG_UUID(as_uuid=True)),
        AuditLink.sequence > bindparam("after", type_=BigInteger()),
    )
    .order_by(AuditLink.sequence)
    .limit(PAGE)
)


@dataclass(slots=True)
class _Reader:
    """Reads the chain from its beginning."""

    report: Report
    signing: Mapping[UUID, SigningKey]
    noted: set[int]
    """The sequences whose hashes are compared with heads."""
    hashes: dict[int, bytes] = field(default_factory=dict)
    """Of `noted`."""
    last_of_day: dict[date, int] = field(default_factory=dict)
    sequence: int = 0
    previous: bytes | None = None
    """The hash of the link before; None after a gap."""
    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=256))
    """Hashes of links before: after one that is in another's place, the next follows on one of these."""
    is_disturbed: bool = False
    """The link before was not in its place."""
    lost_keys: set[UUID] = field(default_factory=set)

    def page(self, rows: Sequence[Any]) -> None:
        """Verify the next links."""
        if self.sequence == 0:
            self.previous = genesis(self.report.workspace_id)
        entry_hashes = {row.entry_hash for row in rows}
        for row in rows:
            self._link(row, rows)
            self._entry(row, entry_hashes)

    def _link(self, row: Any, page: Sequence[Any]) -> None:
        report, expected = self.report, self.sequence + 1
        if row.sequence != expected:
            missing = f"link {expected} is" if row.sequence == expected + 1 else f"links {expected} and after are"
            report.add(FaultKind.LINK_MISSING, f"before this link, {missing} missing", row.sequence)
            self.previous = None
        self.sequence = row.sequence
        key = self.signing.get(row.key_id)
        if key is None and row.key_id not in self.lost_keys:
            self.lost_keys.add(row.key_id)
            report.add(FaultKind.KEY_LOST, f"the key {row.key_id} cannot be opened", row.sequence)
        is_signed = key is None or key.verify(signed_link(report.workspace_id, row.sequence, row.hash), row.signature)
        if is_signed and self._follows(row):
            self.is_disturbed = False
            self.previous = row.hash
        else:
            self._misplaced(row, page)
        self.recent.append(row.hash)
        if row.sequence in self.noted:
            self.hashes[row.sequence] = row.hash
        self.last_of_day[row.chained_at.astimezone(UTC).date()] = row.sequence

    def _follows(self, row: Any) -> bool:
        if self.previous is None or _fits(row, self.previous):
            return True
        return self.is_disturbed and any(_fits(row, before) for before in self.recent)

    def _misplaced(self, row: Any, page: Sequence[Any]) -> None:
        """Say what is wrong with a link; what follows on it is found among the links before."""
        first = genesis(self.report.workspace_id)
        before = next((one for one in (first, *(each.hash for each in page)) if _fits(row, one)), None)
        if before is None or before == self.previous:
            detail = "the link was changed, or made without the key, or another one before it was removed"
            self.report.add(FaultKind.LINK_CHANGED, detail, row.sequence, row.entry_id)
            self.previous = None
        else:
            self.report.add(FaultKind.REORDERED, "the link stood behind another one", row.sequence, row.entry_id)
            self.previous, self.is_disturbed = row.hash, True

    def _entry(self, row: Any, entry_hashes: set[bytes]) -> None:
        report = self.report
        report.entries += 1
        if row.id is None:
            report.add(FaultKind.ENTRY_MISSING, "the entry of this link is gone", row.sequence, row.entry_id)
            return
        digest = Entry(*(getattr(row, name) for name in Entry._fields)).digest
        if digest != row.entry_hash:
            if digest in entry_hashes:
                report.add(FaultKind.REORDERED, "this entry was in another link", row.sequence, row.entry_id)
            else:
                report.add(FaultKind.ENTRY_CHANGED, "the entry is not what was chained", row.sequence, row.entry_id)
        elif not row.is_sealed:
            report.add(
                FaultKind.ENTRY_INSERTED,
                "the entry was not written by this installation: it had no valid seal when it was chained",
                row.sequence,
                row.entry_id,
            )


def _fits(row: Any, before: bytes) -> bool:
    """Whether the link's hash is that of the link behind one with this hash."""
    recomputed = link_hash(
        before,
        entry_id=row.entry_id,
        entry_hash=row.entry_hash,
        is_sealed=row.is_sealed,
        chained_at=row.chained_at,
    )
    return bool(recomputed == row.hash)


def _verify_heads(report: Report, signing: Mapping[UUID, SigningKey], reader: _Reader, heads: Sequence[Any]) -> None:
    before = b""
    for head in heads:
        key = signing.get(head.key_id)
        data = signed_head(
            report.workspace_id,
            day=head.day,
            sequence=head.sequence,
            link=head.hash,
            made_at=head.made_at,
            before=before,
        )
        before = head.signature
        report.heads += 1
        if key is None:
            if head.key_id not in reader.lost_keys:
                reader.lost_keys.add(head.key_id)
                report.add(FaultKind.KEY_LOST, f"the key {head.key_id} cannot be opened")
        elif not key.verify(data, head.signature):
            report.add(
                FaultKind.HEAD_MISMATCH,
                f"the head of {head.day} has no valid signature, or does not follow on the head before",
                head.sequence,
            )
            continue
        _compare(report, reader, head.day, head.sequence, head.hash, "the head")
    closed = {head.day for head in heads}
    for day in sorted(reader.last_of_day)[:-1]:
        if day not in closed:
            report.add(FaultKind.HEAD_MISSING, f"the head of {day} is missing", reader.last_of_day[day])


def _compare(report: Report, reader: _Reader, day: date, sequence: int, link: bytes, what: str) -> None:
    if sequence > reader.sequence:
        report.add(
            FaultKind.END_MISSING,
            f"{what} of {day} is at {sequence}, and the chain ends at {reader.sequence}",
            sequence,
        )
    elif sequence in reader.hashes and reader.hashes[sequence] != link:
        report.add(FaultKind.HEAD_MISMATCH, f"{what} of {day} has another hash than the chain", sequence)


async def _verify_unchained(connection: AsyncConnection, keyring: Keyring, report: Report) -> None:
    """Entries in the queue have a valid seal; all others are in a link."""
    workspace_id = report.workspace_id
    queued = set()
    for seal, *columns in await connection.execute(UNCHAINED, {"workspace": workspace_id}):
        entry = Entry(*columns)
        queued.add(entry.id)
        report.unchained += 1
        if seal is None or not keyring.verify(SEAL, entry.digest, seal):
            detail = "the entry is not chained yet, and its seal does not fit: it was changed, or put in"
            report.add(FaultKind.ENTRY_CHANGED, detail, entry_id=entry.id)
    in_queue = select(AuditUnchained.entry_id).where(AuditUnchained.workspace_id == workspace_id)
    for entry_id in (await connection.scalars(in_queue)).all():
        if entry_id not in queued:
            report.add(FaultKind.ENTRY_MISSING, "an entry is gone before it was chained", entry_id=entry_id)
    same = and_(AuditLink.workspace_id == AuditEntry.workspace_id, AuditLink.entry_id == AuditEntry.id)
    waiting = and_(AuditUnchained.workspace_id == AuditEntry.workspace_id, AuditUnchained.entry_id == AuditEntry.id)
    unlinked = (
        select(AuditEntry.id)
        .where(AuditEntry.workspace_id == workspace_id, ~exists().where(same), ~exists().where(waiting))
        .order_by(AuditEntry.id)
        .limit(MOST_FAULTS)
    )
    for entry_id in (await connection.scalars(unlinked)).all():
        detail = "the entry is in no link, and does not wait for one: it was put in, or its link was taken away"
        report.add(FaultKind.ENTRY_INSERTED, detail, entry_id=entry_id)
