"""Many rows in one statement that is compiled once."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from app.kit.bulk import bulk_insert, column_arrays, equals_any
from app.kit.db import Base
from app.kit.resources import Resources

TABLE = Base.metadata.tables["worker_heartbeat"]
NAMES = ("worker", "at")
NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)


def rows(*workers: str) -> list[dict[str, Any]]:
    return [{"worker": worker, "at": NOON} for worker in workers]


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize("count", [0, 1, 3, 2000])
async def test_any_number_of_rows_is_inserted(resources: Resources, prefix: str, count: int) -> None:
    workers = [f"{prefix} {n}" for n in range(count)]
    async with resources.transaction(None) as session:
        await session.execute(bulk_insert(TABLE, NAMES), column_arrays(rows(*workers), NAMES))
        stored = await session.scalars(select(TABLE.c.worker).where(equals_any(TABLE.c.worker, workers)))
        assert sorted(stored) == sorted(workers)


def test_the_statement_does_not_depend_on_the_number_of_rows() -> None:
    assert bulk_insert(TABLE, NAMES) is bulk_insert(TABLE, NAMES)
    one, many = (str(select(TABLE).where(equals_any(TABLE.c.worker, values))) for values in (["a"], ["a", "b", "c"]))
    assert one == many


async def test_on_conflict_works_as_with_any_other_insert(resources: Resources, prefix: str) -> None:
    ignoring = bulk_insert(TABLE, NAMES).on_conflict_do_nothing().returning(TABLE.c.worker)
    async with resources.transaction(None) as session:
        await session.execute(bulk_insert(TABLE, NAMES), column_arrays(rows(f"{prefix} 1"), NAMES))
        new = await session.scalars(ignoring, column_arrays(rows(f"{prefix} 1", f"{prefix} 2"), NAMES))
        assert new.all() == [f"{prefix} 2"]
