"""Revision 1025, with jobs: what is to run again runs again, on both sides of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from alembic import command

from app.cli.database import asyncpg_url
from app.cli.migrate import configuration
from tests.servers import Servers

BEFORE, AFTER = "1015", "1025"
NOW = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OURS = uuid4()
INSERT = (
    "INSERT INTO job (id, workspace_id, kind, key, args, state, run_at, attempts, fence, leased_until, created_at) "
    "VALUES ($1, $2, $3, $4, '{}', $5, $6, $7, $8, $9, $10)"
)


def job_id(number: int) -> UUID:
    return UUID(int=number)


async def insert(
    connection: Any, number: int, workspace: UUID | None, key: str, state: str, run_at: datetime, attempts: int = 1
) -> None:
    leased_until = NOW + MINUTE if state == "running" else None
    await connection.execute(
        INSERT, job_id(number), workspace, "communities.poll", key, state, run_at, attempts, 7, leased_until, NOW
    )


async def jobs(connection: Any, *columns: str) -> set[tuple[Any, ...]]:
    """All jobs: workspace, key, state, when they run, and these columns."""
    names = ", ".join(("workspace_id", "key", "state", "run_at", *columns))
    return {tuple(row) for row in await connection.fetch(f"SELECT {names} FROM job")}


async def test_jobs_go_up_down_and_up_again(servers: Servers) -> None:
    database = servers.clone()
    config = configuration(servers.owner_url(database))

    async def migrate(way: Any, revision: str) -> None:
        await asyncio.to_thread(way, config, revision)

    await migrate(command.downgrade, BEFORE)
    connection = await asyncpg.connect(asyncpg_url(servers.superuser_url(database)))
    number = 0
    for workspace in (OURS, None):
        for key, state in (("again", "running"), ("once", "running"), ("later", "waiting"), ("dead", "dead")):
            number += 1
            await insert(connection, number, workspace, key, state, NOW)
        await insert(connection, number := number + 1, workspace, "dead", "waiting", NOW + 2 * MINUTE)
    await connection.execute("UPDATE job SET rerun_at = $1 WHERE key = 'again'", NOW + MINUTE)
    every = {
        (workspace, *rest)
        for workspace in (OURS, None)
        for rest in (
            ("again", "running", NOW),
            ("once", "running", NOW),
            ("later", "waiting", NOW),
            ("dead", "dead", NOW),
            ("dead", "waiting", NOW + 2 * MINUTE),
        )
    }
    twins = {(workspace, "again", "waiting", NOW + MINUTE) for workspace in (OURS, None)}
    assert await jobs(connection) == every

    await migrate(command.upgrade, AFTER)
    assert await jobs(connection) == every | twins, "what was to run once more waits as a job of its own"

    # Twins as they are made meanwhile: of one that runs, and of one that waits, the later row due earlier.
    for workspace in (OURS, None):
        await insert(connection, 100 + 2 * (workspace is None), workspace, "once", "waiting", NOW + 3 * MINUTE)
        await insert(connection, 101 + 2 * (workspace is None), workspace, "later", "waiting", NOW - MINUTE)
    await migrate(command.downgrade, BEFORE)
    again = {("again", "running", NOW + MINUTE), ("once", "running", NOW + 3 * MINUTE)}
    assert {(row[1], row[2], row[4]) for row in await jobs(connection, "rerun_at") if row[2] == "running"} == again
    due_earlier = {
        (*row[:3], NOW - MINUTE) if row[1] == "later" else row for row in every
    }  # the earliest of what waited
    assert await jobs(connection) == due_earlier
    kept = await connection.fetch("SELECT id, attempts, fence FROM job WHERE state = 'running' ORDER BY id")
    assert [tuple(row) for row in kept] == [(job_id(one), 1, 7) for one in (1, 2, 6, 7)], "with leases that still hold"

    await migrate(command.upgrade, AFTER)
    reruns = twins | {(workspace, "once", "waiting", NOW + 3 * MINUTE) for workspace in (OURS, None)}
    assert await jobs(connection) == due_earlier | reruns
    await migrate(command.upgrade, "head")
    assert await jobs(connection) == due_earlier | reruns
    await connection.close()
