"""A client's month, through HTTP alone: a brief, a goal that the client agrees to, a campaign, a correction, a review.

The community lives on a sandbox server. Every number of the last answers is recounted from the server's ledger, or
from what the test did (`recount.py`): the code under test counts none of it, and a number that no recount knows fails
(`figures.py`). So are the forecast, its interval, the pace and the scorecard of every morning.
"""

import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI

from app.kit.clock import SetClock
from app.kit.resources import Resources
from sandbox.ledger import Record
from sandbox.server import Sandbox, build
from tests.conftest import Agency
from tests.goals.conftest import DAY, answer, program
from tests.goals.figures import Figures, compare, figures, with_another
from tests.goals.recount import Recount
from tests.goals.recounted_arithmetic import Click, Deed, Terms
from tests.links.agents import BOTS, PEOPLE
from tests.sandbox.conftest import lift_rate_limits

__all__ = ["program"]

BASE: Final = "http://127.0.0.1:3300"
COFFEE: Final = "coffee"
MINSK: Final = ZoneInfo("Europe/Minsk")
MINUTE: Final = timedelta(minutes=1)
PERIOD: Final = (date(2026, 10, 16), date(2026, 11, 4))
CHANGED_ON: Final = date(2026, 10, 25)
REVIEW_ON: Final = date(2026, 11, 1)
CAMPAIGN: Final = (date(2026, 10, 30), date(2026, 11, 3))
"""Two weeks after the first day: long enough for an estimate of what it brings."""
SPEND: Final = {date(2026, 10, 30): "120.50", date(2026, 11, 1): "80.00", date(2026, 11, 3): "99.50"}
WINDOW: Final[dict[str, Any]] = {"from": "2026-10-15", "to": str(PERIOD[1])}


KNOWN: Final = frozenset(
    {
        *("community_size", "net_growth", "growth_rate", "engagement", "engagement_rate", "direction_activity"),
        *("inquiries_received", "inquiries_handled", "handled_rate", "first_response_time", "open_backlog"),
        *("thanks_share", "clicks", "bot_clicks", "unique_visitors", "cost_per_click"),
    }
)
"""The KPIs that can be known of this month."""
Recounted = tuple[Any, Callable[[Recount, Any], Figures]]
"""An answer, and what recounts it."""


class Paths(NamedTuple):
    """Where things are."""

    goal: str
    correction: str
    campaign: str


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
    clicks: list[Click] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    mornings: list[Any] = field(default_factory=list)
    """The goal's progress, as it was every morning."""

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

    async def do(self, direction: str, action: str, method: str, path: str, body: Any, status: int = 201) -> Any:
        """A colleague does something through the service that is a deed of this direction."""
        self.deeds.append(Deed(self.today, direction, action))
        return await getattr(self.agency, method)(path, body, status)

    async def day(
        self, *, questions: int, answered: int, followed: int, liked: int, clicked: int, slug: str, goal_path: str
    ) -> None:
        """A day, and the night after it, in which the service measures."""
        for _ in range(followed):
            self.person += 1
            await self.act("follow", person=self.person)
        for number in range(questions):
            self.person += 1
            mention = await self.act("mention", text=f"Open today, {self.person}?", person=self.person)
            if number < answered:
                await self.act("answer", text="We are.", parent=mention["id"])
        for _ in range(liked):
            self.person += 1
            await self.act("react", person=self.person)
        for number in range(clicked):
            is_bot = number == 1
            agent = BOTS["Google"] if is_bot else PEOPLE["Firefox"].replace("145", f"{100 + len(self.clicks)}")
            moved = await self.stranger.get(f"/r/{slug}", headers={"User-Agent": agent, "Accept": "text/html"})
            assert moved.status_code in {302, 307}, moved.text
            self.clicks.append(Click(self.today, len(self.clicks), is_bot))
        self.clock.advance(10 * MINUTE)
        await self.read()
        self.clock.at = datetime.combine(self.today + DAY, time(1), MINSK).astimezone(UTC)
        await self.agency.work("goals.measure", "corrections.measure")
        self.mornings.append(await self.agency.get(f"{goal_path}/progress"))
        self.clock.at = datetime.combine(self.today, time(15), MINSK).astimezone(UTC)

    async def read(self) -> None:
        """Everything is read from the server."""
        await self.agency.post(f"/v1/communities/{self.community_id}/sync", status=202)
        await self.agency.work("communities.poll", "communities.measure")

    def recount(self, records: Sequence[Record] | None = None) -> Recount:
        """Everything counted again, from the ledger as it is, or from these records."""
        terms = Terms(
            community_key=COFFEE,
            community_id=self.community_id,
            zone=MINSK,
            known_since=date(2026, 7, 17),
            connected=date(2026, 10, 15),
            first=PERIOD[0],
            last=PERIOD[1],
            target=40,
            baseline=20,
            changed_on=CHANGED_ON,
            review_on=REVIEW_ON,
            campaign=CAMPAIGN,
            budget=500,
        )
        spend = {day: float(amount) for day, amount in SPEND.items()}
        return Recount(terms, records or self.ledger(), self.clicks, spend, self.deeds, self.today)


