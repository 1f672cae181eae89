"""On every kind of server the service equals the ledger, also where its worker is killed at random moments."""

import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from sandbox.bluesky.servers import CONDITIONS
from sandbox.ledger import Record
from sandbox.mastodon.servers import SERVERS
from tests.ledger import VisibleState, expected, visible
from tests.servers import Servers
from tests.system.installation import VALKEY_DATABASE, Agency, InstalledDatabase, closing, service_environment
from tests.system.sandbox import Sandbox, sandbox
from tests.system.serving import api, process

pytestmark = pytest.mark.long

KILLS = 4
MAX_LIFETIME = 2.5
"""Seconds after its start's first claim within which a worker is killed."""
BACKFILL = timedelta(days=90)
"""Longer than the sandbox's history."""
OLD = timedelta(minutes=10)
"""What is older has been read, and is not merely listed late."""
COMMUNITY = {"mastodon": "lingua", "bluesky": "windowseat"}
PROFILES = [
    ("mastodon", "mastodon"),
    ("mastodon", "gotosocial"),
    ("mastodon", "takahe"),
    ("bluesky", "usual"),
    ("bluesky", "chat_down_and_suspended_account"),
]
WRITTEN = {"comment", "mention", "message", "reply"}
RUNNING = "state = 'running' AND leased_until > clock_timestamp()"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass
class Run:
    """A sandbox of one kind of server, and the service that reads one of its communities."""

    platform: str
    variant: str
    network: Sandbox
    db: InstalledDatabase
    agency: Agency
    variables: dict[str, str]
    log: Path
    rng: random.Random
    community: str = ""
    answers: list[str] = field(default_factory=list)
    """What was answered through the service."""

    @property
    def key(self) -> str:
        return COMMUNITY[self.platform]

    def own(self) -> list[Record]:
        return [one for one in self.network.records() if one.get("community") == self.key]

    def connect(self) -> None:
        """Connect the community, and the one whose account is suspended."""
        listed, days = self.network.communities(), BACKFILL.days
        self.community = self.agency.connect(listed[self.key], days=days)
        if "suspended" in self.variant:
            self.agency.connect(listed["velosreda"], days=days)

    @contextlib.contextmanager
    def worker(self) -> Iterator[Any]:
        with process("app.cli.main", "worker", variables=self.variables, log=self.log) as running:
            yield running

    def let_people_act(self) -> None:
        """Customers write, edit and delete; people of the agency answer in the platform's own app and in ours."""
        network, rng, key = self.network, self.rng, self.key
        network.act(key, "follow", person=950_000 + rng.randrange(40_000))
        post = network.act(key, "post", text=f"News {uuid4()}")
        network.act(key, "react", person=rng.randrange(1, 400), post=post["id"])
        question = network.act(key, "comment", text=f"What is {uuid4()}?", person=rng.randrange(900_000, 910_000))
        year = rng.choice((1999, 2015, 2031, 9999))
        network.act(key, "mention", text=f"Since {uuid4()}", person=910_000, claimed=f"{year}-02-03T04:05:06Z")
        mention = network.act(key, "mention", text=f"Who is {uuid4()}?", person=rng.randrange(920_000, 930_000))
        network.act(key, "message", text=f"Where is {uuid4()}?", person=rng.randrange(930_000, 940_000))
        for one in rng.sample([question, mention], rng.randrange(3)):
            network.act(key, "answer", text=f"Here: {uuid4()}", parent=one["id"])
        records = self.own()
        gone = {one["id"] for one in records if one["type"] == "comment_deleted"}
        began = (datetime.now(UTC) - timedelta(days=12)).isoformat()
        until = (datetime.now(UTC) - OLD).isoformat()
        posts = {one["id"] for one in records if one["type"] == "post" and one["at"] > began}
        old = [
            one
            for one in records
            if one["type"] == "comment" and one["post"] in posts and one["at"] < until and one["id"] not in gone
        ]
        for act, selected in zip(("delete_comment", "edit", "answer"), rng.sample(old, 3), strict=True):
            if act != "edit" or self.platform == "mastodon":
                target = {"parent" if act == "answer" else "id": selected["id"]}
                network.act(key, act, **target, **({} if act == "delete_comment" else {"text": f"Now {uuid4()}"}))
        inquiries = self.agency.call("GET", "/v1/inquiries", community_id=self.community, status="open", limit=200)
        for inquiry in rng.sample(inquiries["data"], min(2, len(inquiries["data"]))):
            text = f"Ours {uuid4()}"
            self.agency.answer(inquiry["id"], text)
            self.answers.append(text)

    def let_time_pass(self) -> None:
        """Wait until the server shows everything, and let an answer that may have been sent be looked for at once."""
        if self.platform == "mastodon":
            time.sleep(SERVERS[self.variant].delay / 1000 + 1)
        self.db.all("UPDATE message SET intended_at = intended_at - interval '6 minutes' WHERE delivery = 'sending'")
        self.db.all("UPDATE job SET run_at = '2000-01-01' WHERE state = 'waiting' AND kind = 'inquiries.send'")

    def by_ledger(self) -> VisibleState:
        """What the ledger says."""
        records = self.network.records()
        takahe = self.platform == "mastodon" and not SERVERS[self.variant].own_list_is_whole
        chat_down = self.platform == "bluesky" and not CONDITIONS[self.variant].chat
        native = [one for one in self.own() if one["type"] in WRITTEN and one["origin"] != "api"]
        hidden = [one for one in native if takahe and one.get("via") == "message"]
        if self.platform == "mastodon":  # what the server has not processed yet
            now = datetime.fromisoformat(self.network.control("GET", "/clock")["now"])
            listed_until = (now - timedelta(milliseconds=SERVERS[self.variant].delay)).isoformat()
            hidden += [one for one in native if one["at"].replace("Z", "+00:00") > listed_until]
        made = expected(
            records,
            self.key,
            since=datetime.now(UTC) - BACKFILL,
            unseen=[one["id"] for one in hidden],
            without={"message"} if chat_down else (),
        )
        if chat_down:
            made.first_response = None
        return made

    def visible(self) -> VisibleState:
        """What the service says."""
        inquiries = self._all("/v1/inquiries")
        posts = self._all("/v1/posts")
        call = self.agency.call
        counters = {
            post["id"]: {one["metric"]: one["value"] for one in call("GET", f"/v1/posts/{post['id']}/metrics")["data"]}
            for post in posts
        }
        since = (datetime.now(UTC) - BACKFILL).date().isoformat()
        kpi = call("GET", f"/v1/projects/{self.agency.project}/kpis/first_response_time", **{"from": since})
        sizes = call("GET", f"/v1/communities/{self.community}/snapshots")["data"]
        return visible(
            self.platform,
            size=sizes[-1]["last"] if sizes else None,
            posts=[(post, counters[post["id"]]) for post in posts],
            inquiries=[call("GET", f"/v1/inquiries/{one['id']}") for one in inquiries],
            first_response=kpi["value"],
        )

    def _all(self, path: str) -> list[Any]:
        items: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.agency.call("GET", path, community_id=self.community, limit=200, **cursor)
            items += page["data"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}

    def read_all(self, timeout: float) -> None:
        """Have everything read again until service and ledger agree."""
        deadline = time.monotonic() + timeout
        while True:
            self.db.clear_rate_limits()
            self.db.make_all_due()
            self.agency.call("POST", f"/v1/communities/{self.community}/sync")
            time.sleep(3)
            self.db.clear_rate_limits()
            differences = self.by_ledger().differences(self.visible(), within=timedelta(seconds=1))
            if not differences:
                return
            assert time.monotonic() < deadline, "ledger here, service there:\n" + "\n".join(differences)


