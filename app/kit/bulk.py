"""Many rows in one statement whose text is the same however many they are.

A parameter for each column, not for each value: such a statement is put together and planned once,
where one of a thousand `VALUES` costs more to put together than to run.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Table, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import Insert, insert


@lru_cache
def added(table: Table, names: tuple[str, ...]) -> Insert:
    """An `INSERT` of these columns, to be executed with `columns` of the rows; conflicts and answers can be added."""
    arrays = [bindparam(f"new_{name}", type_=ARRAY(table.c[name].type)) for name in names]
    given = func.unnest(*arrays).table_valued(*(column(name, table.c[name].type) for name in names), name="given")
    rows = given.render_derived()
    return insert(table).from_select(list(names), select(*(rows.c[name] for name in names)))


def columns(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> dict[str, list[Any]]:
    """Rows, which all have these columns, as the parameters of `added`."""
    return {f"new_{name}": [row[name] for row in rows] for name in names}


def among(what: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """`what` is one of these values, as one parameter."""
    return what == func.any(bindparam(None, list(values), type_=ARRAY(what.type), unique=True))
