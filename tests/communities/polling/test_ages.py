"""How many publications are measured, by their age: what the demand of polling is computed from."""

import uuid
from datetime import timedelta

from sqlalchemy import text

from app.communities import publications
from app.kit.clock import SetClock
from tests.conftest import Agency
from tests.links.conftest import add_community
from tests.posts.conftest import remote, store

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_old_ones_are_those_that_are_not_young(agency: Agency, clock: SetClock) -> None:
    project = await agency.post("/v1/projects", {"title": "Nina's", "timezone": "Europe/Minsk"})
    first = await add_community(agency, project["id"])
    second = await add_community(agency, project["id"], "https://social.example/@olga")
    empty = await add_community(agency, project["id"], "https://social.example/@new")
    ages = (HOUR, 5 * HOUR, 6 * HOUR, 2 * DAY, 10 * DAY, 50 * DAY, 100 * DAY, 200 * DAY, 300 * DAY, 400 * DAY)
    await store(agency, first, *(remote(str(n), at=clock.now() - age) for n, age in enumerate(ages)))
    await store(agency, second, remote("a", at=clock.now() - HOUR), remote("b", at=clock.now() - 91 * DAY))

    async def counted(*communities: str) -> list[tuple[timedelta, int]]:
        async with agency.resources.transaction(agency.workspace_id) as session:
            ids = [uuid.UUID(one) for one in communities]
            return await publications.ages(session, ids, clock.now())

    tiers = [timedelta(0), 2 * HOUR, DAY, 3 * DAY, 14 * DAY, 90 * DAY]
    assert await counted(first) == list(zip(tiers, [1, 2, 1, 1, 1, 4], strict=True))
    assert await counted(first, second, empty) == list(zip(tiers, [2, 2, 1, 1, 1, 5], strict=True))
    assert await counted(empty) == [(tier, 0) for tier in tiers]
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(
            text("UPDATE publication SET measure_at = NULL WHERE external_id IN ('1', '8', '9')")
        )  # as of those deleted on the platform
    assert await counted(first) == list(zip(tiers, [1, 1, 1, 1, 1, 2], strict=True))
