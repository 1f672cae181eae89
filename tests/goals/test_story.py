"""A client's month, through HTTP alone: a brief, a goal that the client agrees to, a campaign, a correction, a review.

The community lives on a sandbox server. Every number of the last answers is recounted from the server's ledger, or
from what the test did: the code under test counts none of it.
"""

import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI

from app.kit.clock import SetClock
from app.kit.resources import Resources
from sandbox import recount
from sandbox.ledger import Record
from sandbox.server import Sandbox, build
from tests.conftest import Agency
from tests.goals.conftest import DAY, answer, program
from tests.links.agents import PEOPLE
from tests.sandbox.conftest import lift_rate_limits

__all__ = ["program"]

BASE: Final = "http://127.0.0.1:3300"
COFFEE: Final = "coffee"
MINSK: Final = ZoneInfo("Europe/Minsk")
MINUTE: Final = timedelta(minutes=1)
PERIOD: Final = (date(2026, 10, 16), date(2026, 11, 4))
CHANGED_ON: Final = date(2026, 10, 25)
REVIEW_ON: Final = date(2026, 11, 1)
CAMPAIGN: Final = (date(2026, 10, 20), date(2026, 10, 26))
SPEND: Final = {date(2026, 10, 20): "120.50", date(2026, 10, 22): "80.00", date(2026, 10, 25): "99.50"}


@pytest.fixture
def sandbox(clock: SetClock) -> Iterator[Sandbox]:
    """A Mastodon server that goes by the service's clock, on which nothing happens by itself."""
    made = build(seed=7, real=lambda: clock.now().timestamp(), tick=None, platforms=["mastodon"], alive=False)
    made.network.base_url = BASE
    lift_rate_limits(made)
    yield made
    made.network.world.ledger.close()


@pytest.fixture
async def resources(resources: Resources, sandbox: Sandbox) -> AsyncIterator[Resources]:
    """Resources of a worker whose calls reach that server."""
    settings = resources.settings.model_copy(update={"outbound_allow": [BASE.removeprefix("http://")]})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as http:
        yield dataclasses.replace(resources, http=http, settings=settings)


