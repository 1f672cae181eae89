"""On every kind of server, what Instep has is what the server's ledger says: counters, messages, dates and replies."""

import dataclasses
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.communities.models import Community
from app.kit.clock import SetClock
from app.kit.resources import Resources
from sandbox import recount
from sandbox.ledger import Record
from sandbox.server import Sandbox, build
from tests.conftest import Agency
from tests.sandbox.conftest import lift_rate_limits
from tests.system import oracle

MINUTE = timedelta(minutes=1)
BASE = "http://127.0.0.1:3300"
COMMUNITY = {"mastodon": "coffee", "bluesky": "windowseat"}
VARIANTS = [
    ("mastodon", "mastodon"),
    ("mastodon", "gotosocial"),
    ("mastodon", "takahe"),
    ("bluesky", "usual"),
    ("bluesky", "chat_down"),
    ("bluesky", "suspended_account"),
]


@pytest.fixture(params=VARIANTS, ids="-".join)
def played(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A platform and its variant."""
    platform, variant = request.param
    return platform, variant


@pytest.fixture
def sandbox(played: tuple[str, str], clock: SetClock) -> Iterator[Sandbox]:
    """Its server, which goes by the service's clock."""
    platform, variant = played
    made = build(
        seed=7,
        real=lambda: clock.now().timestamp(),
        tick=None,
        platforms=[platform],
        alive=False,
        variants={platform: variant},
    )
    made.network.base_url = BASE
    lift_rate_limits(made)
    yield made
    made.network.world.ledger.close()


@pytest.fixture
def requests() -> list[str]:
    """The paths of the calls that reach the server, with their queries."""
    return []


@pytest.fixture
async def resources(resources: Resources, sandbox: Sandbox, requests: list[str]) -> AsyncIterator[Resources]:
    """Resources of a worker whose calls reach that server."""

    async def note(request: httpx.Request) -> None:
        requests.append(request.url.raw_path.decode())

    changes = {"outbound_allow": [BASE.removeprefix("http://")], "platform_urls": {"bluesky": BASE}}
    settings = resources.settings.model_copy(update=changes)
    hooks: Any = {"request": [note]}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), event_hooks=hooks) as http:
        yield dataclasses.replace(resources, http=http, settings=settings)


