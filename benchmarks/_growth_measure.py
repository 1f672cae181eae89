"""What requests and statements take: CPU time of PostgreSQL's processes, time on the clock, and sequential scans."""

import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
from sqlalchemy import event
from sqlalchemy.pool import Pool

from app.cli.database import APP, asyncpg_url
from app.kit.db import Database
from app.main import create_app
from app.settings import Settings
from benchmarks._servers import Urls

SCANNED: Final = 1000
"""Rows that a sequential scan may read."""
_EXPLAINED: Final = {
    "session_preload_libraries": "'auto_explain'",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
    "auto_explain.log_nested_statements": "off",
}


@dataclass
class Cost:
    """What a request or a background read takes; of several, the most."""

    cpu: float = 0.0
    """Milliseconds of PostgreSQL's processes."""
    clock: float = 0.0
    """Milliseconds until the answer."""
    scans: dict[str, int] = field(default_factory=dict)
    """Rows read by sequential scans, by table."""
    slowest: str = ""

    def add(self, other: "Cost") -> None:
        """Take the larger figures."""
        if other.cpu > self.cpu:
            self.cpu, self.slowest = other.cpu, other.slowest
        self.clock = max(self.clock, other.clock)
        for table, rows in other.scans.items():
            self.scans[table] = max(self.scans.get(table, 0), rows)


class Plans:
    """The plans of the statements that run, as PostgreSQL's `auto_explain` sends them."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []

    def scans(self) -> dict[str, int]:
        """Rows read by sequential scans since the last call, by table; those of few rows left out."""
        rows: dict[str, int] = {}
        for plan in self.received:
            for node in _nodes(plan["Plan"]):
                if node["Node Type"] == "Seq Scan":
                    read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                    rows[node["Relation Name"]] = rows.get(node["Relation Name"], 0) + int(read * node["Actual Loops"])
        self.received.clear()
        return {table: count for table, count in rows.items() if count > SCANNED}

    def listen(self, connection: Any, _: object) -> None:
        """Receive those of a pooled connection."""
        connection.driver_connection.add_log_listener(self._receive)

    def _receive(self, _: object, message: Any) -> None:
        _, is_plan, plan = message.message.partition("plan:\n")
        if is_plan:
            self.received.append(json.loads(plan))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


@asynccontextmanager
async def explaining(urls: Urls, plans: Plans) -> AsyncIterator[None]:
    """Let connections of the runtime role, opened within it, send the plans of their statements."""
    connection = await asyncpg.connect(asyncpg_url(urls.superuser))
    for name, value in _EXPLAINED.items():
        await connection.execute(f"ALTER ROLE {APP} SET {name} = {value}")
    event.listen(Pool, "connect", plans.listen)
    try:
        yield
    finally:
        event.remove(Pool, "connect", plans.listen)
        for name in _EXPLAINED:
            await connection.execute(f"ALTER ROLE {APP} RESET {name}")
        await connection.close()


@dataclass
class Bench:
    """Measures one database through the API, in this process, and through the functions that workers call."""

    client: httpx.AsyncClient
    db: Database
    app: Any
    plans: Plans | None
    _superuser: asyncpg.Connection
    _pids: Sequence[int] = ()

    async def measure(self, what: str, run: Callable[[], Awaitable[object]], times: int) -> Cost:
        """The median of some executions, after one that warms up; with plans, one execution and its scans."""
        await run()
        if self.plans is not None:
            self.plans.received.clear()
            await run()
            return Cost(scans=self.plans.scans(), slowest=what)
        figures = []
        for _ in range(times):
            await self._find_processes()
            before, started = self._cpu(), time.perf_counter()
            await run()
            figures.append((self._cpu() - before, time.perf_counter() - started))
        cpu, clock = (statistics.median(one) * 1000 for one in zip(*figures, strict=True))
        return Cost(cpu, clock, {}, what)

    async def get(self, path: str, times: int) -> Cost:
        """What a GET takes; raises `RuntimeError` for an answer that is an error."""

        async def run() -> None:
            answer = await self.client.get(path)
            if answer.status_code not in (200, 302, 307, 404):
                raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")

        return await self.measure(path, run, times)

    async def _find_processes(self) -> None:
        rows = await self._superuser.fetch(
            "SELECT pid FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()", APP
        )
        self._pids = [row["pid"] for row in rows]

    def _cpu(self) -> float:
        """Seconds of CPU that the runtime role's processes have used."""
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in self._pids) / 1e9


@asynccontextmanager
async def bench(urls: Urls, key: str, plans: Plans | None = None) -> AsyncIterator[Bench]:
    """A bench; with `plans`, one that collects sequential scans instead of times."""
    settings = Settings(
        database_url=urls.app,
        redis_url="unix:///nowhere",  # reads do not use the doorbell
        database_pool=1,
        environment="test",
        requests_per_minute=100_000_000,
        log_level="error",
    )
    app = create_app(settings)
    superuser = await asyncpg.connect(asyncpg_url(urls.superuser))
    db = Database(urls.app, pool=1)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://instep.example", headers=headers) as client:
            yield Bench(client, db, app, plans, superuser)
    await db.close()
    await superuser.close()
