"""The sandbox as a process: start, end, errors and webhooks."""

import asyncio
import gc
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox import __main__ as process
from sandbox.hooks import Hooks
from sandbox.ledger import Record, read
from sandbox.server import build
from tests.sandbox.conftest import ManualClock, SandboxClient, lift_rate_limits, running_server
from tests.sandbox.schemas import vk_problems, vk_validator

GENEROUS = {"mastodon_calls": 100_000, "vk_user_rps": 10_000, "vk_community_rps": 10_000}


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    http: httpx.AsyncClient
    ledger: Path
    communities: dict[str, Any]

    def vk(self, kind: str = "user") -> dict[str, str]:
        return {"v": "5.199", "access_token": self.communities["velo_dvor"]["tokens"][kind]}

    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.communities['coffee']['tokens']['community']}"}

    async def fault(self, effect: dict[str, object], **rule: object) -> None:
        answer = await self.http.post("/_sandbox/faults", json={"count": 1, **rule, "effect": effect})
        assert answer.status_code == 201, answer.text

    def written(self, kind: str) -> list[Record]:
        return [one for one in read(self.ledger) if one["type"] == kind and one["origin"] == "api"]


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    home = tmp_path_factory.mktemp("sandbox")
    port_file, ledger = home / "port", home / "ledger.jsonl"
    arguments = ["--port-file", str(port_file), "--ledger", str(ledger), "--with-parent"]
    arguments += ["--platforms", "mastodon,vk"]
    command = [sys.executable, "-m", "sandbox", *arguments]
    process = await asyncio.to_thread(subprocess.Popen, command, stdin=subprocess.PIPE)
    async with asyncio.timeout(30):
        while not port_file.exists():
            assert process.poll() is None
            await asyncio.sleep(0.02)
    address = f"http://127.0.0.1:{port_file.read_text()}"
    async with httpx.AsyncClient(base_url=address, timeout=10, trust_env=False) as http:
        await http.post("/_sandbox/limits", json=GENEROUS)
        communities = (await http.get("/_sandbox/communities")).json()
        yield Running(process, http, ledger, {one["key"]: one for one in communities})
    assert process.stdin is not None
    process.stdin.close()
    assert await asyncio.to_thread(process.wait, 10) == 0, "it ends when its parent's end of the pipe does"


async def test_addresses_and_tokens_work_as_they_are_told(running: Running) -> None:
    for one in running.communities.values():
        if one["platform"] == "mastodon":
            assert one["address"].startswith(str(running.http.base_url))
            assert (await running.http.get(one["address"])).status_code == 200
            bearer = {"Authorization": f"Bearer {one['tokens']['community']}"}
            me = (await running.http.get("/api/v1/accounts/verify_credentials", headers=bearer)).json()
            assert (me["id"], me["url"]) == (one["external_id"], one["address"])
        else:
            for kind in ("user", "community"):
                sent = {"v": "5.199", "access_token": one["tokens"][kind], "screen_name": one["key"]}
                name = (await running.http.get("/method/utils.resolveScreenName", params=sent)).json()
                assert str(name["response"]["object_id"]) == one["external_id"]


async def test_refusals_with_and_without_a_time_to_come_back(running: Running) -> None:
    await running.fault({"type": "status", "status": 429, "retry_after": "17"}, platform="mastodon")
    answer = await running.http.get("/api/v1/instance")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "17")
    await running.fault({"type": "status", "status": 429}, platform="mastodon")
    assert "retry-after" not in (await running.http.get("/api/v1/instance")).headers
    assert (await running.http.get("/api/v1/instance")).status_code == 200, "used up"


@pytest.mark.parametrize("code", [5, 6, 9, 29])
async def test_vk_errors_on_demand(running: Running, code: int) -> None:
    await running.fault({"type": "vk_error", "code": code}, platform="vk", path="getServerTime$")
    answer = (await running.http.get("/method/utils.getServerTime", params=running.vk())).json()
    assert answer["error"]["error_code"] == code
    assert vk_problems("utils.getServerTime", answer) == ([], [])


@pytest.mark.parametrize("effect", [{"type": "drop"}, {"type": "hang", "seconds": 0.1}])
async def test_lost_before_and_lost_after_it_was_accepted(running: Running, effect: dict[str, object]) -> None:
    async def post(text: str) -> None:
        sent = {**running.vk("community"), "owner_id": "-220000004", "message": text}
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await running.http.post("/method/wall.post", data=sent)

    rule = {"platform": "vk", "path": "wall.post"}
    await running.fault(effect, when="before", **rule)
    await post(f"never arrived {effect['type']}")
    await running.fault(effect, when="after", **rule)
    await post(f"arrived {effect['type']}")
    texts = [one["text"] for one in running.written("post")]
    assert f"arrived {effect['type']}" in texts
    assert f"never arrived {effect['type']}" not in texts


