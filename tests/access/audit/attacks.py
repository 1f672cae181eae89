"""Who can do anything to the database, and has no key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from app.access.audit.verification import Head, Report, verify
from app.cli.database import asyncpg_url
from tests.conftest import Agency


@asynccontextmanager
async def superuser(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection, for which no trigger fires."""
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        await connection.execute("SET session_replication_role = replica")
        yield connection
    finally:
        await connection.close()


async def verified(agency: Agency, exported: list[Head] | None = None) -> Report:
    """The report of an agency."""
    resources = agency.resources
    async with resources.db.read_connection(agency.workspace_id) as connection:
        return await verify(connection, resources.keyring, agency.workspace_id, exported=exported or [])


async def kinds(agency: Agency, exported: list[Head] | None = None) -> list[str]:
    """The kinds of faults, with the link's sequence, in the order found."""
    return [
        fault.kind.value + ("" if fault.sequence is None else f" {fault.sequence}")
        for fault in (await verified(agency, exported)).faults
    ]
