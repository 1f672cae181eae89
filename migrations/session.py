"""The session that migrates: one at a time, with timeouts, on a database whose revision this code knows."""

import asyncio
from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

ADVISORY_LOCK = 0x696E73746570
"""Held by whoever migrates; advisory locks are per database."""
WAIT_TIMEOUT = 600.0
"""Seconds to wait for another process that migrates."""
WAIT_INTERVAL = 0.2
LOCK_TIMEOUT = "5s"
"""A migration that does not get a table's lock soon fails, rather than queue every request behind it."""
STATEMENT_TIMEOUT = "1min"
"""A statement holds its locks as long as it runs. A migration that needs longer sets its own."""
UNRELEASED = frozenset(f"{number:04}" for number in range(1, 10))
"""Revisions of before the first release; the tables they made are not those that 1001 and later ones expect."""
LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"


class MigrationRefused(Exception):
    """The database cannot be migrated as it is; the message says what to do."""


def refusal(revision: str) -> tuple[str, str]:
    """Why a database at `revision`, which this code does not know, cannot be migrated; and what to do."""
    if revision in UNRELEASED:
        return (
            f"the database is at revision {revision}, of a version never released; its data cannot be migrated",
            "start with an empty database, or remove the folder .instep if `instep up` or `instep demo` made it",
        )
    return (
        f"the database is at revision {revision}, which this version of Instep does not know",
        "install the version that migrated it, or a newer one",
    )


def require_own_revisions(revisions: Collection[str], own_revisions: Collection[str]) -> None:
    """Check that the database was migrated by this code, or by an older release of it.

    Raises:
        MigrationRefused: it was not.
    """
    for revision in sorted(set(revisions) - set(own_revisions)):
        raise MigrationRefused(": ".join(refusal(revision)))


async def lock(connection: AsyncConnection) -> None:
    """Wait until no other process migrates this database; the lock ends with the connection.

    It asks again and again: a session that waits within PostgreSQL keeps a snapshot, for which a `CREATE INDEX
    CONCURRENTLY` of the process that has the lock would wait in turn.

    Raises:
        MigrationRefused: another one is not ready after `WAIT_TIMEOUT`.
    """
    waited = 0.0
    while not await connection.scalar(text(f"SELECT pg_try_advisory_lock({ADVISORY_LOCK})")):
        await connection.rollback()
        if waited >= WAIT_TIMEOUT:
            raise MigrationRefused(
                f"another process has been migrating this database for more than {WAIT_TIMEOUT:.0f} seconds; "
                "let it end, then try again"
            )
        await asyncio.sleep(WAIT_INTERVAL)
        waited += WAIT_INTERVAL
    await connection.commit()


def timeouts() -> tuple[str, str]:
    """The statements that limit every statement of the session, whichever transaction it is in."""
    return f"SET lock_timeout = '{LOCK_TIMEOUT}'", f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"


def sqlstate(problem: DBAPIError) -> str | None:
    """PostgreSQL's code of an error; None where the server sent none."""
    return getattr(problem.orig, "sqlstate", None)
