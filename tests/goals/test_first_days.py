"""The first days of a client: communities that were just connected, and figures that grow with the days they are of."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.kit.clock import SetClock
from app.platforms.contract import Metric
from tests.conftest import Agency
from tests.goals.conftest import DAY, NOON, Setup, grow
from tests.goals.test_progress import measured


async def test_each_community_has_a_baseline_of_its_own_days(setup: Setup) -> None:
    """10 a day in one of them, and 100 a day in another that is read since four days: 110 a day, in 30 days."""
    place = await setup.client.connect("mastodon", created_at=NOON - 5 * DAY)
    await grow(setup.client, place, NOON - 5 * DAY, NOON - timedelta(hours=1), 5000, 100)
    goal = await setup.goal(kpi="net_growth", target=4000, period={"from": "2026-10-15", "to": "2026-11-13"})
    assert (goal["baseline"]["value"], goal["baseline"]["status"]) == (280 + 400, "partial")
    assert goal["baseline"]["known_days"] == 5, "of both"
    assert goal["baseline"]["level"] == pytest.approx(300 + 400 / 5 * 30)


async def test_days_without_a_community_say_nothing_of_days_with_it(agency: Agency, setup: Setup) -> None:
    """Ten times as much comes since another community was connected: the weeks before it are no course to go by."""
    place = await setup.client.connect("mastodon", created_at=NOON - 5 * DAY)
    await grow(setup.client, place, NOON - 5 * DAY, NOON - timedelta(hours=1), 5000, 100)
    made = await measured(agency, await setup.goal(kpi="net_growth", target=2000))
    assert (made["value"], made["expected"]) == (450, pytest.approx(2000 * 5 / 30))
    assert (made["forecast"]["value"], made["forecast"]["reason"]) == (None, "unknown-days")
    assert made["pace"] == "on_track", "by the path"
    alone = {"kpi": "net_growth", "target": 300, "community_ids": [str(setup.place.community_id)]}
    assert (await measured(agency, await setup.goal(title="Alone", **alone)))["forecast"]["value"] == 300


async def test_two_that_publish_on_other_days_have_one_history(agency: Agency, setup: Setup) -> None:
    """Before the connection each has days without a post, on which nothing is known of it, and nothing is missing."""
    connected, places = NOON - timedelta(hours=3), []
    for weekday in (1, 4):
        place = await setup.client.connect("vk", created_at=connected, backfill_since=NOON - 60 * DAY)
        posts = [await setup.client.publish(place, NOON - (7 * week + weekday) * DAY) for week in range(8)]
        await setup.client.measure(place, connected, {post: {Metric.REACTIONS: 14} for post in posts})
        await setup.client.mark_polled(place, NOON - timedelta(hours=1))
        places.append(str(place.community_id))
    goal = await setup.goal(kpi="engagement", target=130, community_ids=places)
    assert goal["baseline"]["level"] == 120, "28 a week, in 30 days"
    forecast = (await measured(agency, goal))["forecast"]
    assert forecast["reason"] is None
    assert forecast["value"] == pytest.approx(28 + 25 * 4, rel=0.15)


async def test_what_is_disconnected_starts_nothing(agency: Agency, setup: Setup) -> None:
    """Nothing more comes from it, so it is no part of what is to be surpassed."""
    place = await setup.client.connect("mastodon", created_at=datetime(2026, 9, 1, 9, tzinfo=UTC))
    await grow(setup.client, place, datetime(2026, 9, 1, 11, tzinfo=UTC), NOON - timedelta(hours=1), 5000, 100)
    await agency.post(f"/v1/communities/{place.community_id}/disconnect", status=200)
    goal = await setup.goal(kpi="net_growth", target=400)
    assert goal["baseline"]["level"] == 300, "10 a day, in 30 days"
    made = await measured(agency, await setup.goal(target=1680, title="Size"))
    assert (made["baseline"], made["value"], made["pace"]) == (1380, 1430, "on_track"), "and of the other one nothing"


async def test_a_level_that_was_not_read_by_then_is_not_promised(setup: Setup) -> None:
    """The size of a community that is connected today is not in yesterday's: it is no growth tomorrow."""
    place = await setup.client.connect("mastodon", created_at=NOON - timedelta(hours=3))
    await setup.client.size(place, NOON - timedelta(hours=2), 9000)
    await setup.client.mark_polled(place, NOON - timedelta(hours=1))
    both: dict[str, Any] = {"community_ids": [str(setup.place.community_id), str(place.community_id)]}
    refused = await setup.goal(409, target=1680, **both)
    assert refused["code"] == "kpi-without-data"
    assert "(before-connection)" in refused["detail"]
    stated = {"value": 10_430, "reason": "Read on both platforms."}
    assert (await setup.goal(target=11_000, stated_baseline=stated, **both))["baseline"]["level"] == 10_430


