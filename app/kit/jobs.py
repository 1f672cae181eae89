"""Durable jobs: rows in PostgreSQL, rung by arq.

A change and the job that follows from it are rows of one transaction. After the commit the job's
id is rung to arq, best effort; the sweeper finds what is due and rings again. Redis may vanish at
any moment: a job is late then, never lost. Attempts, schedule, backoff and dead letters are here.

A worker claims a job with a lease and a fencing number. Every step of its work is a transaction
that holds the job's row and looks at the fence, so that a worker which lost its lease cannot
write any more, and the last step can close the job in the same commit.
"""

import asyncio
import functools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, get_type_hints
from uuid import UUID

import structlog
from pydantic import TypeAdapter
from sqlalchemy import (
    Row,
    case,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit import telemetry
from app.kit.db import after_commit, now, workspace_of
from app.kit.ids import uuid7
from app.kit.job_rows import FRESH, HOLD, LEASE, PUT_BACK, TAKE, Job, WorkerHeartbeat, due
from app.kit.registry import rooms
from app.kit.resources import Resources

__all__ = [
    "FRESH",
    "LEASE",
    "Cancel",
    "Job",
    "LeaseLost",
    "Reschedule",
    "Run",
    "Snooze",
    "WorkerHeartbeat",
    "due",
    "enqueue",
    "job",
    "kinds",
    "perform",
    "ring_after_commit",
]

log = structlog.get_logger()

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Reschedule:
    """A handler's answer: run me again at this instant, with a clean record."""

    at: datetime


class Snooze(Exception):
    """Nothing went wrong, but now is not the time (a spent budget, say). Not counted as an attempt."""

    def __init__(self, at: datetime, reason: str) -> None:
        super().__init__(reason)
        self.at = at


class Cancel(Exception):
    """Trying again is useless: the job goes to the dead letters at once."""


class LeaseLost(Exception):
    """Another worker has taken this job; what this one was writing is rolled back."""


Handler = Callable[..., Awaitable[Reschedule | None]]
Burial = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of job is done."""

    name: str
    handler: Handler
    timeout: timedelta
    attempts: int
    every: timedelta | None
    buried: Burial | None = None


kinds: Final[dict[str, Kind]] = {}


def job(
    name: str,
    *,
    timeout: timedelta = timedelta(seconds=60),
    attempts: int = 10,
    every: timedelta | None = None,
    buried: Burial | None = None,
) -> Callable[[Handler], Handler]:
    """Declare the decorated function as the handler of jobs named `name` (`communities.poll`).

    It is called with a `Run` and the job's arguments, checked against its signature. `every`: one
    such job, of no workspace, is always there and runs at this interval. `buried`: called with a session
    and the job's arguments in the unit of work that gives the job up, however it came to its end; for what
    would otherwise wait for this job for ever.
    """

    def register(handler: Handler) -> Handler:
        burial = None if buried is None else _checked(buried)
        kinds[name] = Kind(name, _checked(handler), timeout, attempts, every, burial)
        return handler

    return register


def _checked(handler: Callable[..., Awaitable[R]]) -> Callable[..., Awaitable[R]]:
    """The handler, given a job's stored arguments as the types it asks for (an id as a `UUID`)."""
    given = {"run", "session", "return"}
    wanted = {name: TypeAdapter(kind) for name, kind in get_type_hints(handler).items() if name not in given}

    async def call(first: "Run | AsyncSession", **stored: Any) -> R:
        return await handler(first, **{name: kind.validate_python(stored[name]) for name, kind in wanted.items()})

    return call


def collect() -> None:
    """Load every room's jobs; each process does so once at its start."""
    for _ in rooms("jobs"):
        pass


async def enqueue(
    session: AsyncSession,
    kind: str,
    *,
    workspace_id: UUID | None,
    key: str | None = None,
    at: datetime | None = None,
    **args: Any,
) -> None:
    """Make a job due at `at` (now), in this unit of work.

    With a `key`, at most one such job waits: asking again makes it due at the earlier of the two
    instants; asking while it runs makes it run once more afterwards.
    """
    due = at or now(session)
    added = insert(Job).values(
        id=uuid7(),
        workspace_id=workspace_id,
        kind=kind,
        key=key or str(uuid7()),
        args={name: str(value) if isinstance(value, UUID) else value for name, value in args.items()},
        run_at=due,
        state="waiting",
        attempts=0,
        fence=0,
        request_id=structlog.contextvars.get_contextvars().get("request_id"),
        created_at=now(session),
    )
    earlier = func.least(Job.run_at, added.excluded.run_at)
    stored = await session.execute(
        added.on_conflict_do_update(
            index_elements=[Job.workspace_id, Job.kind, Job.key],
            index_where=text("state <> 'dead'"),
            set_={
                "run_at": case((Job.state == "waiting", earlier), else_=Job.run_at),
                "rerun_at": case(
                    (Job.state == "running", func.least(Job.rerun_at, added.excluded.run_at)), else_=Job.rerun_at
                ),
            },
        ).returning(Job.id, Job.fence)
    )
    row = stored.one()
    if due <= now(session):
        ring_after_commit(session, row.id, row.fence)


async def absorb_waiting(session: AsyncSession, kind: str, *, most: int) -> list[dict[str, Any]]:
    """End up to `most` jobs of a kind that wait in this workspace and were never tried; their arguments.

    What they were for is then the caller's, in this unit of work.
    """
    waiting = (
        select(Job.id)
        .where(Job.workspace_id == workspace_of(session), Job.kind == kind, Job.state == "waiting")
        .where(Job.run_at <= now(session), Job.attempts == 0)
        .order_by(Job.run_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    taken = await session.scalars(delete(Job).where(Job.id.in_(waiting)).returning(Job.args))
    return list(taken.all())


def ring_after_commit(session: AsyncSession, job_id: UUID, fence: int = 0) -> None:
    """Collect the ids of a unit of work, so that they are rung in one go."""
    ids: list[tuple[UUID, str]] | None = session.info.get("rings")
    if ids is None:
        ids = session.info["rings"] = []
        doorbell = session.info.get("doorbell")
        if doorbell is not None:
            after_commit(session, functools.partial(doorbell.ring, ids))
    ids.append((job_id, str(fence)))


@dataclass(slots=True)
class Run:
    """One attempt at a job, as its handler sees it."""

    resources: Resources
    id: UUID
    kind: str
    workspace_id: UUID | None
    attempt: int
    fence: int
    finished: bool = field(default=False, init=False)

    @asynccontextmanager
    async def step(self) -> AsyncIterator[AsyncSession]:
        """A unit of work that holds the lease; `LeaseLost` where another worker has it."""
        async with self.resources.transaction(self.workspace_id) as session:
            held = await session.scalar(HOLD, {"job_id": self.id, "held": self.fence})
            if held is None:
                raise LeaseLost(f"{self.kind} {self.id} was taken by another worker")
            yield session

    async def finish(self, session: AsyncSession, reschedule: Reschedule | None = None) -> None:
        """Close the job in the same commit as its effect. `session` is that of a `step`."""
        if reschedule is None:
            await _end(session, self.id)
        else:
            await _put_back(session, self.id, at=reschedule.at, attempts=0)
        self.finished = True

    @property
    def now(self) -> datetime:
        """This instant."""
        return self.resources.clock.now()


async def _end(session: AsyncSession, job_id: UUID) -> None:
    """Take a finished job away, unless it was asked for again meanwhile."""
    gone = await session.execute(delete(Job).where(Job.id == job_id, Job.rerun_at.is_(None)))
    if not gone.rowcount:  # type: ignore[attr-defined]  # a DELETE's result has it, its static type has not
        await _put_back(session, job_id, at=None, attempts=0)


async def _put_back(session: AsyncSession, job_id: UUID, *, at: datetime | None, attempts: int) -> None:
    row = (await session.execute(PUT_BACK, {"job_id": job_id, "again_at": at, "tried": attempts})).one()
    if row.run_at <= now(session):
        ring_after_commit(session, job_id, row.fence)


async def perform(resources: Resources, job_id: UUID) -> bool:
    """Do a job if it is due and nobody has it. True when an attempt was made."""
    claimed = await _claim(resources, job_id)
    if claimed is None:
        return False
    row, kind = claimed
    run = Run(resources, row.id, row.kind, row.workspace_id, row.attempts, row.fence)
    with structlog.contextvars.bound_contextvars(
        job_id=str(row.id), job=row.kind, attempt=row.attempts, request_id=row.request_id
    ):
        keeping = asyncio.create_task(_keep_lease(run))
        started = asyncio.get_running_loop().time()
        try:
            outcome = await _attempt(run, kind, row.args)
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            telemetry.JOB_SECONDS.labels(row.kind).observe(asyncio.get_running_loop().time() - started)
        telemetry.JOBS.labels(row.kind, outcome).inc()
    return True


async def _claim(resources: Resources, job_id: UUID) -> tuple[Row[Any], Kind] | None:
    at = resources.clock.now()
    async with resources.db.read_connection(None) as connection:  # in autocommit: one statement, one trip
        taken = await connection.execute(TAKE, {"job_id": job_id, "at": at, "until": at + LEASE})
        row = taken.one_or_none()
    if row is None:
        return None
    kind = kinds.get(row.kind)
    if kind is not None and row.attempts <= kind.attempts:
        return row, kind
    with suppress(LeaseLost):
        async with Run(resources, row.id, row.kind, row.workspace_id, row.attempts, row.fence).step() as session:
            if kind is None:
                # A newer or older version of this service knows it: leave it to that one.
                log.warning("job.unknown_kind", job=row.kind)
                await _put_back(session, row.id, at=at + timedelta(minutes=1), attempts=row.attempts - 1)
            else:
                died = {"code": "worker-died", "detail": "Every worker that took it ended midway."}
                await _bury(session, row.id, kind, row.args, died)
    return None


async def _attempt(run: Run, kind: Kind, args: dict[str, Any]) -> str:
    """Run the handler and write down how it went; the outcome in a word."""
    try:
        async with asyncio.timeout(kind.timeout.total_seconds()):
            reschedule = await kind.handler(run, **args)
    except asyncio.CancelledError:
        # The worker is being stopped: hand the job back, not counted.
        await asyncio.shield(_settle(run, at=run.now, attempts=run.attempt - 1))
        raise
    except LeaseLost:
        log.warning("job.lease_lost")
        return "lease_lost"
    except Snooze as snooze:
        log.info("job.later", reason=str(snooze), at=snooze.at.isoformat())
        await _settle(run, at=snooze.at, attempts=run.attempt - 1)
        return "later"
    except Exception as error:
        return await _failed(run, kind, args, error)
    if not run.finished:
        if reschedule is None and kind.every is not None:
            reschedule = Reschedule(run.now + kind.every)
        with suppress(LeaseLost):
            async with run.step() as session:
                await run.finish(session, reschedule)
    return "done"


async def _failed(run: Run, kind: Kind, args: dict[str, Any], error: Exception) -> str:
    what = {"code": type(error).__name__, "detail": str(error)[:2000], "at": run.now.isoformat()}
    final = isinstance(error, Cancel) or (run.attempt >= kind.attempts and kind.every is None)
    log.error("job.failed", final=final, exc_info=error)
    if not final:
        await _settle(run, at=run.now + backoff(run.attempt), attempts=run.attempt, error=what)
        return "failed"
    with suppress(LeaseLost):
        async with run.step() as session:
            await _bury(session, run.id, kind, args, what)
    return "dead"


def backoff(attempt: int) -> timedelta:
    """Seconds doubling from 2 to an hour, each taken from its upper half at random."""
    ceiling = min(2.0**attempt, 3600.0)
    return timedelta(seconds=random.uniform(ceiling / 2, ceiling))  # noqa: S311 - spread, not secrecy


async def _settle(run: Run, *, at: datetime, attempts: int, error: dict[str, Any] | None = None) -> None:
    with suppress(LeaseLost):
        async with run.step() as session:
            await _put_back(session, run.id, at=at, attempts=attempts)
            if error is not None:
                await session.execute(update(Job).where(Job.id == run.id).values(error=error))


async def _bury(session: AsyncSession, job_id: UUID, kind: Kind, args: dict[str, Any], error: dict[str, Any]) -> None:
    await session.execute(update(Job).where(Job.id == job_id).values(state="dead", error=error, leased_until=None))
    if kind.buried is None:
        return
    try:
        async with session.begin_nested():
            await kind.buried(session, **args)
    except Exception:  # given up all the same: it would be taken up, and die, for ever
        log.exception("job.burial_failed")


async def _keep_lease(run: Run) -> None:
    """Prolong the lease as long as the handler works, three times within its length."""
    while True:
        await asyncio.sleep(LEASE.total_seconds() / 3)
        try:
            async with run.resources.transaction(None) as session:
                await session.execute(
                    update(Job)
                    .where(Job.id == run.id, Job.fence == run.fence, Job.state == "running")
                    .values(leased_until=run.now + LEASE)
                )
        except Exception as error:  # the handler's own step will find out whether the lease is lost
            log.warning("job.lease_not_prolonged", exc_info=error)
