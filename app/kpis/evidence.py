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
from app.kpis.contract import EvidenceRequest, Kpi, Section, SectionTotal
from app.kpis.values import ValueStatus


class Position(NamedTuple):
    """Where a page starts."""

    as_of: datetime
    section: int = 0
    after: Sequence[Any] | None = None
    """The sort key of the row before it."""
    digest: str | None = None
    """Hash of all rows when the first page was read; None on the first page."""


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
    request = EvidenceRequest(workspace_id, query.project, query.days.first, query.days.last, community_ids)
    readers = [section.reader or _QueryReader(section) for section in kpi.evidence]
    async with one_snapshot(connection):
        if community_ids:
            totals = [await reader.total(connection, request) for reader in readers]
        digest = _digest(community_ids, totals)
        if position.digest not in (None, digest):
            raise Conflict(
                "What this evidence shows has changed since its first page was read; begin again without `cursor` "
                "and `as_of`.",
                code="evidence-changed",
            )
        for number in range(position.section, len(readers)):
            if totals[number].rows == 0:
                continue
            if len(data) == limit:
                following = Position(position.as_of, number, None, digest)
                break
            after = position.after if number == position.section else None
            rows, key = await readers[number].page(connection, request, after, limit - len(data))
            data += [{"kind": kpi.evidence[number].kind, **row} for row in rows]
            if key is not None:
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


class _QueryReader:
    """Reads a section by its query. All of its rows are read for the totals."""

    def __init__(self, section: Section) -> None:
        self._section = section

    def _rows(self, request: EvidenceRequest) -> Subquery:
        assert self._section.rows is not None, "a section has a query or a reader"
        rows = self._section.rows(request.workspace_id, request.project, request.first, request.last).subquery("every")
        ids = request.community_ids
        conditions: list[ColumnElement[bool]] = [rows.c.community_id.in_([one for one in ids if one is not None])]
        if None in ids:
            conditions.append(rows.c.community_id.is_(None))
        return select(rows).where(or_(*conditions)).subquery("evidence")

    async def total(self, connection: AsyncConnection, request: EvidenceRequest) -> SectionTotal:
        """The totals, and a digest of all rows."""
        rows, amount = self._rows(request), self._section.amount
        # A sum of hashes does not depend on the order of rows: sorting them all would cost more than hashing them.
        digest = func.sum(cast(func.hash_record_extended(literal_column("evidence"), literal_column("0")), Numeric))
        summed = cast(func.sum(rows.c[amount]), Text) if amount is not None else literal(None)
        count, total, hashed = (
            await connection.execute(select(func.count(), summed, cast(digest, Text)).select_from(rows))
        ).one()
        return SectionTotal(count, int(total or 0) if amount is not None else None, hashed or "")

    async def page(
        self, connection: AsyncConnection, request: EvidenceRequest, after: Sequence[Any] | None, limit: int
    ) -> tuple[list[dict[str, Any]], Sequence[Any] | None]:
        """The rows after a sort key; the page is full unless it is the last."""
        every, names = self._rows(request), list(self._section.key)
        columns = [every.c[name] for name in names]
        statement = select(every)
        if after is not None:
            values = [literal(value, column.type) for value, column in zip(after, columns, strict=True)]
            # The first comparison is implied by the second, but only it is pushed down into the subquery.
            statement = statement.where(columns[0] >= values[0], tuple_(*columns) > tuple_(*values))
        result = await connection.execute(statement.order_by(*columns).limit(limit + 1))
        rows = [{str(name): value for name, value in row.items()} for row in result.mappings()]
        key = [rows[limit - 1][name] for name in names] if len(rows) > limit else None
        return rows[:limit], key


def _digest(community_ids: Sequence[UUID | None], totals: Sequence[SectionTotal]) -> str:
    content = [[str(one) for one in community_ids], [list(total) for total in totals]]
    return hashlib.blake2b(orjson.dumps(content), digest_size=12).hexdigest()


def _cursor(pager: Pager, position: Position) -> str:
    after = orjson.dumps(position.after or (), default=str).decode()
    return pager.write([position.as_of, position.section, after, position.digest])


def _typed(value: str, kind: type) -> Any:
    made: Callable[[str], Any] = kind.fromisoformat if issubclass(kind, date) else kind
    return made(value)
