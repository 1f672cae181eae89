"""The numbers of inquiries by community, status and kind: kept, so that they are exact and quick with any number."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Text, bindparam, text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection

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
# Summed by PostgreSQL, to a row for each kind and one for each community: twelve times as many would be sent else.
_COUNTS: Final = Statement(
    text(
        """
SELECT sums.kind, sums.community_id, c.project_id, c.title, c.platform, {sums}
FROM (
    SELECT counted.kind, counted.community_id, {counted}
    FROM inquiry_count AS counted
    WHERE counted.workspace_id = :workspace_id
      AND (CAST(:status AS text) IS NULL OR counted.status = :status)
      AND (CAST(:kind AS text) IS NULL OR counted.kind = :kind)
      AND (CAST(:project_id AS uuid) IS NULL OR counted.project_id = :project_id)
      AND (CAST(:community_id AS uuid) IS NULL OR counted.community_id = :community_id)
    GROUP BY GROUPING SETS ((counted.kind), (counted.community_id))
) AS sums
LEFT JOIN community AS c ON c.workspace_id = :workspace_id AND c.id = sums.community_id
ORDER BY c.created_at, sums.community_id
""".replace("{sums}", ", ".join(f"sums.{one}" for one in _STATUSES)).replace(
            "{counted}",
            # As integers: sums of larger numbers are computed in decimals.
            ", ".join(
                f"coalesce(sum(CAST(counted.change AS integer)) FILTER (WHERE counted.status = '{one}'), 0) AS {one}"
                for one in _STATUSES
            ),
        )
    ).bindparams(
        *(bindparam(name, type_=PG_UUID(as_uuid=True)) for name in ("workspace_id", "project_id", "community_id")),
        *(bindparam(name, type_=Text()) for name in ("status", "kind")),
    )
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
    selected = {
        "status": status and status.value,
        "kind": kind and kind.value,
        "project_id": project_id,
        "community_id": community_id,
    }
    by_kind: dict[str, dict[str, int]] = {one.value: dict.fromkeys(_STATUSES, 0) for one in InquiryKind}
    by_community: list[dict[str, Any]] = []
    for row in await _COUNTS.rows(connection, {"workspace_id": workspace_id, **selected}):
        numbers = {one: row[one] for one in _STATUSES}
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
        "by_status": by_status,
        "by_kind": [{"kind": kind, **numbers} for kind, numbers in by_kind.items()],
        "by_community": by_community,
    }
