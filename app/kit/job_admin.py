"""Jobs for whoever runs the installation: found, made due again, discarded (`instep jobs`)."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import now
from app.kit.job_states import JobState
from app.kit.jobs import Job, ring_after_commit


class JobRefused(Exception):
    """A job was left as it is; the message says why."""


RUNS_NOW: Final = "it runs now"
SUPERSEDED: Final = "a newer job of the same kind and key is waiting or running already: discard this one"
NOT_DEAD: Final = "it is not dead: what it is for would never be done"


async def find(
    session: AsyncSession,
    state: JobState,
    *,
    kind: str | None = None,
    workspace_id: UUID | None = None,
    limit: int | None = None,
) -> Sequence[Job]:
    """Jobs in one state: dead ones in the order of their making, others by when they are or were due."""
    order = (Job.id,) if state is JobState.DEAD else (Job.run_at, Job.id)
    query = select(Job).where(Job.state == state.value).order_by(*order).limit(limit)
    if kind is not None:
        query = query.where(Job.kind == kind)
    if workspace_id is not None:
        query = query.where(Job.workspace_id == workspace_id)
    return (await session.scalars(query)).all()


async def ending_with(session: AsyncSession, ending: str) -> Sequence[Job]:
    """Up to two jobs whose id ends so; a whole id is the ending of one job at most."""
    matches: ColumnElement[bool] = cast(Job.id, Text).endswith(ending.lower(), autoescape=True)
    return (await session.scalars(select(Job).where(matches).order_by(Job.id).limit(2))).all()


async def retry(session: AsyncSession, job_id: UUID) -> Job | None:
    """Make a dead or waiting job due now, its attempts counted from 0; None where it is gone.

    Raises `JobRefused` where it runs, or where another one does its work.
    """
    job = await _locked(session, job_id)
    if job is None:
        return None
    if job.state == JobState.RUNNING:
        raise JobRefused(RUNS_NOW)
    if job.state == JobState.DEAD and await _has_successor(session, job):
        raise JobRefused(SUPERSEDED)
    job.state, job.attempts, job.run_at = JobState.WAITING.value, 0, now(session)
    await session.flush()
    ring_after_commit(session, job.id, job.fence)
    return job


async def discard(session: AsyncSession, job_id: UUID) -> Job | None:
    """Delete a dead job; None where it is gone. Raises `JobRefused` for any other."""
    job = await _locked(session, job_id)
    if job is None:
        return None
    if job.state != JobState.DEAD:
        raise JobRefused(NOT_DEAD)
    await session.execute(delete(Job).where(Job.id == job_id))
    return job


async def _locked(session: AsyncSession, job_id: UUID) -> Job | None:
    job: Job | None = await session.scalar(select(Job).where(Job.id == job_id).with_for_update())
    return job


async def _has_successor(session: AsyncSession, job: Job) -> bool:
    """Whether a job of the same workspace, kind and key is not dead; `uq_job_key` allows one."""
    same = (Job.workspace_id.is_not_distinct_from(job.workspace_id), Job.kind == job.kind, Job.key == job.key)
    return bool(await session.scalar(select(exists().where(*same, Job.state != JobState.DEAD.value))))
