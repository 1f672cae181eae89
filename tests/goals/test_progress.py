"""Progress: measured by a job, kept, and read; every number recounted by hand."""

from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select

from app.goals import measurements, progress
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.events import EventRecord
from tests.conftest import Agency
from tests.goals.conftest import DAY, NOON, Setup, answer, grow
from tests.test_screens import statements


async def pace_changes(agency: Agency) -> list[tuple[str, str]]:
    """The published changes of pace."""
    query = select(EventRecord.data).where(EventRecord.topic == "goal.pace_changed").order_by(EventRecord.id)
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return [(one["before"], one["after"]) for one in await connection.scalars(query)]


async def measured(agency: Agency, goal: Any) -> Any:
    """The goal's progress after the jobs that are due."""
    await agency.work("goals.measure", passes=3)
    return await agency.get(f"/v1/goals/{goal['id']}/progress")


async def test_a_level_is_read_and_its_path_is_a_line(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal(target=1680)
    before = await agency.get(f"/v1/goals/{goal['id']}/progress")
    assert (before["pace"], before["as_of"], before["reason"]) == ("unknown", None, "not-measured-yet")
    made = await measured(agency, goal)
    # From 1,380 on 9 October; five days of thirty are over on the 14th, when the size was 1,430.
    assert (made["day"], made["value"], made["value_status"]) == ("2026-10-14", 1430, "ok")
    assert made["expected"] == pytest.approx(1380 + 300 * 5 / 30)
    assert (made["path"], made["pace"]) == ("linear", "on_track")
    assert made["as_of"] == "2026-10-15T12:00:00Z"
    assert made["forecast"]["value"] == 1680, "10 a day for 25 days more"
    assert (made["forecast"]["low"], made["forecast"]["high"], made["forecast"]["for"]) == (1680, 1680, "2026-11-08")
    assert (await agency.get("/v1/portfolio/goals"))["data"] == [
        {name: value for name, value in made.items() if name != "series"}
    ]


async def test_a_flow_is_summed(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal(kpi="net_growth", target=330)
    made = await measured(agency, goal)
    assert (made["value"], made["expected"]) == (50, pytest.approx(330 * 5 / 30))
    assert made["forecast"]["value"] == 300
    assert made["pace"] == "off_track", "the interval ends at 300"


async def test_the_pace_changes_once_and_the_goal_ends(
    agency: Agency, setup: Setup, program: httpx.AsyncClient, clock: SetClock
) -> None:
    goal = await setup.goal(target=1681)
    assert (await measured(agency, goal))["pace"] == "off_track"
    assert await pace_changes(agency) == [], "not agreed yet"
    await answer(program, await setup.link(goal["id"]))
    assert (await measured(agency, goal))["pace"] == "off_track"
    assert await pace_changes(agency) == []
    await grow(setup.client, setup.place, NOON + DAY, NOON + 24 * DAY, 1455, 15)
    clock.advance(23 * DAY)
    made = await measured(agency, goal)
    assert (made["day"], made["pace"]) == ("2026-11-06", "on_track")
    assert await measured(agency, goal) == made
    assert await pace_changes(agency) == [("off_track", "on_track")]
    assert (await agency.get("/v1/goals?pace=on_track"))["data"][0]["id"] == goal["id"]
    clock.advance(2 * DAY)
    made = await measured(agency, goal)
    # 24 days after 15 October it was 8 November, with 1,455 + 23 · 15.
    assert (made["day"], made["value"], made["pace"]) == ("2026-11-08", 1800, "met")
    assert made["forecast"]["reason"] == "period-over"
    assert await pace_changes(agency) == [("off_track", "on_track"), ("on_track", "met")]
    ended = await agency.get(f"/v1/goals/{goal['id']}")
    assert (ended["status"], ended["pace"]) == ("ended", "met")
    assert made["scorecard"]["judged"] > 0
    assert made["scorecard"]["share"] == made["scorecard"]["within"] / made["scorecard"]["judged"]
    clock.advance(timedelta(days=8))
    await agency.work("goals.measure", passes=3)
    assert await agency.due("goals.measure") == []


async def test_there_is_no_forecast_from_less_than_14_days(agency: Agency, setup: Setup) -> None:
    place = await setup.client.connect("mastodon", created_at=NOON - 10 * DAY)
    await grow(setup.client, place, NOON - 10 * DAY, NOON - timedelta(hours=1), 100, 1)
    goal = await setup.goal(community_ids=[str(place.community_id)], target=200)
    made = await measured(agency, goal)
    assert made["value"] == 109
    assert made["forecast"] == {
        **dict.fromkeys(("value", "low", "high", "method", "history_days")),
        "for": "2026-11-08",
        "reason": made["forecast"]["reason"],
    }
    assert made["forecast"]["reason"] in {"too-little-history", "unknown-days"}
    assert made["pace"] == "off_track"


async def test_a_goal_that_has_not_begun_is_on_no_pace(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal(period={"from": "2026-10-15", "to": "2026-11-08"})
    made = await measured(agency, goal)
    assert (made["value"], made["pace"], made["reason"]) == (None, "unknown", "not-begun")
    assert date.fromisoformat(made["day"]) < date.fromisoformat(made["period"]["from"])


async def test_a_request_reads_and_computes_nothing(
    agency: Agency, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    goal = await setup.goal()
    await setup.goal(kpi="net_growth", target=400)
    await measured(agency, goal)
    one = await agency.get(f"/v1/goals/{goal['id']}/progress")
    whole = await agency.get("/v1/portfolio/goals")

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("computed on the way of a request")

    monkeypatch.setattr(progress, "progress", refuse)
    monkeypatch.setattr(measurements, "measure", refuse)
    with statements(monkeypatch) as sent:
        assert await agency.get("/v1/portfolio/goals") == whole
    assert len(whole["data"]) == 2
    assert len([text for text in sent if "goal" in text]) == 1
    with statements(monkeypatch) as sent:
        assert await agency.get(f"/v1/goals/{goal['id']}/progress") == one
    assert len([text for text in sent if "goal" in text]) == 2


async def test_a_broken_chain_of_jobs_is_taken_up_again(agency: Agency, setup: Setup, clock: SetClock) -> None:
    goal = await setup.goal()
    await measured(agency, goal)
    async with agency.resources.transaction(None) as session:
        await session.execute(delete(jobs.Job).where(jobs.Job.kind == "goals.measure"))
    clock.advance(DAY)
    await agency.work("goals.measure", passes=3)
    assert (await agency.get(f"/v1/goals/{goal['id']}/progress"))["day"] == "2026-10-14"
    await agency.recur("goals.resume")
    await agency.work("goals.resume_workspace", "goals.measure", passes=5)
    assert (await agency.get(f"/v1/goals/{goal['id']}/progress"))["day"] == "2026-10-15"


async def test_another_zone_makes_other_days(agency: Agency, setup: Setup, clock: SetClock) -> None:
    goal = await setup.goal()
    await measured(agency, goal)
    clock.advance(timedelta(hours=11))
    await agency.patch(f"/v1/projects/{setup.project_id}", {"timezone": "Asia/Tokyo"})
    await agency.work()
    assert (await agency.get(f"/v1/goals/{goal['id']}/progress"))["as_of"] == "2026-10-15T23:00:00Z"
