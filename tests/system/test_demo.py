"""`instep demo` from start to stop: what it prints and serves agrees with the sandbox's ledger."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import psutil

from app.cli.sample import BROWSERS, CATEGORISED, PLAN, PREVIEW_BOTS
from app.cli.sample_month import HARD_TITLE, SPEND, goal_figures
from sandbox import ledger
from tests.cli.processes import ROOT, about, clean_environment, eventually, family, gone
from tests.system import oracle
from tests.system.oracle import ExpectedMessage, utc

FIRST_START_TIMEOUT = 120.0
"""Seconds until the answers are printed; VK allows three calls a second."""
OPENS, CLOSES = 8, 22
MINSK = ZoneInfo("Europe/Minsk")
MAX_READ_TIME = timedelta(seconds=5)
"""The longest time that one poll of a platform may take, of several calls."""


@dataclass(frozen=True)
class Demo:
    """A running demo and its output."""

    process: subprocess.Popen[bytes]
    output: Path
    data: Path

    def output_text(self) -> str:
        """The output so far."""
        return self.output.read_text()

    def until_ready(self, timeout: float) -> None:
        """Wait until it has printed everything."""
        deadline = time.monotonic() + timeout
        while "Ctrl-C" not in self.output_text():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.output_text()}"
            assert time.monotonic() < deadline, f"not ready after {timeout} s:\n{self.output_text()}"
            time.sleep(0.1)

    @property
    def answers(self) -> dict[str, Any]:
        """What the printed requests answer now, by their KPI; the heads that were printed are of the same ones."""
        urls = re.findall(r'^\$ curl .* "(http\S+)"$', self.output_text(), re.MULTILINE)
        headers = {"Authorization": f"Bearer {self.key}"}
        answers = [httpx.get(url, headers=headers, timeout=30).raise_for_status().json() for url in urls]
        printed = re.findall(r'^  "key": "(\w+)",$', self.output_text(), re.MULTILINE)
        assert printed == [answer["key"] for answer in answers]
        assert re.search(r'^  "value": null', self.output_text(), re.MULTILINE) is None
        return {answer["key"]: answer for answer in answers}

    def group(self, pattern: str) -> str:
        """The pattern's first group in the output."""
        match = re.search(pattern, self.output_text())
        assert match is not None, f"no {pattern} in:\n{self.output_text()}"
        return match[1]

    @property
    def key(self) -> str:
        """The API key."""
        return self.group(r"API key\s+(\S+)")

    @property
    def url(self) -> str:
        """The API's URL."""
        return self.group(r"Documentation\s+(\S+)/docs")

    @property
    def sandbox(self) -> str:
        """The sandbox's URL."""
        return self.group(r"network is up on (\S+)")

    def records(self) -> list[ledger.Record]:
        """The ledger, flushed."""
        httpx.get(f"{self.sandbox}/_sandbox/clock").raise_for_status()
        return list(ledger.read(self.data / "sandbox" / "ledger.jsonl"))


@contextmanager
def demo(data: Path, output: Path) -> Iterator[Demo]:
    """`instep demo`; none of its processes remains after the block."""
    with output.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "demo", "--data", str(data), "--port", "0"],
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    processes: list[psutil.Process] = []
    try:
        yield Demo(process, output, data)
    finally:
        if process.poll() is None:
            processes = family(process.pid)
            process.kill()
        process.wait(30)
        _, alive = psutil.wait_procs(processes, timeout=30)
        for one in alive:
            one.kill()


class Api:
    """The demo's API, called with its key."""

    def __init__(self, running: Demo) -> None:
        headers = {"Authorization": f"Bearer {running.key}"}
        self._http = httpx.Client(base_url=running.url, headers=headers, timeout=30)

    def get(self, path: str, **params: Any) -> Any:
        """GET; the response's JSON."""
        answer = self._http.get(path, params=params)
        assert answer.is_success, f"{path}: {answer.status_code}: {answer.text}"
        return answer.json()

    def post(self, path: str) -> None:
        """POST without a body."""
        answer = self._http.post(path)
        assert answer.is_success, f"{path}: {answer.status_code}: {answer.text}"

    def all(self, path: str, **params: Any) -> list[Any]:
        """Every page of a list."""
        collected: list[Any] = []
        cursor = None
        while True:
            page = self.get(path, limit=200, **params, **({"cursor": cursor} if cursor else {}))
            collected += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return collected

    def close(self) -> None:
        """Close the HTTP client."""
        self._http.close()


