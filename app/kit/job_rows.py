"""The table of jobs, and the statements that every run of a job executes (see `jobs`)."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Index,
    Uuid,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.db import Base
from app.kit.ids import uuid7

LEASE: Final = timedelta(seconds=30)
"""For how long a claim holds without being prolonged; after that another worker may claim the job."""


class Job(Base):
    """A job. Outside of row-level security, as the sweeper reads the jobs of all workspaces.

    Its arguments are therefore ids only, never anything that a client or customer wrote.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index(
            "uq_job_key",
            "workspace_id",
            "kind",
            "key",
            unique=True,
            postgresql_where=text("state <> 'dead'"),
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_job_due", "run_at", "id", postgresql_where=text("state = 'waiting'")),
        Index("ix_job_dead", "id", postgresql_where=text("state = 'dead'")),
        Index("ix_job_leased", "leased_until", postgresql_where=text("state = 'running'")),
        {"postgresql_with": {"fillfactor": 70}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    workspace_id: Mapped[UUID | None]
    kind: Mapped[str]
    key: Mapped[str]
    """Deduplicates: while a job waits or runs, another one of the same workspace, kind and key is merged into it."""
    args: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(default="waiting")
    run_at: Mapped[datetime]
    rerun_at: Mapped[datetime | None]
    """When it is due again, where it was enqueued again while it ran."""
    attempts: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
    request_id: Mapped[str | None]
    created_at: Mapped[datetime]


class WorkerHeartbeat(Base):
    """When each worker last reported that it is alive."""

    __tablename__ = "worker_heartbeat"

    worker: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]


def due(at: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """Jobs that may be claimed at this instant: waiting ones that are due, and running ones whose lease is over."""
    return or_(
        and_(Job.state == "waiting", Job.run_at <= at),
        and_(Job.state == "running", Job.leased_until < at),
    )


INSERT_JOB: Final = """
INSERT INTO job (id, workspace_id, kind, key, args, state, run_at, attempts, fence, created_at)
SELECT :job_id, :workspace_id, :job_kind, CAST(:job_id AS text), :job_args, 'waiting', :job_at, 0, 0, :job_at
"""
"""Part of a larger statement: inserts a job with a unique key, as `enqueue` does, without a round trip of its own."""


# Built once: building a statement costs more than sending it.
_ID: Final = bindparam("job_id", type_=Uuid())
_TABLE: Final = Base.metadata.tables[Job.__tablename__]
CLAIM: Final = (
    update(_TABLE)
    .where(
        _TABLE.c.id
        == select(_TABLE.c.id)
        .where(_TABLE.c.id == _ID, due(bindparam("at", type_=DateTime(timezone=True))))
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(
        state="running",
        fence=_TABLE.c.fence + 1,
        attempts=_TABLE.c.attempts + 1,
        leased_until=bindparam("until", type_=DateTime(timezone=True)),
    )
    .returning(*(_TABLE.c[name] for name in ("id", "workspace_id", "kind", "args", "attempts", "fence", "request_id")))
)
LOCK_CLAIMED: Final = (
    select(_TABLE.c.id)
    .where(_TABLE.c.id == _ID, _TABLE.c.fence == bindparam("fence"), _TABLE.c.state == "running")
    .with_for_update()
)
REQUEUE: Final = (
    update(_TABLE)
    .where(_TABLE.c.id == _ID)
    .values(
        state="waiting",
        run_at=func.least(_TABLE.c.rerun_at, bindparam("next_run_at", type_=DateTime(timezone=True))),
        rerun_at=None,
        leased_until=None,
        attempts=bindparam("attempts_so_far"),
    )
    .returning(_TABLE.c.run_at, _TABLE.c.fence)
)
