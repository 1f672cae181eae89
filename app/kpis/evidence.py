"""The rows behind a value, a page at a time.

A KPI has one or more sections of evidence, in sequence; a cursor holds the section and the sort key of
the row after which the next page starts. Communities whose value is unknown are not part of the total,
and so have no rows here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.paging import Pager
from app.kpis.answers import KpiQuery
from app.kpis.contract import EvidenceQuery, Kpi, Section, ValueStatus


@dataclass(frozen=True, slots=True)
class SortKey:
    """Where a page starts: a section, and the sort key of the row before."""

    section: int = 0
    after: Sequence[Any] | None = None


async def page(
    connection: AsyncConnection,
    kpi: Kpi,
    query: KpiQuery,
    *,
    workspace_id: UUID,
    pager: Pager,
    cursor: str | None,
    limit: int,
) -> tuple[list[dict[str, Any]], str | None]:
    """Up to `limit` rows, and the cursor of the next page.

    Raises `Invalid` for a cursor of another query.
    """
    start = _read(kpi, pager, cursor)
    shares = query.values(kpi).by_community
    community_ids = [one.id for one, value in shares.items() if value.status is not ValueStatus.UNKNOWN]
    data: list[dict[str, Any]] = []
    if not community_ids:
        return data, None
    for number in range(start.section, len(kpi.evidence)):
        section = kpi.evidence[number]
        after = start.after if number == start.section else None
        remaining = limit - len(data)
        if not remaining:
            return data, _write(pager, number, ())
        statement = _page_statement(section, workspace_id, query, community_ids, after)
        rows = (await connection.execute(statement.limit(remaining + 1))).mappings().all()
        data += [
            {"kind": section.kind, **{str(name): value for name, value in row.items()}} for row in rows[:remaining]
        ]
        if len(rows) > remaining:
            last = rows[remaining - 1]
            return data, _write(pager, number, [last[name] for name in section.key])
    return data, None


def _page_statement(
    section: Section,
    workspace_id: UUID,
    query: KpiQuery,
    community_ids: Sequence[UUID | None],
    after: Sequence[Any] | None,
) -> EvidenceQuery:
    rows = section.rows(workspace_id, query.project, query.days.first, query.days.last).subquery("evidence")
    conditions: list[ColumnElement[bool]] = [rows.c.community_id.in_([one for one in community_ids if one is not None])]
    if None in community_ids:
        conditions.append(rows.c.community_id.is_(None))
    statement: EvidenceQuery = select(rows).where(or_(*conditions))
    columns = [rows.c[name] for name in section.key]
    if after is not None:
        values = [literal(value, column.type) for value, column in zip(after, columns, strict=True)]
        # The first comparison follows from the second; it is the one that reaches into the subquery.
        statement = statement.where(columns[0] >= values[0], tuple_(*columns) > tuple_(*values))
    return statement.order_by(*columns)


def _write(pager: Pager, section: int, after: Sequence[Any]) -> str:
    return pager.write([section, orjson.dumps(after, default=str).decode()])


def _read(kpi: Kpi, pager: Pager, cursor: str | None) -> SortKey:
    """A cursor decoded; the values of its key have the types of its section."""
    read = pager.read(cursor, (int, str))
    if read is None:
        return SortKey()
    section, after = read[0], orjson.loads(read[1])
    if not after:
        return SortKey(section)
    types = kpi.evidence[section].key.values()
    return SortKey(section, [_typed(value, kind) for value, kind in zip(after, types, strict=True)])


def _typed(value: str, kind: type) -> Any:
    made: Callable[[str], Any] = kind.fromisoformat if issubclass(kind, date) else kind
    return made(value)
