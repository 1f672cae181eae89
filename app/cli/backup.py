"""`instep backup`, `instep restore` and `instep psql`.

A backup is a `pg_dump` in PostgreSQL's own format, made by a superuser: row-level security binds the tables' owner
too, and a dump must not leave rows out. It holds tokens as they are stored, sealed: without the secret key they
cannot be opened, so the key is to be kept, and elsewhere.
"""

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import asyncpg

from app.cli.console import done, step, warn
from app.cli.database import asyncpg_url, passwords, prepare_database
from app.cli.environment import embedded_superuser_url
from app.cli.migrate import heads, known_revisions
from app.cli.options import CommandFailed
from app.cli.postgres_tools import (
    console_environment,
    database_name,
    private_file,
    program,
    target,
    with_database,
)
from app.kit.crypto import Keyring
from app.settings import Settings

MAINTENANCE = "postgres"
"""The database that a superuser connects to while the service's own is replaced."""


def superuser_url_of(settings: Settings, url: str | None) -> str:
    """The superuser's URL, of the service's database: this one, or that of an embedded server.

    Raises:
        CommandFailed: there is none.
    """
    database = database_name(settings.database_url)
    if url is not None:
        return with_database(url, database)
    if (embedded := embedded_superuser_url(settings.database_url)) is not None:
        return with_database(embedded, database)
    raise CommandFailed(
        "a superuser's URL is needed, since row-level security hides rows from every other role: give "
        "--superuser-url postgresql://postgres:…@host/postgres, or set INSTEP_SUPERUSER_DATABASE_URL"
    )


def back_up(settings: Settings, superuser_url: str, file: Path) -> None:
    """Write a backup to `file`, which only its owner may read; what was there before is replaced once it is complete.

    Raises:
        CommandFailed: `pg_dump` failed.
    """
    to = target(superuser_url)
    path, environment = program("pg_dump", to)
    part = private_file(file.with_name(f"{file.name}.part"))
    try:
        _run([path, "--format=custom", f"--file={part}", f"--dbname={to.uri}"], environment, "pg_dump")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    done(f"{file}: {_size(file.stat().st_size)} of {database_name(settings.database_url)}, as it was a moment ago")
    step(
        "The tokens in it are sealed. Keep the keys (INSTEP_SECRET_KEYS, or the file secret_key of the data folder) as "
        "well, and elsewhere: without them every community has to be connected anew."
    )


def restore(settings: Settings, superuser_url: str, file: Path, *, replace: bool) -> None:
    """Restore a backup in place of the service's database.

    It is restored beside the database first, and takes its place when it is complete: where anything fails, the
    database is as it was.

    Raises:
        CommandFailed: the database has data and `replace` is not set, the service runs, the backup is of a newer
            version, or `pg_restore` failed.
    """
    if not file.exists():
        raise CommandFailed(f"there is no file {file}")
    database = database_name(settings.database_url)
    asyncio.run(_require_replaceable(superuser_url, database, replace=replace))
    beside = f"{database}_restoring"
    asyncio.run(_drop(superuser_url, beside))
    try:
        asyncio.run(prepare_database(with_database(superuser_url, MAINTENANCE), beside, **passwords(settings)))
        to = target(superuser_url, database=beside)
        path, environment = program("pg_restore", to)
        step(f"restoring {file}")
        _run(
            [path, "--exit-on-error", "--single-transaction", f"--dbname={to.uri}", str(file)],
            environment,
            "pg_restore",
        )
        revision, lacking = asyncio.run(_settle(with_database(superuser_url, beside), settings))
        asyncio.run(_swap(superuser_url, database, beside))
    finally:
        asyncio.run(_drop(superuser_url, beside))
    done(f"{database} is as in {file}")
    if lacking:
        warn(
            "INSTEP_SECRET_KEYS does not have the key that sealed its tokens: nothing starts until it does "
            "(in an embedded installation: put it into the file secret_key of the data folder)"
        )
    if revision != heads():
        step("it is of an older version: run `instep migrate` (`instep up` does so by itself)")


