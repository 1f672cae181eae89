"""What cannot be promised is refused with an answer that says what to do, and nothing is half-written."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.goals.models import Goal, GoalAgreement, GoalRevision
from app.kit.clock import SetClock
from app.kit.events import EventRecord
from app.platforms.contract import Metric
from tests.conftest import Agency
from tests.goals.conftest import DAY, NOON, PERIOD, Setup, grow

BAD: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "target-against-direction": ({"target": 1379}, 422, "target"),
    "period-ends-before-it-begins": ({"period": {"from": "2026-11-02", "to": "2026-11-01"}}, 422, "period.to"),
    "period-in-the-past": ({"period": {"from": "2026-10-01", "to": "2026-10-14"}}, 422, "period.to"),
    "period-too-long": ({"period": {"from": "2026-10-01", "to": "2028-10-14"}}, 422, "period.to"),
    "unknown-kpi": ({"kpi": "fame"}, 422, "kpi"),
    "kpi-of-another-goal-type": ({"type": "traffic"}, 422, "kpi"),
    "kpi-without-direction": ({"type": "support", "kpi": "inquiries_received"}, 422, "kpi"),
    "metric-not-given": ({"kpi": "reach"}, 409, None),
    "kpi-without-data": ({"type": "traffic", "kpi": "clicks"}, 409, None),
    "currency-needed": ({"type": "traffic", "kpi": "cost_per_click", "target": 10}, 422, "currency"),
    "currency-without-money": ({"currency": "RUB"}, 422, "currency"),
    "kpi-out-of-range": ({"type": "support", "kpi": "handled_rate", "target": 90}, 422, "target"),
}
STATED: dict[str, Any] = {"value": 0.5, "reason": "Counted by hand."}
IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "a share as a percentage": ({"type": "support", "kpi": "handled_rate", "target": 90}, "target"),
    "a share above one": ({"type": "support", "kpi": "thanks_share", "target": 1.01}, "target"),
    "fewer than none": ({"type": "support", "kpi": "overdue", "target": -1}, "target"),
    "before the question": ({"type": "support", "kpi": "first_response_time", "target": -60}, "target"),
    "a baseline as a percentage": (
        {"type": "support", "kpi": "handled_rate", "target": 1, "stated_baseline": {**STATED, "value": 50}},
        "stated_baseline.value",
    ),
}


async def rows(agency: Agency) -> dict[str, int]:
    """How many rows of goals, and events of them, the agency has."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        counts = {
            model.__tablename__: (await session.scalar(select(func.count()).select_from(model))) or 0
            for model in (Goal, GoalRevision, GoalAgreement)
        }
        events = select(func.count()).select_from(EventRecord).where(EventRecord.topic.like("goal.%"))
        return counts | {"events": (await session.scalar(events)) or 0}


@pytest.mark.parametrize("code", BAD)
async def test_each_has_its_own_answer(agency: Agency, setup: Setup, code: str) -> None:
    more, status, field = BAD[code]
    problem = await setup.goal(status, **more)
    assert problem["code"] == code
    assert [error["field"] for error in problem["errors"]] == ([] if field is None else [field])
    assert len(problem["detail"]) > 40
    assert set((await rows(agency)).values()) == {0}