@pytest.fixture
async def life(agency: Agency, app: FastAPI, sandbox: Sandbox, clock: SetClock) -> AsyncIterator[Life]:
    """A new project with a brief, and its community on the server."""
    project = await agency.post("/v1/projects", {"title": "Coffee house", "timezone": MINSK.key})
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://instep.test") as stranger:
        made = Life(agency, clock, sandbox, stranger, project["id"])
        await made.do(
            "management",
            "briefs.replace",
            "put",
            f"/v1/projects/{project['id']}/brief",
            {"business": "A coffee house"},
            200,
        )
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
        "goals.create",
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
        await life.day(questions=1, answered=1, followed=2, liked=0, clicked=0, slug=link["slug"], goal_path=goal_path)
    correction: Any = None
    while life.today <= PERIOD[1]:
        if life.today == CHANGED_ON:
            behind = await agency.get(f"{goal_path}/progress")
            assert behind["value"] == life.recount().handled(PERIOD[0], CHANGED_ON - DAY)
            assert behind["pace"] in {"at_risk", "off_track"}
            body = {
                "project_id": life.project_id,
                "goal_id": goal["id"],
                "hypothesis": "Half of those who ask are not seen.",
                "change": "Two of us look every hour.",
                "review_on": str(REVIEW_ON),
            }
            correction = await life.do("management", "corrections.create", "post", "/v1/corrections", body)
            await life.act("post", text="What do you want to know?")
        if life.today in SPEND:
            spend = {"day": str(life.today), "amount": SPEND[life.today], "currency": "RUB"}
            await life.do("promotion", "spend.record", "post", f"/v1/campaigns/{campaign['id']}/spend", spend)
        is_advertised = CAMPAIGN[0] <= life.today <= CAMPAIGN[1]
        await life.day(
            questions=3 + life.today.day % 2,
            answered=1 if life.today < CHANGED_ON else 3,
            followed=life.today.day % 3 + (4 if is_advertised else 0),
            liked=life.today.day % 3 if life.today >= CHANGED_ON else 0,
            clicked=2 + life.today.day % 3 if is_advertised else 0,
            slug=link["slug"],
            goal_path=goal_path,
        )

    recount = life.recount()
    assert len(life.mornings) == 21
    for morning in life.mornings:
        compare(morning, recount.progress(morning))
    assert {one["pace"] for one in life.mornings} >= {"unknown", "off_track", "met"}
    paths = Paths(goal_path, f"/v1/corrections/{correction['id']}", f"/v1/campaigns/{campaign['id']}")
    answers = await _last_answers(life, paths)
    for said, recounted in answers:
        compare(said, recounted(recount, said))
    await _check_what_is_no_number(life, paths)
    foreseen = next(one for one in life.mornings if one["day"] == str(CHANGED_ON))
    assert foreseen["forecast"]["value"] is not None
    assert foreseen["scorecard"]["judged"] > 0
    _check_that_a_wrong_number_is_found(life, recount, [*answers, (foreseen, Recount.progress)])


def _check_that_a_wrong_number_is_found(life: Life, recount: Recount, answers: Sequence[Recounted]) -> None:
    """The controls: each single figure, a little wrong; one that nobody recounts; an answer less in the ledger."""
    wrong = 0
    for said, recounted in answers:
        expected = recounted(recount, said)
        for path in figures(said):
            with pytest.raises(AssertionError):
                compare(with_another(said, path), expected)
            wrong += 1
        with pytest.raises(AssertionError, match="nothing recounts"):
            compare({**said, "happiness": 7}, expected)
    assert wrong > 800, "there are many of them"
    records = life.ledger()
    last = next(number for number in range(len(records) - 1, -1, -1) if records[number]["type"] == "reply")
    fewer = life.recount([one for number, one in enumerate(records) if number != last])
    with pytest.raises(AssertionError):
        compare(life.mornings[-1], fewer.progress(life.mornings[-1]))


