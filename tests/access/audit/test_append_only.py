"""Neither the service nor the tables' owner changes or deletes what is recorded; the grants survive an installation."""

import asyncpg
import pytest

from app.cli.database import APPEND_ONLY, asyncpg_url, prepare_database
from tests.conftest import Agency
from tests.servers import Servers


async def refusals(url: str, workspace: object) -> dict[str, str]:
    """What happens to each statement that would change something."""
    answers = {}
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        await connection.execute(f"SET app.workspace_id = '{workspace}'")
        for table in APPEND_ONLY:
            for statement in (
                f"UPDATE {table} SET workspace_id = workspace_id",
                f"DELETE FROM {table}",
                f"TRUNCATE {table}",
            ):
                try:
                    answers[statement] = await connection.execute(statement)
                except asyncpg.InsufficientPrivilegeError as refused:
                    answers[statement] = str(refused)
    finally:
        await connection.close()
    return answers


@pytest.mark.parametrize("again", [False, True])
async def test_the_runtime_role_may_only_read_and_add(
    agency: Agency, servers: Servers, database: str, again: bool
) -> None:
    if again:
        await prepare_database(servers.superuser_url(database), database)
    answers = await refusals(servers.app_url(database), agency.workspace_id)
    assert len(answers) == 9
    assert {answer.partition(" for ")[0] for answer in answers.values()} == {"permission denied"}


async def test_the_owner_is_stopped_as_well(agency: Agency, servers: Servers, database: str) -> None:
    answers = await refusals(servers.owner_url(database), agency.workspace_id)
    assert all(answer.endswith("is append-only") for answer in answers.values()), answers


async def test_an_entry_of_another_workspace_cannot_be_added(
    agency: Agency, rival: Agency, servers: Servers, database: str
) -> None:
    connection = await asyncpg.connect(asyncpg_url(servers.app_url(database)))
    try:
        await connection.execute(f"SET app.workspace_id = '{agency.workspace_id}'")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO audit_entry (workspace_id, id, at, actor, action, subject) "
                "VALUES ($1, gen_random_uuid(), now(), 'x', 'x', '{}')",
                rival.workspace_id,
            )
    finally:
        await connection.close()
