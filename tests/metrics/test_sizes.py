"""A community's size: its days, and how they are asked for."""

import random
import uuid
from datetime import date, datetime, timedelta
from typing import Any

from app.kit.clock import SetClock
from app.kit.db import Database
from app.metrics import service
from tests.conftest import Agency
from tests.metrics.conftest import NOON, Client, make_client

TODAY = date(2026, 10, 15)


async def test_a_days_row_is_the_same_in_any_order(client: Client) -> None:
    sizes = [(NOON + timedelta(hours=hour), 1000 + (hour * 37) % 11) for hour in range(-20, 20)]
    by_day: dict[date, list[tuple[datetime, int]]] = {}
    for at, size in sizes:
        by_day.setdefault((at + timedelta(hours=3)).date(), []).append((at, size))  # Minsk
    shuffled = [*sizes, *sizes[::4]]
    random.Random(1).shuffle(shuffled)
    for at, size in shuffled:
        async with client.work() as session:
            await service.record_size(session, client.refs[0], at, size)
    rows = await client.sizes()
    assert [row["day"] for row in rows] == sorted(by_day)
    for row in rows:
        seen = by_day[row["day"]]
        assert (row["first_at"], row["first"]) == seen[0]
        assert (row["last_at"], row["last"]) == seen[-1]
        assert row["lowest"] == min(size for _, size in seen)
        assert row["highest"] == max(size for _, size in seen)
        assert row["snapshots"] == len(seen)
    async with client.work() as session:
        assert await service.reconcile(session, client.project_id) == []


async def test_the_first_size_of_an_instant_stands(client: Client) -> None:
    for size in (5, 9):
        async with client.work() as session:
            await service.record_size(session, client.refs[0], NOON, size)
    [row] = await client.sizes()
    assert (row["first"], row["last"], row["snapshots"]) == (5, 5, 1)


async def test_a_hidden_size_stores_nothing(client: Client) -> None:
    async with client.work() as session:
        await service.record_size(session, client.refs[0], NOON, None)
    assert await client.sizes() == []


async def test_the_size_history_is_by_day(agency: Agency, rival: Agency, db: Database, clock: SetClock) -> None:
    client = await make_client(db, workspace_id=agency.workspace_id)
    ref = client.refs[0]
    for hours, size in ((0, 100), (10, 90), (30, 120), (50, 130)):
        async with client.work() as session:
            await service.record_size(session, ref, NOON + timedelta(hours=hours), size)
    path = f"/v1/communities/{ref.community_id}/snapshots"
    clock.advance(timedelta(days=2))
    whole = await agency.get(path)
    assert whole["window"] == {"from": "2026-09-18", "to": "2026-10-17", "timezone": "Europe/Minsk"}
    assert [(row["day"], row["lowest"], row["last"]) for row in whole["data"]] == [
        ("2026-10-15", 100, 100),
        ("2026-10-16", 90, 120),
        ("2026-10-17", 130, 130),
    ]
    friday: dict[str, Any] = {"from": "2026-10-16", "to": "2026-10-16"}
    part = await agency.get(path, **friday)
    assert [row["day"] for row in part["data"]] == ["2026-10-16"]
    page = await agency.get(path, limit=2)
    rest = await agency.get(path, limit=2, cursor=page["next_cursor"])
    assert page["data"] + rest["data"] == whole["data"]
    assert rest["next_cursor"] is None
    assert (await agency.get(path, 422, **{**friday, "from": "2026-10-17"}))["code"] == "invalid-window"
    assert (await rival.get(path, 404))["detail"] == (
        await rival.get(f"/v1/communities/{uuid.uuid4()}/snapshots", 404)
    )["detail"]
