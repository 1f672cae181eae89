"""What the words of inquiries cost when messages are stored.

Batches of messages, each in a thread of its own or as the next one of a thread, are stored as polling stores them: in
turn with the words by which inquiries are found, and without. CPU of PostgreSQL and of this process by message, and
the bytes of the tables by inquiry.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import Workspace
from app.cli.database import APP, asyncpg_url
from app.communities.events import CommunityRef
from app.communities.models import Community
from app.inquiries import intake, lexemes
from app.kit.db import Database
from app.kit.ids import uuid7
from app.platforms.contract import MessageKind, RemoteMessage, RemotePerson
from app.projects.models import Project
from benchmarks._growth_data import HOURS
from benchmarks._servers import database

WORKSPACE: Final = UUID(int=1)
NOW: Final = datetime(2026, 10, 15, 12, tzinfo=UTC)
TEXT: Final = "Здравствуйте! Подскажите, сколько стоит доставка заказа номер {n} по городу, и можно ли картой?"


async def main(arguments: Sequence[str]) -> None:
    """Print both costs."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks lexemes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--size", type=int, default=100, help="messages of a batch")
    options = parser.parse_args(arguments)
    async with database() as urls:
        db = Database(urls.app, pool=1)
        superuser = await asyncpg.connect(asyncpg_url(urls.superuser))
        ref = await _community(db)
        took: dict[tuple[str, bool], list[tuple[float, float]]] = defaultdict(list)
        number = 0
        for batch in range(options.batches):
            with_lexemes = batch % 2 == 0
            for kind in ("new threads", "next messages"):
                messages = [_message(number + n, kind) for n in range(options.size)]
                pids = [r[0] for r in await superuser.fetch("SELECT pid FROM pg_stat_activity WHERE usename = $1", APP)]
                before = _cpu(pids), time.process_time()
                await _store(db, ref, messages, with_lexemes=with_lexemes)
                spent = _cpu(pids) - before[0], time.process_time() - before[1]
                if batch > 1:
                    took[kind, with_lexemes].append(spent)
            number += options.size
        print(f"{'CPU µs by message':40}{'PostgreSQL':>12}{'process':>12}")
        for (kind, with_lexemes), costs in sorted(took.items()):
            cpu, process = (statistics.median(one) / options.size * 1e6 for one in zip(*costs, strict=True))
            name = f"{kind}, {'with' if with_lexemes else 'without'} words"
            print(f"{name:40}{cpu:12.0f}{process:12.0f}")
        inquiries = await superuser.fetchval("SELECT count(*) FROM inquiry")
        sizes: dict[str, int] = {}
        for table in ("inquiry_lexeme", "inquiry", "message"):
            sizes[table] = await superuser.fetchval("SELECT pg_total_relation_size($1::regclass)", table)
        print()
        for name, size in sizes.items():
            print(f"{f'bytes of {name} by inquiry':40}{size / inquiries:12.0f}")
        await superuser.close()
        await db.close()


def _message(number: int, kind: str) -> RemoteMessage:
    later = kind == "next messages"
    return RemoteMessage(
        external_id=f"{number}.{later}",
        thread_id=str(number),
        kind=MessageKind.COMMENT,
        author=RemotePerson(str(number), f"Ольга {number}"),
        text=f"Когда привезут? {number}" if later else TEXT.format(n=number),
        sent_at=NOW + timedelta(seconds=number + later),
    )


async def _store(db: Database, ref: CommunityRef, messages: Sequence[RemoteMessage], *, with_lexemes: bool) -> None:
    real = lexemes.INQUIRY_LEXEMES.replace

    async def nothing(session: AsyncSession, texts: Mapping[UUID, str]) -> None:
        return

    if not with_lexemes:
        vars(lexemes.INQUIRY_LEXEMES)["replace"] = nothing
    try:
        async with db.transaction(WORKSPACE) as session:
            await intake.store(session, ref, [(message, None) for message in messages])
    finally:
        vars(lexemes.INQUIRY_LEXEMES).pop("replace", None)
    assert lexemes.INQUIRY_LEXEMES.replace == real


async def _community(db: Database) -> CommunityRef:
    in_workspace: dict[str, Any] = {"workspace_id": WORKSPACE, "created_at": NOW}
    project_id, community_id = uuid7(), uuid7()
    async with db.transaction(WORKSPACE) as session:
        await session.execute(insert(Workspace), [{**in_workspace, "title": "Agency"}])
        project = {"id": project_id, "title": "P", "timezone": "Europe/Minsk", "working_hours": HOURS.as_json}
        await session.execute(insert(Project), [{**in_workspace, **project}])
        community = {
            "id": community_id,
            "project_id": project_id,
            "platform": "vk",
            "address": "https://vk.com/nina",
            "base_url": "https://api.vk.com",
            "status": "healthy",
            "backfill_since": NOW - timedelta(days=730),
        }
        await session.execute(insert(Community), [{**in_workspace, **community}])
    return CommunityRef(WORKSPACE, project_id, community_id, "vk", "Europe/Minsk")


def _cpu(pids: Sequence[int]) -> float:
    """Seconds of CPU that these processes have used."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9
