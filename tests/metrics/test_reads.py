"""What others read: sums by day, and the rows behind them."""

import random
from collections import defaultdict
from datetime import date, timedelta
from uuid import UUID

from app.metrics import reads
from app.platforms.contract import Metric
from tests.metrics.conftest import NOON, Client
from tests.metrics.recount import NAMES, recount

TODAY = date(2026, 10, 15)
FIRST, LAST = TODAY - timedelta(days=2), TODAY + timedelta(days=2)


async def _filled(client: Client) -> None:
    dice = random.Random(3)
    for number in range(8):
        community = number % 2
        post = await client.show(
            NOON - timedelta(days=dice.randrange(6)), dice.choice([None, "sales"]), community=community
        )
        for step in range(9):
            found = {name: dice.randrange(100) for name in ("views", "reactions", "saves") if dice.random() < 0.7}
            await client.look(NOON + timedelta(hours=13 * step), [(post, found)], community)


async def test_engagement_by_day_is_summed_over_categories_and_sources(client: Client) -> None:
    await _filled(client)
    total: defaultdict[tuple[UUID, date], dict[str, int]] = defaultdict(dict)
    baseline: defaultdict[tuple[UUID, date], dict[str, int]] = defaultdict(dict)
    looks: defaultdict[tuple[UUID, date], int] = defaultdict(int)
    for (day, community, _, source), row in recount(client.shown, client.looks, client.zone).items():
        if not FIRST <= day <= LAST:
            continue
        looks[community, day] += row["snapshots"] or 0
        for name in NAMES:
            amount = row[name]
            if amount is not None:
                total[community, day][name] = total[community, day].get(name, 0) + amount
                if source == "baseline":
                    baseline[community, day][name] = baseline[community, day].get(name, 0) + amount
    async with client.db.reading(client.workspace_id) as connection:
        days = await reads.engagement_days(connection, client.workspace_id, client.project_id, FIRST, LAST)
    assert [(day.day, day.community_id) for day in days] == sorted((day, community) for community, day in looks)
    for found in days:
        key = found.community_id, found.day
        assert {name: value for name, value in found.total._asdict().items() if value is not None} == total[key]
        assert {name: value for name, value in found.baseline._asdict().items() if value is not None} == baseline[key]
        assert found.snapshots == looks[key]
        assert isinstance(found.total.views, int | None), "not a Decimal"


async def test_the_rows_behind_a_sum_add_up_to_it_page_by_page(client: Client) -> None:
    await _filled(client)
    whose = (client.workspace_id, client.project_id, FIRST, LAST)
    wanted = (Metric.VIEWS, Metric.SAVES)
    async with client.db.reading(client.workspace_id) as connection:
        days = await reads.engagement_days(connection, *whose)
        found: list[reads.Contribution] = []
        while page := await reads.contribution_page(
            connection, *whose, metrics=wanted, after=found[-1].key if found else None, limit=7
        ):
            assert len(page) <= 7
            assert not found or page[0].key > found[-1].key
            found += page
        first = await reads.contribution_page(
            connection, *whose, metrics=wanted, community_id=client.places[0].community_id, limit=1000
        )
    assert len({row.key for row in found}) == len(found)
    assert [row.key for row in found] == sorted(row.key for row in found)
    for metric in wanted:
        for day in days:
            rows = [
                row for row in found if (row.metric, row.day, row.community_id) == (metric, day.day, day.community_id)
            ]
            expected = getattr(day.total, metric.value)
            assert (sum(row.difference for row in rows) if rows else None) == expected
    assert all(row.value - (row.previous or 0) == row.difference for row in found)
    assert first == [row for row in found if row.community_id == client.places[0].community_id]


async def test_another_workspace_reads_nothing(client: Client) -> None:
    await _filled(client)
    async with client.db.reading(UUID(int=5)) as connection:
        for workspace_id in (client.workspace_id, UUID(int=5)):
            assert await reads.engagement_days(connection, workspace_id, client.project_id, FIRST, LAST) == []
