"""The rows behind a value as of an instant, a page at a time.

A KPI has one or more sections of evidence, paged in sequence. All pages of a query share one `as_of`, which
the cursor contains: rows of later polls are excluded. Each page gives the number of rows of all pages and their sum.
Where any of these rows, or the set of communities that count, has changed since the first page, the next page is
refused with `evidence-changed`. Communities whose value is unknown are not part of the total, so they have
no rows here.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Numeric, Subquery, Text, cast, func, literal, literal_column, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.errors import Conflict
from app.kit.paging import Pager
from app.kit.statement import one_snapshot
from app.kpis.answers import KpiQuery
from app.kpis.contract import Kpi, Section
from app.kpis.values import ValueStatus


class Position(NamedTuple):
    """Where a page starts."""

    as_of: datetime
    section: int = 0
    after: Sequence[Any] | None = None
    """The sort key of the row before it."""
    digest: str | None = None
    """Hash of all rows when the first page was read; None on the first page."""


class SectionTotal(NamedTuple):
    """The totals of a section, over all pages."""

    rows: int
    sum: int | None
    """Of `Section.amount`; None where it has none."""
    digest: str


def start(kpi: Kpi, pager: Pager, cursor: str | None, as_of: datetime) -> Position:
    """Where a page starts: at the cursor, or without one at the first row as of `as_of`.

    Raises `Invalid` for a cursor of another query.
    """
    read = pager.read(cursor, (str, int, str, str))
    if read is None:
        return Position(as_of)
    at, section, after, digest = read
    types = kpi.evidence[section].key.values()
    values = orjson.loads(after)
    key = [_typed(value, kind) for value, kind in zip(values, types, strict=True)] if values else None
    return Position(datetime.fromisoformat(at), section, key, digest)


async def page(
    connection: AsyncConnection,
    kpi: Kpi,
    query: KpiQuery,
    *,
    workspace_id: UUID,
    pager: Pager,
    position: Position,
    limit: int,
) -> dict[str, Any]:
    """The page's `data` and `next_cursor`, and as `expected` the totals over all pages.

    Raises `Conflict` (`evidence-changed`) where the rows have changed since the first page.
    """
    shares = query.values(kpi).by_community
    community_ids = [one.id for one, value in shares.items() if value.status is not ValueStatus.UNKNOWN]
    data: list[dict[str, Any]] = []
    following: Position | None = None
    totals = [SectionTotal(0, 0 if section.amount is not None else None, "") for section in kpi.evidence]
    async with one_snapshot(connection):
        if community_ids:
            sections = [_rows(section, workspace_id, query, community_ids) for section in kpi.evidence]
            totals = [await _total(connection, *of) for of in zip(kpi.evidence, sections, strict=True)]
        else:
            sections = []
        digest = _digest(community_ids, totals)
        if position.digest not in (None, digest):
            raise Conflict(
                "What this evidence shows has changed since its first page was read; begin again without `cursor` "
                "and `as_of`.",
                code="evidence-changed",
            )
        for number in range(position.section, len(sections)):
            after = position.after if number == position.section else None
            remaining = limit - len(data)
            rows = await _page(connection, kpi.evidence[number], sections[number], after, remaining + 1)
            data += [{"kind": kpi.evidence[number].kind, **row} for row in rows[:remaining]]
            if len(rows) > remaining:
                key = [data[-1][name] for name in kpi.evidence[number].key] if remaining else ()
                following = Position(position.as_of, number, key, digest)
                break
    return {
        "expected": [
            {"kind": section.kind, "rows": total.rows, "field": section.amount, "sum": total.sum}
            for section, total in zip(kpi.evidence, totals, strict=True)
        ],
        "data": data,
        "next_cursor": _cursor(pager, following) if following is not None else None,
    }


def _rows(section: Section, workspace_id: UUID, query: KpiQuery, community_ids: Sequence[UUID | None]) -> Subquery:
    """All rows of a section that belong to these communities."""
    rows = section.rows(workspace_id, query.project, query.days.first, query.days.last).subquery("every")
    conditions: list[ColumnElement[bool]] = [rows.c.community_id.in_([one for one in community_ids if one is not None])]
    if None in community_ids:
        conditions.append(rows.c.community_id.is_(None))
    return select(rows).where(or_(*conditions)).subquery("evidence")


async def _total(connection: AsyncConnection, section: Section, rows: Subquery) -> SectionTotal:
    # A sum of hashes does not depend on the order of rows: sorting them all would cost more than hashing them.
    digest = func.sum(cast(func.hashtextextended(cast(literal_column("evidence"), Text), 0), Numeric))
    amount = cast(func.sum(rows.c[section.amount]), Text) if section.amount is not None else literal(None)
    count, total, hashed = (
        await connection.execute(select(func.count(), amount, cast(digest, Text)).select_from(rows))
    ).one()
    return SectionTotal(count, int(total or 0) if section.amount is not None else None, hashed or "")


async def _page(
    connection: AsyncConnection, section: Section, rows: Subquery, after: Sequence[Any] | None, limit: int
) -> list[dict[str, Any]]:
    columns = [rows.c[name] for name in section.key]
    statement = select(rows)
    if after is not None:
        values = [literal(value, column.type) for value, column in zip(after, columns, strict=True)]
        # The first comparison is implied by the second, but only it is pushed down into the subquery.
        statement = statement.where(columns[0] >= values[0], tuple_(*columns) > tuple_(*values))
    result = await connection.execute(statement.order_by(*columns).limit(limit))
    return [{str(name): value for name, value in row.items()} for row in result.mappings()]


def _digest(community_ids: Sequence[UUID | None], totals: Sequence[SectionTotal]) -> str:
    content = [[str(one) for one in community_ids], [list(total) for total in totals]]
    return hashlib.blake2b(orjson.dumps(content), digest_size=12).hexdigest()


def _cursor(pager: Pager, position: Position) -> str:
    after = orjson.dumps(position.after or (), default=str).decode()
    return pager.write([position.as_of, position.section, after, position.digest])


def _typed(value: str, kind: type) -> Any:
    made: Callable[[str], Any] = kind.fromisoformat if issubclass(kind, date) else kind
    return made(value)