@dataclass
class Stage:
    """An agency, a server, and what people do there."""

    agency: Agency
    clock: SetClock
    sandbox: Sandbox
    platform: str
    project_id: str

    async def control(self, path: str, body: object) -> Any:
        transport = httpx.ASGITransport(self.sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            answer = await http.post(f"/_sandbox/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def act(self, act: str, community: str | None = None, **fields: object) -> Any:
        """Let a person do something, a minute after what was done before."""
        self.clock.advance(MINUTE)
        return await self.control(f"communities/{community or COMMUNITY[self.platform]}", {"act": act, **fields})

    async def connect(self, community: str | None = None, *, open_to_all: bool = False, **fields: object) -> str:
        """Connect a community with its token; without one where the server is `open_to_all`."""
        c = self.sandbox.network.world.communities[community or COMMUNITY[self.platform]]
        wire = next(one for one in self.sandbox.network.wire_formats if self.platform in one.platforms)
        tokens = {kind: text for kind, text in self.sandbox.network.grants.stable(c).items() if kind == "community"}
        body = {
            "project_id": self.project_id,
            "platform": self.platform,
            "address": wire.address(self.sandbox.network, c),
            "credentials": {} if open_to_all else tokens,
            **fields,
        }
        return str((await self.agency.post("/v1/communities", body))["id"])

    async def settle(self, *communities: str) -> None:
        """Poll until all that happened must have been read."""
        for _ in range(3):
            await self.agency.work("communities.poll", "communities.measure", "inquiries.send")
            self.clock.advance(10 * MINUTE)
            for community in communities:
                await self.agency.post(f"/v1/communities/{community}/sync", status=202)
        await self.agency.work("communities.poll", "communities.measure", "inquiries.send")

    def ledger(self) -> list[Record]:
        return self.sandbox.network.world.ledger.page(0, 1_000_000)

    async def expected(self, community: str) -> set[frozenset[str]]:
        """The texts of each conversation of a Mastodon community, by the ledger."""
        since = oracle.utc((await self.agency.get(f"/v1/communities/{community}/health"))["backfill"]["since"])
        messages = [one.message for one in oracle.messages(self.ledger(), COMMUNITY[self.platform], since)]
        return {frozenset(one.text for one in thread) for thread in oracle.threads(messages).values()}

    async def conversations(self) -> set[frozenset[str]]:
        """The texts of each conversation, by the service."""
        texts: set[frozenset[str]] = set()
        for inquiry in (await self.agency.get("/v1/inquiries", limit=100))["data"]:
            messages = (await self.agency.get(f"/v1/inquiries/{inquiry['id']}"))["messages"]
            texts.add(frozenset(oracle.normalised(one["text"]) for one in messages))
        return texts

    async def measured(self, community: str) -> dict[str, int]:
        """The counters of the community's only post."""
        (post,) = (await self.agency.get("/v1/posts", community_id=community))["data"]
        metrics = (await self.agency.get(f"/v1/posts/{post['id']}/metrics"))["data"]
        return {one["metric"]: one["value"] for one in metrics if one["metric"] in {"reactions", "comments"}}

    async def messages(self, direction: str) -> dict[str, datetime]:
        """When each message was sent, by its text without a mention."""
        by_text: dict[str, datetime] = {}
        for inquiry in (await self.agency.get("/v1/inquiries", limit=100))["data"]:
            for one in (await self.agency.get(f"/v1/inquiries/{inquiry['id']}"))["messages"]:
                text = one["text"].rpartition("@")[2].partition(" ")[2] if "@" in one["text"] else one["text"]
                assert text not in by_text, "a message is in two inquiries"
                if one["direction"] == direction:
                    by_text[text] = datetime.fromisoformat(one["sent_at"])
        return by_text


@pytest.fixture
async def stage(agency: Agency, sandbox: Sandbox, clock: SetClock, played: tuple[str, str]) -> Stage:
    project = await agency.post("/v1/projects", {"title": "Coffee house", "timezone": "Europe/Minsk"})
    return Stage(agency, clock, sandbox, played[0], project["id"])


async def test_what_is_stored_equals_the_ledger(stage: Stage, played: tuple[str, str]) -> None:
    platform, variant = played
    post = (await stage.act("post", text="We are open"))["id"]
    for person in (1, 2, 3):
        await stage.act("react", person=900_000 + person)
    question = await stage.act("comment", text="Until when?", person=900_001)
    await stage.act("comment", text="And on Sunday?", person=900_001, parent=question["id"])
    await stage.act("comment", text="From the past", person=900_002, claimed="2015-01-01T00:00:00Z")
    await stage.act("mention", text="From the future", person=900_003, claimed="2031-01-01T00:00:00Z")
    await stage.act("mention", text="From no time", person=900_004, claimed="11968-11-07T17:22:13Z")
    await stage.act("message", text="In private", person=900_005)
    thread = await stage.act("mention", text="Deep 0", person=900_006)
    for number in range(1, 14):
        thread = await stage.act("mention", text=f"Deep {number}", person=900_006, parent=thread["id"])
    community = await stage.connect()
    others = [await stage.connect("velosreda")] if variant == "suspended_account" else []
    await stage.settle(community, *others)

    now = round(stage.clock.now().timestamp() * 1000)
    counters = recount.counters(stage.ledger(), COMMUNITY[platform], post, now)
    assert counters is not None
    assert await stage.measured(community) == {"reactions": counters.reactions, "comments": counters.comments}

    written = {
        one["text"]: datetime.fromisoformat(one["at"]) for one in stage.ledger() if one["type"] in recount.CUSTOMERS
    }
    if variant == "chat_down":
        del written["In private"]
    stored = await stage.messages("customer")
    assert stored.keys() == written.keys()
    late = {text for text, at in stored.items() if abs(at - written[text]) > timedelta(seconds=2)}
    assert late == set(), {text: (stored[text], written[text]) for text in late}
    inquiries = (await stage.agency.get("/v1/inquiries", limit=100))["data"]
    assert len(inquiries) == (5 if variant == "chat_down" else 6)

    for inquiry in inquiries:
        await stage.agency.post(f"/v1/inquiries/{inquiry['id']}/messages", {"text": f"Re {inquiry['id']}"}, status=202)
    await stage.settle(community)
    replies = [one["text"] for one in stage.ledger() if one["type"] == "reply"]
    assert sorted(text[text.index("Re ") :] for text in replies) == sorted(f"Re {one['id']}" for one in inquiries)
    assert len(await stage.messages("agency")) == len(inquiries)
    assert {one["status"] for one in (await stage.agency.get("/v1/inquiries", limit=100))["data"]} == {"answered"}


@pytest.mark.parametrize("played", [("bluesky", "chat_down")], ids="-".join, indirect=True)
async def test_messages_come_once_the_chat_is_back(stage: Stage) -> None:
    await stage.act("post", text="We are open")
    await stage.act("message", text="In private", person=900_005)
    await stage.act("mention", text="In public", person=900_006)
    community = await stage.connect()
    await stage.settle(community)
    assert (await stage.messages("customer")).keys() == {"In public"}
    await stage.control("variants", {"bluesky": "usual"})
    await stage.settle(community)
    assert (await stage.messages("customer")).keys() == {"In public", "In private"}


@pytest.mark.parametrize(
    "played", [("mastodon", variant) for variant in ("mastodon", "gotosocial", "takahe")], ids="-".join, indirect=True
)
async def test_a_server_that_wants_a_token_says_so(stage: Stage, played: tuple[str, str]) -> None:
    await stage.act("post", text="We are open")
    community = await stage.connect(open_to_all=True)
    await stage.agency.work("communities.poll")
    seen = await stage.agency.get(f"/v1/communities/{community}/health")
    if played[1] == "mastodon":
        assert seen["status"] == "healthy"
    else:
        assert (seen["status"], seen["code"]) == ("degraded", "token-missing")
        assert "Mastodon shows this to nobody without a token here" in seen["reason"]


@pytest.mark.parametrize(
    "played",
    [*(("mastodon", variant) for variant in ("mastodon", "gotosocial", "takahe")), ("bluesky", "usual")],
    ids="-".join,
    indirect=True,
)
@pytest.mark.parametrize("before", [True, False], ids=["before-connecting", "while-connected"])
async def test_answers_in_the_platforms_own_app_are_found(
    stage: Stage, played: tuple[str, str], *, before: bool
) -> None:
    """Below own posts, below others', and in private: response times are those of the ledger."""
    await stage.act("post", text="We are open")
    community = "" if before else await stage.connect()
    written = {
        "comment": await stage.act("comment", text="Until when?", person=900_001),
        "mention": await stage.act("mention", text="Good?", person=900_002),
        "message": await stage.act("message", text="In private", person=900_003),
    }
    if not before:
        await stage.settle(community)
    for kind, one in written.items():
        answer = await stage.act("answer", text=f"Answer to the {kind}", parent=one["id"])
        if kind == "mention":
            await stage.act("answer", text="And one more", parent=answer["id"])
    community = community or await stage.connect()
    await stage.settle(community)
    at = {one["text"]: datetime.fromisoformat(one["at"]) for one in stage.ledger() if one["type"] == "reply"}
    if played[1] == "takahe":  # it lists them nowhere until the customer writes again
        del at["Answer to the message"]
    stored = await stage.messages("agency")
    assert stored.keys() == at.keys()
    assert all(abs(stored[text] - at[text]) < timedelta(seconds=2) for text in at)
    inquiries = (await stage.agency.get("/v1/inquiries", limit=100))["data"]
    statuses = {one["preview"].rpartition(" ")[2]: one["status"] for one in inquiries}
    assert statuses == {
        "when?": "answered",
        "Good?": "answered",
        "private": "open" if played[1] == "takahe" else "answered",
    }
    if played[0] == "mastodon" and played[1] != "takahe":
        assert await stage.expected(community) == await stage.conversations()
    posts = (await stage.agency.get("/v1/posts", community_id=community))["data"]
    assert len(posts) == 1, "an answer is no post"


@pytest.mark.parametrize("played", [("mastodon", "mastodon")], ids="-".join, indirect=True)
async def test_an_answer_to_what_was_written_before_the_backfill_opens_nothing(stage: Stage) -> None:
    """What the customer writes afterwards is an inquiry; so are questions below older posts."""
    post = await stage.act("post", text="We are open")
    early = {
        "mention": await stage.act("mention", text="Good?", person=900_001),
        "comment": await stage.act("comment", text="Until when?", person=900_002),
        "message": await stage.act("message", text="In private", person=900_003),
    }
    stage.clock.advance(timedelta(days=1) - 5 * MINUTE)
    for kind, one in early.items():
        answer = await stage.act("answer", text=f"Answer to the {kind}", parent=one["id"])
        if kind == "mention":
            await stage.act("mention", text="Thanks!", person=900_001, parent=answer["id"])
    late = await stage.act("comment", text="And on Sunday?", person=900_004, post=post["id"])
    await stage.act("answer", text="On Sunday, too", parent=late["id"])
    community = await stage.connect(backfill_days=1)  # from the minute after the last of the early ones
    await stage.settle(community)
    assert await stage.conversations() == {frozenset({"Thanks!"}), frozenset({"And on Sunday?", "On Sunday, too"})}
    assert await stage.expected(community) == await stage.conversations()


@pytest.mark.parametrize("played", [("mastodon", "mastodon"), ("bluesky", "usual")], ids="-".join, indirect=True)
async def test_one_call_reads_answers_and_posts_and_the_plan_knows_what_it_costs(
    stage: Stage, requests: list[str]
) -> None:
    community = await stage.connect()
    await stage.settle(community)
    requests.clear()
    await stage.act("post", text="We are open")
    for _ in range(8):
        await stage.agency.work("communities.poll")
        stage.clock.advance(15 * MINUTE)
    own = [one for one in requests if "/statuses?" in one or "getAuthorFeed" in one]
    alone = [one for one in own if "exclude_replies" in one or "posts_no_replies" in one]
    assert len(own) >= 8
    assert alone == [], "the list of answers has the posts too"
    assert [one["text"] for one in (await stage.agency.get("/v1/posts", community_id=community))["data"]] == [
        "We are open"
    ]
    async with stage.agency.resources.db.read_connection(stage.agency.workspace_id) as connection:
        (costs,) = (await connection.scalars(select(Community.costs))).all()
    lists = 3 if stage.platform == "bluesky" else 2  # messages too
    planned = list(costs["conversations"].values())
    assert planned, costs
    assert all(lists <= units < lists + 2 for units in planned), "a call for each list, or one more after a full page"
    assert not costs.get("posts"), "they cost nothing besides"
