"""Durable jobs: never lost, never done by two workers at once, whichever process dies."""

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit import jobs, scheduler
from app.kit.actors import Actor, ActorKind
from app.kit.clock import SetClock
from app.kit.db import actor_of
from app.kit.jobs import Cancel, Job, Reschedule, Run, Snooze
from app.kit.resources import Resources


@pytest.fixture
def kind() -> Iterator[str]:
    """A kind of job of this test's own."""
    name = f"test.{uuid.uuid4().hex}"
    yield name
    jobs.kinds.pop(name, None)


@pytest.fixture
async def resources(resources: Resources) -> Resources:
    """Without the jobs of other tests."""
    async with resources.transaction(None) as session:
        await session.execute(delete(Job))
    return resources


async def stored(resources: Resources, kind: str) -> list[Job]:
    async with resources.transaction(None) as session:
        return list((await session.scalars(select(Job).where(Job.kind == kind).order_by(Job.run_at))).all())


async def enqueue(resources: Resources, kind: str, key: str = "k", **more: object) -> uuid.UUID:
    async with resources.transaction(None) as session:
        await jobs.enqueue(session, kind, workspace_id=None, key=key, **more)  # type: ignore[arg-type]  # a test's own
        waits = (Job.kind == kind, Job.key == key, Job.state == "waiting")
        return (await session.scalars(select(Job.id).where(*waits).order_by(Job.run_at).limit(1))).one()


async def test_a_rolled_back_transaction_leaves_no_job(resources: Resources, kind: str) -> None:
    class Broken(Exception):
        pass

    async def enqueue_and_break() -> None:
        async with resources.transaction(None) as session:
            await jobs.enqueue(session, kind, workspace_id=None)
            raise Broken

    with pytest.raises(Broken):
        await enqueue_and_break()
    assert await stored(resources, kind) == []


async def test_a_job_is_rung_after_its_commit_and_not_before(resources: Resources, kind: str) -> None:
    rung: list[tuple[uuid.UUID, bool]] = []

    class Bell:
        async def ring(self, waiting: object) -> None:
            row = await stored(resources, kind)
            rung.append((row[0].id, True) if row else (uuid.uuid4(), False))

    async with replace(resources, doorbell=Bell()).transaction(None) as session:
        await jobs.enqueue(session, kind, workspace_id=None)
        assert rung == []
    assert [committed for _, committed in rung] == [True]


async def test_a_handler_gets_its_arguments_in_its_parameters_types(resources: Resources, kind: str) -> None:
    received: list[object] = []

    @jobs.job(kind)
    async def handler(run: Run, thing_id: uuid.UUID, count: int) -> Reschedule | None:
        received.extend((thing_id, count))
        return None

    thing = uuid.uuid4()
    job_id = await enqueue(resources, kind, thing_id=thing, count=3)
    assert await jobs.perform(resources, job_id)
    assert received == [thing, 3]
    assert await stored(resources, kind) == []


async def test_a_step_acts_for_the_job_or_for_whom_it_names(resources: Resources, kind: str) -> None:
    actors: list[str] = []

    @jobs.job(kind)
    async def handler(run: Run) -> Reschedule | None:
        for actor in (None, Actor(ActorKind.PLATFORM, "vk")):
            async with run.step(actor) as session:
                actors.append(str(actor_of(session)))
        return None

    assert await jobs.perform(resources, await enqueue(resources, kind))
    assert actors == [f"job:{kind}", "platform:vk"]


async def test_two_workers_do_a_job_once(resources: Resources, kind: str) -> None:
    done = 0

    @jobs.job(kind)
    async def handler(run: Run) -> Reschedule | None:
        nonlocal done
        done += 1
        await asyncio.sleep(0)
        return None

    job_id = await enqueue(resources, kind)
    attempted = await asyncio.gather(*(jobs.perform(resources, job_id) for _ in range(5)))
    assert (done, sorted(attempted)) == (1, [False, False, False, False, True])


async def test_a_failure_is_retried_later_and_dead_in_the_end(resources: Resources, kind: str, clock: SetClock) -> None:
    @jobs.job(kind, attempts=3)
    async def handler(run: Run) -> Reschedule | None:
        raise ValueError("no luck")

    job_id = await enqueue(resources, kind)
    waits = []
    for _ in range(2):
        assert await jobs.perform(resources, job_id)
        (row,) = await stored(resources, kind)
        waits.append((row.run_at - clock.now()).total_seconds())
        assert not await jobs.perform(resources, job_id), "not before its time"
        clock.at = row.run_at
    assert 1 <= waits[0] <= 2 <= waits[1] <= 4
    assert await jobs.perform(resources, job_id)
    (row,) = await stored(resources, kind)
    assert row.state == "dead"
    assert row.error is not None
    assert row.error["detail"] == "no luck"
    assert (await scheduler.health(resources)).dead == 1
    assert not await jobs.perform(resources, job_id), "a dead job is not run again"


