"""The whole service around a sandbox, as processes that tests kill, starve and restart."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from app.cli.database import plain
from sandbox import instants, recount
from sandbox.ledger import Record
from tests.servers import Servers, run
from tests.system import oracle
from tests.system.oracle import Said
from tests.system.sandbox import Sandbox
from tests.system.serving import environment

PACE = 0.01
"""The service looks a hundred times as often as it would."""
WAIT_TIMEOUT = 60.0
RING = 20 + 8 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 5)
"""The first Valkey database of these tests in this process: workers of two tests must not hear each other's rings."""


def eventually(holds: Callable[[], bool], what: str, patience: float = WAIT_TIMEOUT) -> None:
    """Wait until `holds`, or fail and say what never came about."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        time.sleep(0.05)


class Agency:
    """An agency with one project, that calls the service over HTTP."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30)
        body = {"name": "Step & Co", "owner": {"name": "Anna", "email": "anna@agency.example"}}
        made = self.call("POST", "/v1/workspaces", body)
        self.http.headers["Authorization"] = f"Bearer {made['api_key']['key']}"
        self.project = self.call("POST", "/v1/projects", {"name": "Town", "timezone": "Europe/Minsk"})["id"]

    def call(self, method: str, path: str, body: object = None, **params: Any) -> Any:
        """An answer's JSON, once it is a good one."""
        answer = self.http.request(method, path, json=body, params=params)
        assert answer.is_success, f"{method} {path}: {answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    def connect(self, place: dict[str, Any], days: int) -> str:
        """Connect a community of the sandbox; its id."""
        body = {
            "project_id": self.project,
            "platform": place["platform"],
            "address": place["address"],
            "backfill_days": days,
            "credentials": {kind: token for kind, token in place["tokens"].items() if token},
        }
        return str(self.call("POST", "/v1/communities", body)["id"])

    def health(self, community: str) -> Any:
        """How a community's connection is."""
        return self.call("GET", f"/v1/communities/{community}/health")

    def polled(self, community: str) -> bool:
        """Whether everything of it has been read once."""
        return self.health(community)["polled_at"] is not None

    def question(self, community: str, text: str) -> str | None:
        """The inquiry in which a customer wrote this; None while it is not known."""
        found = self.call("GET", "/v1/inquiries", community_id=community, q=text)["data"]
        return str(found[0]["id"]) if found else None

    def answer(self, inquiry: str, text: str) -> str:
        """Answer a customer; the message's id."""
        return str(self.call("POST", f"/v1/inquiries/{inquiry}/messages", {"text": text})["id"])

    def message(self, inquiry: str, message: str) -> Any:
        """One message of an inquiry."""
        return next(one for one in self.call("GET", f"/v1/inquiries/{inquiry}")["messages"] if one["id"] == message)


@dataclass
class Store:
    """The database, from behind the service's back."""

    url: str

    def all(self, query: str, *arguments: object) -> list[Any]:
        """A query's rows."""
        return run(self._fetch(query, arguments))

    def one(self, query: str, *arguments: object) -> Any:
        """The first value of the first row; None without one."""
        rows = self.all(query, *arguments)
        return rows[0][0] if rows else None

    async def _fetch(self, query: str, arguments: tuple[object, ...]) -> list[Any]:
        connection = await asyncpg.connect(plain(self.url))
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    def let_time_pass(self) -> None:
        """What half a minute of silence does, for jobs: dead workers lose theirs, and what is due is late."""
        self.all("UPDATE job SET leased_until = '2000-01-01' WHERE state = 'running'")
        late = "clock_timestamp() - 2 * (clock_timestamp() - run_at) - interval '30 s'"
        self.all(f"UPDATE job SET run_at = {late} WHERE run_at <= clock_timestamp()")

    def forget_budgets(self) -> None:
        """As if the platforms allowed any number of calls."""
        self.all("UPDATE rate_limit_use SET slots = '[]'")

    def make_all_due(self) -> None:
        """As if it were long since anything was read."""
        self.all("UPDATE publication SET measure_at = '2000-01-01' WHERE measure_at IS NOT NULL")