async def test_a_status_that_is_an_error_although_it_was_accepted(running: Running) -> None:
    await running.fault({"type": "status", "status": 502}, when="after", path="/api/v1/statuses", method="POST")
    answer = await running.http.post("/api/v1/statuses", headers=running.bearer(), data={"status": "still there"})
    assert answer.status_code == 502
    assert "still there" in [one["text"] for one in running.written("post")]


async def test_answers_that_are_no_answers(running: Running) -> None:
    http, path = running.http, "/api/v1/instance"
    await running.fault({"type": "truncate"}, path="instance")
    with pytest.raises(ValueError):
        (await http.get(path)).json()
    await running.fault({"type": "wrong_type"}, path="instance")
    assert (await http.get(path)).json()["stats"]["user_count"].startswith("about ")
    await running.fault({"type": "html", "status": 502}, path="instance")
    assert "nginx" in (await http.get(path)).text
    await running.fault({"type": "redirect", "location": "http://127.0.0.1:1/"}, path="instance")
    assert (await http.get(path)).headers["location"] == "http://127.0.0.1:1/"
    await running.fault({"type": "huge", "size": 1_000_000}, path="instance")
    assert len((await http.get(path)).content) == 1_000_004
    await running.fault({"type": "slow", "bytes_per_second": 5}, path="instance")
    async with http.stream("GET", path) as answer:
        chunks = answer.aiter_raw()
        assert [len(await anext(chunks)) for _ in range(2)] == [1, 1]


