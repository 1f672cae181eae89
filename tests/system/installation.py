"""An installation over a sandbox, as processes that tests kill and restart."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from app.cli.database import asyncpg_url
from sandbox import instants, recount
from sandbox.ledger import Record
from tests.servers import Servers, run
from tests.system import oracle
from tests.system.oracle import ExpectedMessage
from tests.system.sandbox import Sandbox
from tests.system.serving import environment

INTERVAL_MULTIPLIER = 0.01
"""The service polls a hundred times as often as usual."""
CONDITION_TIMEOUT = 60.0
VALKEY_DATABASE = 20 + 8 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 5)
"""The first Valkey database for this process's tests: workers of two tests must not receive each other's rings."""


def eventually(condition: Callable[[], bool], what: str, timeout: float = CONDITION_TIMEOUT) -> None:
    """Wait until `condition()`, or fail with `what`."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(0.05)


class Agency:
    """An agency with one project, that calls the service over HTTP."""

    def __init__(self, url: str) -> None:
        # Connections are given up before the server does so, which it does while a request may be under way.
        self.http = httpx.Client(base_url=url, timeout=30, limits=httpx.Limits(keepalive_expiry=1))
        body = {"title": "Step & Co", "owner": {"name": "Anna", "email": "anna@agency.example"}}
        made = self.call("POST", "/v1/workspaces", body)
        self.http.headers["Authorization"] = f"Bearer {made['api_key']['key']}"
        self.project = self.call("POST", "/v1/projects", {"title": "Town", "timezone": "Europe/Minsk"})["id"]

    def call(self, method: str, path: str, body: object = None, **params: Any) -> Any:
        """The response's JSON. Fails on an error."""
        answer = self.http.request(method, path, json=body, params=params)
        assert answer.is_success, f"{method} {path}: {answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    def connect(self, community: dict[str, Any], days: int) -> str:
        """Connect a community of the sandbox; its id."""
        body = {
            "project_id": self.project,
            "platform": community["platform"],
            "address": community["address"],
            "backfill_days": days,
            "credentials": {kind: token for kind, token in community["tokens"].items() if token},
        }
        return str(self.call("POST", "/v1/communities", body)["id"])

    def health(self, community: str) -> Any:
        """A community's health."""
        return self.call("GET", f"/v1/communities/{community}/health")

    def polled(self, community: str) -> bool:
        """Whether it has been read completely once."""
        return self.health(community)["polled_at"] is not None

    def question(self, community: str, text: str) -> str | None:
        """The id of the inquiry in which a customer wrote this; None while it is not stored."""
        inquiries = self.call("GET", "/v1/inquiries", community_id=community, q=text)["data"]
        return str(inquiries[0]["id"]) if inquiries else None

    def answer(self, inquiry: str, text: str) -> str:
        """Answer a customer; the message's id."""
        return str(self.call("POST", f"/v1/inquiries/{inquiry}/messages", {"text": text})["id"])

    def message(self, inquiry: str, message: str) -> Any:
        """One message of an inquiry."""
        return next(one for one in self.call("GET", f"/v1/inquiries/{inquiry}")["messages"] if one["id"] == message)


@dataclass
class InstalledDatabase:
    """The service's database, read and changed as a superuser."""

    url: str

    def all(self, query: str, *arguments: object) -> list[Any]:
        """A query's rows."""
        return run(self._fetch(query, arguments))

    def one(self, query: str, *arguments: object) -> Any:
        """The first value of the first row; None without one."""
        rows = self.all(query, *arguments)
        return rows[0][0] if rows else None

    async def _fetch(self, query: str, arguments: tuple[object, ...]) -> list[Any]:
        connection = await asyncpg.connect(asyncpg_url(self.url))
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    def expire_leases(self) -> None:
        """As if half a minute had passed for jobs: the leases of dead workers are over, and due jobs are late."""
        self.all("UPDATE job SET leased_until = '2000-01-01' WHERE state = 'running'")
        late = "clock_timestamp() - 2 * (clock_timestamp() - run_at) - interval '30 s'"
        self.all(f"UPDATE job SET run_at = {late} WHERE run_at <= clock_timestamp()")

    def clear_rate_limits(self) -> None:
        """Forget the calls made, as if no rate limit applied."""
        self.all("UPDATE rate_limit_use SET slots = '[]'")

    def make_all_due(self) -> None:
        """Make the metrics of all publications due."""
        self.all("UPDATE publication SET measure_at = '2000-01-01' WHERE measure_at IS NOT NULL")


