"""Reads of client links and statements, in the one form in which all operations return them."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import DateTime, bindparam, select

from app.clients.models import ClientLink, ClientStatement
from app.clients.schemas import ClientLinkRead, ClientLinkStatus, ClientStatementRead
from app.clients.service import LONGEST
from app.kit.db import in_workspace
from app.kit.lists import WORKSPACE, Listing, Sort, equal
from app.kit.paging import Keyset

_NOW: Final = bindparam("now", type_=DateTime(timezone=True))
_FIRST: Final = bindparam("first", type_=DateTime(timezone=True))
"""When the oldest link that may still be active was made."""
_NEITHER: Final = ClientLink.revoked_at.is_(None) & ClientLink.used_at.is_(None)
_COLUMNS: Final = tuple(name for name in ClientLinkRead.model_fields if name != "status")

LINKS: Final = Listing(
    select(*(getattr(ClientLink, name) for name in _COLUMNS)).where(in_workspace(ClientLink, WORKSPACE)),
    ClientLink.id,
    sorts={"created_at": Sort(Keyset((ClientLink.created_at, ClientLink.id)))},
    filters={
        **equal(project_id=ClientLink.project_id, contact_id=ClientLink.contact_id, purpose=ClientLink.purpose),
        "status": {
            # Active ones are among the latest: the walk through the index ends where they may begin.
            ClientLinkStatus.ACTIVE.value: _NEITHER
            & (ClientLink.expires_at > _NOW)
            & (ClientLink.created_at >= _FIRST),
            ClientLinkStatus.EXPIRED.value: _NEITHER & (ClientLink.expires_at <= _NOW),
            ClientLinkStatus.REVOKED.value: ClientLink.revoked_at.is_not(None),
            ClientLinkStatus.USED.value: ClientLink.revoked_at.is_(None) & ClientLink.used_at.is_not(None),
        },
    },
)
STATEMENTS: Final = Listing(
    select(*(getattr(ClientStatement, name) for name in ClientStatementRead.model_fields)).where(
        in_workspace(ClientStatement, WORKSPACE)
    ),
    ClientStatement.id,
    sorts={"stated_at": Sort(Keyset((ClientStatement.stated_at, ClientStatement.id)))},
    filters=equal(
        project_id=ClientStatement.project_id,
        client_link_id=ClientStatement.client_link_id,
        subject_id=ClientStatement.subject_id,
    ),
)


def at(now: datetime) -> dict[str, datetime]:
    """The parameters of the links' statuses at an instant."""
    return {"now": now, "first": now - LONGEST}


def status(revoked_at: datetime | None, used_at: datetime | None, expires_at: datetime, now: datetime) -> str:
    """Where a link stands."""
    if revoked_at is not None:
        return ClientLinkStatus.REVOKED.value
    if used_at is not None:
        return ClientLinkStatus.USED.value
    return (ClientLinkStatus.EXPIRED if expires_at <= now else ClientLinkStatus.ACTIVE).value


def link_read(row: Any, now: datetime) -> dict[str, Any]:
    """A row of a list as `ClientLinkRead` describes it."""
    values = {name: row[name] for name in _COLUMNS}
    return {**values, "status": status(row["revoked_at"], row["used_at"], row["expires_at"], now)}


def link_of(link: ClientLink, now: datetime) -> ClientLinkRead:
    """A link that was changed in this transaction."""
    values = {name: getattr(link, name) for name in _COLUMNS}
    return ClientLinkRead(
        **values, status=ClientLinkStatus(status(link.revoked_at, link.used_at, link.expires_at, now))
    )
