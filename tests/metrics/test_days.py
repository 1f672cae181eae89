"""The rules by which counters are assigned to days."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from app.kit.actors import SYSTEM
from app.metrics import service
from tests.metrics.conftest import NOON, Client
from tests.metrics.recount import latest, recount

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TODAY = date(2026, 10, 15)


async def check(client: Client) -> None:
    """Assert that the stored rollups equal the oracle's and the service's own recount."""
    assert await client.stored() == recount(client.publications, client.snapshots, client.zone)
    last_values = latest(client.snapshots)
    for publication_id, row in (await client.last()).items():
        for name in ("views", "reach", "reactions", "comments", "shares", "quotes", "saves"):
            assert row[name] == last_values.get((publication_id, name)), name
    async with client.work() as session:
        assert await service.reconcile(session, client.project_id) == []


async def test_a_first_snapshot_on_the_day_of_publication_is_observed(client: Client) -> None:
    post = await client.publish()
    await client.measure(NOON + HOUR, [(post, {"views": 10, "reactions": 2})])
    [(key, row)] = (await client.stored()).items()
    assert key == (TODAY, client.refs[0].community_id, "", "observed")
    assert (row["views"], row["views_n"], row["reach"], row["reach_n"], row["snapshots"]) == (10, 1, None, 0, 1)
    await check(client)


async def test_a_first_snapshot_on_a_later_day_counts_for_the_day_of_publication(client: Client) -> None:
    post = await client.publish(NOON - 3 * DAY)
    await client.measure(NOON, [(post, {"views": 10})])
    stored = {(key[0], key[3]): row for key, row in (await client.stored()).items()}
    assert stored.keys() == {(TODAY - 3 * DAY, "pre_tracking"), (TODAY, "observed")}
    pre_tracking = stored[TODAY - 3 * DAY, "pre_tracking"]
    assert (pre_tracking["views"], pre_tracking["snapshots"]) == (10, 0)
    assert (stored[TODAY, "observed"]["views"], stored[TODAY, "observed"]["snapshots"]) == (None, 1)
    await check(client)


async def test_a_day_is_the_projects_own(client: Client) -> None:
    evening = datetime(2026, 10, 15, 20, 59, tzinfo=UTC)  # 23:59 in Minsk
    post = await client.publish(evening - HOUR)
    await client.measure(evening, [(post, {"views": 10})])
    await client.measure(evening + timedelta(minutes=1), [(post, {"views": 13})])
    assert {key[0]: row["views"] for key, row in (await client.stored()).items()} == {TODAY: 10, TODAY + DAY: 3}
    await check(client)


async def test_a_counter_may_fall(client: Client) -> None:
    post = await client.publish()
    await client.measure(NOON, [(post, {"reactions": 5})])
    await client.measure(NOON + DAY, [(post, {"reactions": 3})])
    assert {key[0]: row["reactions"] for key, row in (await client.stored()).items()} == {TODAY: 5, TODAY + DAY: -2}
    await check(client)


async def test_unknown_is_not_zero(client: Client) -> None:
    post = await client.publish()
    await client.measure(NOON, [(post, {"views": 5, "shares": 0})])
    await client.measure(NOON + HOUR, [(post, {})])
    await client.measure(NOON + DAY, [(post, {"views": 8})])
    rows = {key[0]: row for key, row in (await client.stored()).items()}
    assert (rows[TODAY]["shares"], rows[TODAY]["shares_n"], rows[TODAY]["saves"]) == (0, 1, None)
    assert (rows[TODAY + DAY]["views"], rows[TODAY + DAY]["shares"]) == (3, None)
    last = (await client.last())[post]
    assert (last["views"], last["shares"], last["at"]) == (8, 0, NOON + DAY)
    assert last["missing"]["shares"] == "unsupported"
    assert "views" not in last["missing"]
    await check(client)


async def test_a_metric_that_is_known_only_later_starts_its_own_chain(client: Client) -> None:
    post = await client.publish()
    await client.measure(NOON, [(post, {"views": 5})])
    await client.measure(NOON + DAY, [(post, {"views": 6, "reach": 4})])
    await client.measure(NOON + 2 * DAY, [(post, {"views": 6, "reach": 9})])
    rows = {(key[0], key[3]): row["reach"] for key, row in (await client.stored()).items()}
    assert rows[TODAY, "pre_tracking"] == 4
    assert rows[TODAY + 2 * DAY, "observed"] == 5
    await check(client)


async def test_a_late_snapshot_is_inserted_into_its_chain(client: Client) -> None:
    post = await client.publish(NOON - DAY)
    await client.measure(NOON, [(post, {"views": 10, "shares": 1})])
    await client.measure(NOON + 2 * DAY, [(post, {"views": 30})])
    await client.measure(NOON + DAY, [(post, {"views": 12, "shares": 4})])
    await check(client)
    assert "shares" in (await client.last())[post]["missing"], "the last poll had none, whatever an older one has"
    await client.measure(NOON - DAY + HOUR, [(post, {"views": 3})])  # nothing pre-tracking any more
    assert {key[3] for key, row in (await client.stored()).items() if row["views_n"]} == {"observed"}
    await check(client)
    last = (await client.last())[post]
    assert (last["at"], last["views"], last["shares"]) == (NOON + 2 * DAY, 30, 4)


async def test_a_repeated_snapshot_changes_nothing(client: Client) -> None:
    posts = [await client.publish(), await client.publish()]
    await client.measure(NOON, [(posts[0], {"views": 10})])
    before = await client.stored()
    await client.measure(NOON, [(posts[0], {"views": 99})])
    assert await client.stored() == before
    await client.measure(NOON, [(posts[0], {"views": 99}), (posts[1], {"views": 1}), (posts[1], {"views": 7})])
    await check(client)
    assert (await client.last())[posts[1]]["views"] == 1


async def test_publications_of_other_projects_are_ignored(client: Client) -> None:
    await client.measure(NOON, [(UUID(int=1), {"views": 1})])
    assert await client.last() == {}


async def test_a_category_change_moves_all_contributions(client: Client) -> None:
    posts = [
        await client.publish(NOON - 2 * DAY, "awareness"),
        await client.publish(NOON, None),
        await client.publish(),
    ]
    for day in range(3):
        await client.measure(NOON + day * DAY, [(post, {"views": 10 * day, "saves": day}) for post in posts[:2]])
    await client.move(posts, "sales")
    assert {key[2] for key in await client.stored()} == {"sales"}
    await check(client)
    assert posts[2] not in await client.last(), "what was made for the lock alone is gone"
    await client.measure(NOON + 4 * DAY, [(post, {"views": 50}) for post in posts])
    await client.move([posts[0]], None)
    await check(client)


async def test_another_zone_recomputes_the_days(client: Client) -> None:
    """Into a zone with summer time, over the night of its end (25 October 2026 has 25 hours there)."""
    post = await client.publish(datetime(2026, 10, 24, 21, 30, tzinfo=UTC))  # 25th in Minsk, 24th in New York
    for hour in range(0, 72, 3):
        at = datetime(2026, 10, 24, 22, 0, tzinfo=UTC) + hour * HOUR
        await client.measure(at, [(post, {"views": hour * 7, "reactions": 100 - hour})])
        async with client.work() as session:
            await service.record_size(session, client.refs[0], at, 1000 + hour)
    await check(client)
    for zone in ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"):
        await client.rezone(zone)
        async with client.work() as session:
            assert await service.reconcile(session, client.project_id) != []
            await service.recount_project(session, SYSTEM, client.project_id)
        await check(client)
