"""A reply that a dead worker may have sent stays unsettled until the platform, a poll or a person settles it."""

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
WORDS: Final = "On the shelf on the left."
UNTRUE: Final = {"failed", "queued"}
"""States that a reply which the platform has must not have."""


class Killed(BaseException):
    """The worker's process ends here."""


async def _killed(*_: Any, **__: Any) -> None:
    raise Killed


async def _job(agency: Agency) -> Any:
    """The sending job, unless it is done or given up."""
    async with agency.resources.db.read_connection(None) as connection:
        query = select(Job.id, Job.run_at, Job.leased_until).where(
            Job.workspace_id == agency.workspace_id, Job.kind == "inquiries.send", Job.state != "dead"
        )
        return (await connection.execute(query)).one_or_none()


async def _attempt(agency: Agency, clock: SetClock) -> bool:
    """Wait until the sending job is due, or its worker's lease is over, and do it; False where there is none."""
    waiting = await _job(agency)
    if waiting is None:
        return False
    at = max(waiting.run_at, waiting.leased_until or waiting.run_at)
    clock.advance(max(at - clock.now(), timedelta(0)) + timedelta(seconds=1))
    await jobs.perform(agency.resources, waiting.id)
    return True


PLACES: Final = {"vk": "kofe_zerno", "mastodon": "velodvor", "bluesky": "velosreda"}
"""Platforms that drop repeats, and a community of each."""


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
"""How each platform says it, to whatever it is asked."""


@dataclass
class Way(httpx.AsyncBaseTransport):
    """To the sandbox; `trouble` comes in between."""

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
            told = {"text": body} if isinstance(body, str) else {"json": body}
            response = httpx.Response(status, **told, headers={"retry-after": "3600"})
        response.headers["date"] = format_datetime(self.clock.now(), usegmt=True)
        return response


@dataclass
class Street:
    """A community of the sandbox's, a customer who has asked there, and our answer, of which the worker died."""

    agency: Agency
    clock: SetClock
    sandbox: Sandbox
    way: Way
    community: str
    path: str
    act: Callable[..., Awaitable[None]]

    async def poll(self) -> None:
        """Read what there is: more was said below the post, so that all of it is read."""
        (ours,) = self._taken()
        if self.way.platform == "mastodon":  # its lists show an answer of ours to a comment to nobody who polls
            await self._see(ours)
            return
        await self.act("comment", text="Thanks!", parent=ours["id"], person=1)
        await self.act("comment", text="I like it there.", person=2)
        for _ in range(4):
            await self.agency.post(f"/v1/communities/{self.community}/sync", status=202)
            await self.agency.work("communities.poll")
            self.clock.advance(15 * MINUTE)

    async def _see(self, ours: Record) -> None:
        """As if it had been among what a poll has read."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            asked = (await session.scalars(select(Message).where(Message.community_id == UUID(self.community)))).first()
            community = await session.get(Community, (self.agency.workspace_id, UUID(self.community)))
            assert asked is not None
            assert community is not None
            place = CommunityRef(
                self.agency.workspace_id, community.project_id, community.id, community.platform, "Europe/Minsk"
            )
            us = RemotePerson(str(community.external_id), "Us", is_community=True)
            seen = RemoteMessage(
                external_id=ours["id"],
                thread_id=asked.thread_id,
                kind=MessageKind.COMMENT,
                author=us,
                text=ours["text"],
                sent_at=datetime.fromisoformat(ours["at"]),
            )
            await publish(session, MessagesSeen(place, ((seen, None),)))

    def _taken(self) -> list[Record]:
        """The answers that the platform has accepted."""
        return [one for one in self.sandbox.network.world.ledger.page(0, 1_000_000) if one["type"] == "reply"]

    async def delivery(self) -> str:
        """How far our answer is said to have come; the platform has it once."""
        assert len(self._taken()) == 1
        shown = (await self.agency.get(self.path))["messages"]
        (ours,) = [one for one in shown if one["delivery"] is not None]
        assert ours["delivery"] not in UNTRUE, ours["delivery_detail"]
        assert "anew" not in (ours["delivery_detail"] or "")
        events = [one["type"] for one in (await self.agency.get(f"{self.path}/events"))["data"]]
        assert "failed" not in events
        if ours["delivery"] == "sent":
            assert [one["id"] for one in shown if WORDS in one["text"]] == [ours["id"]], "it is there twice"
        return str(ours["delivery"])


@pytest.fixture(params=sorted(PLACES))
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def way(clock: SetClock, platform: str) -> Iterator[Way]:
    """To a sandbox in which nothing happens by itself."""
    made = build(seed=7, real=lambda: clock.now().timestamp(), tick=None, speed=1, platforms=(platform,), alive=False)
    limits = made.network.limits
    limits.update({name: 1_000_000 for name in limits if not name.endswith("seconds")})
    made.network.base_url = BASE
    yield Way(made, clock, platform)
    made.network.world.ledger.close()


@pytest.fixture
async def resources(resources: Resources, way: Way) -> AsyncIterator[Resources]:
    """Workers call the sandbox, and know nothing of other tests' calls, by clocks that ran on."""
    async with resources.transaction(None) as session:
        await session.execute(delete(RateLimitUse))
    settings = resources.settings.model_copy(update={"platform_urls": {way.platform: BASE}})
    async with httpx.AsyncClient(transport=way) as http:
        yield replace(resources, http=http, settings=settings)