@dataclass
class Life:
    """What happens, by the day, and what was done through the service."""

    agency: Agency
    clock: SetClock
    sandbox: Sandbox
    stranger: httpx.AsyncClient
    project_id: str
    community_id: str = ""
    person: int = 900_000
    clicks: list[date] = field(default_factory=list)
    deeds: Counter[str] = field(default_factory=Counter)

    @property
    def today(self) -> date:
        return self.clock.now().astimezone(MINSK).date()

    def ledger(self) -> list[Record]:
        """Everything that happened on the server."""
        return self.sandbox.network.world.ledger.page(0, 1_000_000)

    async def act(self, act: str, **fields: Any) -> Any:
        """Somebody does something on the server, a minute later."""
        self.clock.advance(MINUTE)
        transport = httpx.ASGITransport(self.sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            made = await http.post(f"/_sandbox/communities/{COFFEE}", json={"act": act, **fields})
        assert made.is_success, made.text
        return made.json()

    async def do(self, direction: str, method: str, path: str, body: Any, status: int = 201) -> Any:
        """A colleague does something through the service that is a deed of this direction."""
        self.deeds[direction] += 1
        return await getattr(self.agency, method)(path, body, status)

    async def day(self, *, questions: int, answered: int, followed: int, clicked: int, slug: str) -> None:
        """A day, and the night after it, in which the service measures."""
        for _ in range(followed):
            self.person += 1
            await self.act("follow", person=self.person)
        for number in range(questions):
            self.person += 1
            mention = await self.act("mention", text=f"Open today, {self.person}?", person=self.person)
            if number < answered:
                await self.act("answer", text="We are.", parent=mention["id"])
        for _ in range(clicked):
            agent = PEOPLE["Firefox"].replace("Firefox/", f"Firefox/{len(self.clicks) + 1}")
            moved = await self.stranger.get(f"/r/{slug}", headers={"User-Agent": agent, "Accept": "text/html"})
            assert moved.status_code in {302, 307}, moved.text
            self.clicks.append(self.today)
        self.clock.advance(10 * MINUTE)
        await self.read()
        self.clock.at = datetime.combine(self.today + DAY, time(1), MINSK).astimezone(UTC)
        await self.agency.work("goals.measure", "corrections.measure")
        self.clock.at = datetime.combine(self.today, time(15), MINSK).astimezone(UTC)

    async def read(self) -> None:
        """Everything is read from the server."""
        await self.agency.post(f"/v1/communities/{self.community_id}/sync", status=202)
        await self.agency.work("communities.poll", "communities.measure")


def handled(records: Sequence[Record], first: date, last: date) -> int:
    """How many customers got their first answer on these days, by the ledger. Each of them wrote once."""
    at = round(datetime.combine(last + DAY, time(), MINSK).timestamp() * 1000) - 1
    instants = recount.answered(records, COFFEE, at).values()
    return sum(datetime.fromisoformat(one).astimezone(MINSK).date() >= first for one in instants)


def received(records: Sequence[Record], first: date, last: date) -> int:
    """How many customers wrote on these days, by the ledger."""
    start, end = (round(datetime.combine(day, time(), MINSK).timestamp() * 1000) for day in (first, last + DAY))
    return len(recount.customer_messages(records, COFFEE, start, end))


def answers(records: Sequence[Record], first: date, last: date) -> int:
    """How often colleagues answered on these days, by the ledger."""
    start, end = (round(datetime.combine(day, time(), MINSK).timestamp() * 1000) for day in (first, last + DAY))
    return len(recount.answers(records, COFFEE, start, end))


@pytest.fixture
async def life(agency: Agency, app: FastAPI, sandbox: Sandbox, clock: SetClock) -> AsyncIterator[Life]:
    """A new project with a brief, and its community on the server."""
    project = await agency.post("/v1/projects", {"title": "Coffee house", "timezone": MINSK.key})
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://instep.test") as stranger:
        made = Life(agency, clock, sandbox, stranger, project["id"])
        await made.do("management", "put", f"/v1/projects/{project['id']}/brief", {"business": "A coffee house"}, 200)
        community = sandbox.network.world.communities[COFFEE]
        wire = next(one for one in sandbox.network.wire_formats if "mastodon" in one.platforms)
        body = {
            "project_id": project["id"],
            "platform": "mastodon",
            "address": wire.address(sandbox.network, community),
            "credentials": {"community": sandbox.network.grants.stable(community)["community"]},
        }
        made.community_id = (await agency.post("/v1/communities", body))["id"]
        await agency.work("communities.poll", "communities.measure")
        yield made


async def test_a_month_with_a_goal_a_campaign_and_a_correction(
    life: Life, agency: Agency, program: httpx.AsyncClient
) -> None:
    goal = await life.do(
        "management",
        "post",
        "/v1/goals",
        {
            "project_id": life.project_id,
            "title": "Nobody waits for nothing",
            "type": "support",
            "kpi": "inquiries_handled",
            "target": 40,
            "period": {"from": str(PERIOD[0]), "to": str(PERIOD[1])},
            "stated_baseline": {"value": 20, "reason": "Counted by hand in September."},
            "is_main": True,
        },
    )
    await _agree(life, program, goal["id"])
    link, campaign = await _advertise(life)
    goal_path = f"/v1/goals/{goal['id']}"
    while life.today < PERIOD[0]:
        await life.day(questions=1, answered=1, followed=2, clicked=0, slug=link["slug"])
    correction: Any = None
    while life.today <= PERIOD[1]:
        if life.today == CHANGED_ON:
            behind = await agency.get(f"{goal_path}/progress")
            assert behind["value"] == handled(life.ledger(), PERIOD[0], CHANGED_ON - DAY)
            assert behind["pace"] in {"at_risk", "off_track"}
            body = {
                "project_id": life.project_id,
                "goal_id": goal["id"],
                "hypothesis": "Half of those who ask are not seen.",
                "change": "Two of us look every hour.",
                "review_on": str(REVIEW_ON),
            }
            correction = await life.do("management", "post", "/v1/corrections", body)
        if life.today in SPEND:
            spend = {"day": str(life.today), "amount": SPEND[life.today], "currency": "RUB"}
            await life.do("promotion", "post", f"/v1/campaigns/{campaign['id']}/spend", spend)
        is_advertised = CAMPAIGN[0] <= life.today <= CAMPAIGN[1]
        await life.day(
            questions=3 + life.today.day % 2,
            answered=1 if life.today < CHANGED_ON else 3,
            followed=3 if is_advertised else 1,
            clicked=1 + life.today.day % 3 if is_advertised else 0,
            slug=link["slug"],
        )

    records = life.ledger()
    await _check_goal(life, records, goal_path)
    await _check_effect(life, records, f"/v1/corrections/{correction['id']}")
    await _check_campaign(life, f"/v1/campaigns/{campaign['id']}")
    await _check_kpis(life, records)
    fewer = [one for one in records if one is not next(each for each in records[::-1] if each["type"] == "reply")]
    assert handled(fewer, *PERIOD) != handled(records, *PERIOD), "control: the recount misses a missing answer"


async def _agree(life: Life, program: httpx.AsyncClient, goal_id: str) -> None:
    """The client's contact reads the goal behind a link, and agrees."""
    contact = await life.agency.post(
        f"/v1/projects/{life.project_id}/contacts", {"name": "Nina", "email": "nina@coffee.example"}
    )
    body = {"contact_id": contact["id"], "purpose": "agree", "subject_kind": "goal", "subject_id": goal_id}
    made = await life.do("management", "post", "/v1/client-links", body)
    stated = await answer(program, "/s/" + made["link"].rpartition("/")[2], text="Let us try.")
    assert stated.status_code == 201, stated.text
    goal = await life.agency.get(f"/v1/goals/{goal_id}")
    assert (goal["status"], goal["agreed_revision"]) == ("agreed", 1)
    assert goal["content_hash"] == stated.json()["content_hash"]


async def _advertise(life: Life) -> tuple[Any, Any]:
    """A campaign to come, with a tracked link."""
    target = {"project_id": life.project_id, "target": "https://coffee.example/menu"}
    link = await life.do("promotion", "post", "/v1/links", target)
    body = {
        "project_id": life.project_id,
        "type": "ad",
        "title": "Autumn beans",
        "from": str(CAMPAIGN[0]),
        "to": str(CAMPAIGN[1]),
        "budget": {"amount": "500", "currency": "RUB"},
    }
    campaign = await life.do("promotion", "post", "/v1/campaigns", body)
    await life.agency.post(f"/v1/campaigns/{campaign['id']}/links", {"link_id": link["id"]}, 200)
    return link, campaign


async def _check_goal(life: Life, records: Sequence[Record], goal_path: str) -> None:
    progress = await life.agency.get(f"{goal_path}/progress")
    assert progress["value"] == handled(records, *PERIOD)
    assert (progress["pace"], progress["status"]) == ("met", "ended")
    assert progress["value"] >= progress["target"] == 40
    series = {date.fromisoformat(one["day"]): one["value"] for one in progress["series"]}
    assert series.pop(PERIOD[0] - DAY) is None, "not begun"
    assert series == {
        PERIOD[0] + number * DAY: handled(records, PERIOD[0], PERIOD[0] + number * DAY)
        for number in range((PERIOD[1] - PERIOD[0]).days + 1)
    }
    agreements = (await life.agency.get(f"{goal_path}/agreements"))["data"]
    assert [(one["side"], one["name"], one["answer"]) for one in agreements if one["side"] == "client"] == [
        ("client", "Nina", "agree")
    ]


async def _check_effect(life: Life, records: Sequence[Record], path: str) -> None:
    made = await life.agency.get(f"{path}/effect")
    effect, days = made["effect"], REVIEW_ON - CHANGED_ON
    before = handled(records, CHANGED_ON - days, CHANGED_ON - DAY)
    after = handled(records, CHANGED_ON, REVIEW_ON - DAY)
    assert (effect["before"]["value"], effect["after"]["value"]) == (before, after)
    assert effect["difference"] == after - before > 0
    assert "no experiment" in effect["caveat"]


async def _check_campaign(life: Life, path: str) -> None:
    results = await life.agency.get(f"{path}/results")
    assert results["proven"]["clicks"]["people"] == len(life.clicks)
    spent = sum(round(float(amount) * 100) for amount in SPEND.values()) / 100
    assert [(float(one["amount"]), one["currency"]) for one in results["costs"]["spend"]] == [(spent, "RUB")]
    assert results["costs"]["per_click"]["value"] == pytest.approx(spent / len(life.clicks))
    assert float(results["costs"]["remaining"]["amount"]) == 500 - spent


async def _check_kpis(life: Life, records: Sequence[Record]) -> None:
    first = date(2026, 10, 15)
    window: dict[str, Any] = {"from": str(first), "to": str(PERIOD[1])}
    kpis = {
        one["key"]: one for one in (await life.agency.get(f"/v1/projects/{life.project_id}/kpis", **window))["data"]
    }
    assert kpis["inquiries_received"]["value"] == received(records, first, PERIOD[1])
    assert kpis["inquiries_handled"]["value"] == handled(records, first, PERIOD[1])
    assert kpis["clicks"]["value"] == len(life.clicks)
    end = round(datetime.combine(PERIOD[1] + DAY, time(), MINSK).timestamp() * 1000) - 1
    assert kpis["community_size"]["value"] == recount.size(records, COFFEE, end)
    done = {**life.deeds, "community": answers(records, first, PERIOD[1]), "content": 0}
    assert kpis["direction_activity"]["variants"] == done
    assert kpis["direction_activity"]["value"] == sum(done.values())
    directions = (await life.agency.get(f"/v1/projects/{life.project_id}/directions"))["data"]
    assert {one["direction"]: one["deeds"] for one in directions} == done
    quiet = {
        one["direction"] for one in directions if any(each["code"] == "direction-quiet" for each in one["warnings"])
    }
    assert "content" in quiet, "nobody planned a post"
    assert "community" not in quiet
