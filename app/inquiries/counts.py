"""The numbers of inquiries by community, status and kind: kept, so that they are exact and quick with any number.

Those that are overdue cannot be kept, as time alone changes them. They are counted in the index of what has a deadline,
which is as large as what is owed, whatever the history.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import DateTime, Text, bindparam, text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from app.inquiries.models import Inquiry, InquiryCount, InquiryKind, InquiryStatus
from app.kit.db import Base
from app.kit.statement import Statement
from app.kit.tallies import Tally

_TABLES: Final = Base.metadata.tables
INQUIRY_TALLY: Final = Tally(
    _TABLES[InquiryCount.__tablename__],
    _TABLES[Inquiry.__tablename__],
    ("community_id", "project_id", "status", "kind"),
)
_STATUSES: Final = [status.value for status in InquiryStatus]
_NUMBERS: Final = (*_STATUSES, "overdue")
_ALWAYS: Final = ("workspace_id", "at")
"""Parameters of every statement; the others are filters."""
_TYPES: Final[Mapping[str, TypeEngine[Any]]] = {
    **dict.fromkeys(("workspace_id", "project_id", "community_id"), PG_UUID(as_uuid=True)),
    **dict.fromkeys(("status", "kind"), Text()),
    "at": DateTime(timezone=True),
}
# Summed by PostgreSQL, to a row for each kind and one for each community: twelve times as many would be sent else.
_COUNTS: Final = """
SELECT sums.kind, sums.community_id, c.project_id, c.title, c.platform, {sums}
FROM (
    SELECT numbers.kind, numbers.community_id, {highest}
    FROM (
        SELECT counted.kind, counted.community_id, {counted}, 0 AS overdue
        FROM inquiry_count AS counted
        WHERE counted.workspace_id = :workspace_id {of counted}
        GROUP BY GROUPING SETS ((counted.kind), (counted.community_id))
        UNION ALL
        SELECT overdue.kind, overdue.community_id, {nothing}, sum(overdue.inquiries)
        FROM (
            SELECT owed.kind, owed.community_id, CAST(count(*) AS integer) AS inquiries
            FROM inquiry AS owed
            WHERE owed.workspace_id = :workspace_id AND owed.due_at < :at {of owed}
            GROUP BY owed.kind, owed.community_id
        ) AS overdue
        GROUP BY GROUPING SETS ((overdue.kind), (overdue.community_id))
    ) AS numbers
    GROUP BY numbers.kind, numbers.community_id
) AS sums
LEFT JOIN community AS c ON c.workspace_id = :workspace_id AND c.id = sums.community_id
ORDER BY c.created_at, sums.community_id
"""


@lru_cache(maxsize=16)
def _statement(filters: tuple[str, ...]) -> Statement:
    """The statement with these filters: a condition that may not hold would be served by no index."""
    parts = {
        "{sums}": ", ".join(f"sums.{one}" for one in _NUMBERS),
        # Each number is in one of two rows, and 0 in the other.
        "{highest}": ", ".join(f"max(numbers.{one}) AS {one}" for one in _NUMBERS),
        # As integers: sums of larger numbers are computed in decimals.
        "{counted}": ", ".join(
            f"coalesce(sum(CAST(counted.change AS integer)) FILTER (WHERE counted.status = '{one}'), 0) AS {one}"
            for one in _STATUSES
        ),
        "{nothing}": ", ".join("0" for _ in _STATUSES),
        **{
            f"{{of {table}}}": "".join(f" AND {table}.{name} = :{name}" for name in filters)
            for table in ("counted", "owed")
        },
    }
    sql = _COUNTS
    for name, part in parts.items():
        sql = sql.replace(name, part)
    return Statement(text(sql).bindparams(*(bindparam(name, type_=_TYPES[name]) for name in (*_ALWAYS, *filters))))


async def counts(
    connection: AsyncConnection,
    workspace_id: UUID,
    at: datetime,
    *,
    status: InquiryStatus | None,
    kind: InquiryKind | None,
    project_id: UUID | None,
    community_id: UUID | None,
) -> dict[str, Any]:
    """The response of `GET /v1/inquiries/counts`; what is overdue is so as of `at`."""
    selected: dict[str, Any] = {
        "status": status and status.value,
        "kind": kind and kind.value,
        "project_id": project_id,
        "community_id": community_id,
    }
    selected = {name: value for name, value in selected.items() if value is not None}
    by_kind: dict[str, dict[str, int]] = {one.value: dict.fromkeys(_NUMBERS, 0) for one in InquiryKind}
    by_community: list[dict[str, Any]] = []
    statement = _statement(tuple(selected))
    for row in await statement.rows(connection, {"workspace_id": workspace_id, "at": at, **selected}):
        numbers = {one: row[one] for one in _NUMBERS}
        if row["community_id"] is None:
            by_kind[row["kind"]] = numbers
        elif any(numbers.values()):
            by_community.append(
                {
                    "community_id": row["community_id"],
                    "project_id": row["project_id"],
                    "community_title": row["title"],
                    "platform": row["platform"],
                    **numbers,
                }
            )
    by_status = {one: sum(numbers[one] for numbers in by_kind.values()) for one in _STATUSES}
    return {
        "total": sum(by_status.values()),
        "overdue": sum(numbers["overdue"] for numbers in by_kind.values()),
        "by_status": by_status,
        "by_kind": [{"kind": kind, **numbers} for kind, numbers in by_kind.items()],
        "by_community": by_community,
    }
