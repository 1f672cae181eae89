"""An agency with a team; its installation mails through a server with a ledger, and its bot lives in the sandbox."""

import dataclasses
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from app.access.models import UserAccount
from app.alerts.deliveries import DELIVER
from app.alerts.service import POLL_BOT, WATCH
from app.communities.models import Community
from app.inquiries.models import Inquiry
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.jobs import Job
from app.kit.resources import Resources
from sandbox.server import Sandbox, build
from tests.access.people import Person, invited
from tests.conftest import Agency
from tests.mail_server import MailServer, mail_server

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
INSTALLATION = "installation-not-ready"
CHAT = "coffee_daily"
"""The sandbox's community whose bot is the agency's."""


class Killed(BaseException):
    """Stands for the end of the worker's process."""


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


@dataclass
class Bot:
    """The agency's bot, on the sandbox."""

    sandbox: Sandbox
    http: httpx.AsyncClient

    @property
    def token(self) -> str:
        token = self.sandbox.network.grants.stable(self.sandbox.network.world.communities[CHAT])["community"]
        assert token is not None
        return token

    async def act(self, text: str, person: int) -> None:
        """A person writes to the bot."""
        answer = await self.http.post(
            f"/_sandbox/communities/{CHAT}", json={"act": "message", "text": text, "person": person}
        )
        assert answer.status_code == 201, answer.text

    async def fault(self, **rule: Any) -> None:
        """Let the next matching request fail."""
        answer = await self.http.post("/_sandbox/faults", json={"platform": "telegram", **rule})
        assert answer.status_code in {200, 201}, answer.text

    def received(self) -> list[str]:
        """The texts that the bot has sent, as the receiver's ledger has them."""
        records = self.sandbox.network.world.ledger.page(0, 10_000_000)
        return [one["text"] for one in records if one["type"] == "reply" and one["origin"] == "api"]


