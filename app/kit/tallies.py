"""Tallies: the numbers of a table's rows by some of their columns, kept, so that they are exact and quick to read.

Each transaction that changes the numbers adds rows of the tally with its changes; nothing is locked. The sum of these
rows is the number, and `compact` replaces them by their sums. `reconcile` compares the sums with a recount.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog
from prometheus_client import Counter as Metric
from sqlalchemy import Table, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import workspace_of
from app.kit.ids import uuid7

log = structlog.get_logger()

CORRECTED = Metric("instep_tally_corrections", "Kept numbers that a recount found wrong and corrected.", ["table"])
MAX_LOGGED: Final = 20
"""How many corrections of a run are logged in full."""

# Rows added meanwhile stay. Two of these at once do not count a row twice: the second finds it deleted.
_COMPACT: Final = """
WITH replaced AS (
    DELETE FROM {table} WHERE workspace_id = :workspace_id RETURNING {key}, change
)
INSERT INTO {table} (workspace_id, id, {key}, change)
SELECT :workspace_id, gen_random_uuid(), {key}, sum(change)
FROM replaced GROUP BY {key} HAVING sum(change) <> 0
"""
# One statement sees one state of both: a transaction's changes are in the recount and in the tally, or in neither.
_DIFFERENCES: Final = """
SELECT {key}, coalesce(kept.number, 0)::bigint AS kept, coalesce(counted.number, 0)::bigint AS counted
FROM (SELECT {key}, sum(change) AS number FROM {table} WHERE workspace_id = :workspace_id GROUP BY {key}) AS kept
FULL JOIN (
    SELECT {key}, count(*) AS number FROM {counted} WHERE workspace_id = :workspace_id GROUP BY {key}
) AS counted USING ({key})
WHERE coalesce(kept.number, 0) <> coalesce(counted.number, 0)
ORDER BY {key}
"""


@dataclass(frozen=True, slots=True)
class TallyDifference:
    """A number that was kept wrong."""

    key: Mapping[str, Any]
    kept: int
    counted: int


class TallyChanges:
    """Collects what a transaction changes in a tally."""

    def __init__(self, tally: "Tally", workspace_id: UUID) -> None:
        self._tally, self._workspace_id = tally, workspace_id
        self._changes = Counter[tuple[Any, ...]]()

    def move(self, before: Any | None, after: Any | None) -> None:
        """A row changed from one (None: it is new) to another (None: it is deleted)."""
        if before is not None:
            self._changes[self._key(before)] -= 1
        if after is not None:
            self._changes[self._key(after)] += 1

    def _key(self, row: Any) -> tuple[Any, ...]:
        return tuple(row[name] if isinstance(row, Mapping) else getattr(row, name) for name in self._tally.key)

    async def store(self, session: AsyncSession) -> None:
        """Add the changes."""
        await self._tally.add(session, self._changes)


class Tally:
    """The numbers of the rows of the table `counted` by the columns `key`, kept in `table`.

    That has the columns `workspace_id`, `id`, `change` and those of the key, which are never null.
    """

    def __init__(self, table: Table, counted: Table, key: Sequence[str]) -> None:
        self.key, self._name = tuple(key), table.name
        self._columns = ("workspace_id", "id", *self.key, "change")
        self._insert = bulk_insert(table, self._columns)

        def statement(sql: str) -> TextClause:
            return text(sql.format(table=table.name, counted=counted.name, key=", ".join(self.key)))

        self._compact, self._differences = statement(_COMPACT), statement(_DIFFERENCES)

    def changes(self, workspace_id: UUID) -> TallyChanges:
        """Those of a transaction, to be collected."""
        return TallyChanges(self, workspace_id)

    async def add(self, session: AsyncSession, changes: Mapping[tuple[Any, ...], int]) -> None:
        """Add to the numbers, by key."""
        rows = [
            {
                "workspace_id": workspace_of(session),
                "id": uuid7(),
                **dict(zip(self.key, key, strict=True)),
                "change": change,
            }
            for key, change in changes.items()
            if change
        ]
        if rows:
            await session.execute(self._insert, column_arrays(rows, self._columns))

    async def compact(self, session: AsyncSession) -> None:
        """Replace a workspace's changes by their sums."""
        await session.execute(self._compact, {"workspace_id": workspace_of(session)})

    async def reconcile(self, session: AsyncSession) -> list[TallyDifference]:
        """Compare a workspace's numbers with a recount, and correct those that differ.

        A correction is a change like any other: what others add meanwhile counts too.
        """
        rows = await session.execute(self._differences, {"workspace_id": workspace_of(session)})
        differences = [
            TallyDifference({name: getattr(row, name) for name in self.key}, row.kept, row.counted) for row in rows
        ]
        await self.add(session, {tuple(one.key.values()): one.counted - one.kept for one in differences})
        return differences

    def report(self, corrected: Sequence[TallyDifference]) -> None:
        """Log what `reconcile` has corrected, and count it: after the commit."""
        CORRECTED.labels(self._name).inc(len(corrected))
        for one in corrected[:MAX_LOGGED]:
            key = {name: str(value) for name, value in one.key.items()}
            log.error("tally.corrected", table=self._name, key=key, kept=one.kept, counted=one.counted)
