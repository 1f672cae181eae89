"""Gauges of the whole installation: counted by jobs, read at each scrape, not shown once they are old."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import delete, text

from app.kit import gauges
from app.kit.clock import SetClock
from app.kit.gauges import GaugeValue
from app.kit.resources import Resources
from app.kit.telemetry import LimitCollector
from tests.conftest import Agency


@pytest.fixture(autouse=True)
async def no_values(resources: Resources) -> None:
    """None of other tests."""
    async with resources.transaction(None) as session:
        await session.execute(delete(GaugeValue))


async def scraped(stranger: httpx.AsyncClient, name: str) -> dict[str, float]:
    """The samples of a metric, by their labels."""
    lines = (await stranger.get("/metrics")).text.splitlines()
    samples = [line.removeprefix(name).rpartition(" ") for line in lines if line.startswith((f"{name}{{", f"{name} "))]
    return {labels: float(value) for labels, _, value in samples}


async def test_communities_are_counted_by_state_over_all_workspaces(
    agency: Agency, rival: Agency, stranger: httpx.AsyncClient, clock: SetClock
) -> None:
    before = await counted(agency, stranger)
    for one, number in ((agency, 2), (rival, 1)):
        project = await one.post("/v1/projects", {"title": "P", "timezone": "Europe/Minsk"})
        for name in range(number):
            body = {"platform": "mastodon", "address": f"https://social.example/@nina{name}", "backfill_days": 1}
            await one.post("/v1/communities", {"project_id": project["id"], **body})
    after = await counted(agency, stranger)
    connecting = '{platform="mastodon",status="connecting"}'
    assert after[connecting] - before.get(connecting, 0) == 3
    clock.advance(gauges.MAX_AGE)
    assert await scraped(stranger, "instep_communities") == {}, "what is old is not known any more"


async def counted(agency: Agency, stranger: httpx.AsyncClient) -> dict[str, float]:
    await agency.recur("communities.count")
    return await scraped(stranger, "instep_communities")


async def test_replies_under_way_are_counted_by_delivery(agency: Agency, stranger: httpx.AsyncClient) -> None:
    await agency.recur("inquiries.count-replies")
    counts = await scraped(stranger, "instep_replies_under_way")
    assert {label.split('"')[1] for label in counts} == {"queued", "sending", "outcome_unknown", "needs_review"}


async def test_counting_becomes_rarer_where_it_takes_long(clock: SetClock) -> None:
    now = clock.now()
    assert gauges.next_count(now, 0.5) == now + timedelta(minutes=1)
    assert gauges.next_count(now, 6) == now + timedelta(minutes=2)


async def test_a_scrape_reads_no_large_table(resources: Resources) -> None:
    """Dead jobs, which are counted at each scrape, come from an index of dead jobs alone."""
    async with resources.transaction(None) as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await session.scalars(text("EXPLAIN SELECT count(*) FROM (SELECT id FROM job WHERE state = 'dead') d"))
        assert "ix_job_dead" in "\n".join(plan)


def test_the_least_that_is_left_of_a_limit_is_shown_while_it_is_in_use() -> None:
    now = [0.0]
    collector = LimitCollector(lambda: now[0])
    collector.note("vk", "calls", "a", left=0.5, seconds=60)
    collector.note("vk", "calls", "b", left=0.1, seconds=60)
    now[0] = 30
    collector.note("vk", "calls", "a", left=0.4, seconds=60)

    def values() -> list[float]:
        return [sample.value for family in collector.collect() for sample in family.samples]

    assert values() == [0.1]
    now[0] = 61
    assert values() == [0.4]
    now[0] = 91
    assert values() == []
