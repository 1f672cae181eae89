"""The outcome of a reply by a killed worker is unknown until the platform, a poll or a person settles it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, select

from app.communities.events import CommunityRef, MessagesSeen
from app.communities.models import Community, RateLimitUse
from app.inquiries import sending
from app.inquiries.models import Message
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.events import publish
from app.kit.jobs import Job
from app.kit.resources import Resources
from app.platforms.contract import MessageKind, RemoteMessage, RemotePerson
from sandbox.ledger import Record
from sandbox.server import Sandbox, build
from tests.conftest import Agency

BASE: Final = "http://localhost"
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
REPLY: Final = "On the shelf on the left."
UNTRUE: Final = {"failed", "queued"}
"""States that contradict that the platform has the reply."""


class Killed(BaseException):
    """Stands for the end of the worker's process."""


async def _killed(*_: Any, **__: Any) -> None:
    raise Killed


async def _job(agency: Agency) -> Any:
    """The sending job; None once it is done or dead."""
    async with agency.resources.db.read_connection(None) as connection:
        query = select(Job.id, Job.run_at, Job.leased_until).where(
            Job.workspace_id == agency.workspace_id, Job.kind == "inquiries.send", Job.state != "dead"
        )
        return (await connection.execute(query)).one_or_none()


async def _attempt(agency: Agency, clock: SetClock) -> bool:
    """Advance the clock until the sending job is due or its lease has ended, and run it; False where there is none."""
    waiting = await _job(agency)
    if waiting is None:
        return False
    at = max(waiting.run_at, waiting.leased_until or waiting.run_at)
    clock.advance(max(at - clock.now(), timedelta(0)) + timedelta(seconds=1))
    await jobs.perform(agency.resources, waiting.id)
    return True


PLACES: Final = {"vk": "kofe_zerno", "mastodon": "velodvor", "bluesky": "velosreda"}
"""Platforms that drop repeats, each with a community of the sandbox."""


def _vk(code: int) -> tuple[int, Any]:
    return 200, {"error": {"error_code": code, "error_msg": "no", "request_params": []}}


TROUBLES: Final[dict[str, dict[str, tuple[int, Any]]]] = {
    "throttled": {"vk": _vk(9), "mastodon": (429, {"error": "slow"}), "bluesky": (429, {"error": "RateLimitExceeded"})},
    "expired": {"vk": _vk(5), "mastodon": (401, {"error": "no"}), "bluesky": (401, {"error": "ExpiredToken"})},
    "forbidden": {"vk": _vk(15), "mastodon": (403, {"error": "no"}), "bluesky": (403, {"error": "Forbidden"})},
    "rejected": {
        "vk": _vk(100),
        "mastodon": (422, {"error": "no"}),
        "bluesky": (400, {"error": "InvalidRequest", "message": "no"}),
    },
    "gone": {"vk": _vk(18), "mastodon": (404, {"error": "no"}), "bluesky": (400, {"error": "RecordNotFound"})},
    "a page": dict.fromkeys(PLACES, (200, "<html>Sit tight</html>")),
}
"""Each platform's response to any call, by the trouble."""


@dataclass
class SandboxTransport(httpx.AsyncBaseTransport):
    """A transport to the sandbox; with `trouble` set, calls fail before they reach it."""

    sandbox: Sandbox
    clock: SetClock
    platform: str
    trouble: str | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if self.trouble == "away":
            raise httpx.ConnectError("out of reach")
        if self.trouble is None:
            response = await httpx.ASGITransport(self.sandbox.app).handle_async_request(request)
            await response.aread()
        else:
            status, body = TROUBLES[self.trouble][self.platform]
            content = {"text": body} if isinstance(body, str) else {"json": body}
            response = httpx.Response(status, **content, headers={"retry-after": "3600"})
        response.headers["date"] = format_datetime(self.clock.now(), usegmt=True)
        return response


