"""Durable jobs: rows in PostgreSQL; arq only notifies the workers that one is due (the *doorbell*).

A change and its follow-up job are rows of one transaction. After the commit the job's id is
sent to arq (a *ring*), best effort; the sweeper finds the jobs that are due and rings again. Redis may lose
its data at any moment: a job is then late, never lost. Attempts, schedule, backoff and dead letters are in
PostgreSQL.

A worker claims a job with a lease and a fencing number. Every step of a run is a transaction that locks
the job's row and compares the fencing number, so that a worker that has lost its lease cannot write any
more, and the last step can finish the job in the same commit.
"""

import asyncio
import functools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, get_type_hints
from uuid import UUID

import structlog
from pydantic import TypeAdapter
from sqlalchemy import Row, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit import telemetry
from app.kit.actors import Actor, ActorKind
from app.kit.db import after_commit, now, workspace_of
from app.kit.errors import lost_race
from app.kit.ids import uuid7
from app.kit.job_rows import (
    CLAIM,
    ENQUEUE,
    ENQUEUE_FOR_NONE,
    FINISH,
    INSERT_JOB,
    LEASE,
    LOCK_CLAIMED,
    REQUEUE,
    Job,
    WorkerHeartbeat,
    due,
)
from app.kit.registry import rooms
from app.kit.resources import Resources

