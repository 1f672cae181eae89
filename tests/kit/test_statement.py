"""A connection that breaks during a read is reported as an outage, and not returned to the pool."""

import asyncpg
import pytest
from sqlalchemy import literal_column, select

from app.cli.database import asyncpg_url
from app.kit.db import Database
from app.kit.errors import Unavailable
from app.kit.ids import uuid7
from app.kit.statement import Statement
from tests.servers import Servers


async def test_a_broken_connection_is_replaced(servers: Servers, database: str) -> None:
    """The pool has one connection: were it returned, nothing would ever be read."""
    workspace_id = uuid7()
    statement = Statement(select(literal_column("pg_backend_pid()")))
    broken = Database(servers.app_url(database), pool=1)
    superuser = await asyncpg.connect(asyncpg_url(servers.superuser_url(database)))
    try:
        async with broken.read_connection(workspace_id) as connection:
            ((pid,),) = await statement.rows(connection, {})
        await superuser.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        with pytest.raises(Unavailable):
            async with broken.read_connection(workspace_id) as connection:
                await statement.rows(connection, {})
        async with broken.read_connection(workspace_id) as connection:
            ((other,),) = await statement.rows(connection, {})
        assert other != pid
    finally:
        await superuser.close()
        await broken.close()


async def test_a_wrong_statement_is_no_outage(servers: Servers, database: str) -> None:
    db = Database(servers.app_url(database), pool=1)
    try:
        async with db.read_connection(uuid7()) as connection:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await Statement(select(literal_column("1 / 0"))).rows(connection, {})
            assert await Statement(select(literal_column("1"))).rows(connection, {}) == [(1,)]
    finally:
        await db.close()


async def test_a_long_statement_is_prepared_once(servers: Servers, database: str) -> None:
    """All KPIs are one statement of 60 kB: PostgreSQL would parse and plan it at each request."""
    long = Statement(select(literal_column("'" + "long " * 20_000 + "'")))
    prepared = Statement(select(literal_column("count(*) FROM pg_prepared_statements WHERE statement LIKE '%long %'")))
    db = Database(servers.app_url(database), pool=1)
    other = Statement(select(literal_column("'" + "long " * 20_001 + "'")), keep=False)
    try:
        async with db.read_connection(uuid7()) as connection:
            await long.rows(connection, {})
            assert await prepared.rows(connection, {}) == [(2,)]  # itself, and the long one
            assert len((await other.rows(connection, {}))[0][0]) == 100_005
            await Statement(select(literal_column("1"))).rows(connection, {})  # it is closed once another is prepared
            assert await prepared.rows(connection, {}) == [(2,)], "what need not be kept is not"
    finally:
        await db.close()
