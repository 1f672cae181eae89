"""Many rows in one statement whose text does not depend on their number.

One array parameter for each column, not one parameter for each value: such a statement is compiled and
planned once, where one with a thousand `VALUES` costs more to compile than to run.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Table, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import Insert, insert


@lru_cache
def bulk_insert(table: Table, names: tuple[str, ...]) -> Insert:
    """An `INSERT` of these columns, to be executed with `column_arrays` of the rows; `ON CONFLICT`, `RETURNING` fit."""
    arrays = [bindparam(f"new_{name}", type_=ARRAY(table.c[name].type, dimensions=1)) for name in names]
    unnested = func.unnest(*arrays).table_valued(*(column(name, table.c[name].type) for name in names), name="new_rows")
    rows = unnested.render_derived()
    return insert(table).from_select(list(names), select(*(rows.c[name] for name in names)))


def column_arrays(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> dict[str, list[Any]]:
    """Rows, which all have these columns, as the parameters of `bulk_insert`."""
    return {f"new_{name}": [row[name] for row in rows] for name in names}


def equals_any(expression: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """`expression = ANY (values)`, the values as one array parameter."""
    return expression == func.any(bindparam(None, list(values), type_=ARRAY(expression.type), unique=True))