async def test_a_fault_meets_only_whom_it_should(running: Running) -> None:
    refused = {"type": "status", "status": 500}
    await running.fault(refused, community="lingua", count=None)
    assert (await running.http.get("/api/v1/notifications", headers=running.bearer())).status_code == 200
    lingua = {"Authorization": f"Bearer {running.communities['lingua']['tokens']['community']}"}
    for _ in range(2):
        assert (await running.http.get("/api/v1/notifications", headers=lingua)).status_code == 500
    assert (await running.http.delete("/_sandbox/faults")).status_code == 204
    assert (await running.http.get("/api/v1/notifications", headers=lingua)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"effect": {"type": "explode"}}),
        ("faults", {"path": "(", "effect": {"type": "drop"}}),
        ("clock", {"at": "2020-01-01T00:00:00Z"}),
        ("clock", {"at": "2030-01-01T00:00:00"}),
        ("communities/nobody", {"act": "follow"}),
        ("communities/coffee", {"act": "view"}),
        ("communities/coffee", {"act": "comment", "post": "12"}),
        ("tokens", {"community": "coffee", "kind": "user"}),
        ("callbacks", {"community": "coffee", "url": "http://127.0.0.1:9"}),
        ("limits", {"coffee_calls": 5}),
        ("limits", {"vk_user_rps": 0}),
        ("faults", {"platform": "myspace", "effect": {"type": "drop"}}),
        ("faults", {"platform": "mastodon", "effect": {"type": "platform_error"}}),
        ("faults", {"platform": "vk", "effect": {"type": "platform_error", "code": "no number"}}),
    ],
)
async def test_the_control_api_says_what_is_wrong(running: Running, path: str, body: dict[str, object]) -> None:
    answer = await running.http.post(f"/_sandbox/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_help_and_a_foreign_ledger(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "sandbox"]
    help_text = subprocess.run([*run, "--help"], capture_output=True, text=True, check=True).stdout
    assert "/_sandbox/communities" in help_text
    ledger = tmp_path / "ledger.jsonl"
    build(seed=1, real=ManualClock(), ledger=ledger, tick=None).network.world.ledger.close()
    refused = subprocess.run([*run, "--ledger", str(ledger)], capture_output=True, text=True, check=False)
    assert (refused.returncode, "seed 1, not 7" in refused.stderr) == (2, True)


# ── Callback API ──────────────────────────────────────────────────────────────────────────────


class Receiver:
    """A callback server with configurable responses."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.refuse = 0
        self.events: list[Any] = []
        self.arrived = asyncio.Event()
        self.app = Starlette(routes=[Route("/hook", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        event = await request.json()
        self.events.append(event)
        self.arrived.set()
        if self.refuse:
            self.refuse -= 1
            return PlainTextResponse("no", 503)
        return PlainTextResponse(self.code if event["type"] == "confirmation" else "ok")

    async def until(self, count: int) -> list[Any]:
        async with asyncio.timeout(10):
            while len(self.events) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.events


@pytest.fixture
async def receiver(client: SandboxClient) -> AsyncIterator[tuple[Receiver, str]]:
    lift_rate_limits(client.sandbox)
    receiver = Receiver(client.sandbox.callbacks.code(client.world.communities["velo_dvor"]))
    async with running_server(receiver.app) as url:
        await client.sandbox.callbacks.start()
        yield receiver, f"{url}/hook"
        await client.sandbox.callbacks.stop()


async def _status(client: SandboxClient, expected_status: str) -> None:
    """Wait until the platform reports this state of the callback server."""
    for _ in range(500):
        communities = (await client.http.get("/_sandbox/communities")).json()
        if [one["callback"]["servers"][0]["status"] for one in communities if one["key"] == "velo_dvor"] == [
            expected_status
        ]:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"it is never {expected_status}")


async def _configured(client: SandboxClient, url: str) -> Hooks:
    callbacks = client.sandbox.callbacks
    callbacks.retry, callbacks.pause = 0.01, 0.05
    answer = await client.http.post("/_sandbox/callbacks", json={"community": "velo_dvor", "url": url})
    assert answer.status_code == 201
    return callbacks


async def test_events_arrive_in_order_as_the_schema_says(client: SandboxClient, receiver: tuple[Receiver, str]) -> None:
    server, url = receiver
    await _configured(client, url)
    (confirmation,) = await server.until(1)
    assert (confirmation["type"], confirmation["group_id"]) == ("confirmation", 220000004)
    await _status(client, "ok")
    post = (await client.act("velo_dvor", "post", text="Едем!"))["id"]
    comment = (await client.act("velo_dvor", "comment", post=post, text="Куда?"))["id"]
    await client.act("velo_dvor", "delete_comment", id=comment)
    await client.act("velo_dvor", "message", text="Куда едем?")
    await client.act("velo_dvor", "follow", person=800_001)
    await client.act("velo_dvor", "unfollow", person=800_001)
    await client.act("velo_dvor", "react", id=post)
    await client.act("velo_dvor", "unreact", id=post)
    events = (await server.until(9))[1:]
    formats = {
        "wall_post_new": "callback_wall_post_new",
        "wall_reply_new": "callback_wall_reply_new",
        "wall_reply_delete": "callback_wall_comment_delete",
        "message_new": "callback_message_new",
        "group_join": "callback_group_join",
        "group_leave": "callback_group_leave",
        "like_add": "callback_like_add_remove",
        "like_remove": "callback_like_add_remove",
    }
    assert [one["type"] for one in events] == list(formats)
    assert len({one["event_id"] for one in events}) == len(events)
    secret = client.sandbox.callbacks.secret(client.world.communities["velo_dvor"])
    for one in events:
        assert (one["secret"], one["v"], one["group_id"]) == (secret, "5.199", 220000004)
        assert list(vk_validator("callback/objects.json", formats[one["type"]]).iter_errors(one["object"])) == []


async def test_a_failed_event_comes_again_under_the_same_id(
    client: SandboxClient, receiver: tuple[Receiver, str]
) -> None:
    server, url = receiver
    await _configured(client, url)
    await server.until(1)
    await _status(client, "ok")
    server.refuse = 7
    await client.act("velo_dvor", "message", text="Ау?")
    await client.act("velo_dvor", "follow", person=800_002)
    events = (await server.until(10))[1:]
    assert [one["type"] for one in events] == ["message_new"] * 8 + ["group_join"]
    assert len({one["event_id"] for one in events[:8]}) == 1
    notes = [one for one in client.records() if one["type"] == "callback" and one["kind"] == "message_new"]
    assert [one["detail"]["ok"] for one in notes] == [False] * 7 + [True]


async def test_delivery_pauses_after_several_failures_until_resumed(
    client: SandboxClient, receiver: tuple[Receiver, str]
) -> None:
    server, url = receiver
    callbacks = await _configured(client, url)
    callbacks.pause = 600
    await server.until(1)
    await _status(client, "ok")
    server.refuse = 5
    await client.act("velo_dvor", "message", text="Ау?")
    await server.until(6)
    await _status(client, "failed")
    await client.http.post("/_sandbox/callbacks/resume", json={"community": "velo_dvor"})
    assert (await server.until(7))[-1]["type"] == "message_new"


def test_no_garbage_is_collected_while_the_history_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile: list[bool] = []

    def build_nothing(**_: object) -> None:
        meanwhile.append(gc.isenabled())
        raise ValueError("nothing was built")

    monkeypatch.setattr(process, "build", build_nothing)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    assert process.main([]) == 2
    assert (meanwhile, gc.isenabled()) == ([False], True)