@dataclass(frozen=True)
class SampleCommunity:
    """A community of the sample, and its key in the sandbox."""

    id: str
    key: str
    platform: str
    since: datetime


def _communities(api: Api, running: Demo) -> list[SampleCommunity]:
    in_sandbox = httpx.get(f"{running.sandbox}/_sandbox/communities").json()
    keys = {(one["platform"], one["external_id"]): one["key"] for one in in_sandbox}
    return [
        SampleCommunity(
            one["id"],
            keys[one["platform"], one["external_id"]],
            one["platform"],
            utc(api.get(f"/v1/communities/{one['id']}/health")["backfill"]["since"]),
        )
        for one in api.all("/v1/communities")
    ]


def test_the_demo_agrees_with_the_ledger_and_leaves_no_process(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with demo(data, tmp_path / "first.txt") as running:
        running.until_ready(FIRST_START_TIMEOUT)
        printed, key, printed_at = running.answers, running.key, datetime.now(UTC)
        assert sorted(printed) == ["clicks", "community_size", "first_response_time"]
        assert all(answer["value"] is not None for answer in printed.values())
        api = Api(running)
        try:
            communities = _communities(api, running)
            assert sorted(community.platform for community in communities) == ["mastodon", "vk"]
            _check_size(printed["community_size"], communities, running.records(), printed_at)
            _check_response_time(printed["first_response_time"], communities, running.records())
            _check_clicks(api, printed["clicks"])
            _check_month(api, running)
            eventually(lambda: _all_measured(api, communities), "the counters of all posts are read")
            _check_posts(api, communities, running.records())
            _check_inquiries(api, communities, running)
        finally:
            api.close()
        _interrupt(running)

    with demo(data, tmp_path / "second.txt") as running:
        running.until_ready(60)
        assert "found the sample agency of an earlier start" in running.output_text()
        assert running.key == key
        second_answers = running.answers
        assert second_answers["clicks"]["value"] == printed["clicks"]["value"]
        assert second_answers["first_response_time"]["value"] is not None
        assert HARD_TITLE in running.output_text()
        processes = family(running.process.pid)
        assert len(processes) > 5, "the servers, their keepers, API, worker and sandbox"
        running.process.kill()
        running.process.wait(10)
        eventually(lambda: gone(processes), f"all gone after a kill; alive: {_alive(processes)}")
        assert about(data) == []


def _interrupt(running: Demo) -> None:
    """SIGINT, as Ctrl-C sends it."""
    processes = family(running.process.pid)
    assert len(processes) > 5, "the servers, their keepers, API, worker and sandbox"
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0, running.output_text()
    assert running.output_text().rstrip().endswith("stopped")
    eventually(lambda: gone(processes), f"all gone after Ctrl-C; alive: {_alive(processes)}")
    assert about(running.data) == []


def _alive(processes: list[psutil.Process]) -> list[str]:
    return [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]) if one in processes]


def _check_size(
    answer: Any, communities: list[SampleCommunity], records: list[ledger.Record], printed_at: datetime
) -> None:
    """Each community's part agrees with the ledger, and the parts add up to the value."""
    parts = {one["community_id"]: one["value"] for one in answer["breakdown"]}
    assert answer["value"] == sum(parts.values())
    read_at = utc(answer["freshness"]["as_of"])
    for community in communities:
        stalest = community.id == answer["freshness"]["stalest"]["community_id"]
        # Of the other community it is only known that it was read later.
        until, call_duration = (
            (read_at, MAX_READ_TIME) if stalest else (printed_at, printed_at - read_at + MAX_READ_TIME)
        )
        possible = oracle.sizes(records, community.key, until, call_duration)
        assert parts[community.id] in possible, f"{community}: {parts[community.id]}, the ledger says {possible}"


