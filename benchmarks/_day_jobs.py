"""The service of the simulated day: virtual time, connected communities, and their jobs."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import insert, select, text

from app.access.models import Workspace
from app.communities import service
from app.communities.models import Community
from app.communities.polling import poll_schedule
from app.kit import jobs
from app.kit.actors import SYSTEM
from app.kit.ids import uuid7
from app.kit.resources import Resources
from app.platforms import adapters
from app.projects.models import Project
from benchmarks._day_calls import AGES, Log
from sandbox.limits import Counter as Limits
from sandbox.limits import Quota
from sandbox.server import Sandbox


class VirtualClock:
    """Virtual time: it stands still while a task works, and jumps to the next instant that a task sleeps until."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._working = 0
        self._waiting: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    @contextmanager
    def work(self) -> Iterator[None]:
        """The context of all work in virtual time; `sleep` is called within it."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._pass()

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._waiting.append((self.at + timedelta(seconds=seconds), woken))
        self._working -= 1
        self._pass()
        await woken

    def _pass(self) -> None:
        if self._working or not self._waiting:
            return
        self.at = max(self.at, min(until for until, _ in self._waiting))
        due = [woken for until, woken in self._waiting if until <= self.at]
        self._waiting = [(until, woken) for until, woken in self._waiting if until > self.at]
        self._working = len(due)
        for woken in due:
            woken.set_result(None)


async def connect(resources: Resources, communities: Sequence[Mapping[str, Any]]) -> UUID:
    """Connect these communities in a new workspace, in projects of twenty; its id."""
    workspace, at = uuid7(), resources.clock.now()
    owned = {"workspace_id": workspace, "created_at": at}
    async with resources.transaction(workspace) as session:
        await session.execute(insert(Workspace), [{**owned, "title": "A large agency"}])
    project = workspace
    for number, one in enumerate(communities):
        async with resources.transaction(workspace) as session:
            if number % 20 == 0:
                project = uuid7()
                client = {"id": project, "title": "Client", "timezone": "Europe/Minsk", "working_hours": {}}
                await session.execute(insert(Project), [{**owned, **client}])
            spec = adapters()[one["platform"]].spec
            credentials = {kind: one["tokens"][kind.value] for kind in spec.tokens if one["tokens"].get(kind.value)}
            await service.connect(
                session,
                SYSTEM,
                resources.settings,
                resources.keyring,
                project_id=project,
                platform=one["platform"],
                address=one["address"],
                tokens={kind: SecretStr(text) for kind, text in credentials.items()},
                backfill_days=730,
            )
    return workspace


async def due(resources: Resources, limit: int) -> tuple[list[UUID], datetime | None]:
    """Due jobs; without any, the instant of the next."""
    async with resources.db.read_connection(None) as connection:
        rows = await connection.execute(
            select(jobs.Job.id)
            .where(jobs.Job.state == "waiting", jobs.Job.run_at <= resources.clock.now())
            .order_by(jobs.Job.run_at, jobs.Job.id)
            .limit(limit)
        )
        due_ids = list(rows.scalars())
        if due_ids:
            return due_ids, None
        return [], (
            await connection.execute(text("SELECT min(run_at) FROM job WHERE state = 'waiting'"))
        ).scalar_one_or_none()


async def run(resources: Resources, clock: VirtualClock, until: datetime, width: int, *, limits: bool = True) -> int:
    """Run all jobs up to an instant; the number of attempts. Without `limits`, counts of calls are deleted."""
    done = 0
    while True:
        due_ids, following = await due(resources, 2000 if limits else width)
        if not limits:
            async with resources.transaction(None) as session:
                await session.execute(text("DELETE FROM rate_limit_use"))
        if not due_ids:
            if following is None or following > until:
                clock.at = max(clock.at, until)
                return done
            clock.at = max(clock.at, following)
            continue
        waiting = iter(due_ids)

        async def work(waiting: Any = waiting) -> None:
            with clock.work():
                for job in waiting:
                    await jobs.perform(resources, job)

        await asyncio.gather(*(work() for _ in range(width)))
        done += len(due_ids)


class Unlimited(Limits):
    """Limits that refuse no request."""

    def window(self, key: str, limit: int, seconds: int, *, cost: int = 1, start: float = 0) -> Quota:
        return replace(super().window(key, limit, seconds, cost=cost, start=start), remaining=limit, refused=False)

    def second(self, key: str, limit: int) -> bool:
        return True


async def first_read(
    resources: Resources, sandbox: Sandbox, clock: VirtualClock, log: Log, workspace: UUID, width: int
) -> None:
    """Read everything once, then spread the metrics polls over their intervals and reset the limits."""
    began, start = time.monotonic(), clock.now()
    sandbox.network.counter = Unlimited(lambda: clock.now().timestamp())
    left: Sequence[Any] = ()
    for _ in range(60):
        await run(resources, clock, clock.now() + timedelta(minutes=1), width, limits=False)
        async with resources.transaction(workspace) as session:
            unread = select(Community.id, Community.platform, Community.status).where(Community.backfilled_at.is_(None))
            left = (await session.execute(unread)).all()
            # Some jobs are snoozed for a limit; here they need not wait.
            keys = [str(one.id) for one in left]
            await session.execute(RUN_NOW, {"at": clock.now(), "kinds": ["communities.poll"], "keys": keys})
        if not left:
            break
    print(
        f"first read: {sum(log.calls.values())} calls in {(clock.now() - start).total_seconds() / 3600:.1f} virtual "
        f"hours ({time.monotonic() - began:.0f} s); not finished: {Counter((one.platform, one.status) for one in left)}"
    )
    await reset_limits(resources, sandbox, clock)
    intervals = [(limit.total_seconds(), every.total_seconds()) for limit, every in poll_schedule.BY_AGE]
    params = {"at": clock.now(), "tiers": [age for age, _ in intervals]}
    params["every"] = [*(every for _, every in intervals), poll_schedule.OLDEST_INTERVAL.total_seconds()]
    async with resources.transaction(workspace) as session:
        await session.execute(SPREAD, params)
        await session.execute(LAST, params)
        await session.execute(RUN_NOW, {**params, "kinds": ["communities.measure"], "keys": None})
    # The demand of all communities has to be recorded first.
    await run(resources, clock, clock.now() + timedelta(hours=2), width)
    await reset_limits(resources, sandbox, clock)
    log.clear()


async def reset_limits(resources: Resources, sandbox: Sandbox, clock: VirtualClock) -> None:
    """Delete the counts of calls, of the service and of the sandbox."""
    sandbox.network.counter = Limits(lambda: clock.now().timestamp())
    async with resources.transaction(None) as session:
        await session.execute(text("DELETE FROM rate_limit_use"))


RUN_NOW: Final = text("""
UPDATE job SET run_at = :at WHERE kind = ANY(:kinds) AND state = 'waiting'
AND (CAST(:keys AS text[]) IS NULL OR key = ANY(CAST(:keys AS text[])))
""")
_INTERVAL: Final = """make_interval(secs => (CAST(:every AS float8[]))[
    1 + width_bucket(extract(epoch FROM CAST(:at AS timestamptz) - published_at)::float8, CAST(:tiers AS float8[]))])"""
SPREAD: Final = text(f"""
UPDATE publication SET measure_at = CAST(:at AS timestamptz) + random() * {_INTERVAL} WHERE measure_at IS NOT NULL
""")
LAST: Final = text(f"""
UPDATE post_last SET at = greatest(measure_at - {_INTERVAL}, published_at) FROM publication p
WHERE post_last.workspace_id = p.workspace_id AND post_last.publication_id = p.id AND p.measure_at IS NOT NULL
""")
COUNTER_AGES: Final = text("""
SELECT coalesce(c.platform, 'all') AS platform,
       width_bucket(extract(epoch FROM :at - p.published_at), CAST(:tiers AS float8[])) AS tier,
       count(*) AS posts,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM :at - l.at)) AS middle,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM :at - l.at)) AS late
FROM publication p
JOIN post_last l ON l.workspace_id = p.workspace_id AND l.publication_id = p.id
JOIN community c ON c.workspace_id = p.workspace_id AND c.id = p.community_id
WHERE p.measure_at IS NOT NULL GROUP BY GROUPING SETS ((2), (c.platform, 2)) ORDER BY 1, 2
""")


async def counter_ages(resources: Resources, workspace: UUID) -> list[Any]:
    """Seconds since the latest counters of posts were read, by the age of the post."""
    tiers = [limit.total_seconds() for _, limit in AGES[:-1]]
    async with resources.db.read_connection(workspace) as connection:
        return list((await connection.execute(COUNTER_AGES, {"at": resources.clock.now(), "tiers": tiers})).all())
