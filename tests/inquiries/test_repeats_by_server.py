"""A reply is sent once on every kind of Mastodon server, also where a worker is killed and keys are ignored."""

import dataclasses
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.inquiries import sending
from app.inquiries.sending import RESEND_AFTER
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.jobs import Job
from app.kit.resources import Resources
from sandbox.server import Sandbox, build
from tests.conftest import Agency
from tests.inquiries.test_sending import Killed
from tests.sandbox.conftest import lift_rate_limits

MINUTE = timedelta(minutes=1)
BASE = "http://127.0.0.1:3300"
POLL = "communities.poll"
SEND = "inquiries.send"


@pytest.fixture(params=["mastodon", "gotosocial", "takahe"])
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sandbox(variant: str, clock: SetClock) -> Iterator[Sandbox]:
    """A server of that kind, which goes by the service's clock."""
    made = build(
        seed=7,
        real=lambda: clock.now().timestamp(),
        tick=None,
        platforms=["mastodon"],
        alive=False,
        variants={"mastodon": variant},
    )
    made.network.base_url = BASE
    lift_rate_limits(made)
    yield made
    made.network.world.ledger.close()


@pytest.fixture
async def resources(resources: Resources, sandbox: Sandbox) -> AsyncIterator[Resources]:
    """Resources of a worker whose calls reach the sandbox."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as http:
        allowing = resources.settings.model_copy(update={"outbound_allow": [BASE.removeprefix("http://")]})
        yield dataclasses.replace(resources, http=http, settings=allowing)


@dataclass
class Thread:
    """A customer's comment on a Mastodon server, and the agency's reply to it."""

    agency: Agency
    clock: SetClock
    sandbox: Sandbox
    path: str

    async def answer(self, text: str = "Until six.") -> None:
        await self.agency.post(f"{self.path}/messages", {"text": text}, status=202)

    async def killed(self, monkeypatch: pytest.MonkeyPatch, *, before: bool = False) -> None:
        """A worker is killed between the server's response and its commit, or `before` it sent anything."""

        async def die(*_: Any, **__: Any) -> None:
            raise Killed

        with monkeypatch.context() as patched:
            if before:
                patched.setattr("app.platforms.mastodon.adapter.Mastodon.reply", die)
            else:
                patched.setattr(sending, "delivered", die)
            with pytest.raises(Killed):
                await self._perform()

    async def run_again(self, after: timedelta = MINUTE) -> None:
        """Run the job of the reply again, after this time."""
        self.clock.advance(after)
        await self._perform()

    async def _perform(self) -> None:
        """Run the jobs that send replies, also those whose worker was killed."""
        async with self.agency.resources.db.read_connection(None) as connection:
            query = select(Job.id).where(Job.workspace_id == self.agency.workspace_id, Job.kind == SEND)
            for job_id in list(await connection.scalars(query)):
                assert await jobs.perform(self.agency.resources, job_id)

    async def deliveries(self) -> list[str]:
        messages = (await self.agency.get(self.path))["messages"]
        return [one["delivery"] for one in messages if one["direction"] == "agency"]

    def accepted(self) -> list[str]:
        """The texts of the replies in the server's ledger."""
        return [one["text"] for one in self.sandbox.network.world.ledger.page(0, 1_000_000) if one["type"] == "reply"]


@pytest.fixture
async def thread(agency: Agency, sandbox: Sandbox, clock: SetClock) -> Thread:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url=BASE) as http:

        async def act(act: str, **fields: object) -> None:
            answer = await http.post("/_sandbox/communities/coffee", json={"act": act, **fields})
            assert answer.status_code == 201, answer.text

        await act("post", text="We are open")
        clock.advance(MINUTE)
        await act("comment", text="Until when?")
    project = await agency.post("/v1/projects", {"title": "Coffee house", "timezone": "Europe/Minsk"})
    token = sandbox.network.grants.stable(sandbox.network.world.communities["coffee"])["community"]
    body = {
        "project_id": project["id"],
        "platform": "mastodon",
        "address": f"{BASE}/@coffee",
        "credentials": {"community": token},
    }
    clock.advance(2 * MINUTE)  # a slow server has listed the comment by then
    await agency.post("/v1/communities", body)
    await agency.work(POLL)
    (inquiry,) = (await agency.get("/v1/inquiries"))["data"]
    return Thread(agency, clock, sandbox, f"/v1/inquiries/{inquiry['id']}")


async def test_a_reply_that_the_server_took_is_not_sent_again(
    thread: Thread, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await thread.answer()
    await thread.killed(monkeypatch)
    await thread.run_again()
    if variant == "takahe":  # a slow server does not list it yet
        await thread.run_again(RESEND_AFTER)
    assert len(thread.accepted()) == 1
    assert await thread.deliveries() == ["sent"]


async def test_a_reply_that_the_server_never_got_is_sent(
    thread: Thread, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await thread.answer()
    await thread.killed(monkeypatch, before=True)
    await thread.run_again()
    if variant != "mastodon":
        assert (thread.accepted(), await thread.deliveries()) == ([], ["sending"]), "it might still appear"
        await thread.run_again(RESEND_AFTER)
    assert len(thread.accepted()) == 1
    assert await thread.deliveries() == ["sent"]


async def test_a_worker_killed_again_and_again_sends_once(
    thread: Thread, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await thread.answer()
    await thread.killed(monkeypatch, before=True)
    thread.clock.advance(RESEND_AFTER + MINUTE)
    await thread.killed(monkeypatch)  # it sent the reply this time
    assert len(thread.accepted()) == 1
    thread.clock.advance(timedelta(seconds=30))
    await thread.run_again()
    if variant == "takahe":
        await thread.run_again(RESEND_AFTER)
    assert len(thread.accepted()) == 1
    assert await thread.deliveries() == ["sent"]


async def test_the_same_words_sent_before_are_another_reply(
    thread: Thread, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await thread.answer()
    await thread.agency.work(SEND)
    await thread.answer()
    await thread.killed(monkeypatch, before=True)
    await thread.run_again()
    if variant != "mastodon":
        await thread.run_again(RESEND_AFTER)
    assert len(thread.accepted()) == 2
    assert await thread.deliveries() == ["sent", "sent"]


@pytest.mark.parametrize("is_taken", [True, False], ids=["taken", "lost"])
async def test_a_reply_whose_answer_is_lost_is_looked_up_and_never_sent_again(thread: Thread, is_taken: bool) -> None:
    """The server takes it, or not, and its response does not arrive."""
    when, effect = "after" if is_taken else "before", {"type": "status", "status": 502}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(thread.sandbox.app), base_url=BASE) as http:
        rule = {"path": "/api/v1/statuses$", "method": "POST", "when": when, "effect": effect}
        assert (await http.post("/_sandbox/faults", json=rule)).is_success
    await thread.answer()
    await thread.agency.work(SEND)
    assert await thread.deliveries() == ["outcome_unknown"]
    thread.clock.advance(RESEND_AFTER)
    await thread.agency.work("inquiries.reconcile")
    assert await thread.deliveries() == ["sent" if is_taken else "outcome_unknown"]
    thread.clock.advance(timedelta(hours=1))
    await thread.agency.work("inquiries.reconcile")
    assert await thread.deliveries() == ["sent" if is_taken else "needs_review"]
    assert len(thread.accepted()) == is_taken