@pytest.fixture
async def street(agency: Agency, clock: SetClock, way: Way, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Street]:
    """The platform has accepted our answer; the worker has died before its commit."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(way.sandbox.app), base_url=BASE) as strings:
        key = PLACES[way.platform]
        known = next(one for one in (await strings.get("/_sandbox/communities")).json() if one["key"] == key)

        async def act(what: str, **more: object) -> None:
            answer = await strings.post(f"/_sandbox/communities/{key}", json={"act": what, **more})
            assert answer.status_code == 201, answer.text

        project = await agency.post("/v1/projects", {"name": "Nina's", "timezone": "Europe/Minsk"})
        body = {"project_id": project["id"], "platform": way.platform, "address": known["address"]}
        tokens = {kind: token for kind, token in known["tokens"].items() if token}
        made = await agency.post("/v1/communities", {**body, "credentials": tokens, "backfill_days": 1})
        await act("post", text="Open on Sunday")
        await act("comment", text="Where is the bread?", person=1)
        clock.advance(MINUTE)
        await agency.work("communities.poll")
        (found,) = (await agency.get("/v1/inquiries"))["data"]
        street = Street(agency, clock, way.sandbox, way, made["id"], f"/v1/inquiries/{found['id']}", act)
        await agency.post(f"{street.path}/messages", {"text": WORDS}, status=202)
        with monkeypatch.context() as patched:
            patched.setattr(sending, "delivered", _killed)
            with pytest.raises(Killed):
                await agency.work("inquiries.send")
        assert await street.delivery() == "sending"
        yield street


@pytest.mark.parametrize("trouble", ["away", *TROUBLES])
async def test_a_reply_that_may_have_been_sent_is_never_marked_failed(street: Street, trouble: str) -> None:
    street.way.trouble = trouble
    attempts = 0
    while await _attempt(street.agency, street.clock):
        attempts += 1
        assert await street.delivery() in {"sending", "outcome_unknown"}
        assert attempts < 30
    assert await street.delivery() == "outcome_unknown"
    street.clock.advance(2 * HOUR)
    await street.agency.work("inquiries.reconcile")
    assert await street.delivery() == "needs_review"
    (shown,) = [one for one in (await street.agency.get(street.path))["messages"] if one["delivery"]]
    assert "Look at the thread there; if it is missing, answer again." in shown["delivery_detail"]
    street.way.trouble = None
    await street.poll()
    assert await street.delivery() == "sent"
    assert (await street.agency.get(street.path))["first_answered_at"] is not None


@pytest.mark.parametrize("trouble", ["away", "throttled", "expired", "rejected"])
async def test_the_platforms_confirmation_settles_the_outcome(street: Street, trouble: str) -> None:
    street.way.trouble = trouble
    for _ in range(3):
        await _attempt(street.agency, street.clock)
        assert await street.delivery() in {"sending", "outcome_unknown"}
    street.way.trouble = None
    while await _attempt(street.agency, street.clock):
        pass
    if street.way.platform == "bluesky" or trouble != "throttled":
        assert await street.delivery() == "sent"
    else:  # throttled for longer than it remembers keys: not to be asked again, so that another look has to tell
        assert await street.delivery() == "outcome_unknown"
        await street.poll()
        assert await street.delivery() == "sent"


async def test_a_poll_settles_the_outcome(street: Street) -> None:
    street.way.trouble = "rejected"
    await _attempt(street.agency, street.clock)
    assert await street.delivery() == "sending"
    street.way.trouble = None
    street.clock.advance(2 * MINUTE)
    await street.poll()
    assert await street.delivery() == "sent"
    await _attempt(street.agency, street.clock)
    assert await street.delivery() == "sent"
