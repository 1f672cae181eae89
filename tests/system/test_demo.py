"""`instep demo` from start to stop: what it prints and serves is what the sandbox's ledger adds up to."""

import json
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

from app.cli.sample import PEOPLE, PREVIEWS
from sandbox import ledger
from tests.cli.processes import ROOT, about, clean_environment, eventually, family, gone
from tests.system import oracle
from tests.system.oracle import Said, utc

FIRST_START = 120.0
"""Seconds until the answers are there; VK allows three calls a second."""
OPENS, CLOSES = 8, 22
MINSK = ZoneInfo("Europe/Minsk")
SLACK = timedelta(seconds=5)
"""As long a single look at a platform may take, several calls included."""


@dataclass(frozen=True)
class Demo:
    """A demo that runs, and what it has printed."""

    process: subprocess.Popen[bytes]
    output: Path
    data: Path

    def said(self) -> str:
        """Everything so far."""
        return self.output.read_text()

    def until_shown(self, patience: float) -> None:
        """Wait for the end of what it prints."""
        deadline = time.monotonic() + patience
        while "Ctrl-C" not in self.said():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.said()}"
            assert time.monotonic() < deadline, f"not ready after {patience} s:\n{self.said()}"
            time.sleep(0.1)

    @property
    def answers(self) -> dict[str, Any]:
        """The printed answers, by their KPI."""
        text, decoder = self.said(), json.JSONDecoder()
        found = [decoder.raw_decode(text, match.start())[0] for match in re.finditer(r"^\{", text, re.MULTILINE)]
        return {answer["key"]: answer for answer in found}

    def word(self, pattern: str) -> str:
        """What stands at the pattern's group."""
        found = re.search(pattern, self.said())
        assert found is not None, f"no {pattern} in:\n{self.said()}"
        return found[1]

    @property
    def key(self) -> str:
        """The API key."""
        return self.word(r"API key\s+(\S+)")

    @property
    def url(self) -> str:
        """Where the API is."""
        return self.word(r"Documentation\s+(\S+)/docs")

    @property
    def sandbox(self) -> str:
        """Where the sandbox is."""
        return self.word(r"network is up on (\S+)")

    def records(self) -> list[ledger.Record]:
        """The ledger, written out up to now."""
        httpx.get(f"{self.sandbox}/_sandbox/clock").raise_for_status()
        return list(ledger.read(self.data / "sandbox" / "ledger.jsonl"))


@contextmanager
def demo(data: Path, output: Path) -> Iterator[Demo]:
    """`instep demo`; nothing of it remains after the block, whatever happens in it."""
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
    known: list[psutil.Process] = []
    try:
        yield Demo(process, output, data)
    finally:
        if process.poll() is None:
            known = family(process.pid)
            process.kill()
        process.wait(30)
        _, alive = psutil.wait_procs(known, timeout=30)
        for one in alive:
            one.kill()


class Api:
    """The demo's API, asked with its key."""

    def __init__(self, running: Demo) -> None:
        headers = {"Authorization": f"Bearer {running.key}"}
        self._http = httpx.Client(base_url=running.url, headers=headers, timeout=30)

    def get(self, path: str, **params: Any) -> Any:
        """An answer's JSON."""
        answer = self._http.get(path, params=params)
        assert answer.is_success, f"{path}: {answer.status_code}: {answer.text}"
        return answer.json()

    def post(self, path: str) -> None:
        """Ask for something to be done."""
        answer = self._http.post(path)
        assert answer.is_success, f"{path}: {answer.status_code}: {answer.text}"

    def all(self, path: str, **params: Any) -> list[Any]:
        """Every page of a list."""
        found: list[Any] = []
        cursor = None
        while True:
            page = self.get(path, limit=200, **params, **({"cursor": cursor} if cursor else {}))
            found += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


@dataclass(frozen=True)
class Place:
    """A community of the sample, and its key in the sandbox."""

    id: str
    key: str
    platform: str
    since: datetime


def _places(api: Api, running: Demo) -> list[Place]:
    in_sandbox = httpx.get(f"{running.sandbox}/_sandbox/communities").json()
    keys = {(one["platform"], one["external_id"]): one["key"] for one in in_sandbox}
    return [
        Place(
            one["id"],
            keys[one["platform"], one["external_id"]],
            one["platform"],
            utc(api.get(f"/v1/communities/{one['id']}/health")["backfill"]["since"]),
        )
        for one in api.all("/v1/communities")
    ]


