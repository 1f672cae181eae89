"""Alembic's entry: connects as the owner of the tables, or prints SQL (`--sql`)."""

import asyncio

from alembic import context
from alembic.migration import MigrationContext
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.kit.db import Base
from app.projects import zones
from migrations import session, tables

tables.load()


def run(connection: Connection) -> None:
    """Run the migrations in one transaction each."""
    revisions = MigrationContext.configure(connection).get_current_heads()
    session.require_own_revisions(revisions, {script.revision for script in context.script.walk_revisions()})
    for statement in session.timeouts():
        connection.execute(text(statement))
    connection.commit()  # Alembic would take a transaction that is open for its caller's, and commit nothing
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    if context.get_head_revision() in MigrationContext.configure(connection).get_current_heads():
        # It compares all zones, which takes a second and locks nothing that others wait for.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        zones.renew_rules(connection)
        connection.commit()


async def connect() -> None:
    """Connect, and migrate while no other process does."""
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None, "the owner's database URL is needed"
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        await session.lock(connection)
        await connection.run_sync(run)
        await connection.commit()


def render() -> None:
    """Print the SQL of the migrations."""
    context.configure(
        dialect_name="postgresql", target_metadata=Base.metadata, transaction_per_migration=True, literal_binds=True
    )
    for statement in session.timeouts():
        context.execute(statement)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    render()
else:
    asyncio.run(connect())