@pytest.fixture(params=PROFILES, ids="-".join)
def run(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Run]:
    """A connected community."""
    platform, variant = request.param
    database = servers.clone()
    db = InstalledDatabase(servers.superuser_url(database))
    with sandbox(tmp_path, platform, variants={platform: variant}) as network:
        urls = orjson.dumps({"bluesky": network.url}).decode()
        variables = service_environment(servers, database, network, VALKEY_DATABASE + 2, INSTEP_PLATFORM_URLS=urls)
        with api(servers, database, tmp_path, **variables) as url, closing(Agency(url)) as agency:
            week = {day: [{"opens": "00:00", "closes": "24:00"}] for day in DAYS}
            agency.call("PUT", f"/v1/projects/{agency.project}/working-hours", {"week": week})
            rng = random.Random(random.SystemRandom().randrange(1 << 32))
            made = Run(platform, variant, network, db, agency, variables, tmp_path / "worker.log", rng)
            made.connect()
            yield made


def test_a_killed_worker_loses_nothing_on_any_kind_of_server(run: Run) -> None:
    with run.worker():
        run.read_all(180)
    at_work = 0
    for _ in range(KILLS):
        run.let_people_act()
        run.agency.call("POST", f"/v1/communities/{run.community}/sync")
        with run.worker() as worker:
            deadline = time.monotonic() + 60
            while not run.db.one(f"SELECT count(*) FROM job WHERE {RUNNING}") and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(run.rng.uniform(0, MAX_LIFETIME))
            at_work += bool(run.db.one(f"SELECT count(*) FROM job WHERE {RUNNING}"))
            worker.kill()
            worker.wait(10)
        run.db.expire_leases()
        run.db.clear_rate_limits()
    assert at_work >= 1, "no kill met a worker at work"
    run.let_time_pass()
    run.network.stop_the_world()
    with run.worker():
        run.read_all(180)
    at_platform = [one["text"] for one in run.own() if one["type"] == "reply"]
    deliveries = dict(run.db.all("SELECT text, delivery FROM message WHERE text = ANY($1)", run.answers))
    times = {text: sum(text in one for one in at_platform) for text in run.answers}
    # One to a comment that was deleted meanwhile is refused.
    assert times == {text: 1 if deliveries[text] == "sent" else 0 for text in run.answers}
    assert len(run.answers) >= KILLS
