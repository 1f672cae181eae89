"""`instep audit verify`: what it prints and how it ends; after a restored backup and a replaced secret key as well."""

import json
import uuid
from pathlib import Path

import asyncpg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from app.access import service
from app.access.audit import chain
from app.cli.database import asyncpg_url
from app.kit.actors import SYSTEM
from app.kit.clock import SetClock, SystemClock
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.ids import uuid7
from app.settings import settings
from tests.cli.conftest import Instep
from tests.servers import Servers, run


async def sign_up(workspace: uuid.UUID, *, chained: bool = True) -> None:
    """An agency, whose first three entries are chained, yesterday."""
    config = settings()
    keyring, clock = Keyring(config.secret_keys), SetClock(SystemClock().now())
    database = Database(config.database_url, pool=1, clock=clock)
    try:
        async with database.transaction(workspace) as session:
            session.info["keyring"] = keyring
            email = f"{workspace}@agency.example"
            await service.sign_up(session, SYSTEM, title="A", owner_name="Ann", owner_email=email)
        if chained:
            async with database.transaction(workspace) as session:
                await chain.append(session, keyring, limit=100)
    finally:
        await database.close()


def attack(servers: Servers, database: str, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(asyncpg_url(servers.superuser_url(database)))
        try:
            await connection.execute("SET session_replication_role = replica")
            await connection.execute(statement)
        finally:
            await connection.close()

    run(execute())


def test_what_is_found_is_printed_and_ends_with_1(instep: Instep, servers: Servers, migrated: str) -> None:
    nobody = instep("audit", "verify")
    assert (nobody.exit_code, "nothing to verify" in nobody.stdout) == (0, True), nobody.output
    first, second = uuid7(), uuid7()
    for workspace in (first, second):
        run(sign_up(workspace))
    sound = instep("audit", "verify")
    assert sound.exit_code == 0, sound.output
    assert f"✓ {first}: 3 entries in the chain, 0 waiting for it, 0 heads" in sound.stdout

    attack(
        servers,
        migrated,
        f"UPDATE audit_entry SET actor = 'x' WHERE workspace_id = '{second}' AND action = 'users.join'",
    )
    broken = instep("audit", "verify")
    assert broken.exit_code == 1
    assert f"✗ {second}: 3 entries" in broken.stdout
    assert "entry-changed link 2 entry" in " ".join(broken.stdout.split())
    assert instep("audit", "verify", "--workspace", str(first)).exit_code == 0
    as_json = instep("audit", "verify", "--workspace", str(second), "--json")
    assert as_json.exit_code == 1
    (report,) = json.loads(as_json.stdout)
    assert [(fault["kind"], fault["sequence"]) for fault in report["faults"]] == [("entry-changed", 2)]
    unknown = instep("audit", "verify", "--workspace", str(uuid7()))
    assert (unknown.exit_code, "there is no workspace" in unknown.stderr) == (1, True)


def test_a_kept_head_is_compared(instep: Instep, tmp_path: Path, migrated: str) -> None:
    workspace, file = uuid7(), tmp_path / "heads.json"
    run(sign_up(workspace))
    head = {"workspace_id": str(workspace), "day": "2026-10-15", "sequence": 9, "hash": "00" * 32, "signature": ""}
    file.write_text(json.dumps({"data": [head], "next_cursor": None}) + "\n" + json.dumps([head | {"sequence": 3}]))
    compared = instep("audit", "verify", "--heads", str(file), "--json")
    assert compared.exit_code == 1
    assert [fault["kind"] for fault in json.loads(compared.stdout)[0]["faults"]] == ["end-missing", "head-mismatch"]
    file.write_text('{"data": 1}')
    refused = instep("audit", "verify", "--heads", str(file))
    assert (refused.exit_code, "holds no heads" in refused.stderr) == (1, True), refused.output


def test_a_restored_backup_verifies(instep: Instep, servers: Servers, migrated: str, tmp_path: Path) -> None:
    chained, waiting, file = uuid7(), uuid7(), tmp_path / "backup.dump"
    run(sign_up(chained))
    run(sign_up(waiting, chained=False))
    assert instep("backup", str(file)).exit_code == 0
    attack(servers, migrated, f"DELETE FROM audit_entry WHERE workspace_id = '{chained}'")
    assert instep("audit", "verify").exit_code == 1
    restored = instep("restore", str(file), "--replace")
    assert restored.exit_code == 0, restored.output
    verified = instep("audit", "verify", "--json")
    assert verified.exit_code == 0, verified.output
    by_workspace = {report["workspace_id"]: report for report in json.loads(verified.stdout)}
    assert by_workspace[str(chained)]["entries"] == 3
    assert by_workspace[str(waiting)]["unchained"] == 3

    async def change() -> None:
        connection = await asyncpg.connect(asyncpg_url(servers.owner_url(migrated)))
        try:
            await connection.execute(f"SET app.workspace_id = '{chained}'")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await connection.execute("DELETE FROM audit_entry")
        finally:
            await connection.close()

    run(change())


def test_a_replaced_secret_key_breaks_nothing(instep: Instep, migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `keys reseal` the old key is taken away: what it sealed, chained or waiting, verifies all the same."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()

    def use(*keys: str) -> None:
        monkeypatch.setenv("INSTEP_SECRET_KEYS", ",".join(keys))
        settings.cache_clear()

    use(old)
    chained, waiting = uuid7(), uuid7()
    run(sign_up(chained))
    run(sign_up(waiting, chained=False))
    use(new)
    assert instep("audit", "verify").exit_code == 1, "the control: without resealing the key is lacking"
    use(new, old)
    assert instep("keys", "reseal").exit_code == 0
    use(new)
    verified = instep("audit", "verify", "--json")
    assert verified.exit_code == 0, verified.output

    async def append() -> None:
        keyring = Keyring([SecretStr(new)])
        database = Database(settings().database_url, pool=1)
        try:
            for workspace in (chained, waiting):
                async with database.transaction(workspace) as session:
                    await chain.append(session, keyring, limit=100)
        finally:
            await database.close()

    run(append())
    verified = instep("audit", "verify", "--json")
    assert verified.exit_code == 0, verified.output
    assert [report["unchained"] for report in json.loads(verified.stdout)] == [0, 0]
