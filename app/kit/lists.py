"""Lists: a page is one statement, compiled once for each combination of filters, whose rows become JSON at once.

ORM objects and response models cost several times as much as the rows themselves. So a list's rows come from
`Listing` as records of asyncpg, a function of the room makes a dictionary of each, and `json_response` serialises
them. The response model only documents them; `tests/test_screens.py` checks that both agree.

Ids are cast to text by PostgreSQL; JSON columns are text that is passed on as it is (`stored_json`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast
from uuid import UUID

import orjson
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, Text, any_, bindparam, func, select, tuple_
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.sqltypes import Uuid
from starlette.responses import Response

from app.kit.errors import NotFound
from app.kit.paging import Keyset, Pager
from app.kit.statement import Statement

WORKSPACE: Final = cast("UUID", bindparam("workspace_id", type_=PG_UUID(as_uuid=True)))
"""The workspace, in the statement of a `Listing`."""

Row: TypeAlias = Any
"""A record of asyncpg: columns by name."""
Filter: TypeAlias = ColumnElement[bool] | Mapping[Any, ColumnElement[bool]]
"""A condition with a parameter of the filter's name; or a condition for each value, without parameters, so that a
partial index whose predicate has that value serves it."""


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of a list."""

    keyset: Keyset
    only: ColumnElement[bool] | None = None
    """The rows that have this order, where not all do."""
    names: Sequence[str] = field(init=False)
    """The names of the sort key's columns."""
    types: Sequence[type] = field(init=False)
    """Their types in a cursor."""

    def __post_init__(self) -> None:
        # Computed once: attributes of mapped columns are slow.
        object.__setattr__(self, "names", [str(column.key) for column in self.keyset.columns])
        object.__setattr__(self, "types", [column.type.python_type for column in self.keyset.columns])


def parameter(name: str, column: Any) -> ColumnElement[Any]:
    """The value of a filter, of the type of the column it is compared with."""
    return bindparam(name, type_=column.type)


def equal(**columns: Any) -> dict[str, Filter]:
    """Filters that compare a column with the value given."""
    return {name: column == parameter(name, column) for name, column in columns.items()}


