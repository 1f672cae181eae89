"""A disconnected community counts up to its last day; later days are neither 0, nor stale for ever, nor expected."""

from datetime import timedelta

from sqlalchemy import update

from app.communities.models import Community
from app.kit.db import in_workspace
from tests.kpis.conftest import Client

DAY = timedelta(days=1)


async def test_it_is_not_expected_any_more(client: Client) -> None:
    now = client.agency.resources.clock.now()
    vk, ok = await client.connect("vk"), await client.connect("odnoklassniki")
    for number in range(20):
        await client.size(vk, now - number * DAY, 100)
        if number >= 5:
            await client.size(ok, now - number * DAY, 40)
    for number in range(10):
        await client.ask(vk, now - number * DAY - timedelta(hours=1))
    await client.ask(ok, now - 7 * DAY)
    await client.mark_polled(vk)
    end = now - 5 * DAY
    await client.mark_polled(ok, end, status="disconnected", disconnected_at=end)
    window = {"from": str(client.day(now - 9 * DAY)), "to": str(client.day(now)), "compare": "none"}

    answer = await client.kpi("inquiries_received", **window)
    assert (answer["value"], answer["status"], answer["reason"]) == (11, "ok", None)
    assert {point["status"] for point in answer["series"]} == {"ok"}
    assert answer["freshness"]["stalest"]["community_id"] == str(vk.community_id)
    gap = {"from": str(client.day(end) + DAY), "to": window["to"], "community_id": str(ok.community_id)}
    assert answer["coverage"] == {"expected": 15, "seen": 15, "gaps": [{**gap, "reason": "disconnected"}]}

    size = await client.kpi("community_size", **window)
    assert (size["value"], size["status"]) == (100, "ok")
    assert [point["value"] for point in size["series"]] == [140] * 5 + [100] * 5
    by_community = {share["community_id"]: share for share in size["breakdown"]}
    gone = by_community[str(ok.community_id)]
    assert (gone["value"], gone["status"], gone["reason"]) == (None, "unknown", "disconnected")
    assert (await client.kpi("open_backlog", **window))["value"] == 10

    after = {"from": str(client.day(now - 2 * DAY)), "to": str(client.day(now)), "compare": "none"}
    for key in ("inquiries_received", "community_size", "net_growth", "engagement"):
        late = await client.kpi(key, **after)
        assert late["status"] == "ok", key
        (gone,) = [one for one in late["breakdown"] if one["community_id"] == str(ok.community_id)]
        assert (gone["value"], gone["reason"]) == (None, "disconnected"), key
    portfolio = await client.agency.get(f"/v1/portfolio/kpis?keys=inquiries_received&from={after['from']}")
    assert portfolio["data"][0]["kpis"][0]["status"] == "ok"


async def test_where_all_are_disconnected_the_reason_says_so(client: Client) -> None:
    now = client.agency.resources.clock.now()
    ok = await client.connect("odnoklassniki")
    await client.mark_polled(ok, now - 20 * DAY, status="disconnected", disconnected_at=now - 20 * DAY)
    after = {"from": str(client.day(now - 2 * DAY)), "to": str(client.day(now))}
    answer = await client.kpi("inquiries_received", **after)
    assert (answer["value"], answer["status"], answer["reason"]) == (None, "unknown", "disconnected")
    assert answer["coverage"]["expected"] == 0
    assert answer["freshness"]["as_of"] is not None


async def test_days_that_were_not_read_before_it_ended_are_missing(client: Client) -> None:
    now = client.agency.resources.clock.now()
    ok = await client.connect("odnoklassniki")
    await client.mark_polled(ok, now - 8 * DAY, status="disconnected", disconnected_at=now - 3 * DAY)
    window = {"from": str(client.day(now - 9 * DAY)), "to": str(client.day(now)), "compare": "none"}
    answer = await client.kpi("inquiries_received", **window)
    assert (answer["status"], answer["reason"]) == ("partial", "stale")
    assert [gap["reason"] for gap in answer["coverage"]["gaps"]] == ["stale", "disconnected"]
    assert (answer["coverage"]["expected"], answer["coverage"]["seen"]) == (7, 2)


async def test_connected_again_it_is_expected_again(client: Client) -> None:
    now = client.agency.resources.clock.now()
    ok = await client.connect("odnoklassniki")
    await client.mark_polled(ok, now - 8 * DAY, status="disconnected", disconnected_at=now - 8 * DAY)
    async with client.agency.resources.transaction(client.agency.workspace_id) as session:
        await session.execute(
            update(Community)
            .where(in_workspace(Community, client.agency.workspace_id))
            .values(status="connecting", disconnected_at=None)
        )
    window = {"from": str(client.day(now - 2 * DAY)), "to": str(client.day(now)), "compare": "none"}
    assert (await client.kpi("inquiries_received", **window))["reason"] == "stale"
    await client.mark_polled(ok, now)
    assert (await client.kpi("inquiries_received", **window))["status"] == "ok"
