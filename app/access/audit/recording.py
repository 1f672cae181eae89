"""Entries of the record of changes: written in the transaction of the change, all of it in one statement."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
import structlog
from sqlalchemy import ARRAY, DateTime, LargeBinary, Text, bindparam, event, select, text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from app.access.models import UserWorkspace
from app.kit.actors import Actor
from app.kit.crypto import Keyring
from app.kit.db import Audited, after_commit, before_commit, now, pooled
from app.kit.ids import uuid7_at
from app.kit.statement import Statement

log = structlog.get_logger()

LONGEST: Final = 500
"""Texts, and other values as JSON, of more characters are recorded as their `digest`."""
SEAL: Final = "audit entry"
"""The purpose of the signature of an entry that is not chained yet."""


def snapshot(row: Audited) -> dict[str, Any]:
    """The recorded columns of a row as they are now, for `before` and `after` of `record`."""
    return {
        **{name: getattr(row, name) for name in row.AUDITED},
        **{name: digest(getattr(row, name)) for name in row.DIGESTED},
    }


def digest(value: Any) -> dict[str, Any] | None:
    """What is recorded of a value that must not be: SHA-256 of it, as text or as JSON, and its length."""
    if value is None:
        return None
    whole = value if isinstance(value, str) else _json(value)
    return {"sha256": hashlib.sha256(whole.encode()).hexdigest(), "length": len(whole)}


class Entry(NamedTuple):
    """An entry as it is stored; JSON as its text."""

    workspace_id: UUID
    id: UUID
    at: datetime
    actor: str
    action: str
    project_id: UUID | None
    entity_id: UUID | None
    request_id: str | None
    subject: str
    before: str | None
    after: str | None

    @property
    def digest(self) -> bytes:
        """SHA-256 of a JSON array of the columns in this order: ids and JSON as text, the instant as RFC 3339."""
        return hashlib.sha256(orjson.dumps(tuple(self), default=str, option=orjson.OPT_UTC_Z)).digest()


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What `record` was told."""

    actor: Actor
    action: str
    subject: Mapping[str, object]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    account_id: UUID | None


def record(
    session: AsyncSession,
    actor: Actor,
    action: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    account_id: UUID | None = None,
    **subject: object,
) -> None:
    """Record that `actor` makes a change in this transaction: as an entry in it, and in the log after its commit.

    `action` is named like an operation (`posts.update`). `subject`: what was changed, ids and counts only, never
    what a person wrote; the first id besides `project_id` is the entity that entries are found by, and `project_id`
    says whose members see the entry. `before` and `after`: the values that the change replaced and set (`snapshot`);
    of both only what differs is stored. Never a secret, nor what a customer wrote or is called.

    `account_id`: the change is to a person's account, and recorded in every workspace that they belong to. In a
    transaction without a workspace it is recorded nowhere else, and only logged of an account without one.
    """
    entries: list[_Recorded] | None = session.info.get("audit")
    if entries is None:
        entries = session.info["audit"] = []
        before_commit(session, _write)
        after_commit(session, functools.partial(_log, session.info["workspace_id"], entries))
    if session.in_nested_transaction():
        _forget_on_rollback(session, entries)
    entries.append(_Recorded(actor, action, subject, before, after, account_id))


async def _log(workspace_id: UUID | None, entries: Sequence[_Recorded]) -> None:
    """Also where the outcome of the commit is unknown: then the changes may not have been made."""
    for entry in entries:
        log.info(
            "change",
            action=entry.action,
            actor=str(entry.actor),
            workspace_id=workspace_id and str(workspace_id),
            **{
                name: value if value is None or isinstance(value, int) else str(value)
                for name, value in entry.subject.items()
            },
        )


def _forget_on_rollback(session: AsyncSession, entries: list[_Recorded]) -> None:
    """Where the savepoint that the session is in is rolled back, what is recorded from now on is as well."""
    kept, savepoints = len(entries), set[SessionTransaction]()
    transaction = session.sync_session.get_nested_transaction()
    while transaction is not None and transaction.nested:
        savepoints.add(transaction)
        transaction = transaction.parent

    def forget(_: Session, ended: SessionTransaction) -> None:
        if ended in savepoints:
            del entries[kept:]

    event.listen(session.sync_session, "after_soft_rollback", forget)


