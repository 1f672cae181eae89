"""Many rows in one statement, and who may change a community's threads."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import Base


def insert_all(model: type[Base], values: Sequence[Mapping[str, Any]]) -> Insert:
    """An INSERT of all `values`, which name the same columns, as a single parameter.

    However many rows there are, the statement is the same: it is prepared once.
    """
    names = list(values[0])
    rows = [[_plain(value[name]) for name in names] for value in values]
    return insert(model).from_select(names, _given(model, names, rows), include_defaults=False)


def _given(model: type[Base], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Select[Any]:
    columns = [column(name, model.__table__.c[name].type) for name in names]
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    given = func.jsonb_to_recordset(bindparam(None, objects, JSONB())).table_valued(*columns, name="given")
    return select(*given.render_derived(with_types=True).c)


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


async def hold(session: AsyncSession, community_id: UUID) -> None:
    """Wait until nobody else changes this community's threads; held until the unit of work ends.

    Taken before any of its rows, so that two polls, a hook and a reply cannot block each other.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"inquiries {community_id}", 0))))