async def test_a_level_is_of_those_whose_part_was_known(agency: Agency, setup: Setup, clock: SetClock) -> None:
    """What a backfill has found open by yesterday is part of the level, although it was connected today."""
    place = await setup.client.connect("vk", created_at=NOON - timedelta(hours=3), backfill_since=NOON - 30 * DAY)
    for number in range(9):
        await setup.client.ask(place, NOON - (10 + number) * DAY)
    await setup.client.mark_polled(place, NOON - timedelta(hours=1))
    await setup.client.mark_polled(setup.place, NOON - timedelta(hours=1))
    period = {"from": "2026-10-15", "to": "2026-11-13"}
    goal = await setup.goal(type="support", kpi="open_backlog", target=4, period=period)
    assert goal["baseline"]["level"] == 9
    clock.at = NOON + DAY
    for one in (place, setup.place):
        await setup.client.mark_polled(one, clock.at)
    made = await measured(agency, goal)
    assert (made["value"], made["value_status"]) == (9, "ok"), "nobody has handled any"
    assert made["pace"] == "off_track"


RATE: dict[str, Any] = {"type": "awareness", "kpi": "engagement_rate"}


async def engaged(setup: Setup) -> str:
    """A community of 1,000 whose posts get 20 reactions a day: a rate of 0.02 a day."""
    place = await setup.client.connect("vk", created_at=datetime(2026, 8, 1, 9, tzinfo=UTC))
    await grow(setup.client, place, datetime(2026, 8, 1, 11, tzinfo=UTC), NOON - timedelta(hours=1), 1000, 0)
    for number in range(65):
        at = NOON - (number + 1) * DAY
        post = await setup.client.publish(place, at)
        await setup.client.measure(place, at + timedelta(minutes=1), {post: {Metric.REACTIONS: 20}})
    await setup.client.mark_polled(place, NOON - timedelta(hours=1))
    return str(place.community_id)


@pytest.mark.parametrize(
    ("first", "last", "level"), [("2026-10-15", "2026-10-21", 0.14), ("2026-10-10", "2026-11-08", 0.6)]
)
async def test_a_rate_that_grows_with_the_days_is_compared_over_as_many(
    setup: Setup, first: str, last: str, level: float
) -> None:
    """Engagement for each member in a week is a quarter of that in four."""
    community_ids = [await engaged(setup)]
    period = {"from": first, "to": last}
    goal = await setup.goal(**RATE, target=level, period=period, community_ids=community_ids)
    assert goal["baseline"]["level"] == pytest.approx(level)


async def test_a_rate_that_grows_with_the_days_is_on_its_way(agency: Agency, setup: Setup) -> None:
    """A sixth of it after a sixth of the days is no failure."""
    community_ids = [await engaged(setup)]
    goal = await setup.goal(**RATE, target=0.6, community_ids=community_ids)
    made = await measured(agency, goal)
    assert (made["day"], made["value"]) == ("2026-10-14", pytest.approx(0.1))
    assert made["expected"] == pytest.approx(0.1)
    assert made["forecast"]["value"] == pytest.approx(0.6)
    assert made["pace"] == "on_track"