def surroundings(servers: Servers, database: str, town: Sandbox, ring: int, **more: str) -> dict[str, str]:
    """What the service's processes need to know."""
    platforms = f'{{"vk": "{town.url}"}}'
    return environment(
        servers,
        database,
        **{
            "REDIS_URL": servers.redis_url(ring),
            "INSTEP_POLL_PACE": str(PACE),
            "INSTEP_PLATFORM_URLS": platforms,
            "INSTEP_OUTBOUND_ALLOW": town.url.removeprefix("http://"),
            **more,
        },
    )


@dataclass
class Known:
    """What the service has stored of a community, or should have."""

    posts: list[oracle.Posted] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    counters: dict[str, dict[str, int | None]] = field(default_factory=dict)
    added: dict[str, int] = field(default_factory=dict)
    """What all days together added to each counter."""
    size: int = 0

    def differences(self, other: "Known") -> list[str]:
        """What is in one of the two alone, in words."""
        found = []
        for name in ("posts", "said", "threads"):
            ours, theirs = list(getattr(self, name)), list(getattr(other, name))
            for one in list(ours):
                if one in theirs:
                    ours.remove(one)
                    theirs.remove(one)
            found += [f"{name}: only here: {one}" for one in ours] + [f"{name}: only there: {one}" for one in theirs]
        for name in ("counters", "added", "size"):
            if getattr(self, name) != getattr(other, name):
                found.append(f"{name}: {getattr(self, name)} here, {getattr(other, name)} there")
        return found


_SHOWN = {"mastodon": ("reactions", "comments", "shares"), "vk": oracle.COUNTERS}


def stored(store: Store, community: str, platform: str) -> Known:
    """What is in the database."""
    known = Known()
    for row in store.all("SELECT * FROM publication WHERE community_id = $1 ORDER BY external_id", community):
        known.posts.append(oracle.Posted(row["external_id"], row["published_at"], oracle.words(row["text"])))
    for row in store.all("SELECT * FROM message WHERE community_id = $1", community):
        said = Said(
            row["thread_id"],
            row["external_id"],
            row["direction"] == "agency",
            row["sent_at"],
            oracle.words(row["text"]),
        )
        known.said.append(said)
    known.threads = [
        row["thread_id"] for row in store.all("SELECT thread_id FROM inquiry WHERE community_id = $1", community)
    ]
    last = (
        "SELECT p.external_id, l.* FROM post_last l JOIN publication p ON p.id = l.publication_id "
        "WHERE p.community_id = $1"
    )
    for row in store.all(last, community):
        known.counters[row["external_id"]] = {name: row[name] for name in _SHOWN[platform]}
    for name in _SHOWN[platform]:
        total = store.one(f"SELECT sum({name})::int FROM rollup_day WHERE community_id = $1", community)
        known.added[name] = total or 0
    known.size = store.one("SELECT size FROM community_snapshot WHERE community_id = $1 ORDER BY at DESC", community)
    return known


def expected(store: Store, records: list[Record], community: str, key: str, platform: str) -> Known:
    """What the ledger says should be there, once everything is read and nothing happens any more."""
    since = store.one("SELECT backfill_since FROM community WHERE id = $1", community)
    tally = recount.tallies(records, instants.parse(records[-1]["at"]))[key]
    posts = oracle.posts(records, key, since)
    said = [one.said for one in oracle.written(records, key, since)]
    counters = {
        one.external_id: {name: getattr(tally.posts[one.external_id], name) for name in _SHOWN[platform]}
        for one in posts
    }
    return Known(
        posts=posts,
        said=said,
        threads=list(oracle.threads(said)),
        counters=counters,
        added={name: sum(one[name] or 0 for one in counters.values()) for name in _SHOWN[platform]},
        size=tally.size,
    )


@contextlib.contextmanager
def closing(agency: Agency) -> Iterator[Agency]:
    """Let go of the agency's connections at the end."""
    try:
        yield agency
    finally:
        agency.http.close()
