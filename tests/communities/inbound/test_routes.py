"""Hooks over HTTP: VK's sandbox calls the service, and each event has one effect."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import orjson
import pytest
import uvicorn
from cryptography.fernet import Fernet
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select, text
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.communities import service
from app.communities.inbound import ingest, store
from app.communities.inbound.models import InboundEvent
from app.communities.inbound.routes import MAX_BYTES
from app.communities.models import Community, Publication
from app.communities.polling import rate_limits
from app.inquiries import intake
from app.inquiries.models import Inquiry, Message
from app.kit.actors import SYSTEM
from app.kit.clock import SetClock
from app.kit.crypto import Keyring
from app.kit.resources import Resources
from app.posts.models import Post
from sandbox.server import Sandbox, build
from tests.communities.renewing import texts
from tests.conftest import Agency

KEY = "velo_dvor"
SECRET = "agreed-with-vk"


@pytest.fixture
def sandbox(clock: SetClock) -> Iterator[Sandbox]:
    """A sandbox of VK without simulated activity."""
    made = build(seed=7, real=lambda: clock.now().timestamp(), tick=None, speed=1e-9, platforms=("vk",))
    made.network.limits.update(vk_user_rps=1_000_000, vk_community_rps=1_000_000)
    made.network.base_url = "http://sandbox.test"
    made.callbacks.retry, made.callbacks.pause = 0.01, 0.05
    yield made
    made.network.world.ledger.close()


@pytest.fixture
async def resources(
    resources: Resources, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Resources]:
    """Workers call the sandbox in place of VK, and wait for its rate limits without a timeout."""
    monkeypatch.setattr(rate_limits, "WAIT_TIMEOUT", timedelta(days=1000))
    settings = resources.settings.model_copy(
        update={"platform_urls": {"vk": "http://sandbox.test"}, "public_url": "https://instep.example/"}
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as client:
        yield replace(resources, http=client, settings=settings)


@dataclass
class CallProxy:
    """A proxy before the service that forwards, refuses or swallows calls."""

    app: FastAPI
    mode: Literal["open", "refuse", "swallow"] = "open"
    bodies: list[bytes] = field(default_factory=list)
    """Those of forwarded calls."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        if self.mode == "open":
            self.bodies.append(message["body"])

            async def again() -> Any:
                return message

            await self.app(scope, again, send)
        elif self.mode == "refuse":
            await PlainTextResponse("not now", 503)(scope, receive, send)
        else:
            await PlainTextResponse("ok")(scope, receive, send)