__all__ = [
    "INSERT_JOB",
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
    """Returned by a handler: run the job again at this instant, its attempts counted from 0."""

    at: datetime


class Snooze(Exception):
    """Raised by a handler that cannot run now (an exhausted rate limit, say): run at `at`. Not an attempt."""

    def __init__(self, at: datetime, reason: str) -> None:
        super().__init__(reason)
        self.at = at


class Cancel(Exception):
    """Raised by a handler where no further attempt can succeed: the job is dead at once."""


class LeaseLost(Exception):
    """Another worker has claimed this job; this worker's transaction is rolled back."""


Handler = Callable[..., Awaitable[Reschedule | None]]
DeadHandler = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job: its handler and its limits."""

    name: str
    handler: Handler
    timeout: timedelta
    attempts: int
    every: timedelta | None
    on_dead: DeadHandler | None = None


kinds: Final[dict[str, Kind]] = {}


def job(
    name: str,
    *,
    timeout: timedelta = timedelta(seconds=60),
    attempts: int = 10,
    every: timedelta | None = None,
    on_dead: DeadHandler | None = None,
) -> Callable[[Handler], Handler]:
    """Declare the decorated function as the handler of jobs named `name` (`communities.poll`).

    It is called with a `Run` and the job's arguments, validated against its signature. `timeout` is of one
    attempt. `every`: one such job, of no workspace, always exists and runs at this interval. `on_dead`: called
    with a session and the job's arguments in the transaction that marks the job dead, for whatever reason, so
    that nothing waits for the job any more.
    """

    def register(handler: Handler) -> Handler:
        dead_handler = None if on_dead is None else _validated(on_dead)
        kinds[name] = Kind(name, _validated(handler), timeout, attempts, every, dead_handler)
        return handler

    return register


def _validated(handler: Callable[..., Awaitable[R]]) -> Callable[..., Awaitable[R]]:
    """The handler, called with a job's stored arguments converted to its parameters' types (an id to a `UUID`)."""
    not_stored = {"run", "session", "return"}
    adapters = {name: TypeAdapter(hint) for name, hint in get_type_hints(handler).items() if name not in not_stored}

    async def call(first: "Run | AsyncSession", **stored: Any) -> R:
        return await handler(
            first, **{name: adapter.validate_python(stored[name]) for name, adapter in adapters.items()}
        )

    return call


def collect() -> None:
    """Import every room's `jobs.py`; each process does so once at its start."""
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
    """Add a job that is due at `at` (default: now), in this transaction.

    With a `key`, one job of this workspace, kind and key waits: enqueuing it again makes it due at the earlier of
    the two instants; enqueuing it while it runs makes it run once more afterwards. No row lock is waited for, so
    that a transaction may enqueue at any point.
    """
    run_at = at or now(session)
    stored = await session.execute(
        ENQUEUE_FOR_NONE if workspace_id is None else ENQUEUE,
        {
            "job_id": uuid7(),
            "workspace_id": workspace_id,
            "kind": kind,
            "key": key or str(uuid7()),
            "args": {name: str(value) if isinstance(value, UUID) else value for name, value in args.items()},
            "run_at": run_at,
            "request_id": structlog.contextvars.get_contextvars().get("request_id"),
            "created_at": now(session),
        },
    )
    row = stored.one()
    if run_at <= now(session):
        ring_after_commit(session, row.id, row.fence)


async def absorb_waiting(session: AsyncSession, kind: str, *, limit: int) -> list[dict[str, Any]]:
    """Delete up to `limit` jobs of a kind that are due in this workspace and were never attempted; their arguments.

    The caller has to do their work, in this transaction.
    """
    waiting = (
        select(Job.id)
        .where(Job.workspace_id == workspace_of(session), Job.kind == kind, Job.state == "waiting")
        .where(Job.run_at <= now(session), Job.attempts == 0)
        .order_by(Job.run_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    deleted = await session.scalars(delete(Job).where(Job.id.in_(waiting)).returning(Job.args))
    return list(deleted.all())


def ring_after_commit(session: AsyncSession, job_id: UUID, fence: int = 0) -> None:
    """Ring for a job after this transaction's commit, together with its other jobs."""
    ids: list[tuple[UUID, str]] | None = session.info.get("rings")
    if ids is None:
        ids = session.info["rings"] = []
        doorbell = session.info.get("doorbell")
        if doorbell is not None:
            after_commit(session, functools.partial(doorbell.ring, ids))
    ids.append((job_id, str(fence)))


@dataclass(slots=True)
class Run:
    """One attempt at a job; the handler's first argument."""

    resources: Resources
    id: UUID
    kind: str
    workspace_id: UUID | None
    attempt: int
    fence: int
    finished: bool = field(default=False, init=False)

    @asynccontextmanager
    async def step(self, actor: Actor | None = None) -> AsyncIterator[AsyncSession]:
        """A transaction in the job's workspace that locks the job's row; `LeaseLost` where another worker has it.

        `actor`: on whose behalf, where that is not the job itself.
        """
        async with self.resources.transaction(self.workspace_id, actor or self.actor) as session:
            locked = await session.scalar(LOCK_CLAIMED, {"job_id": self.id, "fence": self.fence})
            if locked is None:
                raise LeaseLost(f"{self.kind} {self.id} was taken by another worker")
            yield session

    async def finish(self, session: AsyncSession, reschedule: Reschedule | None = None) -> None:
        """Finish the job, or reschedule it, in the transaction of its effect. `session` is that of a `step`."""
        if reschedule is None:
            await _delete_finished(session, self.id)
        else:
            await _requeue(session, self.id, at=reschedule.at, attempts=0)
        self.finished = True

    @property
    def actor(self) -> Actor:
        """The job as the actor of its changes."""
        return Actor(ActorKind.JOB, self.kind)

    @property
    def now(self) -> datetime:
        """The current instant."""
        return self.resources.clock.now()


async def _delete_finished(session: AsyncSession, job_id: UUID) -> None:
    """Delete a finished job; where it was enqueued again while it ran, the new one may run now."""
    _ring_for_due(session, (await session.execute(FINISH, {"job_id": job_id})).all())


async def _requeue(session: AsyncSession, job_id: UUID, *, at: datetime, attempts: int) -> None:
    requeued = {"job_id": job_id, "next_run_at": at, "attempts_so_far": attempts}
    _ring_for_due(session, (await session.execute(REQUEUE, requeued)).all())


def _ring_for_due(session: AsyncSession, rows: Sequence[Row[Any]]) -> None:
    for row in rows:
        if row.run_at <= now(session):
            ring_after_commit(session, row.id, row.fence)


async def perform(resources: Resources, job_id: UUID) -> bool:
    """Claim and run a job, if it is due and unclaimed. Whether an attempt was made."""
    claimed = await _claim(resources, job_id)
    if claimed is None:
        return False
    row, kind = claimed
    run = Run(resources, row.id, row.kind, row.workspace_id, row.attempts, row.fence)
    with structlog.contextvars.bound_contextvars(
        job_id=str(row.id), job=row.kind, attempt=row.attempts, request_id=row.request_id, **_concerned(row)
    ):
        lease_task = asyncio.create_task(_prolong_lease(run))
        started = asyncio.get_running_loop().time()
        try:
            outcome = await _attempt(run, kind, row.args)
        finally:
            lease_task.cancel()
            with suppress(asyncio.CancelledError):
                await lease_task
            took = asyncio.get_running_loop().time() - started
            telemetry.JOB_SECONDS.labels(row.kind).observe(took)
        telemetry.JOBS.labels(row.kind, outcome).inc()
        log.info("job", outcome=outcome, ms=round(took * 1000, 1))
    return True


def _concerned(row: Row[Any]) -> dict[str, str]:
    """The workspace and community of a job, for its log lines."""
    ids = {"workspace_id": row.workspace_id, "community_id": row.args.get("community_id")}
    return {name: str(value) for name, value in ids.items() if value is not None}


async def _claim(resources: Resources, job_id: UUID) -> tuple[Row[Any], Kind] | None:
    at = resources.clock.now()
    async with resources.db.read_connection(None) as connection:  # in autocommit: one statement, one round trip
        try:
            claimed = await connection.execute(CLAIM, {"job_id": job_id, "at": at, "until": at + LEASE})
        except IntegrityError:
            return None  # another worker was claiming a job of the same key
        row = claimed.one_or_none()
    if row is None:
        return None
    kind = kinds.get(row.kind)
    if kind is not None and row.attempts <= kind.attempts:
        return row, kind
    with suppress(LeaseLost):
        async with Run(resources, row.id, row.kind, row.workspace_id, row.attempts, row.fence).step() as session:
            if kind is None:
                # Another version of this service knows this kind: leave the job to its workers.
                log.warning("job.unknown_kind", job=row.kind)
                await _requeue(session, row.id, at=at + timedelta(minutes=1), attempts=row.attempts - 1)
            else:
                error = {"code": "worker-died", "detail": "Every worker that claimed it ended during the attempt."}
                await _mark_dead(session, row.id, kind, row.args, error)
    return None


async def _attempt(run: Run, kind: Kind, args: dict[str, Any]) -> str:
    """Run the handler and store the result; the outcome, as the metric `instep_jobs` labels it."""
    try:
        async with asyncio.timeout(kind.timeout.total_seconds()):
            reschedule = await kind.handler(run, **args)
        if not run.finished:
            if reschedule is None and kind.every is not None:
                reschedule = Reschedule(run.now + kind.every)
            async with run.step() as session:
                await run.finish(session, reschedule)
    except asyncio.CancelledError:
        # The worker is shutting down: requeue the job, without counting the attempt.
        await asyncio.shield(_release(run, at=run.now, attempts=run.attempt - 1))
        raise
    except LeaseLost:
        log.warning("job.lease_lost")
        return "lease_lost"
    except Snooze as snooze:
        log.info("job.snoozed", reason=str(snooze), at=snooze.at.isoformat())
        await _release(run, at=snooze.at, attempts=run.attempt - 1)
        return "snoozed"
    except Exception as error:
        if lost_race(error):
            log.warning("job.lost_race", error=type(error).__name__)
            await _release(run, at=run.now, attempts=run.attempt - 1)
            return "lost_race"
        return await _failed(run, kind, args, error)
    return "done"


async def _failed(run: Run, kind: Kind, args: dict[str, Any], error: Exception) -> str:
    record = {"code": type(error).__name__, "detail": str(error)[:2000], "at": run.now.isoformat()}
    final = isinstance(error, Cancel) or (run.attempt >= kind.attempts and kind.every is None)
    log.error("job.failed", final=final, exc_info=error)
    if not final:
        await _release(run, at=run.now + backoff(run.attempt), attempts=run.attempt, error=record)
        return "failed"
    with suppress(LeaseLost):
        async with run.step() as session:
            await _mark_dead(session, run.id, kind, args, record)
    return "dead"


def backoff(attempt: int) -> timedelta:
    """The wait after the n-th failed attempt: a random value between half of min(2ⁿ s, 1 h) and the whole."""
    ceiling = min(2.0**attempt, 3600.0)
    return timedelta(seconds=random.uniform(ceiling / 2, ceiling))  # noqa: S311 - jitter, not a secret


async def _release(run: Run, *, at: datetime, attempts: int, error: dict[str, Any] | None = None) -> None:
    with suppress(LeaseLost):
        async with run.step() as session:
            await _requeue(session, run.id, at=at, attempts=attempts)
            if error is not None:
                await session.execute(update(Job).where(Job.id == run.id).values(error=error))


async def _mark_dead(
    session: AsyncSession, job_id: UUID, kind: Kind, args: dict[str, Any], error: dict[str, Any]
) -> None:
    await session.execute(update(Job).where(Job.id == job_id).values(state="dead", error=error, leased_until=None))
    if kind.on_dead is None:
        return
    try:
        async with session.begin_nested():
            await kind.on_dead(session, **args)
    except Exception:  # dead all the same, or it would be claimed, and fail, again and again
        log.exception("job.on_dead_failed")


async def _prolong_lease(run: Run) -> None:
    """Prolong the lease every third of its length, until cancelled."""
    while True:
        await asyncio.sleep(LEASE.total_seconds() / 3)
        try:
            async with run.resources.transaction(None) as session:
                await session.execute(
                    update(Job)
                    .where(Job.id == run.id, Job.fence == run.fence, Job.state == "running")
                    .values(leased_until=run.now + LEASE)
                )
        except Exception as error:  # the handler's next step finds out whether the lease is lost
            log.warning("job.lease_not_prolonged", exc_info=error)