@dataclass
class InterruptedReply:
    """A reply to a sandbox customer that the platform accepted before the worker was killed."""

    agency: Agency
    clock: SetClock
    sandbox: Sandbox
    transport: SandboxTransport
    community: str
    path: str
    act: Callable[..., Awaitable[None]]

    async def poll(self) -> None:
        """Poll the reply: further comments change the post's counter, so that its comments are read."""
        (ours,) = self._taken()
        if self.transport.platform == "mastodon":  # its lists do not contain the account's own replies to comments
            await self._store_as_polled(ours)
            return
        await self.act("comment", text="Thanks!", parent=ours["id"], person=1)
        await self.act("comment", text="I like it there.", person=2)
        for _ in range(4):
            await self.agency.post(f"/v1/communities/{self.community}/sync", status=202)
            await self.agency.work("communities.poll")
            self.clock.advance(15 * MINUTE)

    async def _store_as_polled(self, ours: Record) -> None:
        """Store the reply as if a poll had read it."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            question = (
                await session.scalars(select(Message).where(Message.community_id == UUID(self.community)))
            ).first()
            community = await session.get(Community, (self.agency.workspace_id, UUID(self.community)))
            assert question is not None
            assert community is not None
            ref = CommunityRef(
                self.agency.workspace_id, community.project_id, community.id, community.platform, "Europe/Minsk"
            )
            author = RemotePerson(str(community.external_id), "Us", is_community=True)
            seen = RemoteMessage(
                external_id=ours["id"],
                thread_id=question.thread_id,
                kind=MessageKind.COMMENT,
                author=author,
                text=ours["text"],
                sent_at=datetime.fromisoformat(ours["at"]),
            )
            await publish(session, MessagesSeen(ref, ((seen, None),)))

    def _taken(self) -> list[Record]:
        """The replies that the platform has accepted."""
        return [one for one in self.sandbox.network.world.ledger.page(0, 1_000_000) if one["type"] == "reply"]

    async def delivery(self) -> str:
        """The reply's delivery state; asserts that the platform has it once."""
        assert len(self._taken()) == 1
        messages = (await self.agency.get(self.path))["messages"]
        (ours,) = [one for one in messages if one["delivery"] is not None]
        assert ours["delivery"] not in UNTRUE, ours["delivery_detail"]
        assert "anew" not in (ours["delivery_detail"] or "")
        events = [one["type"] for one in (await self.agency.get(f"{self.path}/events"))["data"]]
        assert "failed" not in events
        if ours["delivery"] == "sent":
            assert [one["id"] for one in messages if REPLY in one["text"]] == [ours["id"]], "it is there twice"
        return str(ours["delivery"])


@pytest.fixture(params=sorted(PLACES))
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def transport(clock: SetClock, platform: str) -> Iterator[SandboxTransport]:
    """A transport to a sandbox without simulated activity."""
    made = build(seed=7, real=lambda: clock.now().timestamp(), tick=None, speed=1, platforms=(platform,), alive=False)
    limits = made.network.limits
    limits.update({name: 1_000_000 for name in limits if not name.endswith("seconds")})
    made.network.base_url = BASE
    yield SandboxTransport(made, clock, platform)
    made.network.world.ledger.close()


@pytest.fixture
async def resources(resources: Resources, transport: SandboxTransport) -> AsyncIterator[Resources]:
    """Resources of workers that call the sandbox; counts of other tests' calls, at later instants, are deleted."""
    async with resources.transaction(None) as session:
        await session.execute(delete(RateLimitUse))
    settings = resources.settings.model_copy(update={"platform_urls": {transport.platform: BASE}})
    async with httpx.AsyncClient(transport=transport) as http:
        yield replace(resources, http=http, settings=settings)


