"""Whoever can do anything to the database, and has no key, is found out: what they did is named."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from app.access import audit
from app.access.audit import chain
from app.access.audit.verification import Head, verify
from app.kit.actors import SYSTEM
from app.kit.clock import SetClock
from app.kit.crypto import Keyring
from tests.access.audit.attacks import kinds, superuser, verified
from tests.conftest import Agency
from tests.servers import Servers

Attack = Callable[[asyncpg.Connection, str], Awaitable[Any]]
ENTRY = "workspace_id, id, at, actor, action, project_id, entity_id, request_id, subject, before, after"


async def past_days(agency: Agency, clock: SetClock) -> None:
    """Three days of chained entries, 5 on the first (3 of the sign-up), 2 on each other; the last day is open."""
    for day in range(3):
        if day:
            clock.advance(timedelta(days=1))
        for number in range(2):
            async with agency.resources.transaction(agency.workspace_id) as session:
                audit.record(session, SYSTEM, f"things.create-{number}", after={"day": day})
        await chained(agency)


async def chained(agency: Agency) -> None:
    async with agency.resources.transaction(agency.workspace_id) as session:
        await chain.append(session, agency.resources.keyring, limit=100)


def sql(*statements: str) -> Attack:
    """Run these, with the workspace as `$1`."""

    async def attack(connection: asyncpg.Connection, workspace: str) -> None:
        for statement in statements:
            assert (await connection.execute(statement, workspace)).split()[-1] != "0", statement

    return attack


def _of(sequence: int) -> str:
    return f"(SELECT entry_id FROM audit_link WHERE workspace_id = $1 AND sequence = {sequence})"


SWAP_PLACES = (
    "UPDATE audit_link SET sequence = -sequence WHERE workspace_id = $1 AND sequence IN (3, 4)",
    "UPDATE audit_link SET sequence = 7 + sequence WHERE workspace_id = $1 AND sequence IN (-3, -4)",
)

ATTACKS: dict[str, tuple[Attack, list[str]]] = {
    "nothing": (sql(), []),
    "an entry is changed": (
        sql("UPDATE audit_entry SET after = '{\"day\": 7}' WHERE workspace_id = $1 AND id = " + _of(4)),
        ["entry-changed 4"],
    ),
    "an entry is given to another actor": (
        sql("UPDATE audit_entry SET actor = 'user:x' WHERE workspace_id = $1 AND id = " + _of(5)),
        ["entry-changed 5"],
    ),
    "an entry is changed in what is only its form": (
        sql("UPDATE audit_entry SET after = '{\"day\":  0}' WHERE workspace_id = $1 AND id = " + _of(4)),
        ["entry-changed 4"],
    ),
    "an entry is deleted": (
        sql("DELETE FROM audit_entry WHERE workspace_id = $1 AND id = " + _of(4)),
        ["entry-missing 4"],
    ),
    "a link is deleted": (
        sql("DELETE FROM audit_link WHERE workspace_id = $1 AND sequence = 4"),
        ["link-missing 5", "entry-inserted"],
    ),
    "an entry is deleted with its link": (
        sql(
            "DELETE FROM audit_entry WHERE workspace_id = $1 AND id = " + _of(4),
            "DELETE FROM audit_link WHERE workspace_id = $1 AND sequence = 4",
        ),
        ["link-missing 5"],
    ),
    "an entry is deleted with its link, and the later ones move up": (
        sql(
            "DELETE FROM audit_entry WHERE workspace_id = $1 AND id = " + _of(8),
            "DELETE FROM audit_link WHERE workspace_id = $1 AND sequence = 8",
            "UPDATE audit_link SET sequence = sequence - 1 WHERE workspace_id = $1 AND sequence > 8",
        ),
        ["link-changed 8"],
    ),
    "two links are exchanged": (sql(*SWAP_PLACES), ["reordered 3", "reordered 4"]),
    "the beginning is cut off": (
        sql("DELETE FROM audit_link WHERE workspace_id = $1 AND sequence < 3"),
        ["link-missing 3", "entry-inserted", "entry-inserted"],
    ),
    "a link is made anew, without the key": (
        sql("UPDATE audit_link SET hash = sha256(hash) WHERE workspace_id = $1 AND sequence = 4"),
        ["link-changed 4"],
    ),
    "a link is dated back": (
        sql(
            "UPDATE audit_link SET chained_at = chained_at - interval '1 second' "
            "WHERE workspace_id = $1 AND sequence = 4"
        ),
        ["link-changed 4"],
    ),
    "an entry is put in": (
        sql(
            f"INSERT INTO audit_entry ({ENTRY}) SELECT workspace_id, gen_random_uuid(), at, actor, action, project_id, "
            "entity_id, request_id, subject, before, after FROM audit_entry WHERE workspace_id = $1 AND id = " + _of(4)
        ),
        ["entry-inserted"],
    ),
    "a day in the past is removed": (
        sql(
            "DELETE FROM audit_entry USING audit_link WHERE audit_entry.workspace_id = $1 "
            "AND audit_link.workspace_id = $1 AND audit_link.entry_id = audit_entry.id AND sequence IN (6, 7)",
            "DELETE FROM audit_link WHERE workspace_id = $1 AND sequence IN (6, 7)",
            "DELETE FROM audit_head WHERE workspace_id = $1 AND day = '2026-10-16'",
        ),
        ["link-missing 8"],
    ),
    "the end is cut off": (
        sql(
            "DELETE FROM audit_entry USING audit_link WHERE audit_entry.workspace_id = $1 "
            "AND audit_link.workspace_id = $1 AND audit_link.entry_id = audit_entry.id AND sequence > 6",
            "DELETE FROM audit_link WHERE workspace_id = $1 AND sequence > 6",
        ),
        ["end-missing 7"],
    ),
    "a head is removed": (
        sql("DELETE FROM audit_head WHERE workspace_id = $1 AND day = '2026-10-15'"),
        ["head-mismatch 7", "head-missing 5"],
    ),
    "a head is moved": (
        sql("UPDATE audit_head SET sequence = 4 WHERE workspace_id = $1 AND day = '2026-10-15'"),
        ["head-mismatch 4"],
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_what_was_done_is_named(
    agency: Agency, rival: Agency, clock: SetClock, servers: Servers, database: str, name: str
) -> None:
    attack, expected = ATTACKS[name]
    await past_days(agency, clock)
    await chained(rival)
    async with superuser(servers.superuser_url(database)) as connection:
        await attack(connection, str(agency.workspace_id))
    assert await kinds(agency) == expected
    assert await kinds(rival) == []


async def test_an_exported_head_shows_a_cut_off_end(
    agency: Agency, clock: SetClock, servers: Servers, database: str
) -> None:
    """Links, entries and heads are gone, and the service has gone on: only what was kept elsewhere knows."""
    await past_days(agency, clock)
    exported = [
        Head(agency.workspace_id, date.fromisoformat(one["day"]), one["sequence"], bytes.fromhex(one["hash"]))
        for one in (await agency.get("/v1/audit/heads"))["data"]
    ]
    assert await kinds(agency, exported) == []
    attack = sql(
        "DELETE FROM audit_entry USING audit_link WHERE audit_entry.workspace_id = $1 "
        "AND audit_link.workspace_id = $1 AND audit_link.entry_id = audit_entry.id AND sequence > 5",
        "DELETE FROM audit_link WHERE workspace_id = $1 AND sequence > 5",
        "DELETE FROM audit_head WHERE workspace_id = $1 AND day = '2026-10-16'",
    )
    async with superuser(servers.superuser_url(database)) as connection:
        await attack(connection, str(agency.workspace_id))
    assert await kinds(agency) == [], "the database alone cannot tell"
    assert await kinds(agency, exported) == ["end-missing 7"]
    for _ in range(2):
        async with agency.resources.transaction(agency.workspace_id) as session:
            audit.record(session, SYSTEM, "things.create")
    await chained(agency)
    assert await kinds(agency) == []
    assert await kinds(agency, exported) == ["head-mismatch 7"]


async def test_an_entry_put_into_the_queue_is_marked_for_ever(agency: Agency, servers: Servers, database: str) -> None:
    entry_id = uuid.uuid4()
    async with superuser(servers.superuser_url(database)) as connection:
        await connection.execute(
            f"INSERT INTO audit_entry ({ENTRY}) SELECT workspace_id, $2, at, actor, action, project_id, entity_id, "
            "request_id, subject, before, after FROM audit_entry WHERE workspace_id = $1 LIMIT 1",
            agency.workspace_id,
            entry_id,
        )
        await connection.execute(
            "INSERT INTO audit_unchained SELECT workspace_id, $2, seal FROM audit_unchained WHERE workspace_id = $1 "
            "LIMIT 1",
            agency.workspace_id,
            entry_id,
        )
    assert await kinds(agency) == ["entry-changed"]
    await chained(agency)
    (fault,) = (await verified(agency)).faults
    assert (fault.kind.value, fault.entry_id) == ("entry-inserted", entry_id)


async def test_an_entry_changed_or_deleted_before_it_is_chained(
    agency: Agency, servers: Servers, database: str
) -> None:
    async with superuser(servers.superuser_url(database)) as connection:
        await sql(
            "UPDATE audit_entry SET actor = 'user:x' WHERE workspace_id = $1 AND action = 'users.join'",
            "DELETE FROM audit_entry WHERE workspace_id = $1 AND action = 'api-keys.create'",
        )(connection, str(agency.workspace_id))
    assert await kinds(agency) == ["entry-changed", "entry-missing"]
    await chained(agency)
    assert [kind.split()[0] for kind in await kinds(agency)] == ["entry-inserted", "entry-missing"]


TABLES = {"audit_entry": ("id", 9), "audit_link": ("sequence", 9), "audit_head": ("day", 2)}
"""By what they are ordered, and how many rows they have after `past_days`."""
OTHER_VALUES = {
    "uuid": "gen_random_uuid()",
    "bytea": "sha256({})",
    "bigint": "{} + 100",
    "boolean": "NOT {}",
    "date": "{} - 10",
    "timestamp with time zone": "{} + interval '1 microsecond'",
    "json": """'{{"other": 1}}'""",
    "text": "coalesce({}, '') || 'x'",
}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(table=st.sampled_from(sorted(TABLES)), row=st.integers(0, 8), column=st.integers(0, 30))
async def test_no_change_of_a_row_goes_unnoticed(
    agency: Agency, clock: SetClock, servers: Servers, database: str, table: str, row: int, column: int
) -> None:
    """The law: whichever row is deleted, or column of it changed, something is found."""
    if not (await agency.get("/v1/audit/heads"))["data"]:
        await past_days(agency, clock)
    order, count = TABLES[table]
    async with superuser(servers.superuser_url(database)) as connection:
        columns = await connection.fetch(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1 ORDER BY 1", table
        )
        where = (
            f"ctid = (SELECT ctid FROM {table} WHERE workspace_id = $1 ORDER BY {order} LIMIT 1 OFFSET {row % count})"
        )
        saved = await connection.fetch(f"SELECT * FROM {table} WHERE workspace_id = $1", agency.workspace_id)
        assert len(saved) == count
        if (number := column % (len(columns) + 1)) == len(columns):
            change = f"DELETE FROM {table} WHERE {where}"
        else:
            name, kind = columns[number]
            change = f"UPDATE {table} SET {name} = {OTHER_VALUES[kind].format(name)} WHERE {where}"
        assert (await connection.execute(change, agency.workspace_id)).endswith(" 1")
        try:
            assert await kinds(agency) != [], change
        finally:
            await connection.execute(f"DELETE FROM {table} WHERE workspace_id = $1", agency.workspace_id)
            marks = ", ".join(f"${number + 1}" for number in range(len(saved[0])))
            await connection.executemany(f"INSERT INTO {table} VALUES ({marks})", [list(one.values()) for one in saved])
    assert await kinds(agency) == []


async def test_a_lost_secret_key_is_said(agency: Agency, clock: SetClock) -> None:
    """Hashes are compared all the same; only signatures cannot be."""
    await past_days(agency, clock)
    other = SecretStr(Fernet.generate_key().decode())
    own = agency.resources.settings.secret_keys

    async def fault_kinds(*keys: SecretStr) -> list[str]:
        async with agency.resources.db.read_connection(agency.workspace_id) as connection:
            report = await verify(connection, Keyring(keys), agency.workspace_id)
            return [fault.kind.value for fault in report.faults]

    assert await fault_kinds(other) == ["key-lost"]
    assert await fault_kinds(other, *own) == []
