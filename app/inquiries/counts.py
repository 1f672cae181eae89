"""The numbers of inquiries by community, status and kind: kept, so that they are exact and quick with any number.

Each transaction that changes an inquiry adds rows of `inquiry_count` with its changes; nothing is locked. The sum of
these rows is the count, and `compact` replaces them by one row for each community, status and kind.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, cast, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.communities.models import Community
from app.inquiries.models import InquiryCount, InquiryKind, InquiryStatus
from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import Base, in_workspace, workspace_of
from app.kit.ids import uuid7
from app.kit.lists import WORKSPACE
from app.kit.statement import Statement

_COLUMNS: Final = ("workspace_id", "id", "community_id", "project_id", "status", "kind", "change")
_INSERT: Final = bulk_insert(Base.metadata.tables[InquiryCount.__tablename__], _COLUMNS)
_STATUSES: Final = [status.value for status in InquiryStatus]
_KEY: Final = ("community_id", "project_id", "status", "kind")


class CountChanges:
    """Collects what a transaction changes in the counts."""

    def __init__(self, workspace_id: UUID) -> None:
        self._workspace_id = workspace_id
        self._changes = Counter[tuple[Any, ...]]()

    def move(self, before: Any | None, after: Any | None) -> None:
        """An inquiry changed from one row (None: it is new) to another (None: it is deleted)."""
        if before is not None:
            self._changes[self._key(before)] -= 1
        if after is not None:
            self._changes[self._key(after)] += 1

    @staticmethod
    def _key(row: Any) -> tuple[Any, ...]:
        return tuple(row[name] if isinstance(row, Mapping) else getattr(row, name) for name in _KEY)

    async def store(self, session: AsyncSession) -> None:
        """Add the changes."""
        rows = [
            {
                "workspace_id": self._workspace_id,
                "id": uuid7(),
                **dict(zip(_KEY, key, strict=True)),
                "change": change,
            }
            for key, change in self._changes.items()
            if change
        ]
        if rows:
            await session.execute(_INSERT, column_arrays(rows, _COLUMNS))


_number: Final = cast(func.sum(InquiryCount.change), BigInteger)
_COUNTS: Final = Statement(
    select(
        InquiryCount.community_id,
        InquiryCount.project_id,
        Community.title,
        Community.platform,
        InquiryCount.status,
        InquiryCount.kind,
        _number.label("number"),
    )
    .join(
        Community,
        (Community.workspace_id == InquiryCount.workspace_id) & (Community.id == InquiryCount.community_id),
    )
    .where(in_workspace(InquiryCount, WORKSPACE))
    .group_by(
        *(InquiryCount.community_id, InquiryCount.project_id, InquiryCount.status, InquiryCount.kind),
        *(Community.title, Community.platform, Community.created_at),
    )
    .having(_number != 0)
    .order_by(Community.created_at, InquiryCount.community_id)
)


async def counts(
    connection: AsyncConnection,
    workspace_id: UUID,
    *,
    status: InquiryStatus | None,
    kind: InquiryKind | None,
    project_id: UUID | None,
    community_id: UUID | None,
) -> dict[str, Any]:
    """The response of `GET /v1/inquiries/counts`."""
    requested = {"status": status, "kind": kind, "project_id": project_id, "community_id": community_id}
    selected = {name: value for name, value in requested.items() if value is not None}
    by_status: dict[str, int] = dict.fromkeys(_STATUSES, 0)
    by_kind: dict[str, dict[str, int]] = {one.value: dict(by_status) for one in InquiryKind}
    by_community: dict[UUID, dict[str, Any]] = {}
    for row in await _COUNTS.rows(connection, {"workspace_id": workspace_id}):
        if any(row[name] != value for name, value in selected.items()):
            continue
        by_status[row["status"]] += row["number"]
        by_kind[row["kind"]][row["status"]] += row["number"]
        community = by_community.setdefault(
            row["community_id"],
            {
                "community_id": row["community_id"],
                "project_id": row["project_id"],
                "community_title": row["title"],
                "platform": row["platform"],
                **dict.fromkeys(_STATUSES, 0),
            },
        )
        community[row["status"]] += row["number"]
    return {
        "total": sum(by_status.values()),
        "by_status": by_status,
        "by_kind": [{"kind": kind, **numbers} for kind, numbers in by_kind.items()],
        "by_community": list(by_community.values()),
    }


# Rows added meanwhile stay. Two of these at once do not count a row twice: the second finds it deleted.
_COMPACT: Final = text("""
WITH replaced AS (
    DELETE FROM inquiry_count WHERE workspace_id = :workspace_id
    RETURNING community_id, project_id, status, kind, change
)
INSERT INTO inquiry_count (workspace_id, id, community_id, project_id, status, kind, change)
SELECT :workspace_id, gen_random_uuid(), community_id, project_id, status, kind, sum(change)
FROM replaced GROUP BY community_id, project_id, status, kind HAVING sum(change) <> 0
""")


async def compact(session: AsyncSession) -> None:
    """Replace the changes by their sums."""
    await session.execute(_COMPACT, {"workspace_id": workspace_of(session)})