def test_the_demo_tells_the_truth_and_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with demo(data, tmp_path / "first.txt") as running:
        running.until_shown(FIRST_START)
        printed, key, shown_at = running.answers, running.key, datetime.now(UTC)
        assert sorted(printed) == ["clicks", "community_size", "first_response_time"]
        assert all(answer["value"] is not None for answer in printed.values())
        api = Api(running)
        try:
            places = _places(api, running)
            assert sorted(place.platform for place in places) == ["mastodon", "vk"]
            _check_size(printed["community_size"], places, running.records(), shown_at)
            _check_response_time(printed["first_response_time"], places, running.records())
            _check_clicks(api, printed["clicks"])
            _check_posts(api, places, running.records())
            _check_inquiries(api, places, running)
        finally:
            api.close()
        _interrupt(running)

    with demo(data, tmp_path / "second.txt") as running:
        running.until_shown(60)
        assert "found the sample agency of an earlier start" in running.said()
        assert running.key == key
        again = running.answers
        assert again["clicks"]["value"] == printed["clicks"]["value"]
        assert again["first_response_time"]["value"] is not None
        processes = family(running.process.pid)
        assert len(processes) > 5, "the servers, their keepers, API, worker and sandbox"
        running.process.kill()
        running.process.wait(10)
        eventually(lambda: gone(processes), f"all gone after a kill; alive: {_alive(processes)}")
        assert about(data) == []


def _interrupt(running: Demo) -> None:
    """Ctrl-C, as a terminal does it."""
    processes = family(running.process.pid)
    assert len(processes) > 5, "the servers, their keepers, API, worker and sandbox"
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0, running.said()
    assert running.said().rstrip().endswith("stopped")
    eventually(lambda: gone(processes), f"all gone after Ctrl-C; alive: {_alive(processes)}")
    assert about(running.data) == []


def _alive(processes: list[psutil.Process]) -> list[str]:
    return [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]) if one in processes]


def _check_size(answer: Any, places: list[Place], records: list[ledger.Record], shown_at: datetime) -> None:
    """Each community's part is what the ledger says, and together they are the whole."""
    parts = {one["community_id"]: one["value"] for one in answer["breakdown"]}
    assert answer["value"] == sum(parts.values())
    looked_at = utc(answer["freshness"]["as_of"])
    for place in places:
        stalest = place.id == answer["freshness"]["stalest"]["community_id"]
        # Of the other community the answer says only that it was read since.
        until, slack = (looked_at, SLACK) if stalest else (shown_at, shown_at - looked_at + SLACK)
        possible = oracle.sizes(records, place.key, until, slack)
        assert parts[place.id] in possible, f"{place}: {parts[place.id]}, the ledger says {possible}"


def _check_response_time(answer: Any, places: list[Place], records: list[ledger.Record]) -> None:
    first, last = (date.fromisoformat(answer["window"][name]) for name in ("from", "to"))
    since = datetime(first.year, first.month, first.day, tzinfo=MINSK)
    until = datetime(last.year, last.month, last.day, tzinfo=MINSK) + timedelta(days=1)
    written = [one for place in places for one in oracle.written(records, place.key, place.since)]
    sent = [one for one in written if one.record["type"] == "reply" and one.record["origin"] == "api"]
    assert len(sent) == 1, "the sample answers one customer"
    # VK does not say when it took an answer: until the next poll it is the instant at which we heard of it.
    possible = {
        oracle.middle(
            oracle.first_waits(
                [one.said if one not in sent else replace(one.said, at=one.said.at + late) for one in written],
                OPENS, CLOSES, MINSK,
            ),
            since, until,
        )
        for late in (timedelta(seconds=seconds) for seconds in range(3))
    }  # fmt: skip
    assert answer["value"] in possible, f"{answer['value']}, the ledger says {possible}"
    assert answer["value"] > 0


