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
from app.communities.inbound.routes import MAX_BYTES
from app.communities.models import Community, InboundEvent, Publication
from app.communities.polling import rate_limits
from app.inquiries import intake
from app.inquiries.models import Inquiry, Message
from app.kit.actors import SYSTEM
from app.kit.clock import SetClock
from app.kit.crypto import Keyring
from app.kit.resources import Resources
from app.posts.models import Post
from sandbox.server import Sandbox, build
from tests.conftest import Agency

KEY = "velo_dvor"
SECRET = "agreed-with-vk"


@pytest.fixture
def sandbox(clock: SetClock) -> Iterator[Sandbox]:
    """A VK in which nothing happens by itself."""
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
    """Workers call the sandbox where VK would be, and wait for their turn however long it takes."""
    monkeypatch.setattr(rate_limits, "WAIT_TIMEOUT", timedelta(days=1000))
    settings = resources.settings.model_copy(
        update={"platform_urls": {"vk": "http://sandbox.test"}, "public_url": "https://instep.example/"}
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as client:
        yield replace(resources, http=client, settings=settings)


@dataclass
class Door:
    """Stands before the service, and lets calls in or not."""

    app: FastAPI
    mode: Literal["open", "refuse", "swallow"] = "open"
    bodies: list[bytes] = field(default_factory=list)
    """Of the calls that were let in."""

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
class Street:
    """A VK community with an open hook, and the customers of it."""

    agency: Agency
    sandbox: Sandbox
    http: httpx.AsyncClient
    """To the sandbox."""
    stranger: httpx.AsyncClient
    """To the service."""
    door: Door
    id: str
    path: str
    group_id: int

    async def act(self, act: str, **fields: object) -> str:
        """Somebody does something; the id of what comes of it."""
        answer = await self.http.post(f"/_sandbox/communities/{KEY}", json={"act": act, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json().get("id"))

    async def delivered(self) -> None:
        """Wait until VK has got rid of all its events."""
        for _ in range(500):
            found = (await self.http.get("/_sandbox/communities")).json()
            (server,) = next(one["callback"]["servers"] for one in found if one["key"] == KEY)
            if server["status"] == "ok" and server["pending"] == 0:
                await self.applied()
                return
            await asyncio.sleep(0.01)
        pytest.fail("VK does not get rid of its events")

    async def applied(self) -> None:
        """Do what follows from the events that were taken."""
        await self.agency.work(store.APPLY)

    async def poll(self) -> None:
        """Read everything anew."""
        await self.agency.post(f"/v1/communities/{self.id}/sync", status=202)
        await self.agency.work("communities.poll")

    async def stored(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that is known of the community; without names, which hooks do not bring."""
        asked: dict[str, tuple[Any, ...]] = {
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
                for name, columns in asked.items()
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
        """Somebody calls the hook, and a worker does what follows."""
        answer = await self.knock(body, path)
        await self.applied()
        return answer

    async def knock(self, body: bytes, path: str | None = None) -> httpx.Response:
        """Somebody calls the hook."""
        headers = {"Content-Type": "application/json"}
        return await self.stranger.post(path or self.path, content=body, headers=headers)


@pytest.fixture
async def street(
    agency: Agency, project_id: str, app: FastAPI, sandbox: Sandbox, stranger: httpx.AsyncClient
) -> AsyncIterator[Street]:
    """The hook is open, and VK has confirmed it over HTTP."""
    transport = httpx.ASGITransport(sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
        known = next(one for one in (await http.get("/_sandbox/communities")).json() if one["key"] == KEY)
        body = {"project_id": project_id, "platform": "vk", "address": known["address"], "credentials": known["tokens"]}
        made = await agency.post("/v1/communities", {**body, "backfill_days": 1})
        await agency.work("communities.poll")
        given = {"secrets": {"secret": SECRET, "confirmation": known["callback"]["confirmation"]}}
        hook = await agency.put(f"/v1/communities/{made['id']}/hook", given)
        door = Door(app)
        async with served(door) as base:
            path = urlsplit(hook["url"]).path
            await sandbox.callbacks.start()
            asked = {"community": KEY, "url": base + path, "secret": SECRET}
            assert (await http.post("/_sandbox/callbacks", json=asked)).status_code == 201
            group_id = known["callback"]["group_id"]
            found = Street(agency, sandbox, http, stranger, door, made["id"], path, group_id)
            await found.delivered()
            yield found
            await sandbox.callbacks.stop()


class served:  # noqa: N801 - used as a word
    """An application over real HTTP while the block lasts; gives its address."""

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
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


async def health(street: Street) -> Any:
    return await street.agency.get(f"/v1/communities/{street.id}/health")


# ── what VK tells ─────────────────────────────────────────────────────────────────────────────────


async def test_vk_confirms_the_hook_and_its_events_become_inquiries(street: Street, clock: SetClock) -> None:
    assert (await health(street))["last_event_at"] is None, "a confirmation is no event"
    before = await street.stored()
    clock.advance(timedelta(minutes=5))
    post = await street.act("post", text="New wheels")
    comment = await street.act("comment", post=post, text="How much is it?")
    await street.act("message", text="Are you open on Sunday?")
    await street.delivered()
    after = await street.stored()
    assert len(after["publication"]) == len(before["publication"]) + 1
    assert len(after["post"]) == len(before["post"]) + 1, "the content plan has it"
    said = {row[3]: row for row in after["message"] if row not in before["message"]}
    assert set(said) == {"How much is it?", "Are you open on Sunday?"}
    assert said["How much is it?"][1] == f"comment-{comment}"
    assert len(after["inquiry"]) == len(before["inquiry"]) + 2
    page = (await street.agency.get("/v1/inquiries"))["data"]
    assert {"comment", "message"} <= {one["channel"] for one in page}
    assert (await health(street))["last_event_at"] == rfc3339(clock.now())
    await street.act("delete_comment", id=comment)
    await street.delivered()
    (gone,) = [row for row in (await street.stored())["message"] if row[1] == f"comment-{comment}"]
    assert gone[5] is not None
    assert gone[3] == "How much is it?"


async def test_a_new_post_is_measured_at_the_next_poll(street: Street) -> None:
    """The event tells 0 likes of an instant that nobody names: they are not taken for counters."""
    post = await street.act("post", text="New wheels")
    await street.delivered()
    assert await looks(street, post) == 0
    # Not all anew: the list of posts was read a moment ago, and is not due.
    await street.agency.post(f"/v1/communities/{street.id}/resume", status=200)
    await street.agency.work("communities.poll", "communities.measure")
    assert await looks(street, post) > 0


async def looks(street: Street, external_id: str) -> int:
    """How often a publication was measured."""
    query = text(
        "SELECT count(s.at) FROM publication p LEFT JOIN post_snapshot s "
        "ON s.workspace_id = p.workspace_id AND s.publication_id = p.id WHERE p.external_id = :id GROUP BY p.id"
    )
    async with street.agency.resources.transaction(street.agency.workspace_id) as session:
        return int((await session.scalars(query, {"id": external_id})).one())


async def test_the_same_event_a_hundred_times_at_once_has_one_effect(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = 0
    real = intake.store

    async def counted(*args: Any) -> None:
        nonlocal applied
        applied += 1
        await real(*args)

    monkeypatch.setattr(intake, "store", counted)
    before = await street.stored()
    answers = await asyncio.gather(*(street.knock(street.event()) for _ in range(100)))
    await street.applied()
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "ok")}
    assert answers[0].headers["content-type"].startswith("text/plain")
    assert applied == 1
    after = await street.stored()
    assert len(after["message"]) == len(before["message"]) + 1
    assert len(after["inquiry"]) == len(before["inquiry"]) + 1


async def test_an_event_without_an_id_is_known_by_its_content(street: Street) -> None:
    """Servers that were set to an older version send such."""
    before = await street.stored()
    one, other = street.event(event_id=None), street.comment("wall_reply_new", id=78)
    for body in (one, other, one):
        assert (await street.call(body)).text == "ok"
    assert len((await street.stored())["message"]) == len(before["message"]) + 2
    async with street.agency.resources.transaction(street.agency.workspace_id) as session:
        assert len((await session.scalars(select(InboundEvent.event_id))).all()) == 2


async def test_what_cannot_be_kept_is_not_acknowledged(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its repeat then is no repeat: an event and its job are there, or neither."""
    before = await street.stored()
    with monkeypatch.context() as broken:
        broken.setattr(store, "APPLY", None)  # what PostgreSQL does not take for a job
        assert (await street.knock(street.event())).status_code == 500
    assert await street.stored() == before
    assert (await street.call(street.event())).text == "ok"
    assert len((await street.stored())["message"]) == len(before["message"]) + 1


async def test_what_was_acknowledged_is_applied_when_that_works_again(
    street: Street, monkeypatch: pytest.MonkeyPatch, clock: SetClock
) -> None:
    async def fails(*_: Any) -> None:
        raise RuntimeError("in the middle of it")

    before = await street.stored()
    with monkeypatch.context() as broken:
        broken.setattr(intake, "store", fails)
        assert (await street.call(street.event())).text == "ok"
    assert await street.stored() == before
    assert (await street.call(street.event())).text == "ok", "its repeat has no effect of its own"
    assert await street.stored() == before
    clock.advance(timedelta(hours=1))
    await street.applied()
    assert len((await street.stored())["message"]) == len(before["message"]) + 1


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
    street: Street, changes: dict[str, Any], status: int, code: str
) -> None:
    before = await street.stored()
    answer = await street.call(street.event(**changes))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert SECRET not in answer.text
    assert await street.stored() == before
    assert (await health(street))["last_event_at"] is None
    assert (await street.call(street.event())).text == "ok", "the control: unchanged it is believed"


async def test_an_unparsed_event_is_acknowledged_and_counted(street: Street) -> None:
    """Refused it would be sent again and again, and in the end nothing would be sent any more."""
    before, counted = await street.stored(), store.EVENTS.labels("unparsed")._value.get()
    odd = street.event(object={"message": {"id": "x"}})
    assert (await street.call(odd)).text == "ok"
    assert store.EVENTS.labels("unparsed")._value.get() == counted + 1
    assert await street.stored() == before
    assert (await street.call(street.event(object={"message": {"id": "x"}}, secret="wrong"))).status_code == 403


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"type": 1}', b"[" * 50_000])
async def test_garbage_is_refused(street: Street, body: bytes) -> None:
    answer = await street.call(body)
    assert (answer.status_code, answer.json()["code"]) == (422, "hook-not-understood")
    assert (await street.stranger.get(street.path)).status_code == 422


async def test_the_confirmation_of_another_group_is_refused(street: Street) -> None:
    answer = await street.call(orjson.dumps({"type": "confirmation", "group_id": 1}))
    assert answer.json()["code"] == "hook-of-another"


async def test_a_made_up_confirmation_does_not_stand_for_a_later_event(street: Street) -> None:
    asked = {"type": "confirmation", "group_id": street.group_id, "event_id": "e1"}
    assert (await street.call(orjson.dumps(asked))).status_code == 200
    before = await street.stored()
    assert (await street.call(street.event(event_id="e1"))).text == "ok"
    assert len((await street.stored())["message"]) == len(before["message"]) + 1


async def test_an_address_that_is_no_hook(street: Street) -> None:
    unknown = "/hooks/vk/0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a"
    for path in (unknown, street.path.replace("/vk/", "/mastodon/"), "/hooks/vk/no-id"):
        answer = await street.call(street.event(), path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_a_body_over_the_limit_is_refused_while_it_streams(street: Street) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 100 * MAX_BYTES:
            sent += 65_536
            yield b" " * 65_536

    answer = await street.stranger.post(street.path, content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert sent <= MAX_BYTES + 2 * 65_536
    padded = street.event() + b" " * (MAX_BYTES - len(street.event()))
    assert (await street.call(padded)).text == "ok", "the control: as much as it may be"


async def test_events_are_not_counted_against_the_rate_limit(street: Street) -> None:
    answer = await street.call(street.event())
    assert "ratelimit" not in answer.headers


# ── hooks and polls ───────────────────────────────────────────────────────────────────────────────


async def something_happens(street: Street) -> None:
    post = await street.act("post", text="New wheels")
    await street.act("comment", post=post, text="How much is it?")
    await street.act("message", text="Are you open on Sunday?")


async def test_a_poll_after_the_hook_changes_nothing(street: Street) -> None:
    await something_happens(street)
    await street.delivered()
    told = await street.stored()
    await street.poll()
    assert await street.stored() == told
    assert any(row[3] == "How much is it?" for row in told["message"])


async def test_the_hook_after_a_poll_changes_nothing(street: Street) -> None:
    street.door.mode = "refuse"
    await something_happens(street)
    await street.poll()
    polled = await street.stored()
    assert any(row[3] == "How much is it?" for row in polled["message"])
    known = len(street.door.bodies)
    street.door.mode = "open"
    await street.delivered()
    assert len(street.door.bodies) == known + 3, "VK has told it all"
    assert await street.stored() == polled
    assert (await health(street))["last_event_at"] is not None


async def test_what_a_hook_has_missed_the_poll_finds(street: Street) -> None:
    before = await street.stored()
    street.door.mode = "swallow"
    await something_happens(street)
    await street.delivered()
    assert await street.stored() == before
    await street.poll()
    said = {row[3] for row in (await street.stored())["message"]} - {row[3] for row in before["message"]}
    assert said == {"How much is it?", "Are you open on Sunday?"}


async def test_an_old_event_does_not_undo_a_newer_poll(street: Street) -> None:
    post = await street.act("post", text="New wheels")
    await street.delivered()
    async with street.agency.resources.transaction(street.agency.workspace_id) as session:
        await session.execute(
            text("UPDATE publication SET text = 'As it reads now' WHERE external_id = :id"), {"id": post}
        )
    late = orjson.loads(street.door.bodies[-1]) | {"event_id": "another id"}
    assert late["type"] == "wall_post_new"
    before = await street.stored()
    assert (await street.call(orjson.dumps(late))).text == "ok"
    assert await street.stored() == before


@pytest.mark.parametrize("first", ["wall_reply_new", "wall_reply_delete"])
async def test_a_comment_and_its_deletion_in_either_order(street: Street, first: str) -> None:
    for kind in sorted(("wall_reply_new", "wall_reply_delete"), key=lambda kind: kind != first):
        assert (await street.call(street.comment(kind))).text == "ok"
    (row,) = [row for row in (await street.stored())["message"] if row[1] == "comment-77"]
    assert row[5] is not None
    assert row[3] == "Where?"


async def test_what_is_older_than_the_backfill_is_left_out(street: Street) -> None:
    before = await street.stored()
    old = round((street.agency.resources.clock.now() - timedelta(days=2)).timestamp())
    assert (await street.call(street.comment("wall_reply_edit", date=old))).text == "ok"
    assert await street.stored() == before


# ── opening and closing ───────────────────────────────────────────────────────────────────────────


async def test_secrets_are_merged_and_never_shown(street: Street, db: Any) -> None:
    path = f"/v1/communities/{street.id}/hook"
    before = await street.agency.get(path)
    assert set(before) == {"url", "platform", "state", "reason", "created_at", "last_event_at"}
    assert before["url"].startswith("https://instep.example/hooks/vk/")
    again = await street.agency.put(path, {"secrets": {"secret": "another"}})
    assert again == before
    assert (await street.call(street.event())).status_code == 403, "the old secret is not good any more"
    assert (await street.call(street.event(secret="another"))).text == "ok"
    confirmed = await street.call(orjson.dumps({"type": "confirmation", "group_id": street.group_id}))
    assert confirmed.text == street.sandbox.callbacks.code(street.sandbox.network.world.communities[KEY])
    async with street.agency.resources.transaction(street.agency.workspace_id) as session:
        (sealed,) = await session.scalars(text("SELECT sealed FROM hook"))
    assert "another" not in sealed
    refused = await street.agency.put(path, {"secrets": {"token": "x"}}, status=422)
    assert refused["code"] == "unexpected-secret"


async def test_without_a_secret_every_event_is_refused(agency: Agency, street: Street) -> None:
    path = f"/v1/communities/{street.id}/hook"
    await agency.http.delete(path)
    hook = await agency.put(path, {"secrets": {}})
    for secret in (None, "", SECRET):
        answer = await street.call(street.event(secret=secret), urlsplit(hook["url"]).path)
        assert answer.json()["code"] == "hook-not-verified"


async def test_secrets_that_cannot_be_opened_are_given_anew(street: Street) -> None:
    async with street.agency.resources.transaction(street.agency.workspace_id) as session:
        await session.execute(text("UPDATE hook SET sealed = 'sealed with a key that was lost'"))
    ingest.inbound_ingest(street.agency.resources).clear()
    answer = await street.call(street.event())
    assert (answer.status_code, answer.json()["code"]) == (503, "hook-secrets-lost")
    await street.agency.put(f"/v1/communities/{street.id}/hook", {"secrets": {"secret": SECRET}})
    assert (await street.call(street.event())).text == "ok"


async def test_its_secrets_are_sealed_under_a_new_key(street: Street) -> None:
    resources = street.agency.resources
    new = SecretStr(Fernet.generate_key().decode())
    old = resources.settings.secret_keys
    async with resources.transaction(street.agency.workspace_id) as session:
        assert (await service.reseal(session, SYSTEM, Keyring([new]))).lost == {UUID(street.id)}
        assert (await service.reseal(session, SYSTEM, Keyring([new, *old]))).lost == frozenset()
    street.door.app.state.resources = replace(resources, keyring=Keyring([new]))
    ingest.inbound_ingest(resources).clear()
    assert (await street.call(street.event())).text == "ok"


async def test_a_closed_hook_is_gone_for_good(street: Street) -> None:
    path = f"/v1/communities/{street.id}/hook"
    first = await street.agency.get(path)
    assert (await street.agency.http.delete(path)).status_code == 204
    assert (await street.agency.get(path, status=404))["code"] == "no-hook"
    assert (await street.agency.http.delete(path)).json()["code"] == "no-hook"
    assert (await street.call(street.event())).status_code == 404
    second = await street.agency.put(path, {"secrets": {"secret": SECRET}})
    assert second["url"] != first["url"]
    assert (await street.call(street.event())).status_code == 404
    assert (await street.call(street.event(), urlsplit(second["url"]).path)).text == "ok"


async def test_a_closed_hook_makes_no_poll_rarer(street: Street, clock: SetClock) -> None:
    async def next_poll() -> timedelta:
        await street.agency.work("communities.poll")
        return datetime.fromisoformat((await health(street))["next_poll_at"]) - clock.now()

    await street.call(street.event())
    clock.advance(timedelta(minutes=20))
    assert await next_poll() > timedelta(minutes=10)
    clock.advance(timedelta(minutes=2))
    # What was stored before, and is applied after, does not count either.
    await street.knock(street.event(event_id="late"))
    assert (await street.agency.http.delete(f"/v1/communities/{street.id}/hook")).status_code == 204
    await street.applied()
    assert await next_poll() < timedelta(minutes=5), "it was looked at anew, at once"
    assert (await health(street))["last_event_at"] is None


async def test_opened_twice_at_once_it_is_one(street: Street) -> None:
    path = f"/v1/communities/{street.id}/hook"
    await street.agency.http.delete(path)
    bodies = [{"secrets": {"secret": SECRET}}, {"secrets": {"confirmation": "abc"}}] * 5
    opened = await asyncio.gather(*(street.agency.put(path, body) for body in bodies))
    assert len({one["url"] for one in opened}) == 1
    hook = urlsplit(opened[0]["url"]).path
    assert (await street.call(street.event(), hook)).text == "ok"
    asked = orjson.dumps({"type": "confirmation", "group_id": street.group_id})
    assert (await street.call(asked, hook)).text == "abc", "neither secret was lost"


async def test_a_platform_that_never_calls(agency: Agency, project_id: str) -> None:
    body = {"project_id": project_id, "platform": "mastodon", "address": "https://m.example/@coffee"}
    path = f"/v1/communities/{(await agency.post('/v1/communities', body))['id']}/hook"
    assert (await agency.put(path, {"secrets": {}}, status=409))["code"] == "hooks-unsupported"
    assert (await agency.get(path, status=409))["code"] == "hooks-unsupported"
    assert (await agency.http.delete(path)).json()["code"] == "hooks-unsupported"


async def test_ids_of_events_are_forgotten_in_the_end(street: Street, clock: SetClock) -> None:
    async def ids() -> list[str]:
        async with street.agency.resources.transaction(street.agency.workspace_id) as session:
            return list((await session.scalars(select(InboundEvent.event_id).order_by(InboundEvent.event_id))).all())

    await street.call(street.event(event_id="e1"))
    clock.advance(store.RETENTION + timedelta(seconds=1))
    await street.call(street.event(event_id="e2"))
    await street.poll()
    assert await ids() == ["e2"]


async def test_the_last_event_is_the_last_one(street: Street, clock: SetClock) -> None:
    """A unit of work that began earlier and ended later does not put it back."""
    await street.call(street.event())
    async with street.agency.resources.transaction(street.agency.workspace_id) as session:
        community = (await session.scalars(select(Community))).one()
        community.last_event_at = later = clock.now() + timedelta(minutes=1)
    await street.call(street.event(event_id="e2"))
    assert (await health(street))["last_event_at"] == rfc3339(later)