class Listing:
    """A list's pages, and its rows by id, in one form."""

    def __init__(
        self,
        query: Select[Any],
        identity: Any,
        *,
        sorts: Mapping[Any, Sort],
        filters: Mapping[str, Filter] | None = None,
        ids_first: bool = False,
        ids_always_first: bool = False,
        within: Mapping[str, tuple[str, ColumnElement[bool]]] | None = None,
    ) -> None:
        """`query` is restricted to `WORKSPACE`, and selects the columns of all sort keys; `identity`: the id column.

        `ids_first`: where there are filters, or not all rows have the order, a page's ids are found first, and what
        else the query reads is read of these rows alone: PostgreSQL may take the filtered rows for few, and join and
        sort all of them. All filters and sorts must be of the identity's table. `ids_always_first`: also where there
        are none, for a query that PostgreSQL would join as a whole even then.

        `within`: a filter that another one implies or contradicts, as a community its project; with that other filter
        it is a condition of no row (the community is the project's), so that a contradiction reads none.
        """
        self._within = MappingProxyType(dict(within or {}))
        self._ids_first, self._ids_always_first = ids_first, ids_always_first
        self._query = with_text_ids(query)
        self._identity = identity
        self._sorts = sorts
        self._filters = MappingProxyType(dict(filters or {}))
        self.page_statement = lru_cache(maxsize=256)(self._build)
        """The statement of a page: in this order, with these filters, and whether it follows another page."""
        self._count_statement = lru_cache(maxsize=256)(self._count)
        of_ids = any_(bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True))))
        self._by_ids = Statement(self._query.where(identity == of_ids).order_by(identity))

    async def page(
        self,
        connection: AsyncConnection,
        pager: Pager,
        *,
        workspace_id: UUID,
        sort: Any,
        limit: int,
        cursor: str | None,
        filters: Mapping[str, Any],
        values: Mapping[str, Any] | None = None,
    ) -> tuple[list[Row], str | None]:
        """A page's rows and the cursor of the next one (None: it is the last).

        A filter whose value is None does not filter. `values`: further parameters of the query.
        """
        order = self._sorts[sort]
        after = pager.read(cursor, order.types)
        selected, parameters = self._selected(filters)
        parameters |= {"workspace_id": workspace_id, "limit": limit + 1, **(values or {})}
        if after is not None:
            parameters |= {f"after_{number}": value for number, value in enumerate(after)}
        statement = self.page_statement(sort, selected, after is not None)
        rows = await statement.rows(connection, parameters)
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], pager.write([rows[limit - 1][name] for name in order.names])

    async def is_short(
        self, connection: AsyncConnection, workspace_id: UUID, sort: Any, filters: Mapping[str, Any], most: int
    ) -> bool:
        """Whether the list has at most so many rows; for one with `ids_first`."""
        selected, parameters = self._selected(filters)
        parameters |= {"workspace_id": workspace_id, "limit": most + 1}
        (row,) = await self._count_statement(sort, selected).rows(connection, parameters)
        return bool(row["rows"] <= most)

    def _selected(self, filters: Mapping[str, Any]) -> tuple[tuple[tuple[str, Any], ...], dict[str, Any]]:
        """The filters that have a value, as `page_statement` takes them, and the parameters of their conditions."""
        selected: list[tuple[str, Any]] = []
        parameters: dict[str, Any] = {}
        for name, value in filters.items():
            if value is None:
                continue
            plain = value.value if isinstance(value, Enum) else value
            by_value = isinstance(self._filters[name], Mapping)
            selected.append((name, plain if by_value else None))
            if not by_value:
                parameters[name] = plain
        return tuple(selected), parameters

    async def by_ids(
        self,
        connection: AsyncConnection,
        workspace_id: UUID,
        ids: Iterable[UUID],
        values: Mapping[str, Any] | None = None,
    ) -> dict[UUID, Row]:
        """The rows with these ids; those of other workspaces are absent."""
        parameters = {"workspace_id": workspace_id, "ids": list(ids), **(values or {})}
        rows = await self._by_ids.rows(connection, parameters)
        return {UUID(row[self._identity.key]): row for row in rows}

    async def one(
        self, connection: AsyncConnection, workspace_id: UUID, row_id: UUID, values: Mapping[str, Any] | None = None
    ) -> Row:
        """The row with this id; `NotFound` where there is none in this workspace."""
        rows = await self.by_ids(connection, workspace_id, [row_id], values)
        if not rows:
            raise NotFound
        return rows[row_id]

    def _build(self, sort: Any, selected: tuple[tuple[str, Any], ...] = (), follows: bool = False) -> Statement:
        order = self._sorts[sort]
        late = self._ids_always_first or (self._ids_first and (bool(selected) or order.only is not None))
        query = self._filtered(self._ids() if late else self._query, sort, selected, follows)
        if late:
            ids = func.array(query.correlate(None).scalar_subquery())
            query = self._query.where(self._identity == any_(ids)).order_by(*_direction(order))
        return Statement(query)

    def _count(self, sort: Any, selected: tuple[tuple[str, Any], ...]) -> Statement:
        # In the list's order, as a page is found: by another plan it might read more than a page does.
        ids = self._filtered(self._ids(), sort, selected, follows=False)
        return Statement(select(func.count().label("rows")).select_from(ids.subquery()))

    def _ids(self) -> Select[Any]:
        table = self._identity.table
        return select(table.c[self._identity.key]).where(table.c.workspace_id == WORKSPACE)

    def _filtered(
        self, query: Select[Any], sort: Any, selected: tuple[tuple[str, Any], ...], follows: bool
    ) -> Select[Any]:
        """The rows that the filters select, in order; `follows`: after a sort key."""
        order = self._sorts[sort]
        names = {name for name, _ in selected}
        for name, value in selected:
            condition = self._filters[name]
            if name in self._within and self._within[name][0] in names:
                condition = self._within[name][1]
            query = query.where(condition[value] if isinstance(condition, Mapping) else condition)
        if order.only is not None:
            query = query.where(order.only)
        columns = order.keyset.columns
        if follows:
            last = tuple_(*(bindparam(f"after_{number}", type_=column.type) for number, column in enumerate(columns)))
            sort_key = tuple_(*columns)
            query = query.where(sort_key < last if order.keyset.descending else sort_key > last)
        return query.order_by(*_direction(order)).limit(bindparam("limit", type_=BigInteger()))


def _direction(order: Sort) -> list[ColumnElement[Any]]:
    return [column.desc() if order.keyset.descending else column.asc() for column in order.keyset.columns]


def with_text_ids(query: Select[Any]) -> Select[Any]:
    """The query with its ids as text, which costs less than objects of them."""
    return query.with_only_columns(*map(_id_as_text, query.selected_columns))


def _id_as_text(column: Any) -> ColumnElement[Any]:
    return sql_cast(column, Text).label(column.key) if isinstance(column.type, Uuid) else column


def stored_json(text: str | None) -> orjson.Fragment | None:
    """The value of a JSON column, which is JSON already."""
    return None if text is None else orjson.Fragment(text)


def json_page(data: Sequence[Any], next_cursor: str | None, **more: Any) -> Response:
    """The response of a list."""
    return json_response({"data": data, "next_cursor": next_cursor, **more})


def json_response(content: Any) -> Response:
    """A response of what `orjson` serialises: instants become `2026-10-01T09:30:00Z`."""
    return Response(orjson.dumps(content, default=str, option=orjson.OPT_UTC_Z), media_type="application/json")