@pytest.fixture
async def interrupted(
    agency: Agency, clock: SetClock, transport: SandboxTransport, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[InterruptedReply]:
    """The platform has accepted the reply; the worker was killed before its commit."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(transport.sandbox.app), base_url=BASE) as strings:
        key = PLACES[transport.platform]
        community = next(one for one in (await strings.get("/_sandbox/communities")).json() if one["key"] == key)

        async def act(what: str, **more: object) -> None:
            answer = await strings.post(f"/_sandbox/communities/{key}", json={"act": what, **more})
            assert answer.status_code == 201, answer.text

        project = await agency.post("/v1/projects", {"title": "Nina's", "timezone": "Europe/Minsk"})
        body = {"project_id": project["id"], "platform": transport.platform, "address": community["address"]}
        tokens = {kind: token for kind, token in community["tokens"].items() if token}
        made = await agency.post("/v1/communities", {**body, "credentials": tokens, "backfill_days": 1})
        await act("post", text="Open on Sunday")
        await act("comment", text="Where is the bread?", person=1)
        clock.advance(MINUTE)
        await agency.work("communities.poll")
        (inquiry,) = (await agency.get("/v1/inquiries"))["data"]
        interrupted = InterruptedReply(
            agency, clock, transport.sandbox, transport, made["id"], f"/v1/inquiries/{inquiry['id']}", act
        )
        await agency.post(f"{interrupted.path}/messages", {"text": REPLY}, status=202)
        with monkeypatch.context() as patched:
            patched.setattr(sending, "delivered", _killed)
            with pytest.raises(Killed):
                await agency.work("inquiries.send")
        assert await interrupted.delivery() == "sending"
        yield interrupted


@pytest.mark.parametrize("trouble", ["away", *TROUBLES])
async def test_a_reply_that_may_have_been_sent_is_never_marked_failed(
    interrupted: InterruptedReply, trouble: str
) -> None:
    interrupted.transport.trouble = trouble
    attempts = 0
    while await _attempt(interrupted.agency, interrupted.clock):
        attempts += 1
        assert await interrupted.delivery() in {"sending", "outcome_unknown"}
        assert attempts < 30
    assert await interrupted.delivery() == "outcome_unknown"
    interrupted.clock.advance(2 * HOUR)
    await interrupted.agency.work("inquiries.reconcile")
    assert await interrupted.delivery() == "needs_review"
    (message,) = [one for one in (await interrupted.agency.get(interrupted.path))["messages"] if one["delivery"]]
    assert "Look at the thread there; if it is missing, answer again." in message["delivery_detail"]
    interrupted.transport.trouble = None
    await interrupted.poll()
    assert await interrupted.delivery() == "sent"
    assert (await interrupted.agency.get(interrupted.path))["first_answered_at"] is not None


@pytest.mark.parametrize("trouble", ["away", "throttled", "expired", "rejected"])
async def test_the_platforms_confirmation_settles_the_outcome(interrupted: InterruptedReply, trouble: str) -> None:
    interrupted.transport.trouble = trouble
    for _ in range(3):
        await _attempt(interrupted.agency, interrupted.clock)
        assert await interrupted.delivery() in {"sending", "outcome_unknown"}
    interrupted.transport.trouble = None
    while await _attempt(interrupted.agency, interrupted.clock):
        pass
    if interrupted.transport.platform == "bluesky" or trouble != "throttled":
        assert await interrupted.delivery() == "sent"
    else:  # throttled for longer than it remembers keys: it must not be sent again; only a poll can settle it
        assert await interrupted.delivery() == "outcome_unknown"
        await interrupted.poll()
        assert await interrupted.delivery() == "sent"


async def test_a_poll_settles_the_outcome(interrupted: InterruptedReply) -> None:
    interrupted.transport.trouble = "rejected"
    await _attempt(interrupted.agency, interrupted.clock)
    assert await interrupted.delivery() == "sending"
    interrupted.transport.trouble = None
    interrupted.clock.advance(2 * MINUTE)
    await interrupted.poll()
    assert await interrupted.delivery() == "sent"
    await _attempt(interrupted.agency, interrupted.clock)
    assert await interrupted.delivery() == "sent"