@pytest.fixture
async def bot(clock: SetClock) -> AsyncIterator[Bot]:
    sandbox = build(seed=7, real=lambda: clock.now().timestamp(), tick=None, speed=0.0, platforms=("telegram",))
    transport = httpx.ASGITransport(sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
        yield Bot(sandbox, http)
    sandbox.network.world.ledger.close()


@dataclass
class Setup:
    """A project with a community, and its community manager."""

    agency: Agency
    clock: SetClock
    server: MailServer
    bot: Bot
    app: FastAPI
    project: str
    community: uuid.UUID
    manager: Person

    @property
    def resources(self) -> Resources:
        return self.agency.resources

    async def wait(self, *, since: datetime | None = None) -> uuid.UUID:
        """A customer waits from now on; the inquiry."""
        inquiry_id = uuid.uuid4()
        at = since or self.clock.now()
        async with self.resources.transaction(self.agency.workspace_id) as session:
            session.add(
                Inquiry(
                    workspace_id=self.agency.workspace_id,
                    id=inquiry_id,
                    project_id=uuid.UUID(self.project),
                    community_id=self.community,
                    thread_id=str(inquiry_id),
                    channel="comment",
                    customer_id="olga",
                    customer_name="Olga",
                    preview="?",
                    opened_at=at,
                    last_message_at=at,
                    waiting_since=at,
                )
            )
        return inquiry_id

    async def answer(self, inquiry_id: uuid.UUID) -> None:
        """The customer waits no longer."""
        async with self.resources.transaction(self.agency.workspace_id) as session:
            await session.execute(
                update(Inquiry)
                .where(Inquiry.workspace_id == self.agency.workspace_id, Inquiry.id == inquiry_id)
                .values(waiting_since=None, status="answered")
            )

    async def watch(self) -> None:
        """Look for what needs a person, without telling anybody yet."""
        async with self.resources.transaction(None) as session:
            await jobs.enqueue(session, WATCH, workspace_id=self.agency.workspace_id, key="watch")
        await self.agency.work(WATCH)

    async def deliver(self) -> None:
        """Send what is due."""
        await self.agency.work(DELIVER)

    async def alerts(self, **filters: Any) -> list[Any]:
        """The alerts, latest first; of the installation only if asked for: jobs of other tests may be late."""
        alerts = (await self.agency.get(f"/v1/alerts?{urlencode(filters)}"))["data"]
        return [one for one in alerts if one["kind"] != INSTALLATION or filters.get("kind") == INSTALLATION]

    async def alert(self, **filters: Any) -> Any:
        """The only alert."""
        (one,) = await self.alerts(**filters)
        return one

    async def statuses(self, channel: str = "mail") -> list[str]:
        """Of all deliveries by a channel, those of the oldest alert first."""
        return [
            d["status"] for one in (await self.alerts())[::-1] for d in one["deliveries"] if d["channel"] == channel
        ]

    async def job(self) -> Any:
        """The only job that sends, running or waiting; None where there is none."""
        async with self.resources.transaction(None) as session:
            query = select(Job.id, Job.state, Job.run_at, Job.leased_until).where(
                Job.workspace_id == self.agency.workspace_id, Job.kind == DELIVER, Job.state != "dead"
            )
            return (await session.execute(query)).one_or_none()

    async def attempt(self) -> bool:
        """Advance the clock until the sending job is due, or its worker's lease has ended, and run it."""
        waiting = await self.job()
        if waiting is None:
            return False
        at = max(waiting.run_at, waiting.leased_until or waiting.run_at)
        self.clock.advance(max(at - self.clock.now(), timedelta(0)) + timedelta(seconds=1))
        await jobs.perform(self.resources, waiting.id)
        return True

    async def link(self, person: Person, number: int = 900_001) -> None:
        """Set the agency's bot, and link a person's chat with it."""
        await self.agency.put("/v1/alert-bots/telegram", {"token": self.bot.token})
        await self.agency.work(POLL_BOT)
        made = (await person.http.post("/v1/me/alerts/chats/telegram")).json()
        await self.bot.act(f"/start {made['code']}", number)
        await self.agency.work(POLL_BOT)

    async def prefer(self, person: Person, **changes: Any) -> None:
        """Change how a person wants to be told."""
        answer = await person.http.patch("/v1/me/alerts", json=changes)
        assert answer.status_code == 200, answer.text


@pytest.fixture
async def setup(app: FastAPI, agency: Agency, clock: SetClock, server: MailServer, bot: Bot) -> AsyncIterator[Setup]:
    """In Minsk it is Thursday, 15:00; the project works from 9 to 18 on weekdays."""
    project = (await agency.post("/v1/projects", {"title": "Nina's", "timezone": "Europe/Minsk"}))["id"]
    await agency.patch("/v1/me/alerts", {"muted_kinds": [INSTALLATION]})
    manager = await invited(app, agency, seats={project: "community_manager"})
    settings = server.settings(agency.resources.settings, platform_urls={"telegram": "http://sandbox.test"})
    resources = dataclasses.replace(agency.resources, settings=settings, http=bot.http)
    app.state.resources = agency.resources = resources
    community = uuid.uuid4()
    async with resources.transaction(agency.workspace_id) as session:
        session.add(
            Community(
                workspace_id=agency.workspace_id,
                id=community,
                project_id=uuid.UUID(project),
                platform="telegram",
                address=f"https://t.me/{community.hex}",
                base_url="http://sandbox.test",
                external_id=str(community),
                title="Coffee at Nina's",
                status="healthy",
                missing_scopes=[],
                failures=0,
                backfill_since=clock.now(),
                polled_at=clock.now(),
                created_at=clock.now() - DAY,
            )
        )
    yield Setup(agency, clock, server, bot, app, project, community, manager)
    await manager.http.aclose()


async def set_language(setup: Setup, person: Person, language: str) -> None:
    async with setup.resources.transaction(None) as session:
        await session.execute(
            update(UserAccount).where(UserAccount.id == uuid.UUID(person.id)).values(language=language)
        )