def _check_response_time(answer: Any, communities: list[SampleCommunity], records: list[ledger.Record]) -> None:
    first, last = (date.fromisoformat(answer["window"][name]) for name in ("from", "to"))
    since = datetime(first.year, first.month, first.day, tzinfo=MINSK)
    until = datetime(last.year, last.month, last.day, tzinfo=MINSK) + timedelta(days=1)
    messages = [one for community in communities for one in oracle.messages(records, community.key, community.since)]
    sent = [one for one in messages if one.record["type"] == "reply" and one.record["origin"] == "api"]
    assert len(sent) == 1, "the sample answers one customer"
    # VK does not return when it accepted a reply: until the next poll it is the instant of its response.
    possible = {
        oracle.median_wait(
            oracle.first_waits(
                [replace(one.message, at=one.message.at + late) if one in sent else one.message for one in messages],
                OPENS, CLOSES, MINSK,
            ),
            since, until,
        )
        for late in (timedelta(seconds=seconds) for seconds in range(3))
    }  # fmt: skip
    assert answer["value"] in possible, f"{answer['value']}, the ledger says {possible}"
    assert answer["value"] > 0


def _check_clicks(api: Api, answer: Any) -> None:
    """All browsers of the sample are counted, and all preview bots excluded."""
    assert answer["value"] == len(BROWSERS)
    assert [(one["reason"], one["amount"]) for one in answer["excluded"]] == [("bot", len(PREVIEW_BOTS))]
    evidence = api.get(answer["links"]["evidence"])["data"]
    assert len(evidence) == len(BROWSERS)


def _check_month(api: Api, running: Demo) -> None:
    """A goal on its way, one at risk with a correction, a campaign with its cost, the directions: printed, and true."""
    lines = running.output_text().partition("The month from ")[2].partition("Documentation")[0].splitlines()
    assert max(map(len, lines)) <= 80
    printed = [re.split(r"  +", line.strip()) for line in lines[2:] if line.strip()]
    easy, hard, correction, campaign, waiting, joined, *directions = printed
    goals = {one["title"]: one for one in api.all("/v1/portfolio/goals")}
    for title, stands, figures in (easy, hard):
        goal = goals[title]
        assert stands == f"agreed, {goal['pace'].replace('_', ' ')}"
        assert figures == goal_figures(goal["value"], goal["target"], goal["forecast"]["value"])
    outlook = goals[hard[0]]["forecast"]
    has_room = outlook["value"] is None or outlook["high"] >= outlook["value"] + 2
    assert (easy[1], hard[1]) in {
        ("agreed, on track", "agreed, at risk"),
        *([] if has_room else [("agreed, on track", "agreed, off track")]),
    }
    hard_goal = goals[hard[0]]["goal_id"]
    said = [(one["revision"], one["answer"]) for one in api.all(f"/v1/goals/{hard_goal}/agreements")]
    assert {(1, "decline"), (2, "agree")} <= set(said)
    (opened,) = api.all("/v1/corrections", goal_id=hard_goal)
    assert correction == [f"↳ {opened['change']}", "correction open", f"review on {opened['review_on']}"]
    cost = sum(float(amount) for _, amount in SPEND) / len(BROWSERS)
    assert campaign[-1] == f"{len(BROWSERS)} clicks at {cost:.2f} RUB"
    assert waiting == ["Guests see the menu", "proposed", "from 5 to 20"]
    assert joined[0] == "People who joined"
    assert re.fullmatch(r"mastodon unknown; vk [1-9]\d*|vk [1-9]\d*; mastodon unknown", joined[-1]), "by events"
    (page,) = re.findall(r"Client's page +(\S+)", running.output_text())
    visible = httpx.get(page, headers={"Accept": "application/json"}).json()
    assert (visible["subject"]["title"], visible["answers"]) == (waiting[0], ["agree", "decline"])
    assert [line[:2] for line in directions] == [
        ["Content", "held by nobody"],
        ["Promotion", "held by nobody"],
        ["Community", "held by Vera"],
        ["Management", "held by Boris"],
    ]
    # The plan and categories; the link, the campaign, its spend; the brief, proposals, links to agree, the correction.
    deeds = [int(line[2].removesuffix(" deeds")) for line in directions]
    assert (deeds[0], deeds[1], deeds[3]) == (len(PLAN) + CATEGORISED, 2 + len(SPEND), 1 + 4 + 4 + 1)
    assert deeds[2] > 0


def _all_measured(api: Api, communities: list[SampleCommunity]) -> bool:
    """Whether no counter is pending: those of a new post that no list has are read a moment after it."""
    return not any(
        one["status"] == "pending"
        for community in communities
        for post in api.all("/v1/posts", community_id=community.id, origin="found")
        for one in api.get(f"/v1/posts/{post['id']}/metrics")["data"]
    )