async def _require_replaceable(superuser_url: str, database: str, *, replace: bool) -> None:
    server = await _connect(with_database(superuser_url, MAINTENANCE))
    try:
        if not await server.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            return
        users = await server.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'", database
        )
    finally:
        await server.close()
    if users:
        raise CommandFailed(
            f"{database} is in use by {users} connections: stop API and worker (and psql) first, then restore"
        )
    if replace:
        return
    connection = await _connect(with_database(superuser_url, database))
    try:
        workspaces = 0
        if await connection.fetchval("SELECT to_regclass('workspace')") is not None:
            workspaces = await connection.fetchval("SELECT count(*) FROM workspace")
    finally:
        await connection.close()
    if workspaces:
        raise CommandFailed(
            f"{database} has data of {workspaces} workspace{'s' if workspaces > 1 else ''}; with --replace they are "
            "deleted, and the backup's take their place. Make a backup of them first."
        )


async def _settle(url: str, settings: Settings) -> tuple[set[str], bool]:
    """Check a restored database, and make it safe to run: its revision, and whether a key is lacking.

    What was about to be sent when the backup was made may have been sent since: such a reply is not sent again, but
    looked for on its platform, as after a worker's death.
    """
    connection = await _connect(url)
    try:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            raise CommandFailed("the file is no backup of Instep: it has no table alembic_version")
        rows = await connection.fetch("SELECT version_num FROM alembic_version")
        revision = {row["version_num"] for row in rows}
        if revision - known_revisions():
            raise CommandFailed(f"the backup is of a newer version of Instep (revision {', '.join(sorted(revision))})")
        # As if the attempt had begun when it was queued: the earliest that it may have been sent.
        doubtful = await connection.execute(
            "UPDATE message SET delivery = 'sending', intended_at = sent_at WHERE delivery = 'queued'"
        )
        if (count := int(doubtful.split()[-1])) > 0:
            step(f"{count} replies were queued: they are looked for on their platforms, and not sent again")
        lacking = False
        if await connection.fetchval("SELECT to_regclass('sealing_key')") is not None:
            stored = {row["fingerprint"] for row in await connection.fetch("SELECT fingerprint FROM sealing_key")}
            lacking = bool(stored - set(Keyring(settings.secret_keys).fingerprints))
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
    return revision, lacking


async def _swap(superuser_url: str, database: str, beside: str) -> None:
    server = await _connect(with_database(superuser_url, MAINTENANCE))
    try:
        before = f"{database}_before"
        names = {name: await server.fetchval("SELECT quote_ident($1)", name) for name in (database, beside, before)}
        await server.execute(f"DROP DATABASE IF EXISTS {names[before]}")
        if await server.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            await server.execute(f"ALTER DATABASE {names[database]} RENAME TO {names[before]}")
        await server.execute(f"ALTER DATABASE {names[beside]} RENAME TO {names[database]}")
        await server.execute(f"DROP DATABASE IF EXISTS {names[before]}")
    finally:
        await server.close()


async def _drop(superuser_url: str, database: str) -> None:
    server = await _connect(with_database(superuser_url, MAINTENANCE))
    try:
        name = await server.fetchval("SELECT quote_ident($1)", database)
        await server.execute(f"DROP DATABASE IF EXISTS {name}")
    finally:
        await server.close()


async def _connect(url: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(asyncpg_url(url), timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as problem:
        reason = (str(problem) or type(problem).__name__).splitlines()[0]
        raise CommandFailed(f"the database cannot be reached as a superuser: {reason}") from None


def psql(url: str, arguments: Sequence[str], workspace_id: UUID | None) -> int:
    """Run `psql`; its exit code. With a workspace, row-level security shows the rows of that one."""
    to = target(url)
    path, environment = program("psql", to)
    environment = console_environment(environment)
    if workspace_id is not None:
        environment["PGOPTIONS"] = f"-c app.workspace_id={workspace_id}"
    return subprocess.run([path, f"--dbname={to.uri}", *arguments], env=environment, check=False).returncode


def _run(command: Sequence[str], environment: Mapping[str, str], name: str) -> None:
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise CommandFailed(f"{name} failed:\n{ended.stderr.strip() or 'it said nothing'}")


def _size(count: int) -> str:
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} bytes"