@dataclass
class VkSetup:
    """A VK community in the sandbox, with an open hook."""

    agency: Agency
    sandbox: Sandbox
    http: httpx.AsyncClient
    """A client of the sandbox."""
    stranger: httpx.AsyncClient
    """A client of the service."""
    proxy: CallProxy
    id: str
    path: str
    group_id: int

    async def act(self, act: str, **fields: object) -> str:
        """Have the sandbox perform an act; the id of what it created."""
        answer = await self.http.post(f"/_sandbox/communities/{KEY}", json={"act": act, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json().get("id"))

    async def delivered(self) -> None:
        """Wait until VK has delivered all its events, and apply them."""
        for _ in range(500):
            communities = (await self.http.get("/_sandbox/communities")).json()
            (server,) = next(one["callback"]["servers"] for one in communities if one["key"] == KEY)
            if server["status"] == "ok" and server["pending"] == 0:
                await self.applied()
                return
            await asyncio.sleep(0.01)
        pytest.fail("VK does not deliver its events")

    async def applied(self) -> None:
        """Apply the received events."""
        await self.agency.work(store.APPLY)

    async def poll(self) -> None:
        """Read everything again."""
        await self.agency.post(f"/v1/communities/{self.id}/sync", status=202)
        await self.agency.work("communities.poll")

    async def stored(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that is stored of the community; without authors' names, which hooks do not deliver."""
        columns_by_table: dict[str, tuple[Any, ...]] = {
            "message": (
                *(Message.id, Message.external_id, Message.thread_id, Message.text, Message.sent_at),
                *(Message.deleted_at, Message.edited_at, Message.inquiry_id, Message.url, Message.in_reply_to),
            ),
            "inquiry": (
                *(Inquiry.id, Inquiry.thread_id, Inquiry.publication_id, Inquiry.status, Inquiry.opened_at),
                Inquiry.last_message_at,
            ),
            "publication": (Publication.id, Publication.external_id, Publication.text, Publication.url),
            "post": (Post.id, Post.publication_id, Post.text, Post.status),
        }
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            return {
                name: [tuple(row) for row in await session.execute(select(*columns).order_by(columns[0]))]
                for name, columns in columns_by_table.items()
            }

    def event(self, kind: str = "message_new", **changes: object) -> bytes:
        """An event as VK sends it; by default Olga's message."""
        message = {
            "id": 9_001,
            "date": round(self.agency.resources.clock.now().timestamp()),
            "from_id": 501,
            "peer_id": 501,
            "text": "Are you open?",
            "conversation_message_id": 1,
        }
        whole = {"type": kind, "group_id": self.group_id, "event_id": "e1", "v": "5.199", "secret": SECRET}
        return orjson.dumps({**whole, "object": {"message": message}, **changes})

    def comment(self, kind: str, **changes: object) -> bytes:
        """An event about a comment."""
        at = round(self.agency.resources.clock.now().timestamp())
        shape = {"id": 77, "from_id": 501, "post_id": 1, "owner_id": -self.group_id, "date": at, "text": "Where?"}
        return self.event(kind, object={**shape, **changes}, event_id=f"{kind} {changes}")

    async def call(self, body: bytes, path: str | None = None) -> httpx.Response:
        """Call the hook, and apply the event."""
        answer = await self.send_call(body, path)
        await self.applied()
        return answer

    async def send_call(self, body: bytes, path: str | None = None) -> httpx.Response:
        """Call the hook."""
        headers = {"Content-Type": "application/json"}
        return await self.stranger.post(path or self.path, content=body, headers=headers)


@pytest.fixture
async def vk(
    agency: Agency, project_id: str, app: FastAPI, sandbox: Sandbox, stranger: httpx.AsyncClient
) -> AsyncIterator[VkSetup]:
    """An open hook that VK has confirmed over HTTP."""
    transport = httpx.ASGITransport(sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
        community = next(one for one in (await http.get("/_sandbox/communities")).json() if one["key"] == KEY)
        body = {
            "project_id": project_id,
            "platform": "vk",
            "address": community["address"],
            "credentials": community["tokens"],
        }
        made = await agency.post("/v1/communities", {**body, "backfill_days": 1})
        await agency.work("communities.poll")
        secrets = {"secrets": {"secret": SECRET, "confirmation": community["callback"]["confirmation"]}}
        hook = await agency.put(f"/v1/communities/{made['id']}/hook", secrets)
        proxy = CallProxy(app)
        async with served(proxy) as base:
            path = urlsplit(hook["url"]).path
            await sandbox.callbacks.start()
            registration = {"community": KEY, "url": base + path, "secret": SECRET}
            assert (await http.post("/_sandbox/callbacks", json=registration)).status_code == 201
            group_id = community["callback"]["group_id"]
            setup = VkSetup(agency, sandbox, http, stranger, proxy, made["id"], path, group_id)
            await setup.delivered()
            yield setup
            await sandbox.callbacks.stop()


class served:  # noqa: N801 - used like a function
    """Serves an application over real HTTP within the block; the value is its URL."""

    def __init__(self, app: Any) -> None:
        self.started = asyncio.Event()
        started = self.started

        class Server(uvicorn.Server):
            async def startup(self, sockets: Any = None) -> None:
                await super().startup(sockets)
                started.set()

        self.server = Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))

    async def __aenter__(self) -> str:
        self.serving = asyncio.create_task(self.server._serve())
        await self.started.wait()
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self.server.should_exit = True
        await self.serving


def rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def health(vk: VkSetup) -> Any:
    return await vk.agency.get(f"/v1/communities/{vk.id}/health")


# ── events of VK ─────────────────────────────────────────────────────────────────────────────────


async def test_vk_confirms_the_hook_and_its_events_become_inquiries(vk: VkSetup, clock: SetClock) -> None:
    assert (await health(vk))["last_event_at"] is None, "a confirmation is no event"
    before = await vk.stored()
    clock.advance(timedelta(minutes=5))
    post = await vk.act("post", text="New wheels")
    comment = await vk.act("comment", post=post, text="How much is it?")
    await vk.act("message", text="Are you open on Sunday?")
    await vk.delivered()
    after = await vk.stored()
    assert len(after["publication"]) == len(before["publication"]) + 1
    assert len(after["post"]) == len(before["post"]) + 1, "the content plan has it"
    said = {row[3]: row for row in after["message"] if row not in before["message"]}
    assert set(said) == {"How much is it?", "Are you open on Sunday?"}
    assert said["How much is it?"][1] == f"comment-{comment}"
    assert len(after["inquiry"]) == len(before["inquiry"]) + 2
    page = (await vk.agency.get("/v1/inquiries"))["data"]
    assert {"comment", "message"} <= {one["channel"] for one in page}
    assert (await health(vk))["last_event_at"] == rfc3339(clock.now())
    await vk.act("delete_comment", id=comment)
    await vk.delivered()
    (gone,) = [row for row in (await vk.stored())["message"] if row[1] == f"comment-{comment}"]
    assert gone[5] is not None
    assert gone[3] == "How much is it?"


async def test_a_new_post_is_measured_at_the_next_poll(vk: VkSetup) -> None:
    """The event's 0 likes have no instant, so they are not stored as counters."""
    post = await vk.act("post", text="New wheels")
    await vk.delivered()
    assert await measure_count(vk, post) == 0
    # The list of posts was read a moment ago and is not due.
    await vk.agency.post(f"/v1/communities/{vk.id}/resume", status=200)
    await vk.agency.work("communities.poll", "communities.measure")
    assert await measure_count(vk, post) > 0


async def measure_count(vk: VkSetup, external_id: str) -> int:
    """The number of snapshots of a publication."""
    query = text(
        "SELECT count(s.at) FROM publication p LEFT JOIN post_snapshot s "
        "ON s.workspace_id = p.workspace_id AND s.publication_id = p.id WHERE p.external_id = :id GROUP BY p.id"
    )
    async with vk.agency.resources.transaction(vk.agency.workspace_id) as session:
        return int((await session.scalars(query, {"id": external_id})).one())


async def test_the_same_event_a_hundred_times_at_once_has_one_effect(
    vk: VkSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = 0
    real = intake.store

    async def counted(*args: Any) -> None:
        nonlocal applied
        applied += 1
        await real(*args)

    monkeypatch.setattr(intake, "store", counted)
    before = await vk.stored()
    answers = await asyncio.gather(*(vk.send_call(vk.event()) for _ in range(100)))
    await vk.applied()
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "ok")}
    assert answers[0].headers["content-type"].startswith("text/plain")
    assert applied == 1
    after = await vk.stored()
    assert len(after["message"]) == len(before["message"]) + 1
    assert len(after["inquiry"]) == len(before["inquiry"]) + 1