async def test_a_cancelled_job_is_not_retried(resources: Resources, kind: str) -> None:
    @jobs.job(kind)
    async def handler(run: Run) -> Reschedule | None:
        raise Cancel("useless")

    await jobs.perform(resources, await enqueue(resources, kind))
    assert [row.state for row in await stored(resources, kind)] == ["dead"]


async def test_a_snoozed_job_is_not_counted_as_an_attempt(resources: Resources, kind: str, clock: SetClock) -> None:
    @jobs.job(kind, attempts=1)
    async def handler(run: Run) -> Reschedule | None:
        raise Snooze(run.now + timedelta(minutes=1), "budget spent")

    job_id = await enqueue(resources, kind)
    for _ in range(3):
        assert await jobs.perform(resources, job_id)
        clock.advance(timedelta(minutes=1))
    assert [(row.state, row.attempts) for row in await stored(resources, kind)] == [("waiting", 0)]


async def test_a_handler_that_takes_too_long_is_stopped(resources: Resources, kind: str) -> None:
    @jobs.job(kind, timeout=timedelta(milliseconds=20))
    async def handler(run: Run) -> Reschedule | None:
        await asyncio.Event().wait()
        return None

    await jobs.perform(resources, await enqueue(resources, kind))
    (row,) = await stored(resources, kind)
    assert (row.state, row.error["code"] if row.error else None) == ("waiting", "TimeoutError")


async def test_a_job_whose_worker_was_killed_is_claimed_again_when_the_lease_is_over(
    resources: Resources, kind: str, clock: SetClock
) -> None:
    class Killed(BaseException):
        pass

    attempts_made = 0

    @jobs.job(kind)
    async def handler(run: Run) -> Reschedule | None:
        nonlocal attempts_made
        attempts_made += 1
        if attempts_made == 1:
            raise Killed
        return None

    job_id = await enqueue(resources, kind)
    with pytest.raises(Killed):
        await jobs.perform(resources, job_id)
    assert not await jobs.perform(resources, job_id), "the lease still holds"
    clock.advance(jobs.LEASE + timedelta(seconds=1))
    assert await jobs.perform(resources, job_id)
    assert attempts_made == 2


async def test_a_worker_that_lost_its_lease_cannot_write(resources: Resources, kind: str, clock: SetClock) -> None:
    """The slow worker wakes up after another one has done the job: what it writes is rolled back."""
    outcomes: list[str] = []

    @jobs.job(kind)
    async def handler(run: Run) -> Reschedule | None:
        if run.fence == 1:
            clock.advance(jobs.LEASE + timedelta(seconds=1))
            assert await jobs.perform(resources, run.id), "the other worker"
            async with run.step():
                outcomes.append("the slow one wrote")
        else:
            async with run.step() as session:
                outcomes.append("the other one wrote")
                await run.finish(session)
        return None

    await jobs.perform(resources, await enqueue(resources, kind))
    assert outcomes == ["the other one wrote"]


async def test_a_slow_worker_cannot_write_while_another_runs_the_job(
    resources: Resources, kind: str, clock: SetClock
) -> None:
    """The job's row is there and running, but it is the other one's run."""
    wrote: list[int] = []

    @jobs.job(kind)
    async def handler(run: Run) -> Reschedule | None:
        if run.fence == 1:
            clock.advance(jobs.LEASE + timedelta(seconds=1))
            await jobs.perform(resources, run.id)  # which, before it ends, lets the slow one try
            return None
        with pytest.raises(jobs.LeaseLost):
            async with Run(resources, run.id, kind, None, 1, fence=1).step():
                wrote.append(1)
        async with run.step():
            wrote.append(2)
        return None

    await jobs.perform(resources, await enqueue(resources, kind))
    assert wrote == [2]


async def test_a_job_that_kills_its_workers_is_dead_in_the_end(
    resources: Resources, kind: str, clock: SetClock
) -> None:
    class Killed(BaseException):
        pass

    @jobs.job(kind, attempts=2)
    async def handler(run: Run) -> Reschedule | None:
        raise Killed

    job_id = await enqueue(resources, kind)
    for _ in range(2):
        with pytest.raises(Killed):
            await jobs.perform(resources, job_id)
        clock.advance(jobs.LEASE + timedelta(seconds=1))
    assert not await jobs.perform(resources, job_id)
    (row,) = await stored(resources, kind)
    assert (row.state, row.error["code"] if row.error else None) == ("dead", "worker-died")


