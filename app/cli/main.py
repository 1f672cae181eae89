"""The command `instep`."""

import asyncio
import contextlib
import os
import socket
import sys
from typing import Annotated

import typer
from rich.markup import escape

from app.cli import administration, environment, variables
from app.cli.console import console, done, fail, log_to_stderr, warn
from app.cli.options import AsJson, Data, Host, Port, SuperuserUrl, errors_as_messages

app = typer.Typer(
    name="instep",
    help=(
        "Instep, the back office of a social media marketing agency.\n\n"
        "Start with **instep up**, or with **instep demo** for one with sample data. Something is wrong? "
        "**instep doctor** says what, and how to fix it."
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def warn_of_unread() -> None:
    """Warn of variables that look like settings and are none: they would be ignored without a word."""
    for one in variables.unread():
        warn(str(one))


@app.command()
def up(data: Data = environment.DATA, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run all of Instep: servers, migrations, API and worker.

    Where DATABASE_URL or REDIS_URL is not set, an embedded PostgreSQL or Valkey is started and its data are
    kept in the folder --data. Ctrl-C stops all of it.
    """
    from app.cli import up as up_command

    up_command.stop_on_sigterm()
    warn_of_unread()
    with errors_as_messages():
        try:
            up_command.up(data, host, port)
        except up_command.DidNotStart as problem:
            fail(str(problem))


@app.command()
def demo(data: Data = environment.DATA / environment.DEMO, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Like `up`, with a small sandbox social network and a sample agency.

    Ends by printing three questions with their answers, a month with goals and a campaign, an API key and the address
    of the client's page, and keeps running until Ctrl-C. A second start finds its data.
    """
    from app.cli import demo as demo_command
    from app.cli import up as up_command

    up_command.stop_on_sigterm()
    warn_of_unread()
    with errors_as_messages():
        try:
            demo_command.demo(data, host, port)
        except up_command.DidNotStart as problem:
            fail(str(problem))


@app.command()
def api(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")] = 8000,
    fd: Annotated[
        int | None, typer.Option("--fd", help="Listen on this inherited socket instead.", hidden=True)
    ] = None,
) -> None:
    """Run the HTTP API alone. Needs DATABASE_URL and REDIS_URL."""
    import uvicorn
    from sqlalchemy.exc import SQLAlchemyError

    from app.kit import gc_freeze
    from app.kit.server import LimitedProtocol
    from app.platforms import adapters

    with gc_freeze.paused(), errors_as_messages():
        configured = environment.load_settings()
        try:
            if fd is None:  # with a socket, it is `instep up` that starts it, and has looked
                asyncio.run(environment.require_start(configured))
        except (OSError, SQLAlchemyError) as problem:
            fail(f"the database does not answer: {environment.first_line(problem)}", code=3)
        config = uvicorn.Config(
            "app.main:create_app",
            factory=True,
            host=host,
            port=port,
            loop="uvloop",
            http=LimitedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the application evaluates X-Forwarded-For itself
            timeout_graceful_shutdown=10,
        )
        with contextlib.ExitStack() as stack:
            sockets = None if fd is None else [stack.enter_context(socket.socket(fileno=fd))]
            server = uvicorn.Server(config)
            config.load()
            adapters()  # imported now, so that the first request does not wait for it
            gc_freeze.freeze()
            server.run(sockets=sockets)
            if not server.started:
                raise typer.Exit(3)


@app.command()
def worker() -> None:
    """Run the worker alone. Needs DATABASE_URL and REDIS_URL.

    It ends when Redis stops: run it under a supervisor that starts it again.
    """
    import uvloop
    from arq.worker import run_worker

    from app.kit import gc_freeze

    with gc_freeze.paused(), errors_as_messages():
        from workers.main import worker_settings

        environment.load_settings()
        asyncio.set_event_loop(uvloop.new_event_loop())  # arq takes the loop that is set
        run_worker(worker_settings())  # type: ignore[arg-type]  # arq's protocol wants instances of what it reads as a class


@app.command()
def migrate(
    data: Data = environment.DATA,
    superuser_url: SuperuserUrl = None,
) -> None:
    """Migrate the database to the latest revision, as the role that owns the tables.

    Needs INSTEP_OWNER_DATABASE_URL, or an `instep up` that runs. With --superuser-url the roles, with the
    passwords in DATABASE_URL and INSTEP_OWNER_DATABASE_URL, and the database are created first.
    """
    from app.cli.database import passwords, prepare_database
    from app.cli.migrate import heads
    from app.cli.migrate import migrate as upgrade
    from app.cli.postgres_tools import database_name

    warn_of_unread()
    with errors_as_messages():
        environment.set_missing(environment.running_servers(data))
        settings = environment.load_settings()
        if settings.owner_database_url is None:
            fail("INSTEP_OWNER_DATABASE_URL is missing: the same database, as the role that owns its tables")
        try:
            if superuser_url is not None:
                database = database_name(settings.owner_database_url)
                asyncio.run(prepare_database(superuser_url, database, **passwords(settings)))
            upgrade(settings.owner_database_url)
        except OSError as problem:
            fail(f"the database cannot be reached: {problem}")
        done(f"the database is at revision {', '.join(sorted(heads())) or 'none'}")


@app.command()
def track(
    address: Annotated[str, typer.Argument(help="A public community, say https://mastodon.social/@Gargron")],
    allow: Annotated[
        list[str] | None, typer.Option("--allow", help="host:port that may be private, besides INSTEP_OUTBOUND_ALLOW.")
    ] = None,
) -> None:
    """Read a public community now: its size, its latest posts and their reactions.

    Nothing is stored, and no server is needed. INSTEP_OUTBOUND_ALLOW and INSTEP_PLATFORM_URLS hold here as well.
    """
    from app.cli import track as track_command

    with errors_as_messages():
        settings, faults, _ = environment.settings_without_faults()
        missing = ("DATABASE_URL is missing", "REDIS_URL is missing")
        if faults := [fault for fault in faults if not fault.startswith(missing)]:
            raise environment.SettingsRefused("\n".join(faults))
        track_command.show(asyncio.run(track_command.read_public(address, settings, allow=allow or ())))


@app.command()
def doctor(
    data: Data = environment.DATA,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with this installation, and how to fix it.

    Exit code 1 when something fails; warnings alone are 0.
    """
    from app.cli.doctor import check_installation
    from app.cli.findings import Level, show

    environment.set_missing(environment.running_servers(data))
    findings = asyncio.run(check_installation(data))
    show(findings, as_json=as_json)
    raise typer.Exit(1 if any(finding.level is Level.FAILING for finding in findings) else 0)


LOOK_AFTER = "Look after an installation"
app.add_typer(administration.workspaces, name="workspaces", rich_help_panel=LOOK_AFTER)
app.add_typer(administration.keys, name="keys", rich_help_panel=LOOK_AFTER)
app.add_typer(administration.audit, name="audit", rich_help_panel=LOOK_AFTER)
app.add_typer(administration.jobs, name="jobs", rich_help_panel=LOOK_AFTER)
app.command(rich_help_panel=LOOK_AFTER)(administration.backup)
app.command(rich_help_panel=LOOK_AFTER)(administration.restore)
app.command(rich_help_panel=LOOK_AFTER, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
    administration.psql
)


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """The root of the commands."""
    log_to_stderr()
    if show:
        from importlib.metadata import version as installed

        console.print(escape(f"instep {installed('instep')}, Python {sys.version.split()[0]}, {os.uname().sysname}"))
        raise typer.Exit(0)
    del context


if __name__ == "__main__":
    app()
