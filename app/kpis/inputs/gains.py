"""The evidence of gains: what each snapshot added to the counters, read a page at a time.

A project may have millions of snapshots. So a page walks its publications, the latest first, and computes the gains of
these alone; of a walk that finds too few it ends early, and the next page continues there. The totals are those of the
rollup, from which the value itself is computed, without what was added by snapshots after the evidence's instant.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Date, DateTime, Text, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from app.kpis.contract import DAY, EvidenceRequest, SectionTotal
from app.metrics.contributions import changed_later, contributions
from app.metrics.sql import METRICS

GAIN_KEY: Final = {"published_at": datetime, "publication_id": UUID, "at": datetime, "metric": str}
"""The sort key: the latest publication first, of each the earliest snapshot first."""
CHUNKS: Final = (16, 64, 256, 664)
"""Publications that one page looks at: a few first, more while it is not full."""
_FIRST: Final = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
_LAST: Final = (datetime(9999, 1, 1, tzinfo=UTC), "~")
"""After all rows of a publication."""

_LATEST: Final = """
SELECT every.id, every.published_at, every.published_at >= :start OR EXISTS (
    SELECT FROM post_snapshot AS s
    WHERE s.workspace_id = :workspace AND s.publication_id = every.id AND s.at >= :start AND s.at < :end
) AS has_rows
FROM (
    SELECT p.id, p.published_at FROM publication AS p
    WHERE p.workspace_id = :workspace AND p.project_id = :project AND p.community_id = ANY (:communities)
      AND p.published_at < :end AND (p.published_at, p.id) <= (:after_published_at, :after_id)
    ORDER BY p.published_at DESC, p.id DESC
    LIMIT :walked
) AS every
ORDER BY every.published_at DESC, every.id DESC
"""
_PAGE: Final = """
SELECT gain.community_id, gain.publication_id, walked.published_at, gain.at, gain.metric, gain.previous, gain.value,
       gain.difference, gain.day, gain.source
FROM unnest(:ids, :instants) AS walked (id, published_at)
CROSS JOIN LATERAL ({gains} OFFSET 0) AS gain
WHERE gain.day BETWEEN :first AND :last AND gain.metric = ANY (:metrics)
  AND ((walked.published_at, walked.id) < (:after_published_at, :after_id)
       OR (gain.at, gain.metric) > (:after_at, :after_metric))
ORDER BY walked.published_at DESC, walked.id DESC, gain.at, gain.metric
LIMIT :limit
"""
_TOTAL: Final = """
WITH amount AS (
    SELECT r.day, r.community_id, r.source, {number} AS rows, {sum} AS amount FROM rollup_day AS r
    WHERE r.workspace_id = :workspace AND r.project_id = :project AND r.day BETWEEN :first AND :last
      AND r.community_id = ANY (:communities)
    UNION ALL
    SELECT gain.day, gain.community_id, gain.source, -1, -gain.difference FROM ({gains}) AS gain
    WHERE gain.at > :as_of AND gain.day BETWEEN :first AND :last AND gain.metric = ANY (:metrics)
      AND gain.community_id = ANY (:communities)
), sums AS (
    SELECT day, community_id, source, sum(rows) AS rows, sum(amount) AS amount FROM amount
    GROUP BY day, community_id, source HAVING sum(rows) <> 0
)
SELECT CAST(coalesce(sum(rows), 0) AS bigint) AS rows, CAST(coalesce(sum(amount), 0) AS bigint) AS amount,
       CAST(sum(CAST(hashtextextended(CAST(sums AS text), 0) AS numeric)) AS text) AS digest
FROM sums
"""
_LATER: Final = "p.workspace_id = :workspace AND p.project_id = :project AND " + changed_later(
    ":workspace", "p.project_id = :project"
)
_AFTER: Final = ("after_published_at", "after_id", "after_at", "after_metric")
_TYPES: Final[dict[str, TypeEngine[Any]]] = {
    "workspace": PG_UUID(as_uuid=True),
    "project": PG_UUID(as_uuid=True),
    "communities": ARRAY(PG_UUID(as_uuid=True)),
    "metrics": ARRAY(Text()),
    "as_of": DateTime(timezone=True),
    "start": DateTime(timezone=True),
    "end": DateTime(timezone=True),
    "first": Date(),
    "last": Date(),
    "after_published_at": DateTime(timezone=True),
    "after_id": PG_UUID(as_uuid=True),
    "after_at": DateTime(timezone=True),
    "after_metric": Text(),
    "limit": BigInteger(),
    "walked": BigInteger(),
    "ids": ARRAY(PG_UUID(as_uuid=True)),
    "instants": ARRAY(DateTime(timezone=True)),
}


def _statement(sql: str, **parts: str) -> TextClause:
    for name, part in parts.items():
        sql = sql.replace(f"{{{name}}}", part)
    clause = text(sql)
    return clause.bindparams(*(bindparam(name, type_=_TYPES[name]) for name in clause.compile().params))


_PAGE_STATEMENT: Final = _statement(
    _PAGE, gains=contributions("p.workspace_id = :workspace AND p.id = walked.id", "s.at <= :as_of")
)
_LATEST_STATEMENT: Final = _statement(_LATEST)


class GainReader:
    """Reads what snapshots added to some counters."""

    def __init__(self, metrics: Sequence[str]) -> None:
        assert set(metrics) <= set(METRICS), "they are columns' names"
        self._metrics = list(metrics)
        self._total = _statement(
            _TOTAL,
            number=" + ".join(f"r.{name}_n" for name in metrics),
            sum=" + ".join(f"coalesce(r.{name}, 0)" for name in metrics),
            gains=contributions(_LATER),
        )

    def _parameters(self, request: EvidenceRequest) -> dict[str, Any]:
        return {
            "workspace": request.workspace_id,
            "project": request.project.id,
            "communities": [one for one in request.community_ids if one is not None],
            "metrics": self._metrics,
            "as_of": request.project.now,
            "first": request.first,
            "last": request.last,
            "start": request.project.start_of(request.first),
            "end": request.project.start_of(request.last + DAY),
        }

    async def total(self, connection: AsyncConnection, request: EvidenceRequest) -> SectionTotal:
        """The totals by the rollup. The digest is of the numbers and sums by day, community and source."""
        row = (await connection.execute(self._total, self._parameters(request))).one()
        return SectionTotal(row.rows, row.amount, row.digest or "")

    async def page(
        self, connection: AsyncConnection, request: EvidenceRequest, after: Sequence[Any] | None, limit: int
    ) -> tuple[list[dict[str, Any]], Sequence[Any] | None]:
        """The gains of the next publications, up to `CHUNKS` of them."""
        rows: list[dict[str, Any]] = []
        key = tuple(after or (*_FIRST, *_LAST))
        for size in CHUNKS:
            parameters = {**self._parameters(request), **dict(zip(_AFTER, key, strict=True))}
            walked = (await connection.execute(_LATEST_STATEMENT, {**parameters, "walked": size + 1})).all()
            relevant = [one for one in walked[:size] if one.has_rows]
            parameters |= {"ids": [one.id for one in relevant], "instants": [one.published_at for one in relevant]}
            page = {**parameters, "limit": limit - len(rows) + 1}
            result = await connection.execute(_PAGE_STATEMENT, page)
            rows += [{str(name): value for name, value in row.items()} for row in result.mappings()]
            if len(rows) > limit:
                return rows[:limit], [rows[limit - 1][name] for name in GAIN_KEY]
            if len(walked) <= size:
                return rows, None
            key = (walked[size - 1].published_at, walked[size - 1].id, *_LAST)
        return rows, key