async def test_enqueuing_a_waiting_job_again_makes_it_earlier(resources: Resources, kind: str, clock: SetClock) -> None:
    late, soon = clock.now() + timedelta(hours=2), clock.now() + timedelta(hours=1)
    await enqueue(resources, kind, at=late)
    await enqueue(resources, kind, at=soon)
    await enqueue(resources, kind, at=late)
    assert [row.run_at for row in await stored(resources, kind)] == [soon]


async def test_enqueuing_a_running_job_makes_it_run_once_more(resources: Resources, kind: str) -> None:
    runs = 0
    rung: list[uuid.UUID] = []

    class Bell:
        async def ring(self, waiting: list[tuple[uuid.UUID, str]]) -> None:
            rung.extend(job_id for job_id, _ in waiting)

    @jobs.job(kind)
    async def handler(run: Run) -> Reschedule | None:
        nonlocal runs
        runs += 1
        if runs == 1:
            for _ in range(3):
                twin = await enqueue(resources, kind)
                assert not await jobs.perform(resources, twin), "not while the first one runs"
            assert (await scheduler.health(resources)).oldest_due_at is None, "it waits for no worker"
        return None

    assert await jobs.perform(replace(resources, doorbell=Bell()), await enqueue(resources, kind))  # type: ignore[arg-type]  # a test's bell
    (twin,) = await stored(resources, kind)
    assert rung == [twin.id], "the end of the first one rings for it"
    assert await jobs.perform(resources, twin.id)
    assert (runs, await stored(resources, kind)) == (2, [])


async def test_a_job_and_its_twin_become_one_again(resources: Resources, kind: str, clock: SetClock) -> None:
    """A job that is to run later is enqueued while it runs: the twin takes its place, and its attempts count on."""
    runs: list[int] = []

    @jobs.job(kind, attempts=5)
    async def handler(run: Run) -> Reschedule | None:
        runs.append(run.attempt)
        if len(runs) == 1:
            await enqueue(resources, kind)
        if len(runs) < 3:
            raise ValueError("no luck")
        return Reschedule(run.now + timedelta(hours=1))

    assert await jobs.perform(resources, await enqueue(resources, kind))
    first, twin = sorted(await stored(resources, kind), key=lambda row: row.run_at, reverse=True)
    assert (first.attempts, twin.attempts) == (1, 0)
    assert first.run_at > clock.now() == twin.run_at
    assert await jobs.perform(resources, twin.id)
    assert not await jobs.perform(resources, first.id), "it was merged"
    (row,) = await stored(resources, kind)
    clock.at = row.run_at
    assert await jobs.perform(resources, row.id)
    assert runs == [1, 2, 3]
    assert [(row.state, row.attempts) for row in await stored(resources, kind)] == [("waiting", 0)]


async def test_enqueuing_waits_for_no_lock(resources: Resources, kind: str) -> None:
    """Not for a running job's step, not for one that is about to be deleted, not for another transaction's."""

    @jobs.job(kind)
    async def handler(run: Run) -> Reschedule | None:
        async with run.step() as session:
            async with asyncio.timeout(5):
                await enqueue(resources, kind)
            await run.finish(session)
            async with asyncio.timeout(5):
                await enqueue(resources, kind)
        return None

    assert await jobs.perform(resources, await enqueue(resources, kind))
    (twin,) = await stored(resources, kind)
    async with resources.transaction(None) as session:
        await jobs.enqueue(session, kind, workspace_id=None, key="k")
        async with asyncio.timeout(5), resources.transaction(None) as other:
            await jobs.enqueue(other, kind, workspace_id=None, key="k")
        assert not await jobs.perform(resources, twin.id), "its row is locked"
    assert len(await stored(resources, kind)) == 2


async def test_of_twins_that_are_claimed_at_once_one_runs(resources: Resources, kind: str) -> None:
    running = most = 0

    @jobs.job(kind)
    async def handler(run: Run) -> Reschedule | None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return None

    for _ in range(10):
        async with resources.transaction(None) as session:
            session.add_all(
                Job(kind=kind, key="k", args={}, run_at=resources.clock.now(), created_at=resources.clock.now())
                for _ in range(4)
            )
        twins = await stored(resources, kind)
        await asyncio.gather(*(jobs.perform(resources, row.id) for row in twins))
        while waiting := await stored(resources, kind):
            await jobs.perform(resources, waiting[0].id)
    assert most == 1