async def _last_answers(life: Life, paths: Paths) -> list[Recounted]:
    """What the service says in the end, each answer with its recount."""
    agency, made = life.agency, list[Recounted]()
    made.append((await agency.get(f"{paths.goal}/progress"), Recount.progress))
    made += [(one, Recount.progress) for one in (await agency.get("/v1/portfolio/goals"))["data"]]
    made.append((await agency.get(paths.goal), Recount.goal))
    made += [(one, Recount.goal) for one in (await agency.get(f"{paths.goal}/revisions"))["data"]]
    made += [(one, lambda *_: {}) for one in (await agency.get(f"{paths.goal}/agreements"))["data"]]
    made.append((await agency.get(f"{paths.correction}/effect"), Recount.effect))
    made.append((await agency.get(f"{paths.campaign}/results"), Recount.results))
    made.append((await agency.get(paths.campaign), lambda *_: {("budget", "amount"): 500}))
    of_project = f"/v1/projects/{life.project_id}"
    made.append((await agency.get(f"{of_project}/directions"), Recount.directions))
    kpis = (await agency.get(f"{of_project}/kpis", **WINDOW))["data"]
    assert {one["key"] for one in kpis if one["value"] is not None} == KNOWN
    made += [(one, Recount.of_kpi) for one in kpis]
    made += [(await agency.get(f"{of_project}/kpis/{one['key']}/explain", **WINDOW), Recount.explained) for one in kpis]
    (row,) = (await agency.get("/v1/portfolio/kpis", **WINDOW))["data"]
    made += [({**one, "window": row["window"]}, Recount.of_kpi) for one in row["kpis"]]
    return made


async def _check_what_is_no_number(life: Life, paths: Paths) -> None:
    """What the answers say without numbers."""
    agency = life.agency
    ended = await agency.get(f"{paths.goal}/progress")
    assert (ended["pace"], ended["status"], ended["path"]) == ("met", "ended", "linear")
    agreements = (await agency.get(f"{paths.goal}/agreements"))["data"]
    assert [(one["side"], one["name"], one["answer"]) for one in agreements if one["side"] == "client"] == [
        ("client", "Nina", "agree")
    ]
    effect = (await agency.get(f"{paths.correction}/effect"))["effect"]
    assert effect["verdict"] == "better"
    assert "no experiment" in effect["caveat"]
    directions = (await agency.get(f"/v1/projects/{life.project_id}/directions"))["data"]
    quiet = {
        one["direction"] for one in directions if any(each["code"] == "direction-quiet" for each in one["warnings"])
    }
    assert "content" in quiet, "nobody planned a post"
    assert "community" not in quiet


async def _agree(life: Life, program: httpx.AsyncClient, goal_id: str) -> None:
    """The client's contact reads the goal behind a link, and agrees."""
    contact = await life.agency.post(
        f"/v1/projects/{life.project_id}/contacts", {"name": "Nina", "email": "nina@coffee.example"}
    )
    body = {"contact_id": contact["id"], "purpose": "agree", "subject_kind": "goal", "subject_id": goal_id}
    made = await life.do("management", "client-links.create", "post", "/v1/client-links", body)
    stated = await answer(program, "/s/" + made["link"].rpartition("/")[2], text="Let us try.")
    assert stated.status_code == 201, stated.text
    goal = await life.agency.get(f"/v1/goals/{goal_id}")
    assert (goal["status"], goal["agreed_revision"]) == ("agreed", 1)
    assert goal["content_hash"] == stated.json()["content_hash"]


async def _advertise(life: Life) -> tuple[Any, Any]:
    """A campaign to come, with a tracked link."""
    target = {"project_id": life.project_id, "target": "https://coffee.example/menu"}
    link = await life.do("promotion", "links.create", "post", "/v1/links", target)
    body = {
        "project_id": life.project_id,
        "type": "ad",
        "title": "Autumn beans",
        "from": str(CAMPAIGN[0]),
        "to": str(CAMPAIGN[1]),
        "budget": {"amount": "500", "currency": "RUB"},
    }
    campaign = await life.do("promotion", "campaigns.create", "post", "/v1/campaigns", body)
    await life.agency.post(f"/v1/campaigns/{campaign['id']}/links", {"link_id": link["id"]}, 200)
    return link, campaign
