"""The table of jobs, and the statements that every run of a job executes (see `jobs`)."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    DateTime,
    FromClause,
    Function,
    Index,
    Select,
    Text,
    TextClause,
    Uuid,
    and_,
    any_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, aliased, mapped_column

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
            "uq_job_running",
            "workspace_id",
            "kind",
            "key",
            unique=True,
            postgresql_where=text("state = 'running'"),
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_job_waiting", "workspace_id", "kind", "key", postgresql_where=text("state = 'waiting'")),
        Index("ix_job_due", "run_at", "id", postgresql_where=text("state = 'waiting'")),
        Index("ix_job_dead", "id", postgresql_where=text("state = 'dead'")),
        Index("ix_job_leased", "leased_until", postgresql_where=text("state = 'running'")),
        {"postgresql_with": {"fillfactor": 70}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    workspace_id: Mapped[UUID | None]
    kind: Mapped[str]
    key: Mapped[str]
    """Of the jobs of one workspace, kind and key one runs at a time; those that wait are merged when one is claimed."""
    args: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(default="waiting")
    run_at: Mapped[datetime]
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


WAITING: Final[ColumnElement[str]] = literal_column("'waiting'")
RUNNING: Final[ColumnElement[str]] = literal_column("'running'")
"""Constants, not parameters: a plan for any parameter could not use the indexes of jobs that wait or run."""
_RUNNING: Final = aliased(Job)


_NONE_RUNS: Final = ~(
    select(_RUNNING.id)
    .where(_RUNNING.state == RUNNING, _RUNNING.kind == Job.kind, _RUNNING.key == Job.key)
    .where(
        or_(
            _RUNNING.workspace_id == Job.workspace_id, and_(_RUNNING.workspace_id.is_(None), Job.workspace_id.is_(None))
        )
    )
    .correlate(Job)
    .exists()
)


def due(at: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """Jobs that may be claimed at this instant: running ones whose lease is over, and waiting ones that are due.

    A waiting one may not while another of its workspace, kind and key runs.
    """
    return or_(
        and_(Job.state == WAITING, Job.run_at <= at, _NONE_RUNS),
        and_(Job.state == RUNNING, Job.leased_until < at),
    )


INSERT_JOB: Final = """
INSERT INTO job (id, workspace_id, kind, key, args, state, run_at, attempts, fence, created_at)
SELECT :job_id, :workspace_id, :job_kind, CAST(:job_id AS text), :job_args, 'waiting', :job_at, 0, 0, :job_at
"""
"""Part of a larger statement: inserts a job with a unique key, as `enqueue` does, without a round trip of its own."""


# Built once: building a statement costs more than sending it.
_ID: Final = bindparam("job_id", type_=Uuid())
_TABLE: Final = Base.metadata.tables[Job.__tablename__]
_INSTANT: Final = DateTime(timezone=True)


def _enqueue(workspace: str) -> TextClause:
    """Add a job, or make the one of its key that waits due at the earlier instant; its id and fence.

    It waits for nobody: a row that another transaction has locked, a claim or another `enqueue`, is passed over,
    and a second one added, which is merged when one of them is claimed. Were it to wait, a request that holds a
    row of a room and a job that wants this row would wait for each other.
    """
    return text(
        f"""
        WITH waiting AS (
            SELECT id, fence FROM job
            WHERE workspace_id {workspace} AND kind = :kind AND key = :key AND state = 'waiting'
            ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED
        ), earlier AS (
            UPDATE job SET run_at = :run_at FROM waiting WHERE job.id = waiting.id AND job.run_at > :run_at
        ), added AS (
            INSERT INTO job
                (id, workspace_id, kind, key, args, state, run_at, attempts, fence, request_id, created_at)
            SELECT :job_id, :workspace_id, :kind, :key, :args, 'waiting', :run_at, 0, 0, :request_id, :created_at
            WHERE NOT EXISTS (SELECT FROM waiting)
            RETURNING id, fence
        )
        SELECT id, fence FROM waiting UNION ALL SELECT id, fence FROM added
        """  # noqa: S608 - of two constants
    ).bindparams(
        _ID,
        bindparam("workspace_id", type_=Uuid()),
        bindparam("kind", type_=Text()),
        bindparam("key", type_=Text()),
        bindparam("args", type_=JSONB()),
        bindparam("run_at", type_=_INSTANT),
        bindparam("request_id", type_=Text()),
        bindparam("created_at", type_=_INSTANT),
    )


ENQUEUE: Final = _enqueue("= :workspace_id")
ENQUEUE_FOR_NONE: Final = _enqueue("IS NULL")
"""For a job of no workspace."""

_CLAIMABLE: Final = (
    select(_TABLE.c.id, _TABLE.c.workspace_id, _TABLE.c.kind, _TABLE.c.key)
    .where(_TABLE.c.id == _ID, due(bindparam("at", type_=_INSTANT)))
    .with_for_update(skip_locked=True, of=_TABLE)
    .cte("claimable")
)


_TWIN: Final = _TABLE.alias("twin")


def _twins(of: FromClause) -> tuple[Select[Any], Select[Any]]:
    """The waiting jobs of the same workspace, kind and key as the one row of `of`.

    Two searches, for a job of a workspace and for one of none: an `OR` of both would find no index.
    """
    query = select(_TWIN.c.id, _TWIN.c.run_at, _TWIN.c.fence).where(_TWIN.c.state == WAITING, _TWIN.c.id != of.c.id)
    same = and_(_TWIN.c.kind == of.c.kind, _TWIN.c.key == of.c.key)
    return (
        query.join_from(_TWIN, of, and_(same, _TWIN.c.workspace_id == of.c.workspace_id)),
        query.join_from(_TWIN, of, and_(same, _TWIN.c.workspace_id.is_(None), of.c.workspace_id.is_(None))),
    )


def _ids(query: Select[Any]) -> Function[Any]:
    """The ids of those twins that nobody has locked, locked and as an array."""
    locked = query.with_only_columns(_TWIN.c.id).with_for_update(skip_locked=True, of=_TWIN)
    return Function("array", locked.scalar_subquery(), type_=ARRAY(Uuid()))


_MERGED: Final = (
    delete(_TABLE)
    .where(_TABLE.c.id == any_(func.array_cat(*map(_ids, _twins(_CLAIMABLE)), type_=ARRAY(Uuid()))))
    .returning(_TABLE.c.attempts)
    .cte("merged")
)
CLAIM: Final = (
    update(_TABLE)
    .where(_TABLE.c.id == select(_CLAIMABLE.c.id).scalar_subquery())
    .values(
        state="running",
        fence=_TABLE.c.fence + 1,
        attempts=func.greatest(_TABLE.c.attempts, select(func.max(_MERGED.c.attempts)).scalar_subquery()) + 1,
        leased_until=bindparam("until", type_=_INSTANT),
    )
    .returning(*(_TABLE.c[name] for name in ("id", "workspace_id", "kind", "args", "attempts", "fence", "request_id")))
)
"""Claims a job and takes the place of its twins; a unique violation where one of them is claimed at the same time."""
LOCK_CLAIMED: Final = (
    select(_TABLE.c.id)
    .where(_TABLE.c.id == _ID, _TABLE.c.fence == bindparam("fence"), _TABLE.c.state == RUNNING)
    .with_for_update()
)
_IDENTITY: Final = ("id", "workspace_id", "kind", "key")
_FINISHED: Final = (
    delete(_TABLE).where(_TABLE.c.id == _ID).returning(*(_TABLE.c[name] for name in _IDENTITY)).cte("finished")
)
FINISH: Final[CompoundSelect[Any]] = union_all(*_twins(_FINISHED))
"""Deletes a job; the twins that wait for its end."""
_REQUEUED: Final = (
    update(_TABLE)
    .where(_TABLE.c.id == _ID)
    .values(
        state="waiting",
        run_at=bindparam("next_run_at", type_=_INSTANT),
        leased_until=None,
        attempts=bindparam("attempts_so_far"),
    )
    .returning(*(_TABLE.c[name] for name in (*_IDENTITY, "run_at", "fence")))
    .cte("requeued")
)
REQUEUE: Final[CompoundSelect[Any]] = union_all(
    select(_REQUEUED.c.id, _REQUEUED.c.run_at, _REQUEUED.c.fence), *_twins(_REQUEUED)
)
"""Lets a job wait again; it, and the twins that wait for its end."""
