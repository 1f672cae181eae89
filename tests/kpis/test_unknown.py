"""What is not known is null with its reason, and what is known in part says what is missing."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.communities.events import CommunityRef
from app.communities.inbound.models import InboundGap, InboundItem
from app.kpis import all_kpis
from app.platforms.contract import Metric
from tests.conftest import Agency
from tests.kpis.conftest import BACKFILL, CONNECTED, Client, empty_project

NOW = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
WEEK: dict[str, Any] = {"from": "2026-10-09", "to": "2026-10-15"}

KNOWN_WITHOUT_COMMUNITIES = {"direction_activity"}
"""What people do in a project is known as soon as there is the project."""


def _brief(answer: dict[str, Any]) -> tuple[Any, str, str | None]:
    return answer["value"], answer["status"], answer["reason"]


async def test_an_empty_project_has_no_values(client: Client) -> None:
    for answer in (await client.agency.get(client.path, **WEEK))["data"]:
        reason = "no-links" if answer["goal_type"] == "traffic" else "no-communities"
        if answer["unit"] == "money":
            reason = "no-campaigns"
        if answer["key"] in KNOWN_WITHOUT_COMMUNITIES:
            assert _brief(answer) == (0, "partial", "before-project")
            continue
        assert _brief(answer) == (None, "unknown", reason), answer["key"]
        assert answer["breakdown"] == []
        assert {point["value"] for point in answer["series"]} == {None}
        assert answer["coverage"] == {"expected": 0, "seen": 0, "gaps": []}
        assert answer["freshness"] == {"as_of": None, "stalest": None}


async def test_a_community_not_polled_yet_is_not_zero(client: Client) -> None:
    place = await client.connect("vk")
    for key in ("community_size", "net_growth", "reach", "engagement", "inquiries_received", "open_backlog"):
        answer = await client.kpi(key, **WEEK)
        assert _brief(answer) == (None, "unknown", "not-measured-yet"), key
        stalest = {"community_id": str(place.community_id), "as_of": None}
        assert answer["freshness"] == {"as_of": None, "stalest": stalest}
        assert answer["coverage"]["seen"] == 0


async def test_a_quiet_week_is_zero(client: Client) -> None:
    """Polled, and nothing happened: that is known."""
    await client.mark_polled(await client.connect("vk"))
    for key in ("reach", "engagement", "inquiries_received", "inquiries_handled", "open_backlog"):
        assert _brief(await client.kpi(key, **WEEK)) == (0, "ok", None), key


async def test_a_share_of_nothing_is_not_zero(client: Client) -> None:
    place = await client.connect("vk")
    await client.mark_polled(place)
    assert _brief(await client.kpi("handled_rate", **WEEK)) == (None, "unknown", "no-inquiries")
    assert _brief(await client.kpi("first_response_time", **WEEK)) == (None, "unknown", "no-answers")
    await client.link(place)
    assert _brief(await client.kpi("clicks_per_post", **WEEK)) == (None, "unknown", "no-posts")
    await client.size(place, NOW - timedelta(days=6), 0)
    await client.size(place, NOW - timedelta(days=1), 5)
    assert (await client.kpi("growth_rate", **WEEK))["reason"] == "empty-at-start"


async def test_reach_names_the_platform_without_views(client: Client) -> None:
    vk, mastodon = await client.connect("vk"), await client.connect("mastodon")
    post = await client.publish(vk, NOW - timedelta(days=3))
    other = await client.publish(mastodon, NOW - timedelta(days=3))
    for days, views in ((2, 100), (1, 140)):
        await client.measure(vk, NOW - timedelta(days=days), {post: {Metric.VIEWS: views, Metric.REACTIONS: 1}})
        await client.measure(mastodon, NOW - timedelta(days=days), {other: {Metric.REACTIONS: 3}})
    for place in (vk, mastodon):
        await client.mark_polled(place)
    answer = await client.kpi("reach", **WEEK)
    assert _brief(answer) == (140, "partial", "unsupported")
    assert [(one["platform"], *_brief(one)) for one in answer["breakdown"]] == [
        ("vk", 140, "ok", None),
        ("mastodon", None, "unknown", "unsupported"),
    ]
    gap = {**WEEK, "community_id": str(mastodon.community_id), "reason": "unsupported"}
    assert answer["coverage"] == {"expected": 14, "seen": 7, "gaps": [gap]}
    assert (await client.kpi("engagement", **WEEK))["value"] == 4


async def test_mastodon_alone_has_no_reach(client: Client) -> None:
    await client.mark_polled(await client.connect("mastodon"))
    answer = await client.kpi("reach", **WEEK)
    assert _brief(answer) == (None, "unknown", "unsupported")
    assert {point["value"] for point in answer["series"]} == {None}


async def test_a_metric_that_is_withheld_says_why(client: Client) -> None:
    vk = await client.connect("vk")
    post = await client.publish(vk, NOW - timedelta(days=2))
    await client.measure(vk, NOW - timedelta(days=1), {post: {Metric.REACTIONS: 3}}, why="no_permission")
    await client.mark_polled(vk)
    assert _brief(await client.kpi("reach", **WEEK)) == (None, "unknown", "no-permission")
    assert _brief(await client.kpi("engagement", **WEEK)) == (3, "partial", "no-permission")


async def test_before_the_connection_nothing_is_known(client: Client) -> None:
    vk = await client.connect("vk", backfill_since=CONNECTED)
    await client.mark_polled(vk)
    await client.size(vk, CONNECTED, 10)
    before: dict[str, Any] = {"from": "2026-09-01", "to": "2026-09-10"}
    for key in ("community_size", "net_growth", "reach", "engagement", "inquiries_received", "first_response_time"):
        assert _brief(await client.kpi(key, **before)) == (None, "unknown", "before-connection"), key
    across: dict[str, Any] = {"from": "2026-09-15", "to": "2026-09-24"}
    answer = await client.kpi("inquiries_received", **across)
    assert _brief(answer) == (0, "partial", "before-connection")
    gap = {"from": "2026-09-15", "to": "2026-09-19", "community_id": str(vk.community_id)}
    assert answer["coverage"] == {"expected": 10, "seen": 5, "gaps": [{**gap, "reason": "before-connection"}]}
    assert [point["value"] for point in answer["series"]] == [None] * 5 + [0] * 5


async def test_gains_before_the_first_poll_are_an_adjustment(client: Client) -> None:
    vk = await client.connect("vk")
    post = await client.publish(vk, BACKFILL + timedelta(days=5))
    await client.measure(vk, CONNECTED, {post: {Metric.VIEWS: 70}})
    await client.mark_polled(vk)
    window: dict[str, Any] = {"from": "2026-08-24", "to": "2026-08-27"}
    answer = await client.kpi("reach", **window)
    assert _brief(answer) == (70, "partial", "gathered-before-connection")
    assert [point["value"] for point in answer["series"]] == [None, 70, None, None]
    explained = await client.agency.get(f"{client.path}/reach/explain", **window)
    adjustment = {"amount": 70, "effect": "included", "reason": "gathered-before-connection", "finding_id": None}
    assert explained["adjustments"] == [adjustment]


async def test_delayed_metrics_are_pending_and_then_count_for_their_day(client: Client) -> None:
    """Instagram's insights come up to 48 hours late: until then a day is pending, not 0."""
    place = await client.connect("instagram")
    old, young = NOW - timedelta(days=5), NOW - timedelta(days=1)
    for at in (old, young):
        post = await client.publish(place, at)
        await client.measure(place, at + timedelta(minutes=5), {post: {Metric.REACTIONS: 3}}, why="pending")
        if at is old:
            await client.measure(place, at + timedelta(days=2), {post: {Metric.VIEWS: 70, Metric.REACTIONS: 3}})
    await client.mark_polled(place)
    day = client.day(old)
    only: dict[str, Any] = {"from": str(day), "to": str(day)}
    answer = await client.kpi("reach", **only)
    assert _brief(answer) == (70, "ok", None), "it counts for the day of the post, not for that of the poll"
    explained = await client.agency.get(f"{client.path}/reach/explain", **only)
    adjustment = {"amount": 70, "effect": "included", "reason": "came-late", "finding_id": None}
    assert explained["adjustments"] == [adjustment]
    answer = await client.kpi("reach", **WEEK)
    assert _brief(answer) == (70, "partial", "pending")
    (gap,) = answer["coverage"]["gaps"]
    assert (gap["from"], gap["to"], gap["reason"]) == ("2026-10-13", "2026-10-15", "pending")
    points = {point["from"]: point for point in answer["series"]}
    assert points[str(client.day(young))]["status"] != "ok"
    assert points[str(day)] == points[str(day)] | {"value": 70, "status": "ok"}


