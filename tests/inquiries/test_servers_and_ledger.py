"""On every kind of server, what Instep has is what the server's ledger says: counters, messages, dates and replies."""

import dataclasses
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.communities.models import Community
from app.kit.clock import SetClock
from app.kit.resources import Resources
from sandbox.bluesky.servers import CONDITIONS
from sandbox.ledger import Record
from sandbox.mastodon.servers import SERVERS
from sandbox.server import Sandbox, build
from tests.conftest import Agency
from tests.ledger import VisibleState, expected, visible
from tests.sandbox.conftest import lift_rate_limits
from tests.system import oracle

MINUTE = timedelta(minutes=1)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
BASE = "http://127.0.0.1:3300"
COMMUNITY = {"mastodon": "coffee", "bluesky": "windowseat"}
VARIANTS = [
    ("mastodon", "mastodon"),
    ("mastodon", "gotosocial"),
    ("mastodon", "takahe"),
    ("bluesky", "usual"),
    ("bluesky", "chat_down_and_suspended_account"),
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
    variant: str
    project_id: str

    @property
    def chat_is_down(self) -> bool:
        """Whether direct messages cannot be read."""
        return self.platform == "bluesky" and not CONDITIONS[self.variant].chat

    @property
    def lists_direct(self) -> bool:
        """Whether the agency's own direct messages are listed before the customer writes again."""
        return self.platform != "mastodon" or SERVERS[self.variant].own_list_is_whole

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
        jobs = ("communities.poll", "communities.measure", "inquiries.send")
        await self.agency.work(*jobs)
        for _ in range(2):
            self.clock.advance(10 * MINUTE)
            for community in communities:
                await self.agency.post(f"/v1/communities/{community}/sync", status=202)
            await self.agency.work(*jobs)

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

    async def visible(self, community: str) -> VisibleState:
        """What the service shows of a community."""
        posts = (await self.agency.get("/v1/posts", community_id=community, limit=100))["data"]
        inquiries = (await self.agency.get("/v1/inquiries", community_id=community, limit=200))["data"]
        sizes = (await self.agency.get(f"/v1/communities/{community}/snapshots"))["data"]
        kpi = await self.agency.get(f"/v1/projects/{self.project_id}/kpis/first_response_time")
        return visible(
            self.platform,
            size=sizes[-1]["last"] if sizes else None,
            posts=[(post, await self._counters(post["id"])) for post in posts],
            inquiries=[await self.agency.get(f"/v1/inquiries/{one['id']}") for one in inquiries],
            first_response=kpi["value"],
        )

    async def _counters(self, post: str) -> dict[str, int | None]:
        return {one["metric"]: one["value"] for one in (await self.agency.get(f"/v1/posts/{post}/metrics"))["data"]}

    async def customers_texts(self) -> set[str]:
        """What customers wrote, without mentions."""
        inquiries = (await self.agency.get("/v1/inquiries", limit=100))["data"]
        details = [await self.agency.get(f"/v1/inquiries/{one['id']}") for one in inquiries]
        messages = [message for one in details for message in one["messages"] if message["direction"] == "customer"]
        return {message["text"].rpartition("bsky.social ")[2] for message in messages}


@pytest.fixture
async def stage(agency: Agency, sandbox: Sandbox, clock: SetClock, played: tuple[str, str]) -> Stage:
    week = {day: [{"opens": "00:00", "closes": "24:00"}] for day in DAYS}
    body = {"title": "Coffee house", "timezone": "Europe/Minsk", "working_hours": {"week": week}}
    project = await agency.post("/v1/projects", body)
    return Stage(agency, clock, sandbox, *played, project["id"])


@dataclass
class Story:
    """What people write on a server, and what the service must know of it."""

    stage: Stage
    community: str = ""
    """The service's id."""
    ids: dict[str, str] = field(default_factory=dict)
    """The platform's ids by the first text."""
    unseen: set[str] = field(default_factory=set)
    """Ids of messages that the platform does not show."""
    price: str = "What is the prise?"
    """The text of a question, as it is now."""
    read_from: int = 0
    """The number of ledger records before the connection."""

    async def write(self, act: str, text: str, **fields: Any) -> str:
        """Let somebody write; the id."""
        self.ids[text] = (await self.stage.act(act, text=text, **fields))["id"]
        return self.ids[text]

    async def agree(self) -> None:
        """Poll, and compare what the service shows with the ledger."""
        await self.stage.settle(self.community)
        by_ledger = self.by_ledger()
        differences = by_ledger.differences(await self.stage.visible(self.community), within=timedelta(seconds=1))
        assert differences == [], "ledger here, service there:\n" + "\n".join(differences)

    def by_ledger(self) -> VisibleState:
        made = self.computed(self.stage.ledger())
        # Not before everything was read once.
        return dataclasses.replace(made, first_response=None) if self.stage.chat_is_down else made

    def computed(self, records: Sequence[Record]) -> VisibleState:
        """What these records of the ledger amount to."""
        return expected(
            records,
            COMMUNITY[self.stage.platform],
            since=self.stage.clock.now() - timedelta(days=30),
            unseen=self.unseen,
            without={"message"} if self.stage.chat_is_down else (),
            read_from=self.read_from,
        )

    async def check_the_comparison(self) -> None:
        """The comparison notices each kind of record that is missing, twice there, or other than it was."""
        visible_now, records = await self.stage.visible(self.community), self.stage.ledger()
        own = [one for one in records if one.get("community") == COMMUNITY[self.stage.platform]]
        invisible = {"message"} if self.stage.chat_is_down else set()
        for kind in sorted({one["type"] for one in own if one["origin"] != "note"} - {"community", *invisible}):
            last = next(one for one in reversed(own) if one["type"] == kind)
            changed = [one for one in records if one is not last]
            assert self.computed(changed).differences(visible_now) != [], f"not noticed: {last} is missing"
            if "text" in last:
                changed = [{**one, "text": "Other"} if one is last else one for one in records]
                assert self.computed(changed).differences(visible_now) != [], f"not noticed: {last} has another text"
        answer = next(one for one in own if one["type"] == "reply" and one["id"] == self.ids["On Sunday until four."])
        later = datetime.fromisoformat(answer["at"]) + timedelta(seconds=2)
        changed = [{**one, "at": later.isoformat()} if one is answer else one for one in records]
        assert self.computed(changed).differences(visible_now, within=timedelta(seconds=1)) != []

    async def before_the_connection(self) -> None:
        """Posts, questions of several customers, and an answer in the platform's own app."""
        await self.stage.act("follow", person=910_000)
        await self.write("post", "Old news")
        gone = await self.write("comment", "Gone before anybody looked", person=900_009)
        await self.stage.act("delete_comment", id=gone)
        await self.write("post", "Too early")
        post = await self.write("post", "We are open")
        for person in (1, 2, 3):
            await self.stage.act("react", person=900_000 + person)
        await self.stage.act("share", person=900_001)
        question = await self.write("comment", "Until when?", person=900_001)
        answer = await self.write("answer", "Until six.", parent=question)
        await self.write("comment", "And on Sunday?", person=900_001, post=post, parent=answer)
        await self.write("comment", "From the past", person=900_002, claimed="2015-01-01T00:00:00Z")
        await self.write("mention", "From the future", person=900_003, claimed="2031-01-01T00:00:00Z")
        await self.write("mention", "From no time", person=900_004, claimed="11968-11-07T17:22:13Z")
        await self.write("message", "In private", person=900_005)
        good = await self.write("mention", "Good?", person=900_015)
        very = await self.write("answer", "Very.", parent=good)
        await self.write("answer", "And cheap.", parent=very)
        await self.write("message", "In private before", person=900_014)
        early = await self.write("answer", "Long ago.", person=900_014)
        if not self.stage.lists_direct:
            self.unseen.add(early)
        deep = await self.write("mention", "Deep 0", person=900_006)
        for number in range(1, 14):
            deep = await self.write("mention", f"Deep {number}", person=900_006, parent=deep)

    async def while_it_polls(self) -> None:
        """More of everything, and answers in the platform's own app to what the service has read."""
        await self.stage.act("unfollow", person=910_000)
        await self.stage.act("unreact", person=900_001, post=self.ids["We are open"])
        await self.write("answer", "On Sunday until four.", parent=self.ids["And on Sunday?"])
        await self.write("answer", "That was long ago.", parent=self.ids["From the past"])
        await self.write("answer", "Deep indeed.", parent=self.ids["Deep 13"])
        hello = await self.write("answer", "Hello.", person=900_005)
        await self.write("message", "Are you there?", person=900_005, parent=hello)
        await self.write("comment", "What is the prise?", person=900_007)
        milk = await self.write("comment", "Is there oat milk?", person=900_008)
        await self.write("comment", "Me too", person=900_012, parent=milk, claimed="1999-12-31T00:00:00Z")
        await self.write("comment", "Wrong page, sorry", person=900_010)
        await self.write("comment", "Nobody?", person=900_011)
        await self.write("message", "In private too", person=900_013)

    async def changes(self) -> None:
        """Edits and deletions by customers and by the agency, of what the service has read."""
        there_is = await self.write("answer", "There is.", parent=self.ids["Is there oat milk?"])
        await self.write("comment", "How much?", person=900_008, parent=there_is)
        await self.write("answer", "We are.", person=900_005)
        if not self.stage.lists_direct:
            self.unseen.add(self.ids["We are."])
        await self.stage.settle(self.community)
        # What others wrote below stays, though the platform does not list it there any more.
        await self.stage.act("delete_comment", id=self.ids["Is there oat milk?"])
        await self.stage.act("delete_comment", id=self.ids["How much?"])
        await self.stage.act("delete_comment", id=self.ids["Wrong page, sorry"])
        if self.stage.platform == "mastodon":
            await self.stage.act("edit", id=self.ids[self.price], text="What is the price?")
            self.ids["What is the price?"], self.price = self.ids[self.price], "What is the price?"
            await self.stage.act("edit", id=self.ids["On Sunday until four."], text="On Sunday until five.")
        if self.stage.variant in {"mastodon", "takahe"}:
            await self.stage.act("edit", id=self.ids["Old news"], text="Old news, corrected")
        await self.stage.act("delete_post", id=self.ids["Too early"])

    async def answer(self, *questions: str) -> list[tuple[str, str]]:
        """Answer inquiries through the service; each answer with the id of what it answers, as the ledger has them."""
        inquiries = (await self.stage.agency.get("/v1/inquiries", limit=100))["data"]
        answers = []
        for question in questions:
            (inquiry,) = [one for one in inquiries if one["preview"].endswith(question)]
            body = {"text": f"About {question}"}
            await self.stage.agency.post(f"/v1/inquiries/{inquiry['id']}/messages", body, status=202)
            answers.append((body["text"], self.ids[question]))
        return answers


@pytest.fixture
async def story(stage: Stage) -> Story:
    """A community connected after some time; where an account is suspended, with that one too."""
    made = Story(stage)
    await made.before_the_connection()
    made.read_from = len(stage.ledger())
    made.community = await stage.connect()
    if "suspended" in stage.variant:
        await stage.connect("velosreda")
    return made


async def test_what_is_stored_equals_the_ledger(story: Story) -> None:
    await story.agree()
    await story.while_it_polls()
    await story.stage.settle(story.community)
    in_private = () if story.stage.chat_is_down else ("In private too",)
    answers = await story.answer("From the future", "From no time", "Nobody?", *in_private)
    await story.agree()
    await story.changes()
    await story.stage.settle(story.community)
    answers += await story.answer(story.price)
    await story.agree()
    replies = [one for one in story.stage.ledger() if one["type"] == "reply" and one["origin"] == "api"]
    direct_questions = {one["person"]: one["id"] for one in story.stage.ledger() if one["type"] == "message"}
    sent = [
        (one["text"][one["text"].index("About") :], direct_questions.get(one.get("person", 0)) or one["parent"])
        for one in replies
    ]
    assert sorted(sent) == sorted(answers), "each answer is at the platform once, below its question"
    await story.check_the_comparison()


@pytest.mark.parametrize("played", [("bluesky", "chat_down")], ids="-".join, indirect=True)
async def test_messages_come_once_the_chat_is_back(stage: Stage) -> None:
    await stage.act("post", text="We are open")
    await stage.act("message", text="In private", person=900_005)
    await stage.act("mention", text="In public", person=900_006)
    community = await stage.connect()
    await stage.settle(community)
    assert await stage.customers_texts() == {"In public"}
    await stage.control("variants", {"bluesky": "usual"})
    await stage.settle(community)
    assert await stage.customers_texts() == {"In public", "In private"}


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
