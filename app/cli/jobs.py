"""`instep jobs`: what waits, runs, or was given up; and what to do about it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import record
from app.cli.console import console, table
from app.cli.options import CommandFailed
from app.kit import job_admin
from app.kit.actors import Actor, ActorKind
from app.kit.db import Database
from app.kit.job_admin import JobRefused
from app.kit.job_states import JobState
from app.kit.jobs import Job
from app.settings import Settings

SHORT = 12
"""The end of an id is shown: ids begin with the time, and those of one minute alike."""


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database_url, pool=1)
    try:
        yield database
    finally:
        await database.close()


async def find(
    settings: Settings, state: JobState, kind: str | None, workspace_id: UUID | None, limit: int | None
) -> Sequence[Job]:
    """The jobs that a command is about."""
    async with _database(settings) as database, database.transaction(None) as session:
        return await job_admin.find(session, state, kind=kind, workspace_id=workspace_id, limit=limit)


async def named(settings: Settings, endings: Sequence[str]) -> list[Job]:
    """One job for each id, or end of an id; `CommandFailed` where there is none, or more than one."""
    jobs = []
    async with _database(settings) as database, database.transaction(None) as session:
        for ending in endings:
            matching = await job_admin.ending_with(session, ending)
            if not matching:
                raise CommandFailed(f"there is no job {ending} (a finished one is deleted)")
            if len(matching) > 1:
                raise CommandFailed(f"several jobs end in {ending}: give more of the id")
            jobs.append(matching[0])
    return jobs


async def retry(settings: Settings, jobs: Sequence[Job]) -> list[tuple[Job, str | None]]:
    """Make jobs due now; each with the reason why it was not, if it was not."""
    return await _each(settings, jobs, "jobs.retry", job_admin.retry)


async def discard(settings: Settings, jobs: Sequence[Job]) -> list[tuple[Job, str | None]]:
    """Delete dead jobs; each with the reason why it was not, if it was not."""
    return await _each(settings, jobs, "jobs.discard", job_admin.discard)


async def _each(
    settings: Settings,
    jobs: Sequence[Job],
    action: str,
    change: Callable[[AsyncSession, UUID], Awaitable[Job | None]],
) -> list[tuple[Job, str | None]]:
    actor = Actor(ActorKind.COMMAND, action.replace(".", "-"))
    results: list[tuple[Job, str | None]] = []
    async with _database(settings) as database:
        for job in jobs:
            try:
                async with database.transaction(job.workspace_id, actor) as session:
                    changed = await change(session, job.id)
                    if changed is not None and job.workspace_id is not None:
                        record(session, actor, action, job_id=job.id, kind=job.kind)
                results.append((job, "it has ended meanwhile" if changed is None else None))
            except JobRefused as refused:
                results.append((job, str(refused)))
    return results


def as_object(job: Job) -> dict[str, Any]:
    """A job for JSON."""
    columns = ("kind", "key", "workspace_id", "args", "attempts", "run_at", "leased_until", "error", "request_id")
    values = {"id": job.id, "status": job.state} | {name: getattr(job, name) for name in (*columns, "created_at")}
    return {name: _for_json(value) for name, value in values.items()}


def _for_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value


def show_list(jobs: Sequence[Job], state: JobState, *, as_json: bool, limit: int) -> None:
    """Print jobs as a table of 80 columns, or all of each as JSON."""
    if as_json:
        print(json.dumps([as_object(job) for job in jobs], ensure_ascii=False, indent=2))
        return
    if not jobs:
        console.print({"dead": "no job was given up", "running": "no job runs"}.get(state, "no job waits"))
        return
    now = datetime.now(UTC)
    heads = {JobState.DEAD: "made", JobState.RUNNING: "due", JobState.WAITING: "due"}
    rows = [
        (
            str(job.id)[-SHORT:],
            job.kind,
            ago((job.created_at if state is JobState.DEAD else job.run_at), now),
            str(job.attempts),
            (job.error or {}).get("code", ""),
        )
        for job in jobs
    ]
    table(("id ends in", "kind", heads[state], "tries", "last error"), rows, right=(3,), shrinks=4)
    if len(jobs) == limit:
        console.print(f"[dim]the first {limit}; more with --limit[/]")
    console.print("[dim]all of one: instep jobs show ID[/]")


def show(job: Job, *, as_json: bool) -> None:
    """Print all of a job."""
    if as_json:
        print(json.dumps(as_object(job), ensure_ascii=False, indent=2))
        return
    facts = as_object(job)
    error = facts.pop("error") or {}
    for name, value in facts.items():
        if value is not None:
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
            console.print(f"[bold]{name.replace('_', ' '):14}[/] {text}", markup=True)
    if error:
        console.print(f"[bold]{'error':14}[/] {error.get('code', '')}  {error.get('at', '')}")
        console.print(error.get("detail", ""), markup=False)


def ago(at: datetime, now: datetime) -> str:
    """How far an instant is from now, in one unit: `5 min ago`, `in 2 h`."""
    seconds = (now - at).total_seconds()
    size = abs(seconds)
    count, unit = next(
        (round(size / length), unit)
        for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
        if size >= length or unit == "s"
    )
    if count == 0:
        return "now"
    return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"