async def test_a_community_no_longer_polled_makes_values_partial(client: Client) -> None:
    vk = await client.connect("vk")
    for days in (20, 10, 6):
        await client.size(vk, NOW - timedelta(days=days), 100 - days)
    await client.mark_polled(vk, NOW - timedelta(days=6), status="reauth_required")
    answer = await client.kpi("inquiries_received", **WEEK)
    assert _brief(answer) == (0, "partial", "reauth-required")
    gap = {"from": "2026-10-10", "to": "2026-10-15", "community_id": str(vk.community_id), "reason": "reauth-required"}
    assert answer["coverage"] == {"expected": 7, "seen": 1, "gaps": [gap]}
    assert [point["value"] for point in answer["series"]] == [0, None, None, None, None, None, None]
    size = await client.kpi("community_size", **WEEK)
    assert _brief(size) == (94, "partial", "stale")
    assert size["freshness"]["as_of"] == "2026-10-09T12:00:00Z"


async def test_growth_counts_on_the_next_polled_day(client: Client) -> None:
    vk = await client.connect("vk")
    for day, size in ((9, 100), (10, 104), (13, 110), (15, 109)):
        await client.size(vk, datetime(2026, 10, day, 8, tzinfo=UTC), size)
    await client.mark_polled(vk)
    answer = await client.kpi("net_growth", **{"from": "2026-10-10", "to": "2026-10-15"})
    assert [point["value"] for point in answer["series"]] == [4, None, None, 6, None, -1]
    assert _brief(answer) == (9, "ok", None)
    assert [(gap["from"], gap["to"], gap["reason"]) for gap in answer["coverage"]["gaps"]] == [
        ("2026-10-11", "2026-10-12", "no-snapshot"),
        ("2026-10-14", "2026-10-14", "no-snapshot"),
    ]
    assert (answer["coverage"]["expected"], answer["coverage"]["seen"]) == (6, 3)
    rate = await client.kpi("growth_rate", **{"from": "2026-10-10", "to": "2026-10-15"})
    assert rate["value"] == 9 / 100


