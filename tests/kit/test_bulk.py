"""Many rows in one statement, put together once."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from app.kit.bulk import added, among, columns
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
async def test_however_many_rows_there_are(resources: Resources, prefix: str, count: int) -> None:
    workers = [f"{prefix} {n}" for n in range(count)]
    async with resources.transaction(None) as session:
        await session.execute(added(TABLE, NAMES), columns(rows(*workers), NAMES))
        stored = await session.scalars(select(TABLE.c.worker).where(among(TABLE.c.worker, workers)))
        assert sorted(stored) == sorted(workers)


def test_the_statement_is_the_same_however_many_rows_there_are() -> None:
    assert added(TABLE, NAMES) is added(TABLE, NAMES)
    one, many = (str(select(TABLE).where(among(TABLE.c.worker, values))) for values in (["a"], ["a", "b", "c"]))
    assert one == many


async def test_conflicts_are_met_as_with_any_other_insert(resources: Resources, prefix: str) -> None:
    ignoring = added(TABLE, NAMES).on_conflict_do_nothing().returning(TABLE.c.worker)
    async with resources.transaction(None) as session:
        await session.execute(added(TABLE, NAMES), columns(rows(f"{prefix} 1"), NAMES))
        new = await session.scalars(ignoring, columns(rows(f"{prefix} 1", f"{prefix} 2"), NAMES))
        assert new.all() == [f"{prefix} 2"]
