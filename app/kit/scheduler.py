"""The sweeper, the recurring jobs, the workers' heartbeats, and the health of the queue.

The worker's cron calls these functions; calling one twice has no further effect.
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
MOST_DEAD: Final = 10_000
"""Dead jobs are counted up to so many: more are as bad."""


async def sweep(resources: Resources) -> int:
    """Ring for all jobs that are due, page by page; the number of those jobs."""
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
            await resources.doorbell.ring([(row.id, _ring_label(row.fence, at - row.run_at)) for row in rows])
            total += len(rows)
        if len(rows) < PAGE:
            return total
        after = (rows[-1].run_at, rows[-1].id)


def _ring_label(fence: int, late: timedelta) -> str:
    """The label that distinguishes rings for one job: its fencing number, and how often its lateness has doubled.

    arq ignores a second ring with the same label. Where a worker is killed after it received a ring and before it
    claimed the job, arq takes that ring to be in progress for an hour; a ring with a new label gets through. The
    doubling keeps the rings few where many jobs are late.
    """
    return f"{fence}.{(late // LEASE).bit_length()}" if late >= LEASE else str(fence)


async def ensure_recurring(resources: Resources) -> None:
    """Enqueue every kind of job that has an interval, where it is not enqueued."""
    async with resources.transaction(None) as session:
        for kind in kinds.values():
            if kind.every is not None:
                await enqueue(session, kind.name, workspace_id=None, key="every")


async def heartbeat(resources: Resources, worker: str) -> None:
    """Store that this worker is alive; delete workers without a heartbeat for a day."""
    at = resources.clock.now()
    async with resources.transaction(None) as session:
        inserted = insert(WorkerHeartbeat).values(worker=worker, at=at)
        await session.execute(
            inserted.on_conflict_do_update(index_elements=[WorkerHeartbeat.worker], set_={"at": inserted.excluded.at})
        )
        await session.execute(delete(WorkerHeartbeat).where(WorkerHeartbeat.at < at - timedelta(days=1)))


@dataclass(frozen=True, slots=True)
class Health:
    """The state of workers and queue."""

    heartbeat_at: datetime | None
    oldest_due_at: datetime | None
    dead: int


async def health(resources: Resources) -> Health:
    """The latest heartbeat of any worker, when the oldest due job became due, and the number of dead jobs."""
    at = resources.clock.now()
    dead = select(Job.id).where(Job.state == "dead").limit(MOST_DEAD).subquery()
    async with resources.db.read_connection(None) as connection:
        row = (
            await connection.execute(
                select(
                    select(func.max(WorkerHeartbeat.at)).scalar_subquery().label("heartbeat_at"),
                    select(func.min(Job.run_at))
                    .where(Job.state == "waiting", due(at))
                    .scalar_subquery()
                    .label("oldest_due_at"),
                    select(func.count()).select_from(dead).scalar_subquery().label("dead"),
                )
            )
        ).one()
    return Health(row.heartbeat_at, row.oldest_due_at, row.dead)
