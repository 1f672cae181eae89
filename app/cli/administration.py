"""The commands for whoever runs an installation: keys, workspaces, jobs, backups."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from cryptography.fernet import Fernet

from app.cli import environment
from app.cli.console import console, done, errors, fail, table, warn
from app.cli.options import AsJson, CommandFailed, Data, SuperuserUrl, errors_as_messages
from app.kit.job_states import JobState
from app.settings import Settings

if TYPE_CHECKING:
    from app.kit.jobs import Job

keys = typer.Typer(help="API keys, and the secret keys that seal the platforms' tokens.", no_args_is_help=True)
workspaces = typer.Typer(help="The agencies of this installation.", no_args_is_help=True)
audit = typer.Typer(help="The record of changes: who changed what.", no_args_is_help=True)
jobs = typer.Typer(help="Jobs that wait, run, or were given up.", no_args_is_help=True)


@keys.command("secret")
def keys_secret() -> None:
    """Print a new key for INSTEP_SECRET_KEYS.

    Put it first in the list; old ones still open what they sealed.
    """
    print(Fernet.generate_key().decode())


@keys.command("create")
def keys_create(
    workspace: Annotated[UUID, typer.Argument(help="Its workspace's id; `instep workspaces list` has them.")],
    title: Annotated[str, typer.Option(help="What the key is for, in your words.")],
    data: Data = environment.DATA,
) -> None:
    """Create an API key with every scope in one workspace, and print it.

    It is shown only once.
    """
    from app.cli.keys import create

    with errors_as_messages(), environment.administered(data) as settings:
        key = asyncio.run(create(settings, workspace, title))
        if key is None:
            fail(f"there is no workspace {workspace}: `instep workspaces list` has those that there are")
        if sys.stdout.isatty():
            errors.print("[dim]Keep it: it is not shown again.[/]")
        print(key)


@keys.command("reseal")
def keys_reseal(data: Data = environment.DATA) -> None:
    """Seal all platforms' tokens and people's second factors again, with the first key of INSTEP_SECRET_KEYS.

    Old keys are not needed for these afterwards. It may be run repeatedly, and while API and worker run. Exit
    code 1 when there are tokens that none of the keys opens.
    """
    from app.cli.keys import reseal

    with errors_as_messages(), environment.administered(data) as settings:
        resealed = asyncio.run(reseal(settings))
        done(f"{resealed.tokens} tokens are sealed with the current key")
        problems = []
        if resealed.lost:
            problems.append(
                "no key in INSTEP_SECRET_KEYS opens the tokens of these communities; add the key that sealed them, "
                f"or reconnect them: {', '.join(sorted(map(str, resealed.lost)))}"
            )
        if resealed.lost_second_factors:
            problems.append(
                f"no key in INSTEP_SECRET_KEYS opens the second factors of {resealed.lost_second_factors} accounts; "
                "add the key that sealed them, or those people sign in with a recovery code and begin anew"
            )
        if problems:
            fail("\n".join(problems))


@keys.command("adopt")
def keys_adopt(data: Data = environment.DATA) -> None:
    """Go on with INSTEP_SECRET_KEYS as they are, although a key that has sealed tokens is lost.

    What it sealed cannot be opened any more: those communities have to be given new tokens. Where the key still
    exists somewhere, put it back instead, behind the current one.
    """
    from app.cli.keys import adopt

    with errors_as_messages(), environment.administered(data) as settings:
        lost = asyncio.run(adopt(settings))
        if not lost:
            done("no key was missing: nothing was changed")
            return
        done("API and worker start with the keys that there are")
        warn("`instep doctor` counts the communities whose tokens are lost: each needs new ones")


@workspaces.command("list")
def workspaces_list(as_json: AsJson = False, data: Data = environment.DATA) -> None:
    """List the agencies: id, title, and how much they have."""
    from app.cli.workspaces import find

    with errors_as_messages(), environment.administered(data) as settings:
        lines = asyncio.run(find(settings))
        if as_json:
            print(json.dumps([asdict(line) for line in lines], default=str, ensure_ascii=False, indent=2))
        elif not lines:
            console.print("no agency has signed up yet: instep workspaces create, or POST /v1/workspaces")
        else:
            rows = [
                (str(one.id), one.title, str(one.projects), str(one.communities), str(one.api_keys)) for one in lines
            ]
            table(("id", "title", "projects", "communities", "keys"), rows, right=(2, 3, 4), shrinks=1)


@workspaces.command("create")
def workspaces_create(
    title: Annotated[str, typer.Argument(help="The agency's name.")],
    owner_email: Annotated[str, typer.Option(help="The owner's e-mail address; it can sign up once.")],
    owner_name: Annotated[str, typer.Option(help="The owner's name.")],
    as_json: AsJson = False,
    data: Data = environment.DATA,
) -> None:
    """Sign up an agency, also where INSTEP_SIGN_UP is closed, and print its first API key.

    The key has every scope, and is shown only once.
    """
    from app.cli.workspaces import create

    with errors_as_messages(), environment.administered(data) as settings:
        workspace, key = asyncio.run(create(settings, title=title, owner_name=owner_name, owner_email=owner_email))
        if as_json:
            print(json.dumps({"workspace_id": str(workspace), "api_key": key}, indent=2))
            return
        done(f"signed up {title}")
        console.print(f"[bold]Workspace[/]  {workspace}")
        console.print(f"[bold]API key[/]    {key}")


@audit.command("verify")
def audit_verify(
    workspace: Annotated[UUID | None, typer.Option("--workspace", help="Only this workspace.")] = None,
    heads: Annotated[
        Path | None,
        typer.Option("--heads", help="A file of heads that were kept elsewhere: answers of GET /v1/audit/heads."),
    ] = None,
    as_json: AsJson = False,
    data: Data = environment.DATA,
) -> None:
    """Verify that the record of changes is what was written, and name what is not.

    Finds entries and links that were changed, removed, reordered or put in. That the end was cut off shows against the
    heads of past days; with --heads also where these were removed too. Exit code 1 where anything is found.
    """
    from app.cli.audit import exported_heads, show, verify

    with errors_as_messages(), environment.administered(data) as settings:
        reports = asyncio.run(verify(settings, workspace=workspace, heads=exported_heads(heads)))
        show(reports, as_json=as_json)
        raise typer.Exit(1 if any(report.faults for report in reports) else 0)


Kind = Annotated[str | None, typer.Option("--kind", help="Only jobs of this kind: communities.poll, say.")]
Workspace = Annotated[UUID | None, typer.Option("--workspace", help="Only jobs of this workspace.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Ids of jobs, or the ends of ids.")]
All = Annotated[bool, typer.Option("--all", help="All dead jobs, or those that --kind and --workspace select.")]


@jobs.command("list")
def jobs_list(
    status: Annotated[JobState, typer.Option(help="Dead ones were given up, and wait for a person.")] = JobState.DEAD,
    kind: Kind = None,
    workspace: Workspace = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: AsJson = False,
    data: Data = environment.DATA,
) -> None:
    """List jobs: those that were given up, or with --status those that wait or run."""
    from app.cli import jobs as jobs_command

    with errors_as_messages(), environment.administered(data) as settings:
        jobs_in_state = asyncio.run(jobs_command.find(settings, status, kind, workspace, limit))
        jobs_command.show_list(jobs_in_state, status, as_json=as_json, limit=limit)


@jobs.command("show")
def jobs_show(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a job, or its end.")],
    as_json: AsJson = False,
    data: Data = environment.DATA,
) -> None:
    """Show all of one job: what it is for, its attempts, its last error."""
    from app.cli import jobs as jobs_command

    with errors_as_messages(), environment.administered(data) as settings:
        (job,) = asyncio.run(jobs_command.named(settings, [job_id]))
        jobs_command.show(job, as_json=as_json)


@jobs.command("retry")
def jobs_retry(
    ids: Ids = None,
    everything: All = False,
    kind: Kind = None,
    workspace: Workspace = None,
    data: Data = environment.DATA,
) -> None:
    """Have jobs run again now, their attempts counted from 0; mend the cause first.

    A job that waits is run now as well. Exit code 1 when any could not be.
    """
    from app.cli import jobs as jobs_command

    with errors_as_messages(), environment.administered(data) as settings:
        selected = _selected(settings, ids, kind, workspace, everything=everything)
        _report(asyncio.run(jobs_command.retry(settings, selected)), "due now: a worker takes {} within seconds")


@jobs.command("discard")
def jobs_discard(
    ids: Ids = None,
    everything: All = False,
    kind: Kind = None,
    workspace: Workspace = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = environment.DATA,
) -> None:
    """Delete dead jobs: what they were for is not done.

    Exit code 1 when any could not be.
    """
    from app.cli import jobs as jobs_command

    with errors_as_messages(), environment.administered(data) as settings:
        selected = _selected(settings, ids, kind, workspace, everything=everything)
        if everything and selected and not yes:
            typer.confirm(f"Delete {_count(len(selected))}?", abort=True)
        _report(asyncio.run(jobs_command.discard(settings, selected)), "deleted")


def _selected(
    settings: Settings, ids: list[str] | None, kind: str | None, workspace: UUID | None, *, everything: bool
) -> "list[Job]":
    """The jobs that a command names, or all dead ones that its filters let through."""
    from app.cli import jobs as jobs_command

    if bool(ids) == everything:
        raise CommandFailed("name jobs by their ids, or all dead ones with --all (`instep jobs list` has them)")
    if ids:
        return asyncio.run(jobs_command.named(settings, ids))
    return list(asyncio.run(jobs_command.find(settings, JobState.DEAD, kind, workspace, None)))


def _report(results: "list[tuple[Job, str | None]]", outcome: str) -> None:
    changed = [job for job, reason in results if reason is None]
    if changed or not results:
        done(f"{_count(len(changed))} {outcome.format('it' if len(changed) == 1 else 'them')}".strip())
    for job, reason in results:
        if reason is not None:
            warn(f"{job.kind} {job.id}: {reason}")
    if len(changed) < len(results):
        raise typer.Exit(1)


def _count(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it: backup.dump, say.", dir_okay=False)],
    superuser_url: SuperuserUrl = None,
    data: Data = environment.DATA,
) -> None:
    """Write a backup of the database, also while API and worker run.

    It holds all but the secret keys, without which the tokens in it cannot be opened: keep those as well.
    """
    from app.cli import backup as backup_command

    with errors_as_messages(), environment.administered(data) as settings:
        backup_command.back_up(settings, backup_command.superuser_url_of(settings, superuser_url), file)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `instep backup` wrote.", dir_okay=False)],
    replace: Annotated[bool, typer.Option("--replace", help="Delete the data that the database has.")] = False,
    superuser_url: SuperuserUrl = None,
    data: Data = environment.DATA,
) -> None:
    """Restore a backup. Stop API and worker first; a database with data is left alone without --replace.

    The backup takes the database's place when it is restored completely: where that fails, nothing is changed.
    Replies that were queued when it was made are looked for on their platforms, not sent again.
    """
    from app.cli import backup as backup_command

    with errors_as_messages(), environment.administered(data, make=True) as settings:
        url = backup_command.superuser_url_of(settings, superuser_url)
        backup_command.restore(settings, url, file, replace=replace)


def psql(
    context: typer.Context,
    workspace: Annotated[UUID | None, typer.Option("--workspace", help="See this workspace's rows alone.")] = None,
    superuser_url: SuperuserUrl = None,
    data: Data = environment.DATA,
) -> None:
    """Open psql on the database; further arguments are psql's: `instep psql -- -c 'SELECT 1'`.

    As a superuser, who sees the rows of all workspaces, where there is one (an embedded server, or
    --superuser-url). Otherwise, and with --workspace, as the service's own role, which sees one workspace's.
    """
    from app.cli import backup as backup_command

    with errors_as_messages(), environment.administered(data) as settings:
        url = settings.database_url
        if workspace is None:
            try:
                url = backup_command.superuser_url_of(settings, superuser_url)
            except CommandFailed:
                warn("as the service's own role: it sees no workspace's rows without --workspace")
        raise typer.Exit(backup_command.psql(url, context.args, workspace))
