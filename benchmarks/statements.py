"""What a transaction and a read cost, beside the plain way of doing the same.

- `transaction`: one statement in a workspace, which is set with BEGIN in one round trip (`kit.db`); plainly, by a
  statement of its own
- `read`: one row by its key, a statement executed by asyncpg (`kpis.statement`); plainly, by SQLAlchemy

On one connection, each way in turn. CPU time of the process, and time on the clock.
"""

import argparse
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import uvloop
from sqlalchemy import bindparam, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from app.access.models import Workspace
from app.kit.db import Database
from app.kit.statement import Statement
from benchmarks._servers import database

LOOP: Final = uvloop.new_event_loop
"""The event loop of the service."""
WORKSPACE: Final = UUID(int=1)
BATCH: Final = 100
"""Executions between two readings of the clock."""
_SET: Final = text("SELECT set_config('app.workspace_id', :id, true)")
_READ: Final = select(Workspace.workspace_id, Workspace.title, Workspace.created_at).where(
    Workspace.workspace_id == bindparam("workspace")
)


async def main(arguments: Sequence[str]) -> None:
    """Print what each way costs, and the ratio of the two."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks statements",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repeats", type=int, default=40, help="rounds, of which the median is taken")
    options = parser.parse_args(arguments)
    async with database() as urls:
        db = Database(urls.app, pool=1)
        plain = create_async_engine(urls.app, pool_size=1, max_overflow=0)
        async with db.transaction(WORKSPACE) as session:
            created_at = datetime(2026, 10, 15, tzinfo=UTC)
            await session.execute(
                insert(Workspace).values(workspace_id=WORKSPACE, title="Agency", created_at=created_at)
            )
        statement = Statement(_READ)

        async def with_begin() -> None:
            async with db.transaction(WORKSPACE) as session:
                await session.execute(_READ, {"workspace": WORKSPACE})

        async def with_statement() -> None:
            async with AsyncSession(plain) as session:
                await session.execute(_SET, {"id": str(WORKSPACE)})
                await session.execute(_READ, {"workspace": WORKSPACE})
                await session.commit()

        async def by_asyncpg() -> None:
            async with db.read_connection(WORKSPACE) as connection:
                await statement.rows(connection, {"workspace": WORKSPACE})

        async def by_sqlalchemy() -> None:
            async with db.read_connection(WORKSPACE) as connection:
                (await connection.execute(_READ, {"workspace": WORKSPACE})).all()

        print(f"{'':14}{'':18}{'CPU µs':>10}{'clock µs':>10}{'CPU ratio':>11}{'clock ratio':>13}")
        await _compare("transaction", options.repeats, {"with BEGIN": with_begin, "a statement": with_statement})
        await _compare("read", options.repeats, {"asyncpg": by_asyncpg, "SQLAlchemy": by_sqlalchemy})
        await db.close()
        await plain.dispose()


async def _compare(title: str, repeats: int, ways: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            measured[name].append(await _batch(run))
    medians = {name: [statistics.median(one) for one in zip(*times, strict=True)] for name, times in measured.items()}
    (first, *_) = medians.values()
    for name, (cpu, clock) in medians.items():
        print(f"{title:14}{name:18}{cpu:10.0f}{clock:10.0f}{cpu / first[0]:11.2f}{clock / first[1]:13.2f}")


async def _batch(run: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Microseconds of CPU and on the clock for one of `BATCH` executions."""
    cpu, clock = time.process_time(), time.perf_counter()
    for _ in range(BATCH):
        await run()
    return (time.process_time() - cpu) / BATCH * 1e6, (time.perf_counter() - clock) / BATCH * 1e6
