"""Alembic's entry: connects as the owner of the tables, with short patience for locks."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.kit.db import Base
from migrations import tables

tables.load()


def run(connection: Connection) -> None:
    """Run the migrations in one transaction each."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        # A migration that cannot get its lock soon fails and is tried again, rather than stand in
        # the way of every request behind it.
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        context.run_migrations()


async def connect() -> None:
    """Connect and migrate."""
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None, "the owner's database URL is needed"
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
            await connection.commit()
    finally:
        await engine.dispose()


connection = context.config.attributes.get("connection")
if connection is not None:
    run(connection)
else:
    asyncio.run(connect())
