"""What keeps the jobs coming: the sweeper, the recurring ones, the heartbeat, and how they all do.

Ticks call this; they decide nothing, so that a tick too many does nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from app.kit.jobs import LEASE, Job, WorkerHeartbeat, due, enqueue, kinds
from app.kit.resources import Resources

PAGE: Final = 1000


async def sweep(resources: Resources) -> int:
    """Ring for everything that is due, page after page; how many there were."""
    at = resources.clock.now()
    after: tuple[datetime, UUID] | None = None
    total = 0
    while True:
        query = select(Job.id, Job.fence, Job.run_at).where(due(at)).order_by(Job.run_at, Job.id).limit(PAGE)
        if after is not None:
            query = query.where(or_(Job.run_at > after[0], and_(Job.run_at == after[0], Job.id > after[1])))
        async with resources.db.read_connection(None) as connection:
            rows = (await connection.execute(query)).all()
        if rows:
            await resources.doorbell.ring([(row.id, _ring_of(row.fence, at - row.run_at)) for row in rows])
            total += len(rows)
        if len(rows) < PAGE:
            return total
        after = (rows[-1].run_at, rows[-1].id)


def _ring_of(fence: int, late: timedelta) -> str:
    """What tells one ring for a job from another: its fence, and how often it has been late for twice as long.

    A worker that is killed after it heard a ring, and before it claimed the job, takes that ring with it: arq holds
    it to be in progress for an hour. A new one gets through; doubling keeps them few where there are many late jobs.
    """
    return f"{fence}.{(late // LEASE).bit_length()}" if late >= LEASE else str(fence)


async def ensure_recurring(resources: Resources) -> None:
    """See to it that every job with an interval is there."""
    async with resources.transaction(None) as session:
        for kind in kinds.values():
            if kind.every is not None:
                await enqueue(session, kind.name, workspace_id=None, key="every")


async def heartbeat(resources: Resources, worker: str) -> None:
    """Say that this worker lives; forget those that have been silent for a day."""
    at = resources.clock.now()
    async with resources.transaction(None) as session:
        alive = insert(WorkerHeartbeat).values(worker=worker, at=at)
        await session.execute(
            alive.on_conflict_do_update(index_elements=[WorkerHeartbeat.worker], set_={"at": alive.excluded.at})
        )
        await session.execute(delete(WorkerHeartbeat).where(WorkerHeartbeat.at < at - timedelta(days=1)))


@dataclass(frozen=True, slots=True)
class Health:
    """How the workers are doing."""

    beat_at: datetime | None
    oldest_due_at: datetime | None
    dead: int


async def health(resources: Resources) -> Health:
    """The newest heartbeat, since when the oldest due job waits, and how many dead letters there are."""
    at = resources.clock.now()
    async with resources.db.read_connection(None) as connection:
        row = (
            await connection.execute(
                select(
                    select(func.max(WorkerHeartbeat.at)).scalar_subquery().label("beat_at"),
                    select(func.min(Job.run_at))
                    .where(Job.state == "waiting", Job.run_at <= at)
                    .scalar_subquery()
                    .label("oldest_due_at"),
                    select(func.count()).select_from(Job).where(Job.state == "dead").scalar_subquery().label("dead"),
                )
            )
        ).one()
    return Health(row.beat_at, row.oldest_due_at, row.dead)
