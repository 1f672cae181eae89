"""The rows behind a value, a page at a time.

A KPI has one or more sections of evidence. They follow each other; a cursor says in which section
and behind which row the next page starts. Communities whose own value is not known are no part of
the value, and so have no rows here.
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
from app.kpis import answers
from app.kpis.answers import KpiQuery
from app.kpis.contract import Community, Kpi, Query, Section, Status


@dataclass(frozen=True, slots=True)
class SortKey:
    """Where a page starts: a section, and the sort key of the row before."""

    section: int = 0
    after: Sequence[Any] | None = None


async def page(
    connection: AsyncConnection,
    kpi: Kpi,
    question: KpiQuery,
    *,
    workspace_id: UUID,
    pager: Pager,
    cursor: str | None,
    limit: int,
) -> tuple[list[dict[str, Any]], str | None]:
    """Up to `limit` rows, and the cursor of the next page.

    Raises `Invalid` for a cursor of another question.
    """
    place = _read(kpi, pager, cursor)
    of = [one.id for one in answers.communities(kpi, question.loaded) if _known(kpi, question, one)]
    found: list[dict[str, Any]] = []
    if not of:
        return found, None
    for number in range(place.section, len(kpi.evidence)):
        section = kpi.evidence[number]
        after = place.after if number == place.section else None
        room = limit - len(found)
        if not room:
            return found, _write(pager, number, ())
        query = _query(section, workspace_id, question, of, after)
        rows = (await connection.execute(query.limit(room + 1))).mappings().all()
        found += [{"kind": section.kind, **{str(name): value for name, value in row.items()}} for row in rows[:room]]
        if len(rows) > room:
            last = rows[room - 1]
            return found, _write(pager, number, [last[name] for name in section.key])
    return found, None


def _known(kpi: Kpi, question: KpiQuery, community: Community) -> bool:
    return question.value(kpi, only=community).status is not Status.UNKNOWN


def _query(
    section: Section, workspace_id: UUID, question: KpiQuery, of: Sequence[UUID | None], after: Sequence[Any] | None
) -> Query:
    rows = section.rows(workspace_id, question.project, question.days.first, question.days.last).subquery("evidence")
    ours: list[ColumnElement[bool]] = [rows.c.community_id.in_([one for one in of if one is not None])]
    if None in of:
        ours.append(rows.c.community_id.is_(None))
    query: Query = select(rows).where(or_(*ours))
    columns = [rows.c[name] for name in section.key]
    if after is not None:
        values = [literal(value, column.type) for value, column in zip(after, columns, strict=True)]
        # The first comparison follows from the second; it is the one that reaches into the subquery.
        query = query.where(columns[0] >= values[0], tuple_(*columns) > tuple_(*values))
    return query.order_by(*columns)


def _write(pager: Pager, section: int, after: Sequence[Any]) -> str:
    return pager.write([section, orjson.dumps(after, default=str).decode()])


def _read(kpi: Kpi, pager: Pager, cursor: str | None) -> SortKey:
    """A cursor's place; the values of its key have the types of its section."""
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
