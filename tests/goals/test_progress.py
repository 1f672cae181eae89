"""Progress: measured by a job, kept, and read; every number recounted by hand."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select

from app.goals import measurements, progress
from app.goals.progress import Promise
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.events import EventRecord
from app.kpis import all_kpis
from app.kpis.values import Community, Missing, Value
from app.kpis.windows import Days
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


async def test_measuring_again_changes_no_pace(
    agency: Agency, setup: Setup, program: httpx.AsyncClient, clock: SetClock
) -> None:
    goal = await setup.goal(target=1681)
    await answer(program, await setup.link(goal["id"]))
    await measured(agency, goal)
    version = (await agency.get(f"/v1/goals/{goal['id']}"))["version"]
    kept = await measured(agency, goal)
    for _ in range(3):
        clock.advance(timedelta(hours=1))
        again = await measured(agency, goal)
        assert again["as_of"] > kept["as_of"]
        assert {**again, "as_of": kept["as_of"]} == kept
    assert (await agency.get(f"/v1/goals/{goal['id']}"))["version"] == version
    assert await pace_changes(agency) == [("unknown", "off_track")], "since it is agreed, once"


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


async def test_a_disconnected_community_turns_no_goal_round(agency: Agency, setup: Setup, clock: SetClock) -> None:
    """The size falls by what is not counted any more: that says nothing of the promise, and the answer says so."""
    place = await setup.client.connect("mastodon", created_at=datetime(2026, 9, 1, 9, tzinfo=UTC))
    await grow(setup.client, place, datetime(2026, 9, 1, 11, tzinfo=UTC), NOON - timedelta(hours=1), 5000, 10)
    goal = await setup.goal(target=7000)
    assert (await measured(agency, goal))["pace"] == "on_track"
    await agency.post(f"/v1/communities/{place.community_id}/disconnect", status=200)
    await grow(setup.client, setup.place, NOON + timedelta(hours=5), NOON + 24 * DAY, 1440, 10)
    clock.advance(5 * DAY)
    made = await measured(agency, goal)
    assert made["value"] < made["baseline"]
    assert (made["value_status"], made["reason"], made["pace"]) == ("partial", "disconnected", "unknown")
    assert made["forecast"]["reason"] == "unknown-days", "the fall is no course to go by"
    clock.at = NOON + 25 * DAY
    made = await measured(agency, goal)
    assert (made["day"], made["pace"], made["status"]) == ("2026-11-08", "unknown", "ended")
    # Without it there is another promise, of which nothing is missing.
    own = {"community_ids": [str(setup.place.community_id)], "period": {"from": "2026-11-10", "to": "2026-12-10"}}
    other = await measured(agency, await setup.goal(**own))
    assert other["reason"] == "not-begun"


async def test_another_community_is_no_growth(agency: Agency, setup: Setup, clock: SetClock) -> None:
    """A level of all communities is of those that it was promised for; what is summed is of later ones too."""
    level, flow = await setup.goal(target=1680), await setup.goal(kpi="net_growth", target=330)
    place = await setup.client.connect("mastodon", created_at=NOON + timedelta(hours=1))
    await grow(setup.client, place, NOON + timedelta(hours=2), NOON + 5 * DAY, 9000, 100)
    await grow(setup.client, setup.place, NOON + timedelta(hours=5), NOON + 5 * DAY, 1440, 10)
    clock.at = NOON + 5 * DAY + timedelta(hours=1)
    made = await measured(agency, level)
    assert (made["day"], made["value"], made["value_status"]) == ("2026-10-19", 1480, "ok")
    assert made["pace"] == "on_track", "and not met"
    assert (await measured(agency, flow))["value"] > 100 + 300, "what the other one grows by is growth"
    window: dict[str, Any] = {"from": "2026-10-19", "to": "2026-10-19"}
    both = await agency.get(f"/v1/projects/{setup.project_id}/kpis/community_size", **window)
    assert both["value"] > 9000, "the project has both"
    again = await setup.goal(target=11_000, title="Both", period={"from": "2026-10-20", "to": "2026-11-20"})
    assert again["baseline"]["level"] > 9000, "the next promise is of both"


async def test_nothing_is_missed_of_which_a_part_is_not_known(agency: Agency, setup: Setup, clock: SetClock) -> None:
    goal = await setup.goal(target=1680)
    await grow(setup.client, setup.place, NOON + timedelta(hours=5), NOON + 10 * DAY, 1440, 10)
    clock.at = NOON + 25 * DAY
    stale = await measured(agency, goal)
    assert (stale["day"], stale["value_status"], stale["pace"]) == ("2026-11-08", "partial", "unknown")
    assert stale["scorecard"]["judged"] == 0, "no forecast is judged by what is not known"
    await grow(setup.client, setup.place, NOON + 11 * DAY, NOON + 25 * DAY, 1550, 10)
    clock.advance(timedelta(hours=2))
    assert (await measured(agency, goal))["pace"] in {"met", "missed"}, "known within a week after the end"


PERIOD = Days(date(2026, 10, 1), date(2026, 10, 30))
HISTORY = progress.history_window(PERIOD, date(2026, 10, 6))
"""Five days of thirty are over."""
LOST = Missing(Community(None, "vk"), "reauth-required", date(2026, 10, 20), date(2026, 10, 30))


def judged(key: str, promise: Promise, so_far: Value, daily: Callable[[int], float | None]) -> progress.Progress:
    """The progress by a history of days, the oldest first."""
    length = (HISTORY.last - HISTORY.first).days + 1
    return progress.progress(
        all_kpis()[key],
        promise,
        so_far=so_far,
        history=HISTORY,
        whole=Value(1, None, [LOST._replace(first=HISTORY.first, last=HISTORY.last)]),
        daily=[Value(daily(number)) for number in range(length)],
    )


@pytest.mark.parametrize(("weekly", "path"), [(1, "linear"), (8, "linear"), (9, "weekly_season")])
def test_of_few_events_there_is_no_season(weekly: int, path: str) -> None:
    """One event a week, always on the same day, is no reason to expect nothing on all others."""
    promise = Promise(30, 6, PERIOD)
    made = judged("clicks", promise, Value(5), lambda number: float(weekly * (number % 7 == 0)))
    assert made.path == path
    assert path != "linear" or made.expected == pytest.approx(5)


@pytest.mark.parametrize(
    ("key", "daily", "so_far"),
    [
        ("handled_rate", lambda number: 1.0 if number % 4 else 0.0, 1.0),
        ("thanks_share", lambda number: 0.0 if number % 4 else 0.9, 0.0),
        ("community_size", lambda number: 900.0 - 7 * number, 59.0),
    ],
)
def test_a_forecast_is_within_what_the_kpi_can_be(key: str, daily: Callable[[int], float], so_far: float) -> None:
    made = judged(key, Promise(0.9, 0.5, PERIOD), Value(so_far), daily)
    assert made.outlook.low is not None
    assert made.outlook.high is not None
    assert made.outlook.value is not None
    assert 0 <= made.outlook.low <= made.outlook.value <= made.outlook.high
    assert made.outlook.high <= (1 if key != "community_size" else 900)


PRE_TRACKING = LOST._replace(reason="gathered-before-connection", first=HISTORY.first, last=HISTORY.last)


BEFORE = PRE_TRACKING._replace(reason="before-connection", last=HISTORY.last - 9 * DAY)


@pytest.mark.parametrize(
    ("missing", "weekday", "is_known"),
    [
        ([PRE_TRACKING], 3, True),
        ([PRE_TRACKING, PRE_TRACKING._replace(reason="unsupported")], 3, True),
        # A growth is counted when the size is read, and not known before.
        ([], 1, True),
        ([], 3, False),
        # Of what was before the backfill, and of what is lost, nothing is known on a day without a value.
        ([BEFORE, PRE_TRACKING._replace(first=HISTORY.last - 8 * DAY)], 3, False),
        ([PRE_TRACKING, PRE_TRACKING._replace(reason="reauth-required")], 3, False),
    ],
)
def test_a_day_that_is_counted_on_another_one_breaks_no_history(
    missing: list[Missing], weekday: int, is_known: bool
) -> None:
    """A community that publishes once a week has as many weeks of history as one that does so daily."""

    def made(other_days: float | None) -> progress.Outlook:
        length = (HISTORY.last - HISTORY.first).days + 1
        daily = [Value(21.0 if (length - number) % 7 == weekday else other_days) for number in range(length)]
        whole = Value(1, None, missing)
        kpi, promise = all_kpis()["engagement"], Promise(100, 50, PERIOD)
        return progress.progress(kpi, promise, so_far=Value(21), history=HISTORY, whole=whole, daily=daily).outlook

    outlook = made(None)
    assert outlook.reason == (None if is_known else "unknown-days")
    if is_known:
        assert outlook.value is not None
        assert 21 + 3 * 21 <= outlook.value <= 21 + 4 * 21
        assert outlook.value == pytest.approx(made(0.0).value)


FLOW, STOCK, RATIO = "inquiries_handled", "community_size", "handled_rate"
LOWER_STOCK, LOWER_RATIO = "open_backlog", "first_response_time"
END = progress.history_window(PERIOD, date(2026, 10, 31))
NEVER = LOST._replace(reason="unsupported")
ENDS: list[tuple[str, float, float, list[Missing], str]] = [
    *((key, 10, 10, [], "met") for key in (FLOW, STOCK, LOWER_STOCK, LOWER_RATIO)),
    *((key, 10, 9.9, [], "missed") for key in (FLOW, STOCK)),
    *((key, 10, 10.1, [], "missed") for key in (LOWER_STOCK, LOWER_RATIO)),
    (RATIO, 0.5, 0.5, [], "met"),
    (RATIO, 0.5, 0.49, [], "missed"),
    # What is missing would make a count larger, and a quotient anything.
    *((key, 10, 10, [LOST], "met") for key in (FLOW, STOCK)),
    *((key, 10, 9.9, [LOST], "unknown") for key in (FLOW, STOCK, LOWER_STOCK, LOWER_RATIO)),
    (LOWER_STOCK, 10, 10.1, [LOST], "missed"),
    *((key, 10, 10.1, [LOST], "unknown") for key in (LOWER_RATIO,)),
    *((RATIO, 0.5, value, [LOST], "unknown") for value in (0.49, 0.5)),
    # Joins that were not received are joins all the same.
    *(
        ("attracted_users", 10, 9, [LOST._replace(reason=reason)], "unknown")
        for reason in ("joins-missed", "no-hook", "hook-not-delivering", "no-join-seen")
    ),
    ("attracted_users", 10, 10, [LOST._replace(reason="joins-missed")], "met"),
    ("attracted_users", 10, 9, [LOST._replace(reason="joins-not-counted")], "missed"),
    # What a platform never gives was not promised.
    *((key, 10, 9.9, [NEVER], "missed") for key in (FLOW, STOCK)),
    (LOWER_RATIO, 10, 9.9, [NEVER], "met"),
]


@pytest.mark.parametrize(("key", "target", "value", "missing", "pace"), ENDS)
def test_what_is_decided_at_the_end(key: str, target: float, value: float, missing: list[Missing], pace: str) -> None:
    days = [Value(value)] * ((END.last - END.first).days + 1)
    so_far = Value(value, None, missing)
    made = progress.progress(
        all_kpis()[key], Promise(target, target, PERIOD), so_far=so_far, history=END, whole=so_far, daily=days
    )
    assert made.pace == pace


@pytest.mark.parametrize(
    ("key", "target", "so_far", "daily", "pace"),
    [
        # Flows: by the forecast of 30 days; what is reached is met at once.
        (FLOW, 60, 10, lambda _: 2.0, "on_track"),
        (FLOW, 60.5, 10, lambda _: 2.0, "off_track"),
        (FLOW, 64, 10, lambda number: 2.0 + (number // 7) % 2, "on_track"),
        (FLOW, 81, 10, lambda number: 2.0 + (number // 7) % 2, "at_risk"),
        (FLOW, 10, 10, lambda _: 2.0, "met"),
        # Levels are decided at the end alone.
        (STOCK, 900, 1000, lambda _: 1000.0, "on_track"),
        (STOCK, 1001, 1000, lambda _: 1000.0, "off_track"),
        (LOWER_STOCK, 10, 10, lambda _: 10.0, "on_track"),
        (LOWER_STOCK, 9, 10, lambda _: 10.0, "off_track"),
        (RATIO, 0.5, 0.5, lambda _: 0.5, "on_track"),
        (RATIO, 0.9, 0.5, lambda _: 0.5, "off_track"),
        (LOWER_RATIO, 60, 60, lambda _: 60.0, "on_track"),
        (LOWER_RATIO, 50, 60, lambda _: 60.0, "off_track"),
        # Without a forecast by the path, a tenth behind it at most is a risk.
        (FLOW, 60, 10, lambda number: 2.0 if number > 110 else None, "on_track"),
        (FLOW, 60, 9.1, lambda number: 2.0 if number > 110 else None, "at_risk"),
        (FLOW, 60, 8.9, lambda number: 2.0 if number > 110 else None, "off_track"),
    ],
)
def test_the_pace_while_it_lasts(
    key: str, target: float, so_far: float, daily: Callable[[int], float | None], pace: str
) -> None:
    made = judged(key, Promise(target, so_far, PERIOD), Value(so_far), daily)
    assert made.pace == pace, made
    unknown = judged(key, Promise(target, so_far, PERIOD), Value(None, "stale"), daily)
    assert unknown.pace == "unknown"


@pytest.mark.parametrize(
    ("so_far", "missing", "pace"),
    [
        (8.9, [LOST], "unknown"),
        (9.9, [LOST._replace(reason="stale")], "unknown"),
        (10, [LOST], "on_track"),
        # What a platform never gives was not promised.
        (8.9, [NEVER], "off_track"),
    ],
)
def test_an_outage_is_no_delay(so_far: float, missing: list[Missing], pace: str) -> None:
    """Behind the path by days that could not be read: what came on them is not known."""
    made = judged(
        FLOW, Promise(60, 60, PERIOD), Value(so_far, None, missing), lambda number: 2.0 if number > 110 else None
    )
    assert (made.outlook.reason, made.pace) == ("unknown-days", pace)


async def test_the_version_of_the_kpi_that_was_agreed_and_that_is_measured_by(
    agency: Agency, setup: Setup, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    goal = await setup.goal()
    assert goal["kpi_version"] == 1
    made = await measured(agency, goal)
    assert (made["kpi_version"], made["measured_version"]) == (1, 1)
    object.__setattr__(all_kpis()["community_size"], "version", 2)
    try:
        clock.advance(timedelta(hours=2))
        made = await measured(agency, goal)
        assert (made["kpi_version"], made["measured_version"]) == (1, 2)
    finally:
        object.__setattr__(all_kpis()["community_size"], "version", 1)


async def test_archived_projects_are_not_in_the_portfolio(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal()
    await agency.patch(f"/v1/projects/{setup.project_id}", {"archived": True})
    assert (await agency.get("/v1/portfolio/goals"))["data"] == []
    assert (await agency.get(f"/v1/goals/{goal['id']}/progress"))["goal_id"] == goal["id"], "nothing is lost"


async def test_a_goal_of_one_day(agency: Agency, setup: Setup, clock: SetClock) -> None:
    goal = await setup.goal(kpi="net_growth", target=10, period={"from": "2026-10-15", "to": "2026-10-15"})
    assert goal["baseline"]["level"] == 10
    assert (await measured(agency, goal))["reason"] == "not-begun"
    await grow(setup.client, setup.place, NOON + timedelta(hours=5), NOON + DAY, 1440, 10)
    clock.advance(DAY)
    made = await measured(agency, goal)
    assert (made["day"], made["value"], made["expected"], made["pace"]) == ("2026-10-15", 10, 10, "met")


async def test_days_of_a_zone_in_which_they_have_not_come_are_taken_back(
    agency: Agency, setup: Setup, clock: SetClock
) -> None:
    goal = await setup.goal()
    clock.advance(timedelta(hours=4))
    await agency.patch(f"/v1/projects/{setup.project_id}", {"timezone": "Asia/Tokyo"})
    await agency.work()
    east = await agency.get(f"/v1/goals/{goal['id']}/progress")
    assert (east["timezone"], east["day"]) == ("Asia/Tokyo", "2026-10-15"), "it is the 16th in Tokyo"
    clock.advance(timedelta(hours=1))
    await agency.patch(f"/v1/projects/{setup.project_id}", {"timezone": "America/Los_Angeles"})
    await agency.work()
    west = await agency.get(f"/v1/goals/{goal['id']}/progress")
    assert (west["timezone"], west["day"]) == ("America/Los_Angeles", "2026-10-14")
    assert west["as_of"] == "2026-10-15T17:00:00Z"
    assert [one["day"] for one in west["series"]] == ["2026-10-14"]


async def test_another_zone_makes_other_days(agency: Agency, setup: Setup, clock: SetClock) -> None:
    goal = await setup.goal()
    await measured(agency, goal)
    clock.advance(timedelta(hours=11))
    await agency.patch(f"/v1/projects/{setup.project_id}", {"timezone": "Asia/Tokyo"})
    await agency.work()
    assert (await agency.get(f"/v1/goals/{goal['id']}/progress"))["as_of"] == "2026-10-15T23:00:00Z"
