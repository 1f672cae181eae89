"""Fixtures for all tests: a real database, the service on it, agencies that have signed up.

The tests of a process share one database, and are isolated as agencies are: each test has its own
workspaces.
"""

import gc
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pytest
import structlog
from fastapi import FastAPI
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import select

from app.kit import jobs, scheduler
from app.kit.clock import SetClock
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.resources import Resources, SilentDoorbell
from app.main import create_app
from app.settings import Settings
from tests import imports, parameters, slices
from tests import servers as test_servers
from tests.declared import DeclaredAnswers

# How long an example takes, or is drawn, says how busy the machine is, and nothing of what is tested.
hypothesis_settings.register_profile(
    "any machine", hypothesis_settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("any machine")

COLLECTED_AFTER: Final = (20_000, 20, 20)
"""Of `gc.set_threshold`. A process of tests holds millions of objects; with the usual thresholds an eighth of its
time is spent on visiting them again and again."""
UNDECLARED: Final[list[str]] = []
"""Answers of the test under way that the OpenAPI document does not declare."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--slice N/K`."""
    slices.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers once, in the process that starts xdist's workers; make logs plain and short."""
    gc.set_threshold(*COLLECTED_AFTER)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ]
    )
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        test_servers.share()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse parameters that must be awaited or closed."""
    report = yield
    parameters.refuse(report)
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the slow tests, which start processes, first: at the end they would run alone.

    Mark the tests that may need the platforms' data.
    """
    slices.apply(config, items)
    slow = {"system", "cli", "shipping"}
    items.sort(key=lambda item: item.path.parent.name not in slow)
    for item in items:
        if imports.ROOT / "tests/platforms/data.py" in imports.reached(item.path):
            item.add_marker("platform_data")


def pytest_unconfigure() -> None:
    """Stop the servers."""
    test_servers.unshare()


@pytest.fixture(scope="session")
def servers() -> Iterator[test_servers.Servers]:
    """The PostgreSQL and Valkey of this run."""
    with test_servers.servers() as made:
        yield made


@pytest.fixture(scope="session")
def database(servers: test_servers.Servers) -> str:
    """This process's migrated database, by name."""
    return servers.clone()


@pytest.fixture(scope="session")
def configuration(servers: test_servers.Servers, database: str) -> Settings:
    """The configuration of the service under test."""
    return Settings(
        _env_file=None,
        environment="test",
        database_url=servers.app_url(database),
        owner_database_url=servers.owner_url(database),
        redis_url=servers.redis_url(),
        requests_per_minute=1_000_000,
    )


@pytest.fixture(scope="session")
async def db(configuration: Settings) -> AsyncIterator[Database]:
    """The database, as the runtime role."""
    made = Database(configuration.database_url, pool=5)
    yield made
    await made.close()


@pytest.fixture
def clock(db: Database) -> SetClock:
    """The service's clock: a Thursday noon, which only the test moves."""
    made = SetClock(datetime(2026, 10, 15, 12, 0, tzinfo=UTC))
    db.clock = made
    return made


@pytest.fixture
def resources(configuration: Settings, db: Database, clock: SetClock) -> Resources:
    """The resources of requests and jobs."""
    return Resources(configuration, clock, db, Keyring(configuration.secret_keys), SilentDoorbell())


@pytest.fixture(scope="session")
def shared_app(configuration: Settings) -> FastAPI:
    """The application, created once: what differs between tests is in its resources."""
    jobs.collect()
    made = create_app(configuration)
    made.add_middleware(DeclaredAnswers, service=made, faults=UNDECLARED)
    return made


@pytest.fixture
def app(shared_app: FastAPI, resources: Resources) -> Iterator[FastAPI]:
    """The application, with this test's resources. Fails where an answer is not as the OpenAPI document declares."""
    shared_app.state.resources = resources
    UNDECLARED.clear()
    yield shared_app
    assert UNDECLARED == []


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client without an API key."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://instep.test") as client:
        yield client


@dataclass
class Agency:
    """A signed-up agency, with an HTTP client that has its API key."""

    http: httpx.AsyncClient
    workspace_id: uuid.UUID
    key: str
    resources: Resources

    async def get(self, path: str, status: int = 200, **params: Any) -> Any:
        """GET; the response's JSON. Fails on another status."""
        # An empty dictionary would remove the path's own query.
        return self._checked(await self.http.get(path, params=params or None), status)

    async def post(self, path: str, body: Any = None, status: int = 201, **headers: str) -> Any:
        """POST; the response's JSON. Fails on another status."""
        return self._checked(await self.http.post(path, json=body, headers=headers), status)

    async def patch(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        """PATCH; the response's JSON. Fails on another status."""
        return self._checked(await self.http.patch(path, json=body, headers=headers), status)

    async def put(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        """PUT; the response's JSON. Fails on another status."""
        return self._checked(await self.http.put(path, json=body, headers=headers), status)

    @staticmethod
    def _checked(answer: httpx.Response, status: int) -> Any:
        assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    async def work(self, *names: str, passes: int = 100) -> int:
        """Run this agency's due jobs (of these kinds) until none is due; the number of attempts."""
        attempts = 0
        for _ in range(passes):
            due = await self.due(*names)
            if not due:
                return attempts
            for job_id in due:
                attempts += await jobs.perform(self.resources, job_id)
        raise AssertionError(f"jobs are still due after {passes} rounds")

    async def recur(self, kind: str) -> None:
        """Run the recurring job of this kind now."""
        await scheduler.ensure_recurring(self.resources)
        async with self.resources.transaction(None) as session:
            row = (await session.scalars(select(jobs.Job).where(jobs.Job.kind == kind))).one()
            row.run_at = self.resources.clock.now()
        assert await jobs.perform(self.resources, row.id)

    async def due(self, *names: str) -> list[uuid.UUID]:
        """This agency's jobs that are due now, oldest first."""
        query = select(jobs.Job.id).where(
            jobs.Job.workspace_id == self.workspace_id,
            jobs.Job.state == "waiting",
            jobs.Job.run_at <= self.resources.clock.now(),
        )
        if names:
            query = query.where(jobs.Job.kind.in_(names))
        async with self.resources.db.read_connection(None) as connection:
            return list((await connection.scalars(query.order_by(jobs.Job.run_at, jobs.Job.id))).all())


async def sign_up(app: FastAPI, resources: Resources) -> Agency:
    """A new agency, signed up over HTTP."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://instep.test")
    body = {"title": "Step & Co", "owner": {"name": "Anna", "email": f"anna-{uuid.uuid4().hex}@agency.example"}}
    answer = await client.post("/v1/workspaces", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    client.headers["Authorization"] = f"Bearer {made['api_key']['key']}"
    return Agency(client, uuid.UUID(made["workspace"]["id"]), made["api_key"]["key"], resources)


@pytest.fixture
async def agency(app: FastAPI, resources: Resources) -> AsyncIterator[Agency]:
    """An agency, with an API key of every scope."""
    made = await sign_up(app, resources)
    yield made
    await made.http.aclose()


@pytest.fixture
async def rival(app: FastAPI, resources: Resources) -> AsyncIterator[Agency]:
    """Another agency on the same installation."""
    made = await sign_up(app, resources)
    yield made
    await made.http.aclose()