async def test_a_patch_is_refused_for_the_same_reasons(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal()
    before = await rows(agency)
    for code in ("target-against-direction", "period-ends-before-it-begins", "period-in-the-past", "period-too-long"):
        more, status, _ = BAD[code]
        assert (await agency.patch(f"/v1/goals/{goal['id']}", more, status))["code"] == code
    assert await rows(agency) == before
    assert await agency.get(f"/v1/goals/{goal['id']}") == goal


async def test_what_is_without_data_is_promised_from_a_stated_baseline(setup: Setup) -> None:
    stated = {"value": 50, "reason": "Counted by the shop."}
    goal = await setup.goal(type="traffic", kpi="clicks", target=120, stated_baseline=stated)
    assert (goal["baseline"]["source"], goal["baseline"]["level"]) == ("stated", 50)
    assert goal["baseline"]["reason"] == "Counted by the shop."
    against = await setup.goal(422, type="traffic", kpi="clicks", target=40, stated_baseline=stated)
    assert against["code"] == "target-against-direction"
    refused = await setup.goal(409, kpi="reach", target=9000, stated_baseline=stated)
    assert refused["code"] == "metric-not-given", "nobody could ever measure it"


@pytest.mark.parametrize("name", IMPOSSIBLE)
async def test_what_can_never_be_reached_is_refused(agency: Agency, setup: Setup, name: str) -> None:
    more, field = IMPOSSIBLE[name]
    problem = await setup.goal(422, **{"stated_baseline": STATED, **more})
    assert (problem["code"], problem["errors"][0]["field"]) == ("kpi-out-of-range", field)
    assert set((await rows(agency)).values()) == {0}
    possible = {"target": 0} if more["kpi"] in {"overdue", "first_response_time"} else {"target": 1}
    goal = await setup.goal(type="support", kpi=more["kpi"], stated_baseline=STATED, **possible)
    before = await rows(agency)
    patch = {name: value for name, value in more.items() if name in {"target", "stated_baseline"}}
    assert (await agency.patch(f"/v1/goals/{goal['id']}", patch, 422))["code"] == "kpi-out-of-range"
    assert await rows(agency) == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1e16", "true", '"2000"', "null"])
async def test_a_target_is_a_number(agency: Agency, setup: Setup, number: str) -> None:
    content = json.dumps(setup.body(target="@")).replace('"@"', number)
    refused = await agency.http.post("/v1/goals", content=content, headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-input")
    assert set((await rows(agency)).values()) == {0}


async def test_minus_zero_is_zero(setup: Setup) -> None:
    goal = await setup.goal(type="support", kpi="overdue", target=-0.0, stated_baseline=STATED)
    assert str(goal["target"]) == "0.0"


async def test_joins_that_a_platform_never_tells_are_not_promised(setup: Setup) -> None:
    """A stated baseline does not help: nobody could ever measure it."""
    refused = await setup.goal(409, kpi="attracted_users", target=100, stated_baseline=STATED)
    assert refused["code"] == "metric-not-given"


async def test_a_disconnected_community_is_not_promised(agency: Agency, setup: Setup) -> None:
    gone = await setup.client.connect("mastodon", created_at=NOON - 40 * DAY)
    await agency.post(f"/v1/communities/{gone.community_id}/disconnect", status=200)
    refused = await setup.goal(422, community_ids=[str(gone.community_id)], stated_baseline=STATED)
    assert (refused["code"], refused["errors"][0]["field"]) == ("community-disconnected", "community_ids")


async def test_growth_over_days_that_were_not_read_is_growth_of_these_days(setup: Setup) -> None:
    """Read each third day it grows as fast as read daily: 10 a day, 300 in 30 days."""
    place = await setup.client.connect("mastodon", created_at=datetime(2026, 9, 1, 9, tzinfo=UTC))
    for number in range(15):
        await setup.client.size(place, datetime(2026, 9, 1, 11, tzinfo=UTC) + 3 * number * DAY, 1000 + 30 * number)
    await setup.client.mark_polled(place, NOON - timedelta(hours=1))
    goal = await setup.goal(kpi="net_growth", target=400, community_ids=[str(place.community_id)])
    assert goal["baseline"]["level"] == pytest.approx(300, rel=0.05)
    assert goal["baseline"]["known_days"] == 28


async def test_days_that_are_not_known_make_no_baseline_smaller(agency: Agency, setup: Setup) -> None:
    """Of a community that is connected since ten days the days before do not count."""
    place = await setup.client.connect("mastodon", created_at=NOON - 16 * DAY)
    await grow(setup.client, place, NOON - 16 * DAY, NOON - timedelta(hours=1), 100, 7)
    goal = await setup.goal(kpi="net_growth", target=900, community_ids=[str(place.community_id)])
    assert goal["baseline"]["status"] == "partial"
    assert 180 <= goal["baseline"]["level"] <= 210, "7 a day, in 30 days"


async def test_days_without_a_post_before_the_connection_are_days_all_the_same(setup: Setup) -> None:
    """Of a post a week, read when the community was connected, a month has four and not thirty."""
    connected = NOON - timedelta(hours=3)
    place = await setup.client.connect("vk", created_at=connected, backfill_since=NOON - 40 * DAY)
    posts = [await setup.client.publish(place, NOON - days * DAY) for days in (7, 14, 21, 28)]
    await setup.client.measure(place, connected, {post: {Metric.REACTIONS: 14} for post in posts})
    await setup.client.mark_polled(place, NOON - timedelta(hours=1))
    goal = await setup.goal(type="awareness", kpi="engagement", target=90, community_ids=[str(place.community_id)])
    baseline = goal["baseline"]
    assert (baseline["value"], baseline["status"], baseline["known_days"]) == (56, "partial", 28)
    assert baseline["level"] == 60, "2 a day, in 30 days"
    short = await setup.client.connect("vk", created_at=connected, backfill_since=NOON - 20 * DAY)
    post = await setup.client.publish(short, NOON - 10 * DAY)
    await setup.client.measure(short, connected, {post: {Metric.REACTIONS: 30}})
    await setup.client.mark_polled(short, NOON - timedelta(hours=1))
    goal = await setup.goal(type="awareness", kpi="engagement", target=90, community_ids=[str(short.community_id)])
    assert (goal["baseline"]["known_days"], goal["baseline"]["level"]) == (15, 60), "what was not read is not known"


async def test_where_less_is_better_the_target_is_below(setup: Setup) -> None:
    stated = {"value": 3600, "reason": "Counted by hand."}
    of: dict[str, Any] = {"type": "support", "kpi": "first_response_time", "stated_baseline": stated}
    assert (await setup.goal(422, target=3601, **of))["code"] == "target-against-direction"
    assert (await setup.goal(target=1800, **of))["target"] == 1800


async def test_a_flow_is_compared_over_as_many_days_as_the_period_has(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal(kpi="net_growth", target=400)
    assert (goal["baseline"]["value"], goal["baseline"]["known_days"]) == (280, 28)
    assert goal["baseline"]["level"] == 300, "10 a day, in 30 days"
    longer = await agency.patch(f"/v1/goals/{goal['id']}", {"period": {"from": "2026-10-10", "to": "2026-11-17"}})
    assert (longer["baseline"]["value"], longer["baseline"]["level"]) == (280, 390)


async def test_one_main_goal_at_a_time(agency: Agency, setup: Setup) -> None:
    first = await setup.goal(is_main=True)
    before = await rows(agency)
    assert (await setup.goal(409, is_main=True))["code"] == "second-main-goal"
    assert await rows(agency) == before
    beside = await setup.goal()
    assert (await agency.patch(f"/v1/goals/{beside['id']}", {"is_main": True}, 409))["code"] == "second-main-goal"
    assert await agency.get(f"/v1/goals/{beside['id']}") == beside
    await agency.post(f"/v1/goals/{first['id']}/withdraw", status=200)
    assert (await agency.patch(f"/v1/goals/{beside['id']}", {"is_main": True}))["is_main"] is True
    assert [one["id"] for one in (await agency.get("/v1/goals?main=true"))["data"]] == [beside["id"], first["id"]]


async def test_communities_are_of_the_project(agency: Agency, setup: Setup, rival: Agency) -> None:
    own = str(setup.place.community_id)
    goal = await setup.goal(community_ids=[own])
    assert [one["id"] for one in goal["communities"]] == [own]
    other = await agency.post("/v1/projects", {"title": "Tea", "timezone": "Europe/Minsk"})
    body = {"project_id": other["id"], "platform": "mastodon", "address": "https://tea.example/@tea"}
    foreign = (await agency.post("/v1/communities", body))["id"]
    refused = await setup.goal(422, community_ids=[own, foreign])
    assert (refused["code"], refused["errors"][0]["field"]) == ("community-of-another-project", "community_ids")
    assert (await setup.goal(404, community_ids=[own, str(uuid.uuid4())]))["code"] == "not-found"
    assert (await agency.patch(f"/v1/goals/{goal['id']}", {"community_ids": [foreign]}, 422))["code"] == (
        "community-of-another-project"
    )
    assert (await agency.get(f"/v1/goals/{goal['id']}")) == goal


async def test_a_closed_goal_is_not_changed(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal()
    withdrawn = await agency.post(f"/v1/goals/{goal['id']}/withdraw", status=200)
    assert (withdrawn["status"], withdrawn["closed_at"]) == ("withdrawn", "2026-10-15T12:00:00Z")
    assert await agency.post(f"/v1/goals/{goal['id']}/withdraw", status=200) == withdrawn
    assert (await agency.patch(f"/v1/goals/{goal['id']}", {"target": 2500}, 409))["code"] == "goal-closed"


async def test_a_lost_race_is_refused(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal()
    path = f"/v1/goals/{goal['id']}"
    tag: dict[str, Any] = {"If-Match": f'"v{goal["version"]}"'}
    changed = await agency.patch(path, {"target": 2100}, **tag)
    assert (changed["version"], changed["revision"]) == (goal["version"] + 1, 2)
    await agency.patch(path, {"target": 2200}, 412, **tag)
    await agency.post(f"{path}/withdraw", None, 412, **tag)
    assert (await agency.http.get(path)).headers["etag"] == f'"v{changed["version"]}"'


async def test_a_project_day_decides_what_is_past(setup: Setup, clock: SetClock) -> None:
    """At 21:30 UTC it is the next day in Minsk."""
    clock.advance(timedelta(hours=9, minutes=30))
    period = {"from": PERIOD["from"], "to": "2026-10-15"}
    assert (await setup.goal(422, period=period))["code"] == "period-in-the-past"