def service_environment(
    servers: Servers, name: str, sandbox: Sandbox, valkey_database: int, **more: str
) -> dict[str, str]:
    """The environment of the service's processes."""
    platforms = f'{{"vk": "{sandbox.url}"}}'
    return environment(
        servers,
        name,
        **{
            "REDIS_URL": servers.redis_url(valkey_database),
            "INSTEP_POLL_INTERVAL_MULTIPLIER": str(INTERVAL_MULTIPLIER),
            "INSTEP_PLATFORM_URLS": platforms,
            "INSTEP_OUTBOUND_ALLOW": sandbox.url.removeprefix("http://"),
            **more,
        },
    )


@dataclass
class StoredCommunity:
    """What the service has stored of a community, or should have stored."""

    posts: list[oracle.ExpectedPost] = field(default_factory=list)
    messages: list[ExpectedMessage] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    counters: dict[str, dict[str, int | None]] = field(default_factory=dict)
    rollup_sums: dict[str, int] = field(default_factory=dict)
    """Each counter's sum over all days."""
    size: int = 0

    def differences(self, other: "StoredCommunity") -> list[str]:
        """What is in one of the two alone, described."""
        differences = []
        for name in ("posts", "messages", "threads"):
            ours, others = list(getattr(self, name)), list(getattr(other, name))
            for one in list(ours):
                if one in others:
                    ours.remove(one)
                    others.remove(one)
            differences += [f"{name}: only here: {one}" for one in ours] + [
                f"{name}: only there: {one}" for one in others
            ]
        for name in ("counters", "rollup_sums", "size"):
            if getattr(self, name) != getattr(other, name):
                differences.append(f"{name}: {getattr(self, name)} here, {getattr(other, name)} there")
        return differences


_COUNTERS = {"mastodon": ("reactions", "comments", "shares"), "vk": oracle.COUNTERS}


def stored(database: InstalledDatabase, community: str, platform: str) -> StoredCommunity:
    """What the database holds of a community."""
    result = StoredCommunity()
    for row in database.all("SELECT * FROM publication WHERE community_id = $1 ORDER BY external_id", community):
        result.posts.append(
            oracle.ExpectedPost(row["external_id"], row["published_at"], oracle.normalised(row["text"]))
        )
    for row in database.all("SELECT * FROM message WHERE community_id = $1", community):
        message = ExpectedMessage(
            row["thread_id"],
            row["external_id"],
            row["direction"] == "agency",
            row["sent_at"],
            oracle.normalised(row["text"]),
        )
        result.messages.append(message)
    result.threads = [
        row["thread_id"] for row in database.all("SELECT thread_id FROM inquiry WHERE community_id = $1", community)
    ]
    last = (
        "SELECT p.external_id, l.* FROM post_last l JOIN publication p ON p.id = l.publication_id "
        "WHERE p.community_id = $1"
    )
    for row in database.all(last, community):
        result.counters[row["external_id"]] = {name: row[name] for name in _COUNTERS[platform]}
    for name in _COUNTERS[platform]:
        total = database.one(f"SELECT sum({name})::int FROM rollup_day WHERE community_id = $1", community)
        result.rollup_sums[name] = total or 0
    result.size = database.one(
        "SELECT size FROM community_snapshot WHERE community_id = $1 ORDER BY at DESC", community
    )
    return result


def expected(
    database: InstalledDatabase, records: list[Record], community: str, key: str, platform: str
) -> StoredCommunity:
    """What should be stored according to the ledger, once everything is read and nothing happens any more."""
    since = database.one("SELECT backfill_since FROM community WHERE id = $1", community)
    tally = recount.tallies(records, instants.parse(records[-1]["at"]))[key]
    posts = oracle.posts(records, key, since)
    messages = [one.message for one in oracle.messages(records, key, since)]
    counters = {
        one.external_id: {name: getattr(tally.posts[one.external_id], name) for name in _COUNTERS[platform]}
        for one in posts
    }
    return StoredCommunity(
        posts=posts,
        messages=messages,
        threads=list(oracle.threads(messages)),
        counters=counters,
        rollup_sums={name: sum(one[name] or 0 for one in counters.values()) for name in _COUNTERS[platform]},
        size=tally.size,
    )


@contextlib.contextmanager
def closing(agency: Agency) -> Iterator[Agency]:
    """Close the agency's HTTP client at the end."""
    try:
        yield agency
    finally:
        agency.http.close()