def _check_clicks(api: Api, answer: Any) -> None:
    """The sample sends so many browsers, and so many programs that fetch previews."""
    assert answer["value"] == len(PEOPLE)
    assert [(one["reason"], one["amount"]) for one in answer["excluded"]] == [("bot", len(PREVIEWS))]
    evidence = api.get(answer["links"]["evidence"])["data"]
    assert len(evidence) == len(PEOPLE)


def _check_posts(api: Api, places: list[Place], records: list[ledger.Record]) -> None:
    """Every post is there once, and its counters are those of the instant at which they were read."""
    for place in places:
        found = api.all("/v1/posts", community_id=place.id, origin="found")
        expected = {one.external_id: one for one in oracle.posts(records, place.key, place.since)}
        by_id = {re.split(r"[/_]", one["permalink"])[-1]: one for one in found}
        assert len(by_id) == len(found), "a post is there twice"
        # What was published after the last look is not known yet.
        unseen = [one for external_id, one in expected.items() if external_id not in by_id]
        seen_at = utc(api.get(f"/v1/communities/{place.id}/health")["seen_at"]["posts"])
        assert by_id.keys() <= expected.keys()
        assert all(one.at > seen_at - SLACK for one in unseen), f"{place.key}: not found: {unseen}"
        for external_id, post in by_id.items():
            assert utc(post["published_at"]) == expected[external_id].at
            assert oracle.words(post["text"]) == expected[external_id].text
            metrics = api.get(f"/v1/posts/{post['id']}/metrics")
            possible = oracle.counters(records, place.key, external_id, utc(metrics["captured_at"]), SLACK)
            values = {one["metric"]: one for one in metrics["data"]}
            for name in oracle.COUNTERS:
                got = values[name]["value"]
                wanted = possible[name]
                assert got in wanted, (
                    f"{place.key} {external_id} {name}: {got}, the ledger says {wanted}: {values[name]}"
                )


def _check_inquiries(api: Api, places: list[Place], running: Demo) -> None:
    """The world stands still, everything is read, and then each conversation is there, word for word."""
    httpx.post(f"{running.sandbox}/_sandbox/clock", json={"speed": 0}).raise_for_status()
    stopped_at = datetime.now(UTC)
    for place in places:
        api.post(f"/v1/communities/{place.id}/sync")
    deadline = time.monotonic() + 60
    for place in places:
        while utc(api.get(f"/v1/communities/{place.id}/health")["polled_at"] or "1970-01-01T00:00Z") < stopped_at:
            assert time.monotonic() < deadline, f"{place.key} is not read anew within a minute"
            time.sleep(0.2)
    records = running.records()
    for place in places:
        looked = _looked_at(api, place)
        expected = [
            one
            for one in oracle.written(records, place.key, place.since)
            # Comments on VK are read when the counter of their post has moved, and that is looked at now and then.
            if "post" not in one.record or one.said.at < looked.get(one.record["post"], stopped_at) - SLACK
        ]
        later = {one.said for one in oracle.written(records, place.key, place.since)} - {one.said for one in expected}
        found = [
            _said(message, place)
            for inquiry in api.all("/v1/inquiries", community_id=place.id)
            for message in api.get(f"/v1/inquiries/{inquiry['id']}")["messages"]
        ]
        wanted = {
            replace(one, thread="")
            for conversation in oracle.threads(one.said for one in expected).values()
            for one in conversation
        }
        may = {replace(one, thread="") for one in later}
        assert len(set(found)) == len(found), "a message is there twice"
        assert wanted <= set(found), f"{place.key}: lost: {sorted(wanted - set(found))[:3]}"
        assert set(found) <= wanted | may, f"{place.key}: from nowhere: {sorted(set(found) - wanted - may)[:3]}"


def _looked_at(api: Api, place: Place) -> dict[str, datetime]:
    """When each post's counters were last read, by the platform's id."""
    return {
        re.split(r"[/_]", post["permalink"])[-1]: utc(api.get(f"/v1/posts/{post['id']}/metrics")["captured_at"])
        for post in api.all("/v1/posts", community_id=place.id, origin="found")
    }


def _said(message: Any, place: Place) -> Said:
    assert message["delivery"] in {None, "sent"}
    return Said(
        thread="",
        external_id=message["external_id"],
        ours=message["direction"] == "agency",
        at=utc(message["sent_at"]),
        text=oracle.words(message["text"]),
    )
