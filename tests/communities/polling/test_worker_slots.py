"""A platform that hangs does not keep the worker from polling another's communities.

The adapters, jobs, HTTP client and loopback servers are real ones. The test sets the clock, and a hanging request
hangs until the test ends it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final
from uuid import UUID

import pytest
from pydantic import SecretStr

from app.communities.polling import worker_slots
from app.communities.service import POLL
from app.kit import jobs
from app.kit.http import client
from app.kit.resources import Resources
from app.platforms import adapters
from app.platforms.contract import CommunitySnapshot, Credentials, Page, RemotePost
from tests.communities.conftest import Fake, World, register_adapters
from tests.conftest import Agency
from tests.kit.test_http import Handler, says, serving
from tests.platforms.faults import Deadlines
from tests.platforms.specimens import specimen
from workers.main import WorkerSettings

SLOTS: Final = worker_slots.MAX_PER_API + 1
"""Concurrent jobs of this worker; a real one has more, so that more platforms may hang."""
HANGING: Final = SLOTS + 2
HEALTHY: Final = 3
WAIT_TIMEOUT: Final = 60
"""Seconds after which a hanging test fails."""


@dataclass
class Hanging:
    """The requests to the platform that does not answer."""

    requests: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, requests: int) -> None:
        """Wait until this many requests are unanswered."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.requests >= requests)


class Healthy(Fake):
    """Each poll calls its server with the worker's client."""

    polled_communities: ClassVar[set[str]]

    async def community(self, c: Credentials) -> CommunitySnapshot:
        return CommunitySnapshot(c.address, "Healthy", c.address, 1)

    async def posts(self, c: Credentials, cursor: str | None, since: Any = None) -> Page[RemotePost]:
        answer = await self.http.get(f"{c.base_url}/posts")
        assert answer.json() == {}
        self.polled_communities.add(c.address)
        return Page((), "", False)


def _never(hanging: Hanging) -> Handler:
    async def handler(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        async with hanging.changed:
            hanging.requests += 1
            hanging.changed.notify_all()
        await reader.read()  # until the client gives up

    return handler


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> Deadlines:
    made = Deadlines()
    monkeypatch.setattr("app.kit.http.asyncio", made)
    return made


@pytest.fixture(params=sorted(adapters()))
def platform(request: pytest.FixtureRequest) -> str:
    """The platform that hangs."""
    return str(request.param)


@pytest.fixture
def hanging() -> Hanging:
    return Hanging()


@pytest.fixture
async def resources(
    resources: Resources, platform: str, hanging: Hanging, deadlines: Deadlines
) -> AsyncIterator[Resources]:
    """Resources with a worker's client, and both platforms on loopback."""
    async with (
        serving(_never(hanging)) as bad,
        serving(says(b"{}")) as good,
        client(allow=[bad.address, good.address]) as http,
    ):
        urls = {platform: f"http://{bad.address}", "healthy": f"http://{good.address}"}
        apps = {platform: {name: SecretStr(text) for name, text in specimen(platform).app.items()}}
        settings = resources.settings.model_copy(update={"platform_urls": urls, "platform_apps": apps})
        yield replace(resources, settings=settings, http=http)


@pytest.fixture
def polled_communities(world: World, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The addresses of the healthy platform's communities that were polled."""
    polled: set[str] = set()
    here = {"world": world, "polled_communities": polled, "spec": replace(Fake.spec, key="healthy")}
    kind = type("HealthyHere", (Healthy,), here)
    register_adapters(monkeypatch, {**adapters(), "healthy": kind})
    return polled


@pytest.fixture
async def due(agency: Agency, project_id: str, platform: str, polled_communities: set[str]) -> list[UUID]:
    """The jobs of many communities that will hang, each with its own tokens; after them those that will not."""
    about = specimen(platform)
    for number in range(10, 10 + HANGING):
        tokens = {kind.value: f"{text}{number}" for kind, text in about.tokens.items()}
        await _connect(agency, project_id, platform, f"{about.address[:-2]}{number}", tokens)
    first = await agency.due(POLL)
    for number in range(HEALTHY):
        await _connect(agency, project_id, "healthy", f"https://fake.test/{number}", {})
    return first + [job for job in await agency.due(POLL) if job not in first]


async def _connect(agency: Agency, project_id: str, platform: str, address: str, tokens: dict[str, str]) -> None:
    body = {"project_id": project_id, "platform": platform, "address": address, "credentials": tokens}
    await agency.post("/v1/communities", body)


@asynccontextmanager
async def _working(resources: Resources, due: list[UUID]) -> AsyncIterator[set[asyncio.Task[None]]]:
    """A worker that runs jobs in their order; its tasks, each of which ends when no job is left."""
    left = deque(due)

    async def occupy_slot() -> None:
        while left:
            await jobs.perform(resources, left.popleft())

    slots = {asyncio.create_task(occupy_slot()) for _ in range(SLOTS)}
    try:
        async with asyncio.timeout(WAIT_TIMEOUT):
            yield slots
    finally:
        for task in slots:
            task.cancel()
        await asyncio.gather(*slots, return_exceptions=True)


async def test_others_are_polled_while_a_platform_hangs(
    agency: Agency, due: list[UUID], hanging: Hanging, polled_communities: set[str]
) -> None:
    async with _working(agency.resources, due) as slots:
        done, _ = await asyncio.wait(slots, return_when=asyncio.FIRST_COMPLETED)
        await hanging.until(worker_slots.MAX_PER_API)
        assert polled_communities == {f"https://fake.test/{number}" for number in range(HEALTHY)}
        assert [task.exception() for task in done] == [None], "one place did all that could be done"
        assert hanging.requests == worker_slots.MAX_PER_API, "each is asked once, and waited for"


@pytest.mark.parametrize("platform", sorted(adapters())[:1], indirect=True)
async def test_without_the_limit_they_would_not_be(
    agency: Agency, due: list[UUID], hanging: Hanging, polled_communities: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the limit every task of the worker waits for the platform that hangs."""
    monkeypatch.setattr(worker_slots, "MAX_PER_API", len(due))
    async with _working(agency.resources, due) as slots:
        await hanging.until(SLOTS)
        assert not polled_communities
        assert not any(task.done() for task in slots)


def test_a_worker_has_slots_for_two_platforms_that_hang() -> None:
    assert WorkerSettings.max_jobs > 2 * worker_slots.MAX_PER_API