async def test_a_change_for_the_better_is_positive(client: Client) -> None:
    """Also where the window before was below 0."""
    vk = await client.connect("vk")
    for day, size in ((9, 100), (11, 90), (13, 95)):
        await client.size(vk, datetime(2026, 10, day, 8, tzinfo=UTC), size)
    await client.mark_polled(vk)
    answer = await client.kpi("net_growth", **{"from": "2026-10-12", "to": "2026-10-13"})
    assert (answer["previous"]["value"], answer["value"], answer["previous"]["change"]) == (-10, 5, 1.5)


async def test_days_that_have_not_come_are_unknown(client: Client) -> None:
    vk = await client.connect("vk")
    await client.size(vk, NOW, 5)
    await client.mark_polled(vk)
    for key in ("inquiries_received", "community_size", "open_backlog"):
        answer = await client.kpi(key, **{"from": "2026-10-14", "to": "2026-10-17"})
        assert [point["reason"] for point in answer["series"]][2:] == ["not-yet", "not-yet"], key
        assert answer["coverage"]["expected"] == 2
    later = await client.kpi("engagement", **{"from": "2026-10-20", "to": "2026-10-21"})
    assert _brief(later) == (None, "unknown", "not-yet")


async def test_the_median_and_its_tail(client: Client) -> None:
    vk = await client.connect("vk")
    for number, seconds in enumerate((10, 20, 30, 1000)):
        wrote = NOW - timedelta(hours=20 - number)
        await client.ask(vk, wrote, wrote + timedelta(hours=1), seconds=seconds)
    await client.ask(vk, NOW - timedelta(hours=9), NOW - timedelta(hours=8), seconds=5, resolved=True)
    await client.ask(vk, NOW - timedelta(hours=3))
    await client.mark_polled(vk)
    answer = await client.kpi("first_response_time", **WEEK)
    assert answer["value"] == 25.0
    assert answer["excluded"] == [{"amount": 1, "reason": "resolved-without-answer", "finding_id": None}]
    explained = await client.agency.get(f"{client.path}/first_response_time/explain", **WEEK)
    total = {term["symbol"]: term["amount"] for term in explained["inputs"] if term["scope"] == "total"}
    assert total == {"W": 25.0, "n": 4, "p90": 1000, "C": 3600.0}, "all waited an hour by the clock"
    assert explained["formula"]["with_amounts"] == "median of 4 waits = 25"
    assert (await client.kpi("open_backlog", **WEEK))["value"] == 1
    assert (await client.kpi("handled_rate", **WEEK))["value"] == 5 / 6


async def test_bots_and_repeats_are_excluded_from_clicks(client: Client) -> None:
    link_id = await client.link()
    at = NOW - timedelta(hours=1)
    await client.click(
        link_id,
        [
            (at, 1, None),
            (at + timedelta(seconds=1), 1, None),
            (at + timedelta(minutes=5), 1, None),
            (at, 2, None),
            (at, 3, "preview"),
        ],
    )
    answer = await client.kpi("clicks", **{"from": "2026-10-15", "to": "2026-10-15"})
    assert _brief(answer) == (3, "ok", None)
    assert {one["reason"]: one["amount"] for one in answer["excluded"]} == {"bot": 1, "repeat": 1}
    assert answer["breakdown"] == [
        {"community_id": None, "platform": None, "value": 3, "status": "ok", "reason": None, "variants": {}}
    ]
    assert (await client.kpi("unique_visitors"))["value"] == 2
    assert (await client.kpi("bot_clicks"))["value"] == 1
    before = await client.kpi("clicks", **{"from": "2026-10-13", "to": "2026-10-14"})
    assert _brief(before) == (None, "unknown", "no-links")