async def _write(session: AsyncSession) -> None:
    """Write what was recorded in this transaction."""
    recorded: list[_Recorded] = session.info["audit"]
    own: UUID | None = session.info["workspace_id"]
    keyring: Keyring | None = session.info.get("keyring")
    if own is not None and recorded:
        await _insert(session, own, recorded, keyring)
    for account_id in {one.account_id for one in recorded if one.account_id is not None}:
        query = select(UserWorkspace.workspace_id).where(UserWorkspace.user_id == account_id)
        of_account = [one for one in recorded if one.account_id == account_id]
        for workspace_id in sorted(set((await session.scalars(query)).all()) - {own}):
            await session.execute(_ENTER, {"workspace": str(workspace_id)})
            await _insert(session, workspace_id, of_account, keyring)
            await session.execute(_ENTER, {"workspace": "" if own is None else str(own)})


async def _insert(
    session: AsyncSession, workspace_id: UUID, recorded: Sequence[_Recorded], keyring: Keyring | None
) -> None:
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    at = now(session)
    entries = [_entry(workspace_id, at, one, request_id) for one in recorded]
    columns = dict(zip(_COLUMNS, zip(*(entry[3:] for entry in entries), strict=True), strict=True))
    connection = session.bind
    assert isinstance(connection, AsyncConnection)
    if not pooled(connection).driver_connection.is_in_transaction():  # type: ignore[union-attr]
        await session.execute(_BEGIN)  # nothing else was sent so far
    await _INSERT.rows(
        connection,
        {
            "workspace": workspace_id,
            "at": at,
            "ids": [entry.id for entry in entries],
            "seals": [keyring and keyring.sign(SEAL, entry.digest) for entry in entries],
            **columns,
        },
    )


def _entry(workspace_id: UUID, at: datetime, one: _Recorded, request_id: str | None) -> Entry:
    ids = {name: value for name, value in one.subject.items() if isinstance(value, UUID)}
    project_id = ids.pop("project_id", None)
    before, after = _difference(one.before, one.after)
    return Entry(
        workspace_id,
        uuid7_at(at),
        at,
        str(one.actor),
        one.action,
        project_id,
        next(iter(ids.values()), project_id),
        request_id,
        _json(one.subject),
        None if before is None else _json(before),
        None if after is None else _json(after),
    )


def _difference(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Of both what differs; of one alone what there is."""
    if before is not None and after is not None:
        same = {name for name in before.keys() & after.keys() if before[name] == after[name]}
        return (
            {name: _short(value) for name, value in before.items() if name not in same},
            {name: _short(value) for name, value in after.items() if name not in same},
        )
    return (
        None if before is None else {name: _short(value) for name, value in before.items()},
        None if after is None else {name: _short(value) for name, value in after.items()},
    )


def _short(value: Any) -> Any:
    """The value, or the digest of one that is too long to be kept twice."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else digest(value)
    if isinstance(value, Mapping | list | tuple) and len(_json(value)) > LONGEST:
        return digest(value)
    return value


_AS_STORED: Final = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS


def _json(values: Any) -> str:
    return orjson.dumps(values, default=_plain, option=_AS_STORED).decode()


def _plain(value: Any) -> Any:
    """asyncpg's UUID is a subclass, which orjson would not take for one."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    return value.value if isinstance(value, Enum) else str(value)


_COLUMNS: Final = ("actors", "actions", "projects", "entities", "requests", "subjects", "befores", "afters")
_UUIDS: Final = ARRAY(PG_UUID(as_uuid=True))
_TEXTS: Final = ARRAY(Text())

_INSERT: Final = Statement(
    text(
        """
    WITH entries AS (
        INSERT INTO audit_entry (workspace_id, id, at, actor, action, project_id, entity_id, request_id,
                                 subject, before, after)
        SELECT :workspace, e.id, :at, e.actor, e.action, e.project_id, e.entity_id, e.request_id,
               CAST(e.subject AS json), CAST(e.before AS json), CAST(e.after AS json)
        FROM unnest(:ids, :actors, :actions, :projects, :entities, :requests, :subjects, :befores, :afters)
            AS e (id, actor, action, project_id, entity_id, request_id, subject, before, after)
    )
    INSERT INTO audit_unchained (workspace_id, entry_id, seal)
    SELECT :workspace, u.id, u.seal FROM unnest(:ids, :seals) AS u (id, seal)
    """
    ).bindparams(
        bindparam("workspace", type_=PG_UUID(as_uuid=True)),
        bindparam("at", type_=DateTime(timezone=True)),
        *(bindparam(name, type_=_UUIDS) for name in ("ids", "projects", "entities")),
        *(bindparam(name, type_=_TEXTS) for name in ("actors", "actions", "requests", "subjects", "befores", "afters")),
        bindparam("seals", type_=ARRAY(LargeBinary())),
    )
)
_BEGIN: Final = text("SELECT 1")
_ENTER: Final = text("SELECT set_config('app.workspace_id', :workspace, true)")
"""An account is of no workspace, or of several: to write in each, the transaction enters one after the other."""
