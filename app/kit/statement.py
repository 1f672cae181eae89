"""Frequent reads: statements of SQLAlchemy Core, compiled once and executed by asyncpg directly.

SQLAlchemy's execution takes about 0.2 ms of CPU for each statement, more than everything else that a
KPI needs. The connection is still SQLAlchemy's, with its pool and the workspace's row-level security.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from sqlalchemy import BindParameter, ClauseElement, literal_column, make_url
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import ExternallyTraversible, replacement_traverse

from app.kit.db import pooled
from app.kit.errors import Unavailable, is_outage

_DIALECT: Final = make_url("postgresql+asyncpg://").get_dialect()()


class Statement:
    """A statement with parameters. Its constants are part of its text: sending one costs as much as a parameter.

    Each connection keeps it prepared, but for `keep=False`: where callers can make any number of long statements, each
    of which would take PostgreSQL as much memory as its plan does.
    """

    def __init__(self, query: ClauseElement, *, keep: bool = True) -> None:
        inlined = replacement_traverse(query, {}, _as_literal)
        assert isinstance(inlined, ClauseElement)
        compiled = inlined.compile(dialect=_DIALECT)
        assert isinstance(compiled, SQLCompiler)
        self.text = str(compiled)
        self.names = tuple(compiled.positiontup or ())
        self.keep = keep

    async def rows(self, connection: AsyncConnection, values: Mapping[str, Any]) -> list[Any]:
        """Execute it with these parameters and return the rows; `Unavailable` where the connection breaks."""
        raw: Any = pooled(connection).driver_connection
        try:
            parameters = [values[name] for name in self.names]
            if self.keep:
                rows: list[Any] = await raw.fetch(self.text, *parameters)
            else:
                rows = await (await raw.prepare(self.text)).fetch(*parameters)
        except Exception as error:
            answered = isinstance(error, asyncpg.PostgresError) and not raw.is_closed()
            if answered or not (is_outage(error) or raw.is_closed()):
                raise
            # SQLAlchemy does not notice that the connection broke or that the server is silent, and would return it
            # to the pool.
            raw.terminate()
            await connection.invalidate(error)
            raise Unavailable("The database is out of reach; try again.", code="database-away") from error
        return rows


def _as_literal(element: ExternallyTraversible, **_: Any) -> ExternallyTraversible | None:
    """A constant as SQL text; None for anything else, which stays as it is."""
    if isinstance(element, BindParameter) and element.value is not None:
        text = str(element.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))
        return literal_column(text, element.type).label(None)  # unlabelled, a column would be named by its text
    return None


@asynccontextmanager
async def one_snapshot(connection: AsyncConnection) -> AsyncIterator[None]:
    """Within it, all reads of an autocommit connection see the same rows."""
    raw: Any = pooled(connection).driver_connection
    async with raw.transaction(isolation="repeatable_read", readonly=True):
        yield
