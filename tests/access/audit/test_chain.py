"""Entries are chained once each, in one chain for a workspace, and each day ends with a head."""

import asyncio
import hashlib
from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from app.access import audit
from app.access.audit import chain
from app.access.audit.jobs import CHAIN
from app.access.audit.models import AuditEntry, AuditHead, AuditLink, AuditUnchained
from app.kit.actors import SYSTEM
from app.kit.clock import SetClock
from tests.access.audit.attacks import kinds, verified
from tests.conftest import Agency


async def record(agency: Agency, *actions: str) -> None:
    for action in actions:
        async with agency.resources.transaction(agency.workspace_id) as session:
            audit.record(session, SYSTEM, action)


async def chained(agency: Agency) -> list[str]:
    """The actions of the entries, in the order of the chain."""
    query = (
        select(AuditEntry.action)
        .join(AuditLink, AuditLink.entry_id == AuditEntry.id)
        .where(AuditLink.workspace_id == agency.workspace_id)
        .order_by(AuditLink.sequence)
    )
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return list((await connection.scalars(query)).all())


async def test_news_is_chained_by_the_recurring_job(agency: Agency, rival: Agency) -> None:
    assert [entry["sequence"] for entry in (await agency.get("/v1/audit"))["data"]] == [None] * 3
    with capture_logs() as logs:
        await agency.recur("audit.chain")
        assert await agency.work(CHAIN) == 1
    (line,) = (line for line in logs if line["event"] == "audit.chained")
    assert (line["entries"], line["sequence"]) == (3, 3)
    assert [entry["sequence"] for entry in (await agency.get("/v1/audit"))["data"]] == [3, 2, 1]
    assert await agency.work(CHAIN) == 0
    await agency.recur("audit.chain")
    assert await agency.due(CHAIN) == [], "nothing is new"
    assert await rival.work(CHAIN) == 1
    assert (await verified(rival)).entries == 3


async def test_the_chain_is_that_of_commits_and_not_of_ids(agency: Agency) -> None:
    """A transaction that began first and commits last is chained last: nothing is put in between."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        audit.record(session, SYSTEM, "things.first")
        await record(agency, "things.second")
        await agency.recur("audit.chain")
        await agency.work(CHAIN)
    await agency.recur("audit.chain")
    await agency.work(CHAIN)
    assert (await chained(agency))[3:] == ["things.second", "things.first"]
    assert await kinds(agency) == []


async def test_writers_do_not_wait_for_the_chain(agency: Agency) -> None:
    resources = agency.resources
    async with resources.transaction(agency.workspace_id) as session:
        await chain.append(session, resources.keyring, limit=100)
        async with asyncio.timeout(5):
            await record(agency, "things.create")
    assert (await verified(agency)).unchained == 1


async def test_two_jobs_at_once_make_one_chain(agency: Agency) -> None:
    await record(agency, *(f"things.create-{number}" for number in range(7)))

    async def append() -> int:
        async with agency.resources.transaction(agency.workspace_id) as session:
            return await chain.append(session, agency.resources.keyring, limit=3)

    assert sum(await asyncio.gather(*(append() for _ in range(4)))) == 10
    report = await verified(agency)
    assert (report.entries, report.unchained, report.faults) == (10, 0, [])


async def test_pages_are_chained_to_the_end(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "PAGE", 2)
    await record(agency, *(f"things.create-{number}" for number in range(3)))
    await agency.recur("audit.chain")
    assert await agency.work(CHAIN) == 4
    assert (await verified(agency)).entries == 6


async def test_days_end_with_a_head(agency: Agency, clock: SetClock) -> None:
    heads = []
    for _ in range(3):
        await record(agency, "things.create")
        await agency.recur("access.tidy")
        await agency.work(CHAIN)
        heads.append((await agency.get("/v1/audit/heads"))["data"])
        clock.advance(timedelta(days=1))
    assert [len(each) for each in heads] == [0, 1, 2]
    await agency.recur("access.tidy")
    await agency.work(CHAIN)
    latest = (await agency.get("/v1/audit/heads"))["data"]
    assert [(head["day"], head["sequence"]) for head in latest] == [
        ("2026-10-17", 6),
        ("2026-10-16", 5),
        ("2026-10-15", 4),
    ]
    assert (latest[1:], latest[2:]) == (heads[2], heads[1]), "a head is not changed"
    assert (await agency.get("/v1/audit/heads", limit=1))["data"] == latest[:1]
    report = await verified(agency)
    assert (report.heads, report.faults) == (3, [])
    await agency.recur("access.tidy")
    await agency.work(CHAIN)
    assert (await agency.get("/v1/audit/heads"))["data"] == latest, "a day without entries has none"


async def test_a_stranger_can_recompute_the_hashes(agency: Agency) -> None:
    """With SHA-256 and JSON alone, from what is stored: the form is documented, and part of the evidence."""
    await agency.recur("audit.chain")
    await agency.work(CHAIN)
    before = hashlib.sha256(b"instep audit\0" + agency.workspace_id.bytes).digest()
    async with agency.resources.transaction(agency.workspace_id) as session:
        links = (await session.scalars(select(AuditLink).order_by(AuditLink.sequence))).all()
        rows = (await session.execute(select(*chain.ENTRY_COLUMNS))).all()
    entries = {row.id: row for row in rows}
    for link in links:
        row = entries[link.entry_id]
        at = row.at.isoformat().replace("+00:00", "Z")
        columns = [
            *(str(row.workspace_id), str(row.id), at, row.actor, row.action),
            *(value if value is None else str(value) for value in (row.project_id, row.entity_id)),
            *(row.request_id, row.subject, row.before, row.after),
        ]
        entry_hash = hashlib.sha256(orjson.dumps(columns)).hexdigest()
        assert entry_hash == link.entry_hash.hex()
        place = [str(link.entry_id), entry_hash, True, link.chained_at.isoformat()]
        before = hashlib.sha256(before + orjson.dumps(place)).digest()
        assert before == link.hash


async def test_nothing_is_left_in_the_queue(agency: Agency) -> None:
    await agency.recur("audit.chain")
    await agency.work(CHAIN)
    async with agency.resources.transaction(None) as session:
        query = select(AuditUnchained).where(AuditUnchained.workspace_id == agency.workspace_id)
        assert (await session.scalars(query)).all() == []
    async with agency.resources.transaction(agency.workspace_id) as session:
        assert (await session.scalars(select(AuditHead))).all() == []
