"""Who joined and who left, by day, and against the growth of the polled size."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from app.communities.events import SeenMember
from app.kit.actors import SYSTEM
from app.metrics import service, sizes
from app.metrics.models import MemberDay
from tests.metrics.conftest import NOON, Client

DAY = timedelta(days=1)
ZONES = ("Europe/Minsk", "America/Havana", "Australia/Lord_Howe")


def changed(member: int, at: datetime, *, joined: bool = True) -> SeenMember:
    """Somebody joined, or left."""
    return SeenMember(member.to_bytes(2, "big"), at, joined, None)


def recount(members: Iterable[SeenMember], zone: str) -> dict[date, tuple[int, int, int]]:
    """Joins, leaves and first joins by local day, knowing no SQL."""
    firsts: dict[bytes, datetime] = {}
    seen = {(one.member, one.at, one.joined) for one in members}
    for member, at, joined in seen:
        if joined:
            firsts[member] = min(at, firsts.get(member, at))
    counts: Counter[tuple[date, int]] = Counter()
    for member, at, joined in seen:
        day = at.astimezone(ZoneInfo(zone)).date()
        counts[day, 0 if joined else 1] += 1
        counts[day, 2] += joined and firsts[member] == at
    return {day: (counts[day, 0], counts[day, 1], counts[day, 2]) for day, _ in counts}


async def record(client: Client, members: Sequence[SeenMember], community: int = 0) -> None:
    async with client.work() as session:
        await service.record_members(session, client.refs[community], members)


async def stored(client: Client) -> dict[date, tuple[int, int, int]]:
    rows = await client.all_rows(MemberDay)
    return {row["day"]: (row["joins"], row["leaves"], row["first_joins"]) for row in rows}


def random_changes(chance: random.Random, many: int = 120) -> list[SeenMember]:
    """Of few people, over some days: many join again, at one instant too."""
    instants = [NOON + timedelta(minutes=chance.randrange(-9000, 9000)) for _ in range(many // 2)]
    return [changed(chance.randrange(20), chance.choice(instants), joined=chance.random() < 0.6) for _ in range(many)]


@pytest.mark.parametrize("seed", range(5))
async def test_the_days_are_the_same_in_any_order_with_repeats_and_at_once(client: Client, seed: int) -> None:
    chance = random.Random(seed)
    await client.rezone(chance.choice(ZONES))
    members = random_changes(chance)
    sent = [*members, *chance.sample(members, 30)]
    chance.shuffle(sent)
    batches = []
    while sent:
        size = chance.randrange(1, 12)
        batches.append(sent[:size])
        del sent[:size]

    async def write(own: Sequence[Sequence[SeenMember]]) -> None:
        for batch in own:
            await record(client, batch)

    await asyncio.gather(write(batches[::2]), write(batches[1::2]))
    assert await stored(client) == recount(members, client.zone)
    async with client.work() as session:
        assert await service.reconcile(session, client.project_id) == []


async def test_the_first_join_of_another_community_is_another(client: Client) -> None:
    await record(client, [changed(1, NOON)])
    await record(client, [changed(1, NOON + DAY)], community=1)
    assert sorted((await stored(client)).values()) == [(1, 0, 1), (1, 0, 1)]


async def test_a_wrong_day_is_found_and_counted_again_in_any_zone(client: Client) -> None:
    members = random_changes(random.Random(9))
    await record(client, members)
    async with client.work() as session:
        await session.execute(update(MemberDay).values(first_joins=MemberDay.first_joins + 1))
    async with client.work() as session:
        wrong = await service.reconcile(session, client.project_id)
    assert {one.table for one in wrong} == {"member_day"}
    assert len(wrong) == len(recount(members, client.zone))
    for zone in ("Asia/Tokyo", "America/Los_Angeles"):
        await client.rezone(zone)
        async with client.work() as session:
            await service.recount_project(session, SYSTEM, client.project_id)
        assert await stored(client) == recount(members, zone)


# ── against the polled size ───────────────────────────────────────────────────────────────────────


async def poll(client: Client, *polled: tuple[datetime, int]) -> None:
    for at, size in polled:
        async with client.work() as session:
            await service.record_size(session, client.refs[0], at, size)


async def compared(client: Client) -> list[tuple[Any, ...]]:
    return [(row["day"].day, row["compared_since"], row["unexplained"]) for row in await client.sizes()]


async def test_growth_is_compared_from_poll_to_poll(client: Client) -> None:
    """Who joins between a day's last poll and midnight is in the next day's growth, and in no other."""
    await record(client, [changed(1, NOON - 30 * DAY)])
    late = NOON + timedelta(hours=8)  # 23:00 in Minsk
    await poll(client, (NOON, 100), (late, 103))
    await record(client, [changed(number, NOON + timedelta(hours=1)) for number in range(2, 5)])
    await record(client, [changed(number, late + timedelta(minutes=30)) for number in range(5, 15)])
    await record(client, [changed(2, NOON + DAY, joined=False)])
    await poll(client, (NOON + DAY - timedelta(hours=1), 113), (NOON + DAY + timedelta(hours=1), 112))
    assert await compared(client) == [(15, None, None), (16, date(2026, 10, 15), 0)]
    await poll(client, (NOON + 4 * DAY, 150))
    assert (await compared(client))[-1] == (19, date(2026, 10, 16), 38), "nothing was received of these"


async def test_nothing_is_compared_with_what_was_never_received(client: Client) -> None:
    """Of the days before the first join or leave was received, and that day itself."""
    await poll(client, (NOON, 100), (NOON + DAY, 150))
    await record(client, [changed(1, NOON + DAY + timedelta(hours=1))])
    await poll(client, (NOON + 2 * DAY, 151), (NOON + 3 * DAY, 158))
    assert [unexplained for _, _, unexplained in await compared(client)] == [None, None, None, 7]


async def test_what_comes_late_is_compared_again(client: Client) -> None:
    await record(client, [changed(1, NOON - DAY)])
    await poll(client, (NOON, 100), (NOON + DAY, 110), (NOON + 2 * DAY, 110))
    assert (await compared(client))[1][2] == 10
    await record(client, [changed(number, NOON + timedelta(hours=3)) for number in range(2, 12)])
    await poll(client, (NOON + 2 * DAY + timedelta(hours=1), 110))
    assert [unexplained for _, _, unexplained in await compared(client)] == [None, 0, 0]


async def test_settled_days_stay_until_the_project_is_counted_again(client: Client) -> None:
    await record(client, [changed(1, NOON - DAY)])
    await poll(client, (NOON, 100), (NOON + DAY, 110))
    await record(client, [changed(number, NOON + timedelta(hours=3)) for number in range(2, 12)])
    await poll(client, (NOON + (sizes.SETTLED_AFTER + 2) * DAY, 110))
    assert [unexplained for _, _, unexplained in await compared(client)] == [None, 10, 0]
    async with client.work() as session:
        await service.recount_project(session, SYSTEM, client.project_id)
    assert [unexplained for _, _, unexplained in await compared(client)] == [None, 0, 0]