async def test_different_people_have_a_path_and_no_forecast(agency: Agency, setup: Setup, clock: SetClock) -> None:
    """The same ten people every day are ten in a week as in a day: days do not add up."""
    clock.at = NOON - 40 * DAY
    link = await setup.client.link()
    clock.at = NOON
    for day in range(1, 36):
        at = NOON - day * DAY
        await setup.client.click(link, [(at, visitor, None) for visitor in range(10)])
        await setup.client.click(link, [(at, 1000 + day, None)])
    of: dict[str, Any] = {"type": "traffic", "kpi": "unique_visitors"}
    week = await setup.goal(**of, target=40, period={"from": "2026-10-15", "to": "2026-10-21"})
    assert (week["baseline"]["level"], week["baseline"]["value"]) == (17, 38), "in each of four weeks, and in all four"
    goal = await setup.goal(**of, target=60)
    assert goal["baseline"]["level"] == 40, "in the 30 days before"
    made = await measured(agency, goal)
    assert (made["value"], made["expected"], made["pace"]) == (15, pytest.approx(10), "on_track")
    assert (made["forecast"]["value"], made["forecast"]["reason"]) == (None, "days-do-not-add-up")


async def test_what_a_platform_tells_late_makes_nothing_smaller(agency: Agency, setup: Setup) -> None:
    """Instagram's figures come 48 hours late: 40 views a day are 1,200 in 30 days, whatever is still to come."""
    place = await setup.client.connect("instagram", created_at=datetime(2026, 8, 1, 9, tzinfo=UTC))
    for number in range(3, 70):
        at = NOON - number * DAY
        post = await setup.client.publish(place, at)
        await setup.client.measure(place, at + 2 * DAY, {post: {Metric.VIEWS: 40}})
    await setup.client.mark_polled(place, NOON - timedelta(hours=1))
    of: dict[str, Any] = {"kpi": "reach", "community_ids": [str(place.community_id)]}
    goal = await setup.goal(**of, target=1300, period={"from": "2026-10-15", "to": "2026-11-13"})
    baseline = goal["baseline"]
    assert (baseline["level"], baseline["status"], baseline["known_days"]) == (1200, "ok", 28)
    assert (baseline["from"], baseline["to"]) == ("2026-09-15", "2026-10-12"), "the last days are pending"
    running = await setup.goal(**of, target=1200, title="Running")
    made = await measured(agency, running)
    assert (made["value"], made["reason"]) == (120, "pending"), "of the 10th to the 12th"
    assert made["forecast"]["value"] == pytest.approx(1200)
    assert made["pace"] == "on_track"


async def test_a_quotient_starts_from_days_of_which_both_its_parts_are_known(setup: Setup, clock: SetClock) -> None:
    """Before its first link a community's posts could bring no clicks: they make none of the later ones fewer."""
    place = await setup.client.connect("vk", created_at=NOON - 40 * DAY)
    for number in range(1, 35):
        await setup.client.publish(place, NOON - number * DAY)
    clock.at = NOON - 4 * DAY
    link = await setup.client.link(place)
    clock.at = NOON
    for number in (1, 2, 3, 4):
        at = NOON - number * DAY + timedelta(hours=1)
        await setup.client.click(link, [(at, 10 * number + visitor, None) for visitor in range(10)])
    await setup.client.mark_polled(place, NOON - timedelta(hours=1))
    period = {"from": "2026-10-15", "to": "2026-11-13"}
    goal = await setup.goal(type="traffic", kpi="clicks_per_post", target=12, period=period)
    assert goal["baseline"]["level"] == 10
    assert (goal["baseline"]["from"], goal["baseline"]["to"]) == ("2026-10-11", "2026-10-14")


async def test_what_was_stated_of_a_month_is_not_of_two(agency: Agency, setup: Setup) -> None:
    stated = {"value": 120, "reason": "Counted by hand."}
    goal = await setup.goal(kpi="net_growth", target=400, stated_baseline=stated)
    path, longer = f"/v1/goals/{goal['id']}", {"from": "2026-10-10", "to": "2026-12-08"}
    refused = await agency.patch(path, {"period": longer}, 422)
    assert (refused["code"], refused["errors"][0]["field"]) == ("baseline-of-another-period", "stated_baseline")
    moved = await agency.patch(path, {"period": {"from": "2026-10-12", "to": "2026-11-10"}})
    assert moved["baseline"]["level"] == 120, "as long"
    again = await agency.patch(path, {"period": longer, "stated_baseline": stated | {"value": 240}})
    assert again["baseline"]["level"] == 240
    level = await setup.goal(target=2000, title="Size", stated_baseline=stated | {"value": 1400})
    longer_level = await agency.patch(f"/v1/goals/{level['id']}", {"period": longer})
    assert longer_level["baseline"]["level"] == 1400, "a level is of no number of days"
