"""The directions of a project: who holds them, what is done in them by week, and what is the matter."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from app.access.audit.models import AuditEntry
from app.alerts.deliveries import DELIVER
from app.alerts.service import WATCH
from app.communities.models import Community
from app.directions.deeds import ANSWER, DEEDS, WorkDirection
from app.inquiries.models import Message
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.db import in_workspace
from app.kit.ids import uuid7, uuid7_at
from app.projects.models import Project
from tests.access.people import invited
from tests.conftest import Agency

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
MINSK = ZoneInfo("Europe/Minsk")


@dataclass
class Team:
    """A project that is some weeks old, with a community."""

    app: FastAPI
    agency: Agency
    clock: SetClock
    project: str
    community: uuid.UUID

    async def directions(self, **params: Any) -> dict[str, Any]:
        """The answer's directions by name."""
        answer = await self.agency.get(f"/v1/projects/{self.project}/directions", **params)
        return {one["direction"]: one for one in answer["data"]}

    async def seat(self, seat: str, name: str = "Boris") -> str:
        """Somebody gets a seat; their id."""
        return (await invited(self.app, self.agency, name, seats={self.project: seat})).id

    async def record(self, action: str, at: datetime, actor: str = "user:1") -> None:
        """An entry of the record of changes."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            session.add(
                AuditEntry(
                    workspace_id=self.agency.workspace_id,
                    id=uuid7_at(at),
                    project_id=uuid.UUID(self.project),
                    at=at,
                    actor=actor,
                    action=action,
                    subject={},
                )
            )

    async def write(self, at: datetime, **values: Any) -> None:
        """A message was written on the platform, by a colleague unless said otherwise."""
        row = {
            "direction": "agency",
            "automatic": False,
            "author_name": "Vera",
            "text": "…",
            "thread_id": "1",
            **values,
        }
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            session.add(
                Message(
                    workspace_id=self.agency.workspace_id, id=uuid7(), community_id=self.community, sent_at=at, **row
                )
            )

    async def watch(self) -> list[Any]:
        """Look for what needs a person; the open alerts about directions, by kind and direction."""
        async with self.agency.resources.transaction(None) as session:
            await jobs.enqueue(session, WATCH, workspace_id=self.agency.workspace_id, key="watch")
        await self.agency.work(WATCH)
        alerts = (await self.agency.get("/v1/alerts", project_id=self.project))["data"]
        return sorted(
            (one["kind"], one["facts"]["direction"], one["status"])
            for one in alerts
            if one["kind"].startswith("direction-")
        )


@pytest.fixture
async def team(app: FastAPI, agency: Agency, clock: SetClock) -> Team:
    """The project is eight weeks old."""
    project = (await agency.post("/v1/projects", {"title": "Nina's", "timezone": MINSK.key}))["id"]
    community = uuid.uuid4()
    async with agency.resources.transaction(agency.workspace_id) as session:
        old = update(Project).where(in_workspace(Project, agency.workspace_id), Project.id == uuid.UUID(project))
        await session.execute(old.values(created_at=clock.now() - 8 * WEEK))
        session.add(
            Community(
                workspace_id=agency.workspace_id,
                id=community,
                project_id=uuid.UUID(project),
                platform="telegram",
                address=f"https://t.me/{community.hex}",
                base_url="http://sandbox.test",
                status="healthy",
                backfill_since=clock.now(),
                polled_at=clock.now(),
                created_at=clock.now(),
            )
        )
    return Team(app, agency, clock, project, community)


async def test_deeds_over_http_are_counted_in_their_directions(team: Team) -> None:
    post = await team.agency.post("/v1/posts", {"community_id": str(team.community), "text": "Hello"})
    await team.agency.patch(f"/v1/posts/{post['id']}", {"text": "Hello!"})
    await team.agency.post("/v1/links", {"project_id": team.project, "target": "https://nina.example/menu"})
    day = str(team.clock.now().date())
    body = {"project_id": team.project, "type": "ad", "title": "Autumn", "from": day, "to": day}
    campaign = await team.agency.post("/v1/campaigns", body)
    spend = {"day": day, "amount": "10", "currency": "RUB"}
    await team.agency.post(f"/v1/campaigns/{campaign['id']}/spend", spend)
    await team.agency.put(f"/v1/projects/{team.project}/brief", {"business": "A coffee house"})
    await team.write(team.clock.now())

    directions = await team.directions(weeks=2)

    done = {name: {each["deed"]: each["deeds"] for each in one["by_deed"]} for name, one in directions.items()}
    assert done == {
        "content": {"posts.create": 1, "posts.update": 1},
        "promotion": {"campaigns.create": 1, "spend.record": 1, "links.create": 1},
        "community": {ANSWER: 1},
        "management": {"briefs.replace": 1},
    }
    assert [one["weeks"][-1]["deeds"] for one in directions.values()] == [2, 3, 1, 1]
    assert [one["deeds"] for one in directions.values()] == [2, 3, 1, 1]
    kpi = await team.agency.get(f"/v1/projects/{team.project}/kpis/direction_activity")
    assert (kpi["value"], kpi["variants"]) == (7, {"content": 2, "promotion": 3, "community": 1, "management": 1})


async def test_only_what_colleagues_do_counts(team: Team) -> None:
    now = team.clock.now()
    for actor in ("job:posts.publish", "client:1", "platform:vk", "command:doctor", "system:instep", "anonymous:x"):
        await team.record("posts.create", now, actor)
    await team.record("posts.delete", now)
    await team.write(now, automatic=True)
    await team.write(now, direction="customer")
    await team.write(now, content_known=False)
    for delivery in ("queued", "sending", "failed", "outcome_unknown", "needs_review"):
        await team.write(now, delivery=delivery)
    assert [one["deeds"] for one in (await team.directions()).values()] == [0, 0, 0, 0]
    await team.record("posts.create", now, "key:1")
    await team.write(now, delivery="sent")
    assert [one["deeds"] for one in (await team.directions()).values()] == [1, 0, 1, 0]


async def test_weeks_are_the_projects_own(team: Team) -> None:
    monday = datetime(2026, 10, 12, tzinfo=MINSK)
    for at in (monday - timedelta(seconds=1), monday, monday + timedelta(hours=1)):
        await team.record("posts.create", at.astimezone(UTC))
    weeks = (await team.directions(weeks=3))["content"]["weeks"]
    assert [(one["from"], one["to"], one["deeds"]) for one in weeks] == [
        ("2026-09-28", "2026-10-04", 0),
        ("2026-10-05", "2026-10-11", 1),
        ("2026-10-12", "2026-10-18", 2),
    ]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    entries=st.lists(
        st.tuples(st.sampled_from(sorted(DEEDS)), st.integers(0, 9 * 7 * 24), st.sampled_from(["user:1", "job:x"])),
        max_size=25,
    )
)
async def test_weeks_are_what_a_recount_gives(
    app: FastAPI, agency: Agency, clock: SetClock, entries: list[tuple[str, int, str]]
) -> None:
    project = (await agency.post("/v1/projects", {"title": "Random", "timezone": "Australia/Lord_Howe"}))["id"]
    team = Team(app, agency, clock, project, uuid.uuid4())
    recounted: dict[tuple[str, str], int] = {}
    zone = ZoneInfo("Australia/Lord_Howe")
    for action, hours, actor in entries:
        at = clock.now() - timedelta(hours=hours)
        await team.record(action, at, actor)
        day = at.astimezone(zone).date()
        if actor == "user:1" and action != ANSWER:
            key = DEEDS[action].direction.value, str(day - day.weekday() * DAY)
            recounted[key] = recounted.get(key, 0) + 1
    for name, one in (await team.directions(weeks=8)).items():
        for week in one["weeks"]:
            assert week["deeds"] == recounted.get((name, week["from"]), 0)


async def test_seats_hold_directions(team: Team) -> None:
    designer, manager = await team.seat("designer", "Dina"), await team.seat("manager")
    await team.seat("client", "Clara")
    directions = await team.directions()
    held = {name: [each["user_id"] for each in one["holders"]] for name, one in directions.items()}
    assert held == {"content": [designer], "promotion": [], "community": [], "management": [manager]}
    assert directions["content"]["holders"] == [{"user_id": designer, "name": "Dina", "seat": "designer"}]
    codes = {name: [each["code"] for each in one["warnings"]] for name, one in directions.items()}
    unheld = ["direction-unheld"]
    assert codes == {"content": [], "promotion": unheld, "community": unheld, "management": []}


async def test_where_there_is_no_team_nothing_is_unheld(team: Team) -> None:
    assert all(one["warnings"] == [] and one["holders"] == [] for one in (await team.directions()).values())


async def test_a_direction_is_quiet_while_others_work(team: Team) -> None:
    now = team.clock.now()
    for weeks in range(6):
        await team.record("posts.create", now - weeks * WEEK)
        if weeks != 1:
            await team.write(now - weeks * WEEK)
    quiet = {
        name: (one["quiet_weeks"], [each["code"] for each in one["warnings"]])
        for name, one in (await team.directions()).items()
    }
    assert quiet == {
        "content": (0, []),
        "promotion": (4, ["direction-quiet"]),
        "community": (0, []),
        "management": (4, ["direction-quiet"]),
    }, "community answers again this week"


async def test_where_nobody_works_nobody_is_quiet(team: Team) -> None:
    await team.record("posts.create", team.clock.now() - 3 * WEEK)
    assert all(one["warnings"] == [] for one in (await team.directions()).values())


async def test_a_new_project_is_given_a_week(agency: Agency, app: FastAPI, clock: SetClock) -> None:
    project = (await agency.post("/v1/projects", {"title": "New", "timezone": MINSK.key}))["id"]
    team = Team(app, agency, clock, project, uuid.uuid4())
    await team.seat("manager")
    clock.advance(WEEK)
    await team.record("posts.create", clock.now() - WEEK)
    assert all(one["warnings"] == [] for one in (await team.directions()).values())
    clock.advance(WEEK)
    await team.record("posts.create", clock.now() - WEEK)
    codes = {name: [each["code"] for each in one["warnings"]] for name, one in (await team.directions()).items()}
    assert codes["community"] == ["direction-unheld", "direction-quiet"]
    assert codes["promotion"] == ["direction-unheld"], "it may be quiet for two weeks"


async def test_the_manager_is_told_once_a_week(team: Team) -> None:
    manager = await team.seat("manager")
    now = team.clock.now()
    for weeks in range(1, 6):
        await team.record("briefs.replace", now - weeks * WEEK)
    first = [
        *(("direction-quiet", name, "open") for name in ("Community", "Content", "Promotion")),
        *(("direction-unheld", name, "open") for name in ("Community", "Content", "Promotion")),
    ]
    assert await team.watch() == first
    assert await team.watch() == first, "and no second time"
    (alert, *_) = (await team.agency.get("/v1/alerts", project_id=team.project))["data"]
    assert {one["user_id"] for one in alert["deliveries"]} <= {manager}

    await team.seat("content_manager", "Kira")
    await team.record("posts.create", now)
    standing = [one for one in await team.watch() if one[2] == "open"]
    assert standing == [one for one in first if one[1] != "Content"], "it is held, and at work again"

    team.clock.advance(WEEK)
    await team.record("briefs.replace", team.clock.now())
    again = await team.watch()
    assert again.count(("direction-unheld", "Promotion", "open")) == 1
    assert again.count(("direction-unheld", "Promotion", "ended")) == 1, "last week's"
    await team.agency.work(DELIVER)


async def test_of_another_agency_there_is_nothing(team: Team, rival: Agency) -> None:
    await rival.get(f"/v1/projects/{team.project}/directions", status=404)
    await team.agency.get(f"/v1/projects/{team.project}/directions", status=422, weeks=0)


def test_every_direction_has_deeds() -> None:
    assert {one.direction for one in DEEDS.values()} == set(WorkDirection)
