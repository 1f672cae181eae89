"""Comparing what is stored with a recount."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from app.metrics import members, rollups, sizes
from app.metrics.contributions import OF_PROJECT
from app.metrics.sql import METRICS, per_metric, statement


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that differs from a recount of the snapshots. None: there is, or there should be, no such row."""

    table: str
    key: Mapping[str, Any]
    stored: Mapping[str, Any] | None
    counted: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one table is compared."""

    table: str
    key: tuple[str, ...]
    amounts: tuple[str, ...]
    query: TextClause

    async def run(self, connection: AsyncConnection, params: Mapping[str, Any]) -> list[Difference]:
        """The rows that differ."""
        size, width = len(self.key), len(self.amounts)
        differences = []
        for row in await connection.execute(self.query, params):
            stored, counted = row[size : size + width], row[size + width : size + 2 * width]
            differences.append(
                Difference(
                    self.table,
                    dict(zip(self.key, row[:size], strict=True)),
                    dict(zip(self.amounts, stored, strict=True)) if row[-2] else None,
                    dict(zip(self.amounts, counted, strict=True)) if row[-1] else None,
                )
            )
        return differences


def _comparison(table: str, key: tuple[str, ...], amounts: tuple[str, ...], *, stored: str, counted: str) -> Comparison:
    """The comparison of the rows of two queries, which have the columns `key` and `amounts`."""
    stored_amounts = ", ".join(f"stored.{name}" for name in amounts)
    counted_amounts = ", ".join(f"counted.{name}" for name in amounts)
    keys = ", ".join(key)
    query = f"""
SELECT {keys}, {stored_amounts}, {counted_amounts},
       stored.{key[0]} IS NOT NULL, counted.{key[0]} IS NOT NULL
FROM ({stored}) AS stored
FULL JOIN ({counted}) AS counted USING ({keys})
WHERE ({stored_amounts}) IS DISTINCT FROM ({counted_amounts})
"""
    return Comparison(table, key, amounts, statement(query))


_LAST_OF_PROJECT: Final = f"""
    l.workspace_id = :workspace AND l.publication_id IN (SELECT p.id FROM publication AS p WHERE {OF_PROJECT})
"""
_LATEST: Final = {
    "at": """(
        SELECT max(s.at) FROM post_snapshot AS s
        WHERE s.workspace_id = :workspace AND s.publication_id = l.publication_id
    )""",
    **rollups.latest("l.publication_id"),
}

COMPARISONS: Final = (
    _comparison(
        "rollup_day",
        rollups.KEY,
        rollups.AMOUNTS,
        # Rows whose contributions were all moved away remain, with zeros: they are ignored.
        stored=f"""
            SELECT * FROM rollup_day
            WHERE workspace_id = :workspace AND project_id = :project
              AND (snapshots <> 0 OR {per_metric("{m}_n <> 0", " OR ")})
        """,
        counted=rollups.RECOUNTED,
    ),
    _comparison(
        "community_day",
        sizes.KEY,
        sizes.AMOUNTS,
        stored="SELECT * FROM community_day WHERE workspace_id = :workspace AND project_id = :project",
        counted=sizes.RECOUNTED,
    ),
    _comparison(
        "member_day",
        members.KEY,
        members.AMOUNTS,
        stored="SELECT * FROM member_day WHERE workspace_id = :workspace AND project_id = :project",
        counted=members.RECOUNTED,
    ),
    _comparison(
        "post_last",
        ("workspace_id", "publication_id"),
        ("at", *METRICS),
        stored=f"SELECT * FROM post_last AS l WHERE {_LAST_OF_PROJECT}",
        counted=f"""
            SELECT workspace_id, publication_id, {", ".join(f"{query} AS {name}" for name, query in _LATEST.items())}
            FROM post_last AS l WHERE {_LAST_OF_PROJECT}
        """,
    ),
)

REBUILD_LAST: Final = statement(f"""
UPDATE post_last AS l SET {", ".join(f"{name} = {query}" for name, query in _LATEST.items())}
WHERE {_LAST_OF_PROJECT}
""")