async def test_days_are_the_projects_own(agency: Agency) -> None:
    """23:30 UTC is tomorrow in Minsk and in Lisbon, and still today in New York."""
    at = datetime(2026, 10, 10, 23, 30, tzinfo=UTC)
    for zone, day in (
        ("Europe/Minsk", "2026-10-11"),
        ("Europe/Lisbon", "2026-10-11"),
        ("America/New_York", "2026-10-10"),
    ):
        client = await empty_project(agency, zone=zone)
        place = await client.connect("vk")
        await client.ask(place, at)
        await client.mark_polled(place)
        answer = await client.kpi("inquiries_received", **WEEK)
        assert answer["window"]["timezone"] == zone
        assert [point["from"] for point in answer["series"] if point["value"]] == [day], zone


async def test_every_kpi_explains_itself(client: Client) -> None:
    """With nothing known, too."""
    for key in all_kpis():
        explained = await client.agency.get(f"{client.path}/{key}/explain")
        assert (explained["formula"]["with_amounts"] is None) == (key not in KNOWN_WITHOUT_COMMUNITIES)
        assert "{" not in explained["formula"]["symbols"]
        assert explained["recount"]


async def test_days_before_the_first_look_were_not_seen(client: Client) -> None:
    """A size known since this morning is today's size; of the days before nobody can say anything."""
    place = await client.connect("vk", created_at=NOW - timedelta(hours=3))
    await client.mark_polled(place, NOW)
    await client.size(place, NOW - timedelta(hours=2), 100)
    answer = await client.kpi("community_size", **WEEK)
    assert _brief(answer) == (100, "ok", None)
    assert answer["coverage"] == {
        "expected": 7,
        "seen": 1,
        "gaps": [
            {
                "from": "2026-10-09",
                "to": "2026-10-14",
                "community_id": str(place.community_id),
                "reason": "before-connection",
            }
        ],
    }


async def test_what_a_hook_has_missed_is_a_gap_until_it_was_found(client: Client) -> None:
    place, other = await client.connect("vk"), await client.connect("mastodon")
    for one in (place, other):
        await client.mark_polled(one)
    before = (await client.kpi("inquiries_received", **WEEK))["coverage"]
    assert before == {"expected": 14, "seen": 14, "gaps": []}
    day, late = timedelta(days=1), NOW - timedelta(minutes=4)
    await _missed(client, place, "comment", NOW - 3 * day, NOW - 2 * day)
    await _missed(client, place, "message", late, NOW)
    await _missed(client, place, "post", NOW - timedelta(hours=2), NOW)
    ours = {"community_id": str(place.community_id), "reason": "inbound-gap"}
    answer = await client.kpi("inquiries_received", **WEEK)
    assert _brief(answer) == (0, "ok", None)
    assert answer["coverage"] == {
        "expected": 14,
        "seen": 12,
        "gaps": [{**ours, "from": "2026-10-12", "to": "2026-10-13"}],
    }
    assert (await client.kpi("first_response_time", **WEEK))["coverage"]["gaps"] == answer["coverage"]["gaps"]
    for one in (place, other):
        await client.link(one)
        await client.publish(one, NOW - day)
    post = {**ours, "from": "2026-10-15", "to": "2026-10-15"}
    assert [gap for gap in (await client.kpi("clicks_per_post", **WEEK))["coverage"]["gaps"] if gap == post] == [post]
    for key in ("community_size", "engagement", "clicks"):
        gaps = (await client.kpi(key, **WEEK))["coverage"]["gaps"]
        assert "inbound-gap" not in {gap["reason"] for gap in gaps}, key
    async with client.agency.resources.transaction(client.agency.workspace_id) as session:
        received = {"external_id": "comment", "post": False, "received_at": NOW}
        session.add(InboundItem(workspace_id=place.workspace_id, community_id=place.community_id, **received))
    assert (await client.kpi("inquiries_received", **WEEK))["coverage"] == before, "told late, after all"


async def _missed(client: Client, place: CommunityRef, kind: str, sent_at: datetime, found_at: datetime) -> None:
    async with client.agency.resources.transaction(client.agency.workspace_id) as session:
        session.add(
            InboundGap(
                workspace_id=place.workspace_id,
                community_id=place.community_id,
                external_id=kind,
                post=kind == "post",
                kind=kind,
                sent_at=sent_at,
                found_at=found_at,
            )
        )
