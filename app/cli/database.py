"""Roles, database and grants, which must exist before the first migration.

Two roles. `instep_owner` owns the tables and migrates. `instep_app` is what the service runs as: an
ordinary role, so that row-level security applies to it. The superuser creates them and is not needed
again.
"""

from typing import TypedDict
from urllib.parse import unquote, urlsplit

import asyncpg

from app.settings import Settings

OWNER = "instep_owner"
APP = "instep_app"
EXTENSIONS = ("pg_trgm", "btree_gin")
APPEND_ONLY = ("audit_entry", "audit_link", "audit_head")
"""The tables whose rows the service never changes or deletes."""
UNCHANGEABLE = ("goal_revision", "goal_agreement")
"""Tables whose rows the runtime role cannot change: what was promised and agreed is only deleted with its project."""

_ORDINARY = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"
_BY_DEFAULT = f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public"
_GRANTS = (
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}",
    f"GRANT USAGE ON SCHEMA public TO {APP}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APP}",
    f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP}",
    f"{_BY_DEFAULT} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP}",
    f"{_BY_DEFAULT} GRANT USAGE ON SEQUENCES TO {APP}",
    *(
        f"DO $$ BEGIN IF to_regclass('{table}') IS NOT NULL THEN "
        f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {APP}; END IF; END $$"
        for table in APPEND_ONLY
    ),
    *(
        f"DO $$ BEGIN IF to_regclass('{table}') IS NOT NULL THEN REVOKE UPDATE ON {table} FROM {APP}; END IF; END $$"
        for table in UNCHANGEABLE
    ),
)


def asyncpg_url(url: str) -> str:
    """A SQLAlchemy URL in asyncpg's form."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


class Passwords(TypedDict):
    """Of both roles; None: none is set."""

    owner_password: str | None
    app_password: str | None


def passwords(settings: Settings) -> Passwords:
    """The passwords of both roles, as the settings' URLs have them."""
    owner, app = urlsplit(settings.owner_database_url or ""), urlsplit(settings.database_url)
    return {
        "owner_password": unquote(owner.password) if owner.password else None,
        "app_password": unquote(app.password) if app.password else None,
    }


async def prepare_database(
    superuser_url: str, database: str, *, owner_password: str | None = None, app_password: str | None = None
) -> None:
    """Create the roles, `database` and its grants; what exists already is corrected.

    `superuser_url` is of any database of the server. Passwords are set where passed; an embedded
    server needs none.
    """
    connection = await asyncpg.connect(asyncpg_url(superuser_url))
    try:
        await _role(connection, OWNER, "INHERIT", owner_password)
        await _role(connection, APP, "NOINHERIT", app_password)
        name = await connection.fetchval("SELECT quote_ident($1)", database)
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            await connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
        else:
            await connection.execute(f"ALTER DATABASE {name} OWNER TO {OWNER}")
    finally:
        await connection.close()
    connection = await asyncpg.connect(asyncpg_url(superuser_url), database=database)
    try:
        for extension in EXTENSIONS:
            await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        async with connection.transaction():  # the service may run: at no moment has it more than it should
            for grant in _GRANTS:
                await connection.execute(grant)
    finally:
        await connection.close()


async def _role(connection: asyncpg.Connection, name: str, inherits: str, password: str | None) -> None:
    exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name)
    await connection.execute(f"{'ALTER' if exists else 'CREATE'} ROLE {name} {_ORDINARY} {inherits}")
    if password is not None:
        literal = await connection.fetchval("SELECT quote_literal($1)", password)
        await connection.execute(f"ALTER ROLE {name} PASSWORD {literal}")
