"""What later snapshots added to some days is found without looking at all of them, and nothing of it is missed."""

import random
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.kit.clock import SetClock
from app.kit.db import Database
from app.metrics import service
from app.metrics.contributions import COLUMNS, OF_PROJECT, changed_later, contributions
from app.metrics.sql import statement
from tests.metrics.conftest import NOON, Client, make_client, measured

DAY = timedelta(days=1)
LIMITED = "p.workspace_id = :workspace AND " + changed_later(":workspace", "p.project_id = :project")


async def later(client: Client, publications: str, as_of: Any, first: date, last: date) -> set[tuple[Any, ...]]:
    """The contributions of snapshots after `as_of` to the days, of the publications of a condition."""
    every = statement(contributions(publications)).columns(*COLUMNS).subquery("every")
    at, day = every.c.at, every.c.day
    query = select(every).where(at > as_of, day.between(first, last), every.c.project_id == client.project_id)
    start = NOON.replace(hour=0) + (first - NOON.date()) - DAY
    values = {
        "workspace": client.workspace_id,
        "project": client.project_id,
        "as_of": as_of,
        "start": start,
        "end": start + (last - first) + 3 * DAY,
    }
    named = {name: value for name, value in values.items() if name in query.compile().params}
    async with client.work() as session:
        return {tuple(row) for row in (await session.execute(query, named)).all()}


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_missed(db: Database, clock: SetClock, seed: int) -> None:
    dice, compared = random.Random(seed), 0
    client = await make_client(db, "America/New_York")
    posts = [await client.publish(NOON + timedelta(hours=dice.randrange(-150, 150))) for _ in range(25)]
    for step in range(30):
        at = NOON + timedelta(hours=9 * step - 130)
        seen = [
            (post, measured({name: step * 3 for name in ("views", "reactions", "saves") if dice.random() < 0.5}))
            for post in dice.sample(posts, 8)
        ]
        async with client.work() as session:
            await service.record_posts(session, client.refs[0], at, seen)
    for _ in range(20):
        as_of = NOON + timedelta(hours=dice.randrange(-150, 150))
        first = NOON.date() + dice.randrange(-6, 6) * DAY
        last = first + dice.randrange(6) * DAY
        every = await later(client, OF_PROJECT, as_of, first, last)
        assert await later(client, LIMITED, as_of, first, last) == every
        compared += len(every)
    assert compared > 100, "there is something to miss"


async def test_a_late_first_value_needs_the_second_part(db: Database, clock: SetClock) -> None:
    """It counts for the day on which the publication appeared, though the snapshot came days after these days."""
    client = await make_client(db, "America/New_York")
    post = await client.publish(NOON)
    async with client.work() as session:
        await service.record_posts(session, client.refs[0], NOON + 9 * DAY, [(post, measured({"views": 7}))])
    by_time_alone = LIMITED.partition("UNION")[0] + "))"
    days = (NOON + DAY, NOON.date(), NOON.date() + DAY)
    assert await later(client, by_time_alone, *days) == set()
    assert {row[-3:] for row in await later(client, LIMITED, *days)} == {(7, NOON.date(), "pre_tracking")}
