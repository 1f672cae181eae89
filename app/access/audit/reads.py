"""The list of changes."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Text, and_, cast, select

from app.access.audit.models import AuditEntry, AuditLink
from app.kit.db import in_workspace
from app.kit.ids import first_uuid7
from app.kit.lists import WORKSPACE, Listing, Row, Sort, equal, parameter, stored_json
from app.kit.paging import Keyset


class AuditSort(StrEnum):
    """The order of the list of changes."""

    LATEST = "latest"


_PLAIN: Final = ("id", "at", "actor", "action", "project_id", "entity_id", "request_id")
_JSON: Final = ("subject", "before", "after")

ENTRIES: Final = Listing(
    select(
        *(getattr(AuditEntry, name) for name in _PLAIN),
        *(cast(getattr(AuditEntry, name), Text).label(name) for name in _JSON),
        AuditLink.sequence,
    )
    .join(
        AuditLink,
        and_(AuditLink.workspace_id == AuditEntry.workspace_id, AuditLink.entry_id == AuditEntry.id),
        isouter=True,
    )
    .where(in_workspace(AuditEntry, WORKSPACE)),
    AuditEntry.id,
    sorts={AuditSort.LATEST: Sort(Keyset((AuditEntry.id,)))},
    filters={
        **equal(
            project_id=AuditEntry.project_id,
            actor=AuditEntry.actor,
            action=AuditEntry.action,
            entity_id=AuditEntry.entity_id,
        ),
        # Ids are made of `at`: the index that sorts the list bounds it, too.
        "since": AuditEntry.id >= parameter("since", AuditEntry.id),
        "until": AuditEntry.id < parameter("until", AuditEntry.id),
    },
    ids_first=True,
)


def between(since: datetime | None, until: datetime | None) -> dict[str, Any]:
    """The filters of entries at or after `since` and before `until`."""
    bounds = {"since": since, "until": until}
    return {name: None if at is None else first_uuid7(at) for name, at in bounds.items()}


def entry(row: Row) -> dict[str, Any]:
    """An entry, as it is listed."""
    return {
        **{name: row[name] for name in _PLAIN},
        **{name: stored_json(row[name]) for name in _JSON},
        "sequence": row["sequence"],
    }