@pytest.mark.parametrize("state", ["40P01", "40001"])
async def test_a_lost_race_is_repeated_at_once_and_not_counted(
    resources: Resources, kind: str, clock: SetClock, state: str
) -> None:
    attempts: list[int] = []

    @jobs.job(kind, attempts=1)
    async def handler(run: Run) -> Reschedule | None:
        attempts.append(run.attempt)
        async with run.step() as session:
            if len(attempts) < 3:
                await session.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"))
        return None

    job_id = await enqueue(resources, kind)
    for _ in range(3):
        assert await jobs.perform(resources, job_id)
    assert attempts == [1, 1, 1]
    assert await stored(resources, kind) == []


async def test_a_stopped_worker_requeues_its_job(resources: Resources, kind: str) -> None:
    begun = asyncio.Event()

    @jobs.job(kind)
    async def handler(run: Run) -> Reschedule | None:
        begun.set()
        await asyncio.Event().wait()
        return None

    job_id = await enqueue(resources, kind)
    working = asyncio.create_task(jobs.perform(resources, job_id))
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert [(row.state, row.attempts) for row in await stored(resources, kind)] == [("waiting", 0)]


async def test_the_sweeper_rings_for_all_due_jobs_page_by_page(
    resources: Resources, kind: str, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[uuid.UUID] = []

    class Bell:
        async def ring(self, waiting: list[tuple[uuid.UUID, str]]) -> None:
            rung.extend(job_id for job_id, _ in waiting)

    monkeypatch.setattr(scheduler, "PAGE", 3)
    due = [await enqueue(resources, kind, key=str(n)) for n in range(8)]
    await enqueue(resources, kind, key="later", at=clock.now() + timedelta(minutes=1))
    assert await scheduler.sweep(replace(resources, doorbell=Bell())) == 8  # type: ignore[arg-type]  # a test's bell
    assert sorted(rung) == sorted(due)


async def test_a_late_job_is_rung_again_at_doubling_intervals(resources: Resources, kind: str, clock: SetClock) -> None:
    """A ring is lost where a worker is killed between receiving it and claiming the job."""
    rings: list[str] = []
    job_id = await enqueue(resources, kind)

    class Bell:
        async def ring(self, waiting: list[tuple[uuid.UUID, str]]) -> None:
            rings.extend(ring for rung_id, ring in waiting if rung_id == job_id)

    for _ in range(3600 // 2):
        await scheduler.sweep(replace(resources, doorbell=Bell()))  # type: ignore[arg-type]  # a test's bell
        clock.advance(timedelta(seconds=2))
    firsts = [2 * rings.index(ring) for ring in dict.fromkeys(rings)]
    assert firsts == [0, 30, 60, 120, 240, 480, 960, 1920]


async def test_recurring_jobs_exist_once_and_are_rescheduled(resources: Resources, kind: str, clock: SetClock) -> None:
    @jobs.job(kind, every=timedelta(hours=24))
    async def handler(run: Run) -> Reschedule | None:
        return None

    await scheduler.ensure_recurring(resources)
    await scheduler.ensure_recurring(resources)
    (row,) = await stored(resources, kind)
    await jobs.perform(resources, row.id)
    assert [row.run_at for row in await stored(resources, kind)] == [clock.now() + timedelta(hours=24)]


async def test_on_dead_is_called_when_a_job_is_marked_dead(resources: Resources, kind: str, clock: SetClock) -> None:
    calls: list[tuple[str, uuid.UUID]] = []

    async def on_dead(session: AsyncSession, thing_id: uuid.UUID) -> None:
        state = await session.scalar(select(Job.state).where(Job.kind == kind))
        calls.append((str(state), thing_id))

    @jobs.job(kind, attempts=2, on_dead=on_dead)
    async def handler(run: Run, thing_id: uuid.UUID) -> Reschedule | None:
        raise ValueError("no")

    thing = uuid.uuid4()
    job_id = await enqueue(resources, kind, thing_id=thing)
    await jobs.perform(resources, job_id)
    assert calls == []
    clock.advance(timedelta(minutes=1))
    await jobs.perform(resources, job_id)
    assert calls == [("dead", thing)]


async def test_a_job_is_dead_even_if_on_dead_fails(resources: Resources, kind: str, clock: SetClock) -> None:
    async def on_dead(session: AsyncSession) -> None:
        await session.execute(delete(Job).where(Job.kind == kind))
        raise RuntimeError("on_dead failed")

    @jobs.job(kind, on_dead=on_dead)
    async def handler(run: Run) -> Reschedule | None:
        raise Cancel("no")

    await jobs.perform(resources, await enqueue(resources, kind))
    assert [row.state for row in await stored(resources, kind)] == ["dead"]
