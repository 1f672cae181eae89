"""Servers for benchmarks: a migrated PostgreSQL with durable commits, and applications pinned to a core."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from app.cli.database import APP, OWNER, prepare_database
from app.cli.migrate import migrate
from app.cli.servers import start_postgres

NAME = "benchmark"


@dataclass(frozen=True)
class Urls:
    """The database's URLs, by role."""

    superuser: str
    owner: str
    app: str


@asynccontextmanager
async def database() -> AsyncIterator[Urls]:
    """A migrated database on a server that syncs to disk, as a real one does."""
    with tempfile.TemporaryDirectory(prefix="instep-benchmark-") as folder, start_postgres(Path(folder)) as postgres:
        await prepare_database(postgres.url(), NAME)
        urls = Urls(postgres.url(database=NAME), postgres.url(OWNER, NAME), postgres.url(APP, NAME))
        await asyncio.to_thread(migrate, urls.owner)
        yield urls


async def first(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """The first response of a server that is starting."""
    for _ in range(200):
        try:
            answer = await client.get(url)
        except httpx.TransportError:
            await asyncio.sleep(0.05)
            continue
        answer.raise_for_status()
        return answer
    raise RuntimeError(f"no answer from {url}")


@contextmanager
def serve(
    factory: str | None, environment: dict[str, str], *, checkout: Path | None = None
) -> Iterator[tuple[int, int]]:
    """A uvicorn process on the first core, `instep api` without a factory (of another `checkout`); its port and id."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        number = str(listening.fileno())
        command = ["-c", "from app.cli.main import app; app()", "api", "--fd", number]
        if factory is not None:
            command = ["-m", "benchmarks._serve", factory, number]
        process = subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            cwd=checkout,
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            pin(process.pid, 0)
            yield listening.getsockname()[1], process.pid
        finally:
            process.terminate()
            process.wait(10)


def pin(pid: int, core: int) -> None:
    """Pin a process to one of the available cores."""
    cores = sorted(os.sched_getaffinity(0)) if pid != os.getpid() else sorted(psutil.Process().cpu_affinity() or ())
    os.sched_setaffinity(pid, {cores[core]})


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
