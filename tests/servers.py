"""One PostgreSQL and one Valkey for a test run, and new migrated databases on request.

The test run's main process owns the servers. With xdist it starts them before its workers, which find
them by an environment variable and end before it. The keepers stop the servers when that process has
ended or was killed, and delete the data.

Where `TEST_DATABASE_URL` (as a superuser) and `TEST_REDIS_URL` are set, those servers are used.
"""

import asyncio
import contextlib
import json
import os
import threading
import uuid
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from app.cli.database import APP, OWNER, asyncpg_url, prepare_database
from app.cli.migrate import SCRIPTS, migrate
from app.cli.servers import scratch_folder, start_postgres, start_valkey

SERVERS_VARIABLE = "INSTEP_TEST_SERVERS"
PASSWORD = "instep-test"
"""Of both roles, for servers that are not embedded."""

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also within a running event loop (in a thread of its own)."""
    results: list[T] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


@dataclass(frozen=True)
class Servers:
    """The servers of this run."""

    database_url: str
    """As a superuser, of any database."""
    redis: str
    template: str
    _clones: list[str] = field(default_factory=list, repr=False)

    def superuser_url(self, database: str = "postgres") -> str:
        """The URL as a superuser, for what tests change outside of the service."""
        parts = urlsplit(self.database_url)
        return urlunsplit(parts._replace(path=f"/{database}"))

    def owner_url(self, database: str) -> str:
        """The URL as the role that owns the tables."""
        return self._as(OWNER, database)

    def app_url(self, database: str) -> str:
        """The URL as the runtime role."""
        return self._as(APP, database)

    def redis_url(self, number: int = 0) -> str:
        """The URL of one of 64 Valkey databases."""
        if self.redis.startswith("unix://"):
            return f"{self.redis}?db={number}"
        return urlunsplit(urlsplit(self.redis)._replace(path=f"/{number}"))

    def clone(self, template: str | None = None) -> str:
        """Create a migrated, empty database (10 ms); its name."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        run(self._create(name, template or self.template))
        self._clones.append(name)
        return name

    def drop(self, *names: str) -> None:
        """Drop these databases; without names, all clones of this process."""
        run(self._drop(names or tuple(self._clones)))
        self._clones[:] = [name for name in self._clones if names and name not in names]

    async def _create(self, name: str, template: str) -> None:
        connection = await asyncpg.connect(asyncpg_url(self.superuser_url()))
        try:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER} STRATEGY file_copy")
        finally:
            await connection.close()

    async def _drop(self, names: tuple[str, ...]) -> None:
        connection = await asyncpg.connect(asyncpg_url(self.superuser_url()))
        try:
            for name in names:
                await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        finally:
            await connection.close()

    def _as(self, role: str, database: str) -> str:
        parts = urlsplit(self.database_url)
        address = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{role}:{PASSWORD}@{address}", path=f"/{database}"))


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    """The servers of this run: those of the parent process, or new ones that end with the block."""
    if parents_servers := os.environ.get(SERVERS_VARIABLE):
        shared = Servers(**json.loads(parents_servers))
        try:
            yield shared
        finally:
            shared.drop()
        return
    with contextlib.ExitStack() as stack:
        database_url = os.environ.get("TEST_DATABASE_URL") or (
            stack.enter_context(start_postgres(scratch_folder(), test=True)).url()
        )
        redis_url = os.environ.get("TEST_REDIS_URL") or (
            stack.enter_context(start_valkey(scratch_folder(), test=True)).url
        )
        template = f"template_{uuid.uuid4().hex[:12]}"
        made = Servers(database_url.replace("postgresql://", "postgresql+asyncpg://", 1), redis_url, template)
        run(prepare_database(made.superuser_url(), template, owner_password=PASSWORD, app_password=PASSWORD))
        try:
            if (SCRIPTS / "env.py").exists():
                run(asyncio.to_thread(migrate, made.owner_url(template)))
            yield made
        finally:
            made.drop()
            made.drop(template)


_shared = contextlib.ExitStack()


def share() -> None:
    """In the process that starts xdist's workers: start the servers and pass their URLs to the workers."""
    made = _shared.enter_context(servers())
    facts = {"database_url": made.database_url, "redis": made.redis, "template": made.template}
    os.environ[SERVERS_VARIABLE] = json.dumps(facts)
    _shared.callback(os.environ.pop, SERVERS_VARIABLE, None)


def unshare() -> None:
    """Stop what `share` started."""
    _shared.close()