def _check_posts(api: Api, communities: list[SampleCommunity], records: list[ledger.Record]) -> None:
    """Every post is stored once, with the counters of the instant at which they were read."""
    for community in communities:
        posts = api.all("/v1/posts", community_id=community.id, origin="found")
        expected = {one.external_id: one for one in oracle.posts(records, community.key, community.since)}
        by_id = {re.split(r"[/_]", one["permalink"])[-1]: one for one in posts}
        assert len(by_id) == len(posts), "a post is stored twice"
        # What was published after the last poll is not stored yet.
        unseen = [one for external_id, one in expected.items() if external_id not in by_id]
        seen_at = utc(api.get(f"/v1/communities/{community.id}/health")["seen_at"]["posts"])
        assert by_id.keys() <= expected.keys()
        assert all(one.at > seen_at - MAX_READ_TIME for one in unseen), f"{community.key}: not found: {unseen}"
        for external_id, post in by_id.items():
            assert utc(post["published_at"]) == expected[external_id].at
            assert oracle.normalised(post["text"]) == expected[external_id].text
            metrics = api.get(f"/v1/posts/{post['id']}/metrics")
            possible = oracle.counters(records, community.key, external_id, utc(metrics["captured_at"]), MAX_READ_TIME)
            values = {one["metric"]: one for one in metrics["data"]}
            for name in oracle.COUNTERS:
                value = values[name]["value"]
                required = possible[name]
                assert value in required, (
                    f"{community.key} {external_id} {name}: {value}, the ledger says {required}: {values[name]}"
                )


def _check_inquiries(api: Api, communities: list[SampleCommunity], running: Demo) -> None:
    """With the sandbox's clock stopped and everything read, each conversation is stored, word for word."""
    httpx.post(f"{running.sandbox}/_sandbox/clock", json={"speed": 0}).raise_for_status()
    stopped_at = datetime.now(UTC)
    for community in communities:
        api.post(f"/v1/communities/{community.id}/sync")
    deadline = time.monotonic() + 60
    for community in communities:
        while utc(api.get(f"/v1/communities/{community.id}/health")["polled_at"] or "1970-01-01T00:00Z") < stopped_at:
            assert time.monotonic() < deadline, f"{community.key} is not read again within a minute"
            time.sleep(0.2)
    records = running.records()
    for community in communities:
        counters_read_at = _counters_read_at(api, community)
        expected = [
            one
            for one in oracle.messages(records, community.key, community.since)
            # Comments on VK are read when their post's counter has changed, and that is polled at intervals.
            if "post" not in one.record
            or one.message.at < counters_read_at.get(one.record["post"], stopped_at) - MAX_READ_TIME
        ]
        later = {one.message for one in oracle.messages(records, community.key, community.since)} - {
            one.message for one in expected
        }
        stored_messages = [
            _message(message, community)
            for inquiry in api.all("/v1/inquiries", community_id=community.id)
            for message in api.get(f"/v1/inquiries/{inquiry['id']}")["messages"]
        ]
        required = {
            replace(one, thread="")
            for conversation in oracle.threads(one.message for one in expected).values()
            for one in conversation
        }
        possible_too = {replace(one, thread="") for one in later}
        assert len(set(stored_messages)) == len(stored_messages), "a message is stored twice"
        assert required <= set(stored_messages), f"{community.key}: lost: {sorted(required - set(stored_messages))[:3]}"
        assert set(stored_messages) <= required | possible_too, (
            f"{community.key}: from nowhere: {sorted(set(stored_messages) - required - possible_too)[:3]}"
        )


def _counters_read_at(api: Api, community: SampleCommunity) -> dict[str, datetime]:
    """When each post's counters were last read, by the platform's id."""
    return {
        re.split(r"[/_]", post["permalink"])[-1]: utc(api.get(f"/v1/posts/{post['id']}/metrics")["captured_at"])
        for post in api.all("/v1/posts", community_id=community.id, origin="found")
    }


def _message(message: Any, community: SampleCommunity) -> ExpectedMessage:
    assert message["delivery"] in {None, "sent"}
    return ExpectedMessage(
        thread="",
        external_id=message["external_id"],
        ours=message["direction"] == "agency",
        at=utc(message["sent_at"]),
        text=oracle.normalised(message["text"]),
    )