async def test_an_event_without_an_id_is_known_by_its_content(vk: VkSetup) -> None:
    """Servers with an older API version send such events."""
    before = await vk.stored()
    one, other = vk.event(event_id=None), vk.comment("wall_reply_new", id=78)
    for body in (one, other, one):
        assert (await vk.call(body)).text == "ok"
    assert len((await vk.stored())["message"]) == len(before["message"]) + 2
    async with vk.agency.resources.transaction(vk.agency.workspace_id) as session:
        assert len((await session.scalars(select(InboundEvent.event_id))).all()) == 2


async def test_what_cannot_be_kept_is_not_acknowledged(vk: VkSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event and its job are stored together or not at all: a repeat then is stored."""
    before = await vk.stored()
    with monkeypatch.context() as broken:
        broken.setattr(store, "APPLY", None)  # PostgreSQL refuses it in a job
        assert (await vk.send_call(vk.event())).status_code == 500
    assert await vk.stored() == before
    assert (await vk.call(vk.event())).text == "ok"
    assert len((await vk.stored())["message"]) == len(before["message"]) + 1


async def test_what_was_acknowledged_is_applied_when_that_works_again(
    vk: VkSetup, monkeypatch: pytest.MonkeyPatch, clock: SetClock
) -> None:
    async def fails(*_: Any) -> None:
        raise RuntimeError("in the middle of it")

    before = await vk.stored()
    with monkeypatch.context() as broken:
        broken.setattr(intake, "store", fails)
        assert (await vk.call(vk.event())).text == "ok"
    assert await vk.stored() == before
    assert (await vk.call(vk.event())).text == "ok", "its repeat has no effect of its own"
    assert await vk.stored() == before
    clock.advance(timedelta(hours=1))
    await vk.applied()
    assert len((await vk.stored())["message"]) == len(before["message"]) + 1


# ── who may call ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"secret": "agreed-with-vK"}, 403, "hook-not-verified"),
        ({"secret": ""}, 403, "hook-not-verified"),
        ({"secret": None}, 403, "hook-not-verified"),
        ({"group_id": 1}, 403, "hook-of-another"),
        ({"event_id": 7}, 422, "hook-not-understood"),
    ],
)
async def test_a_call_that_fails_verification_is_refused(
    vk: VkSetup, changes: dict[str, Any], status: int, code: str
) -> None:
    before = await vk.stored()
    answer = await vk.call(vk.event(**changes))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert SECRET not in answer.text
    assert await vk.stored() == before
    assert (await health(vk))["last_event_at"] is None
    assert (await vk.call(vk.event())).text == "ok", "the control: unchanged it is believed"


async def test_an_unparsed_event_is_acknowledged_and_counted(vk: VkSetup) -> None:
    """If it were refused, VK would send it again and again, and in the end stop sending events."""
    before, counted = await vk.stored(), store.EVENTS.labels("unparsed")._value.get()
    unparsed = vk.event(object={"message": {"id": "x"}})
    assert (await vk.call(unparsed)).text == "ok"
    assert store.EVENTS.labels("unparsed")._value.get() == counted + 1
    assert await vk.stored() == before
    assert (await vk.call(vk.event(object={"message": {"id": "x"}}, secret="wrong"))).status_code == 403


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"type": 1}', b"[" * 50_000])
async def test_garbage_is_refused(vk: VkSetup, body: bytes) -> None:
    answer = await vk.call(body)
    assert (answer.status_code, answer.json()["code"]) == (422, "hook-not-understood")
    assert (await vk.stranger.get(vk.path)).status_code == 422


async def test_the_confirmation_of_another_group_is_refused(vk: VkSetup) -> None:
    answer = await vk.call(orjson.dumps({"type": "confirmation", "group_id": 1}))
    assert answer.json()["code"] == "hook-of-another"


async def test_a_made_up_confirmation_does_not_stand_for_a_later_event(vk: VkSetup) -> None:
    challenge = {"type": "confirmation", "group_id": vk.group_id, "event_id": "e1"}
    assert (await vk.call(orjson.dumps(challenge))).status_code == 200
    before = await vk.stored()
    assert (await vk.call(vk.event(event_id="e1"))).text == "ok"
    assert len((await vk.stored())["message"]) == len(before["message"]) + 1


async def test_an_address_that_is_no_hook(vk: VkSetup) -> None:
    unknown = "/hooks/vk/0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a"
    for path in (unknown, vk.path.replace("/vk/", "/mastodon/"), "/hooks/vk/no-id"):
        answer = await vk.call(vk.event(), path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_a_body_over_the_limit_is_refused_while_it_streams(vk: VkSetup) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 100 * MAX_BYTES:
            sent += 65_536
            yield b" " * 65_536

    answer = await vk.stranger.post(vk.path, content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert sent <= MAX_BYTES + 2 * 65_536
    padded = vk.event() + b" " * (MAX_BYTES - len(vk.event()))
    assert (await vk.call(padded)).text == "ok", "the control: as much as it may be"


async def test_a_challenge_has_no_body(vk: VkSetup) -> None:
    """It is not read, however long, and an event in it is none."""
    for headers in ({}, {"Content-Length": "9" * 30}, {"Content-Length": "x"}):
        answer = await vk.stranger.request("GET", vk.path, content=vk.event(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "hook-not-understood"), answer.text
    assert await vk.agency.due("communities.apply-events") == []


async def test_events_are_not_counted_against_the_rate_limit(vk: VkSetup) -> None:
    answer = await vk.call(vk.event())
    assert "ratelimit" not in answer.headers


# ── hooks and polls ───────────────────────────────────────────────────────────────────────────────


async def something_happens(vk: VkSetup) -> None:
    post = await vk.act("post", text="New wheels")
    await vk.act("comment", post=post, text="How much is it?")
    await vk.act("message", text="Are you open on Sunday?")


async def test_a_poll_after_the_hook_changes_nothing(vk: VkSetup) -> None:
    await something_happens(vk)
    await vk.delivered()
    pushed = await vk.stored()
    await vk.poll()
    assert await vk.stored() == pushed
    assert any(row[3] == "How much is it?" for row in pushed["message"])


async def test_the_hook_after_a_poll_changes_nothing(vk: VkSetup) -> None:
    vk.proxy.mode = "refuse"
    await something_happens(vk)
    await vk.poll()
    polled = await vk.stored()
    assert any(row[3] == "How much is it?" for row in polled["message"])
    calls_before = len(vk.proxy.bodies)
    vk.proxy.mode = "open"
    await vk.delivered()
    assert len(vk.proxy.bodies) == calls_before + 3, "VK has delivered all of it"
    assert await vk.stored() == polled
    assert (await health(vk))["last_event_at"] is not None


async def test_what_a_hook_has_missed_the_poll_finds(vk: VkSetup) -> None:
    before = await vk.stored()
    vk.proxy.mode = "swallow"
    await something_happens(vk)
    await vk.delivered()
    assert await vk.stored() == before
    await vk.poll()
    said = {row[3] for row in (await vk.stored())["message"]} - {row[3] for row in before["message"]}
    assert said == {"How much is it?", "Are you open on Sunday?"}


async def test_an_old_event_does_not_undo_a_newer_poll(vk: VkSetup) -> None:
    post = await vk.act("post", text="New wheels")
    await vk.delivered()
    async with vk.agency.resources.transaction(vk.agency.workspace_id) as session:
        await session.execute(
            text("UPDATE publication SET text = 'As it reads now' WHERE external_id = :id"), {"id": post}
        )
    late = orjson.loads(vk.proxy.bodies[-1]) | {"event_id": "another id"}
    assert late["type"] == "wall_post_new"
    before = await vk.stored()
    assert (await vk.call(orjson.dumps(late))).text == "ok"
    assert await vk.stored() == before


@pytest.mark.parametrize("first", ["wall_reply_new", "wall_reply_delete"])
async def test_a_comment_and_its_deletion_in_either_order(vk: VkSetup, first: str) -> None:
    for kind in sorted(("wall_reply_new", "wall_reply_delete"), key=lambda kind: kind != first):
        assert (await vk.call(vk.comment(kind))).text == "ok"
    (row,) = [row for row in (await vk.stored())["message"] if row[1] == "comment-77"]
    assert row[5] is not None
    assert row[3] == "Where?"


async def test_what_is_older_than_the_backfill_is_left_out(vk: VkSetup) -> None:
    before = await vk.stored()
    old = round((vk.agency.resources.clock.now() - timedelta(days=2)).timestamp())
    assert (await vk.call(vk.comment("wall_reply_edit", date=old))).text == "ok"
    assert await vk.stored() == before


# ── opening and closing ───────────────────────────────────────────────────────────────────────────


async def test_secrets_are_merged_and_never_shown(vk: VkSetup, db: Any) -> None:
    path = f"/v1/communities/{vk.id}/hook"
    before = await vk.agency.get(path)
    assert set(before) == {"url", "platform", "status", "reason", "created_at", "last_event_at"}
    assert before["url"].startswith("https://instep.example/hooks/vk/")
    again = await vk.agency.put(path, {"secrets": {"secret": "another"}})
    assert again == before
    assert (await vk.call(vk.event())).status_code == 403, "the old secret is not good any more"
    assert (await vk.call(vk.event(secret="another"))).text == "ok"
    confirmed = await vk.call(orjson.dumps({"type": "confirmation", "group_id": vk.group_id}))
    assert confirmed.text == vk.sandbox.callbacks.code(vk.sandbox.network.world.communities[KEY])
    async with vk.agency.resources.transaction(vk.agency.workspace_id) as session:
        (sealed,) = await session.scalars(text("SELECT sealed FROM hook"))
    assert "another" not in sealed
    refused = await vk.agency.put(path, {"secrets": {"token": "x"}}, status=422)
    assert refused["code"] == "unexpected-secret"


async def test_without_a_secret_every_event_is_refused(agency: Agency, vk: VkSetup) -> None:
    path = f"/v1/communities/{vk.id}/hook"
    await agency.http.delete(path)
    hook = await agency.put(path, {"secrets": {}})
    for secret in (None, "", SECRET):
        answer = await vk.call(vk.event(secret=secret), urlsplit(hook["url"]).path)
        assert answer.json()["code"] == "hook-not-verified"


async def test_secrets_that_cannot_be_opened_are_given_anew(vk: VkSetup) -> None:
    async with vk.agency.resources.transaction(vk.agency.workspace_id) as session:
        await session.execute(text("UPDATE hook SET sealed = 'sealed with a key that was lost'"))
    ingest.inbound_ingest(vk.agency.resources).clear()
    answer = await vk.call(vk.event())
    assert (answer.status_code, answer.json()["code"]) == (503, "hook-secrets-lost")
    await vk.agency.put(f"/v1/communities/{vk.id}/hook", {"secrets": {"secret": SECRET}})
    assert (await vk.call(vk.event())).text == "ok"


async def test_its_secrets_are_sealed_under_a_new_key(vk: VkSetup) -> None:
    resources = vk.agency.resources
    new = SecretStr(Fernet.generate_key().decode())
    old = resources.settings.secret_keys
    async with resources.transaction(vk.agency.workspace_id) as session:
        assert (await service.reseal(session, SYSTEM, Keyring([new]))).lost == {UUID(vk.id)}
        assert (await service.reseal(session, SYSTEM, Keyring([new, *old]))).lost == frozenset()
    vk.proxy.app.state.resources = replace(resources, keyring=Keyring([new]))
    ingest.inbound_ingest(resources).clear()
    assert (await vk.call(vk.event())).text == "ok"


async def test_a_disconnected_community_is_unsubscribed_at_its_platform(vk: VkSetup) -> None:
    """By a job, with the tokens that are destroyed after it."""
    hooks, community = vk.sandbox.network.hooks, vk.sandbox.network.world.communities[KEY]
    await vk.agency.work("communities.subscribe")
    url = (await vk.agency.get(f"/v1/communities/{vk.id}/hook"))["url"]
    assert url in [one.url for one in hooks.of(community)]
    others = [one.url for one in hooks.of(community) if one.url != url]
    await vk.agency.post(f"/v1/communities/{vk.id}/disconnect", status=200)
    assert url in [one.url for one in hooks.of(community)], "a request never calls a platform"
    assert await vk.agency.work("communities.unsubscribe") == 1
    assert [one.url for one in hooks.of(community)] == others != [], "what was set by hand stays"
    assert await texts(vk.agency, {"id": vk.id}) == {}


async def test_a_closed_hook_is_gone_for_good(vk: VkSetup) -> None:
    path = f"/v1/communities/{vk.id}/hook"
    first = await vk.agency.get(path)
    assert (await vk.agency.http.delete(path)).status_code == 204
    assert (await vk.agency.get(path, status=404))["code"] == "no-hook"
    assert (await vk.agency.http.delete(path)).json()["code"] == "no-hook"
    assert (await vk.call(vk.event())).status_code == 404
    second = await vk.agency.put(path, {"secrets": {"secret": SECRET}})
    assert second["url"] != first["url"]
    assert (await vk.call(vk.event())).status_code == 404
    assert (await vk.call(vk.event(), urlsplit(second["url"]).path)).text == "ok"


async def test_a_closed_hook_makes_no_poll_rarer(vk: VkSetup, clock: SetClock) -> None:
    async def next_poll() -> timedelta:
        await vk.agency.work("communities.poll")
        return datetime.fromisoformat((await health(vk))["next_poll_at"]) - clock.now()

    await vk.call(vk.event())
    clock.advance(timedelta(minutes=20))
    assert await next_poll() > timedelta(minutes=10)
    clock.advance(timedelta(minutes=2))
    # Events stored before and applied after do not count either.
    await vk.send_call(vk.event(event_id="late"))
    assert (await vk.agency.http.delete(f"/v1/communities/{vk.id}/hook")).status_code == 204
    await vk.applied()
    assert await next_poll() < timedelta(minutes=5), "it was polled again at once"
    assert (await health(vk))["last_event_at"] is None


async def test_opened_twice_at_once_it_is_one(vk: VkSetup) -> None:
    path = f"/v1/communities/{vk.id}/hook"
    await vk.agency.http.delete(path)
    bodies = [{"secrets": {"secret": SECRET}}, {"secrets": {"confirmation": "abc"}}] * 5
    opened = await asyncio.gather(*(vk.agency.put(path, body) for body in bodies))
    assert len({one["url"] for one in opened}) == 1
    hook = urlsplit(opened[0]["url"]).path
    assert (await vk.call(vk.event(), hook)).text == "ok"
    challenge = orjson.dumps({"type": "confirmation", "group_id": vk.group_id})
    assert (await vk.call(challenge, hook)).text == "abc", "neither secret was lost"


async def test_a_platform_that_never_calls(agency: Agency, project_id: str) -> None:
    body = {"project_id": project_id, "platform": "mastodon", "address": "https://m.example/@coffee"}
    path = f"/v1/communities/{(await agency.post('/v1/communities', body))['id']}/hook"
    assert (await agency.put(path, {"secrets": {}}, status=409))["code"] == "hooks-unsupported"
    assert (await agency.get(path, status=409))["code"] == "hooks-unsupported"
    assert (await agency.http.delete(path)).json()["code"] == "hooks-unsupported"


async def test_ids_of_events_are_forgotten_in_the_end(vk: VkSetup, clock: SetClock) -> None:
    async def ids() -> list[str]:
        async with vk.agency.resources.transaction(vk.agency.workspace_id) as session:
            return list((await session.scalars(select(InboundEvent.event_id).order_by(InboundEvent.event_id))).all())

    await vk.call(vk.event(event_id="e1"))
    clock.advance(store.RETENTION + timedelta(seconds=1))
    await vk.call(vk.event(event_id="e2"))
    await vk.poll()
    assert await ids() == ["e2"]


async def test_the_last_event_is_the_last_one(vk: VkSetup, clock: SetClock) -> None:
    """A transaction that began earlier and ended later does not set it back."""
    await vk.call(vk.event())
    async with vk.agency.resources.transaction(vk.agency.workspace_id) as session:
        community = (await session.scalars(select(Community))).one()
        community.last_event_at = later = clock.now() + timedelta(minutes=1)
    await vk.call(vk.event(event_id="e2"))
    assert (await health(vk))["last_event_at"] == rfc3339(later)
