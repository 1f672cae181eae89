"""The migrated tables equal the models, rows are isolated by workspace, and migrations can be reverted."""

import asyncio

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, DateTime, String, UniqueConstraint
from sqlalchemy.ext.asyncio import create_async_engine

from app.cli.database import asyncpg_url
from app.cli.migrate import configuration
from app.kit.db import Base
from migrations import tables
from tests.servers import Servers

tables.load()

NOT_A_WORKSPACES = {
    "job": "the sweeper looks across workspaces; it holds ids only",
    "api_key": "looked up before the workspace is known; it holds hashes only",
    "link_route": "a visitor comes with a slug alone",
    "hook_route": "a platform comes with a hook's address alone",
    "client_link_token": "as link_route; it holds hashes and ids only",
    "user_workspace": "whoever signs in has no workspace yet; it holds ids only",
    "user_session": "as api_key",
    "account_link": "as api_key",
    "sign_in_failure": "whoever signs in has no workspace yet; it holds hashes only",
    "zone_rule": "time zones are the same for all",
    "worker_heartbeat": "of the installation",
    "sealing_key": "of the installation; it holds fingerprints only",
    "audit_unchained": "the job that chains entries looks across workspaces; it holds ids and signatures only",
    "audit_key": "of the installation; sealed",
    "gauge": "of the installation: counts over all workspaces",
    "user_account": "a person may work in several workspaces",
    "rate_limit_use": "two workspaces may share a token; it holds hashes only",
    "rate_demand": "as rate_limit_use: what two workspaces ask of one limit adds up",
}


def test_every_table_is_fenced_in_or_says_why_not() -> None:
    keyed = {table.name for table in Base.metadata.sorted_tables if "workspace_id" in table.primary_key.columns}
    unfenced = set(NOT_A_WORKSPACES) - {"user_workspace", "audit_unchained"}
    assert {table.name for table in Base.metadata.sorted_tables} - keyed == unfenced


async def test_the_database_fences_them_in(servers: Servers, database: str) -> None:
    connection = await asyncpg.connect(asyncpg_url(servers.superuser_url(database)))
    try:
        rows = await connection.fetch(
            "SELECT relname, relrowsecurity AND relforcerowsecurity AS forced, "
            "(SELECT array_agg(policyname::text ORDER BY policyname) FROM pg_policies WHERE tablename = relname) "
            "AS policies "
            "FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
    finally:
        await connection.close()
    unfenced = {row["relname"] for row in rows if not (row["forced"] and "workspace" in row["policies"])}
    assert unfenced == {*NOT_A_WORKSPACES, "alembic_version"}
    of_projects = {table.name for table in Base.metadata.sorted_tables if "project_id" in table.columns} | {"project"}
    assert {row["relname"] for row in rows if "projects" in (row["policies"] or ())} == of_projects


def test_keys_and_unique_rules_stay_within_a_workspace() -> None:
    """A foreign key of a workspace's table carries the workspace, so a row cannot point into another one."""
    for table in Base.metadata.sorted_tables:
        if table.name in NOT_A_WORKSPACES:
            continue
        for key in table.foreign_key_constraints:
            target = key.referred_table.name
            carries = "workspace_id" in key.column_keys or target == "user_account"
            assert carries, f"{table.name} → {target} leaves the workspace"
        for rule in table.constraints:
            if isinstance(rule, UniqueConstraint):
                assert "workspace_id" in rule.columns, f"{table.name}: {rule.name}"
        for index in table.indexes:
            if index.unique:
                assert "workspace_id" in index.columns, f"{table.name}: {index.name}"


def test_types_that_lose_something_are_in_no_table() -> None:
    """Texts have no length and instants have a zone; squawk's rules for these are off."""
    columns = [column for table in Base.metadata.sorted_tables for column in table.columns]
    assert {str(column) for column in columns if isinstance(column.type, String) and column.type.length} == set()
    zoneless = {str(c) for c in columns if isinstance(c.type, DateTime) and not c.type.timezone}
    assert zoneless == {"post.planned_for"}, "a plan is in local time; anything else is an instant"


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_server_default": True, "compare_type": True})
    return list(compare_metadata(context, Base.metadata))


async def test_the_schema_is_what_the_models_say(servers: Servers, database: str) -> None:
    engine = create_async_engine(servers.owner_url(database))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.fixture
def empty(servers: Servers) -> str:
    """A migrated database for this test alone."""
    return servers.clone()


async def test_migrations_go_down_and_up_again(servers: Servers, empty: str) -> None:
    config = configuration(servers.owner_url(empty))
    await asyncio.to_thread(command.downgrade, config, "base")
    connection = await asyncpg.connect(asyncpg_url(servers.superuser_url(empty)))
    left = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm') "
        "UNION ALL SELECT proname FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner "
        "WHERE pronamespace = 'public'::regnamespace AND rolname = 'instep_owner'"
    )
    await connection.close()
    assert {row["relname"] for row in left} == {"alembic_version"}
    await asyncio.to_thread(command.upgrade, config, "head")
    engine = create_async_engine(servers.owner_url(empty))
    async with engine.connect() as again:
        assert await again.run_sync(differences) == []
    await engine.dispose()
