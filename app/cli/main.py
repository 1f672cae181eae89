"""The command `instep`."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from cryptography.fernet import Fernet
from rich.markup import escape

from app.cli import environment
from app.cli.console import console, done, errors, fail, log_to_stderr
from app.cli.sample import SampleError
from app.cli.servers import EmbeddedError
from app.cli.track import CannotTrack
from migrations.session import MigrationRefused

app = typer.Typer(
    name="instep",
    help=(
        "Instep, the back office of a social media marketing agency.\n\n"
        "Start with [bold]instep up[/], or with [bold]instep demo[/] for one with sample data. Something is wrong? "
        "[bold]instep doctor[/] says what, and how to fix it."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
keys = typer.Typer(help="API keys, and the secret that seals tokens.", no_args_is_help=True)
app.add_typer(keys, name="keys")

Data = Annotated[
    Path, typer.Option("--data", envvar="INSTEP_DATA", help="Folder of the embedded servers' data.", show_default=True)
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; a free one if it is taken.")]


@contextlib.contextmanager
def _errors_as_messages() -> Iterator[None]:
    """Print expected errors as one message, without a traceback."""
    try:
        yield
    except (EmbeddedError, environment.SettingsRefused, CannotTrack, SampleError, MigrationRefused) as problem:
        fail(str(problem))
    except KeyboardInterrupt:
        done("stopped")
        raise typer.Exit(0) from None


@app.command()
def up(data: Data = environment.DATA, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run all of Instep: servers, migrations, API and worker.

    Where DATABASE_URL or REDIS_URL is not set, an embedded PostgreSQL or Valkey is started and its data are
    kept in the folder --data. Ctrl-C stops all of it.
    """
    from app.cli import up as up_command

    up_command.stop_on_sigterm()
    with _errors_as_messages():
        try:
            up_command.up(data, host, port)
        except up_command.DidNotStart as problem:
            fail(str(problem))


@app.command()
def demo(data: Data = environment.DATA / environment.DEMO, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Like `up`, with a small sandbox social network and a sample agency.

    Ends by printing an API key and three questions with their answers, and keeps running until Ctrl-C. A second
    start finds its data.
    """
    from app.cli import demo as demo_command
    from app.cli import up as up_command

    up_command.stop_on_sigterm()
    with _errors_as_messages():
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

    from app.kit import gc_freeze
    from app.kit.server import LimitedProtocol
    from app.platforms import adapters

    with _errors_as_messages():
        environment.load_settings()
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

    from workers.main import worker_settings

    with _errors_as_messages():
        environment.load_settings()
        asyncio.set_event_loop(uvloop.new_event_loop())  # arq takes the loop that is set
        run_worker(worker_settings())  # type: ignore[arg-type]  # arq's protocol wants instances of what it reads as a class


@app.command()
def migrate(
    data: Data = environment.DATA,
    superuser_url: Annotated[
        str | None,
        typer.Option(
            envvar="INSTEP_SUPERUSER_DATABASE_URL",
            show_envvar=True,
            help="Create the roles and the database first, as this superuser.",
        ),
    ] = None,
) -> None:
    """Migrate the database to the latest revision, as the role that owns the tables.

    Needs INSTEP_OWNER_DATABASE_URL, or an `instep up` that runs. With --superuser-url the roles, with the
    passwords in DATABASE_URL and INSTEP_OWNER_DATABASE_URL, and the database are created first.
    """
    from urllib.parse import unquote, urlsplit

    from app.cli.database import prepare_database
    from app.cli.migrate import heads
    from app.cli.migrate import migrate as upgrade

    with _errors_as_messages():
        environment.set_missing(environment.running_servers(data))
        settings = environment.load_settings()
        if settings.owner_database_url is None:
            fail("INSTEP_OWNER_DATABASE_URL is missing: the same database, as the role that owns its tables")
        owner, runtime = urlsplit(settings.owner_database_url), urlsplit(settings.database_url)
        try:
            if superuser_url is not None:
                asyncio.run(
                    prepare_database(
                        superuser_url,
                        unquote(owner.path.lstrip("/")),
                        owner_password=unquote(owner.password) if owner.password else None,
                        app_password=unquote(runtime.password) if runtime.password else None,
                    )
                )
            upgrade(settings.owner_database_url)
        except OSError as problem:
            fail(f"the database cannot be reached: {problem}")
        done(f"the database is at revision {', '.join(sorted(heads())) or 'none'}")


@app.command()
def track(
    address: Annotated[str, typer.Argument(help="A public community, say https://mastodon.social/@Gargron")],
    allow: Annotated[list[str] | None, typer.Option("--allow", help="host:port that may be private.")] = None,
) -> None:
    """Read a public community now: its size, its latest posts and their reactions."""
    from app.cli import track as track_command

    with _errors_as_messages():
        track_command.show(asyncio.run(track_command.read_public(address, allow=allow or ())))


@app.command()
def doctor(
    data: Data = environment.DATA,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what is wrong with this installation, and how to fix it.

    Exit code 1 when something fails; warnings alone are 0.
    """
    from app.cli import doctor as doctor_command

    environment.set_missing(environment.running_servers(data))
    findings = asyncio.run(doctor_command.check_installation(data))
    doctor_command.show(findings, as_json=as_json)
    raise typer.Exit(1 if any(finding.level is doctor_command.Level.FAILING for finding in findings) else 0)


@keys.command("secret")
def keys_secret() -> None:
    """Print a new key for INSTEP_SECRET_KEYS.

    Put it first in the list; old ones still open what they sealed.
    """
    print(Fernet.generate_key().decode())


@keys.command("create")
def keys_create(
    workspace: Annotated[UUID, typer.Argument(help="Id of the workspace the key is for.")],
    title: Annotated[str, typer.Option(help="What the key is for, in your words.")],
    data: Data = environment.DATA,
) -> None:
    """Create an API key with every scope in one workspace, and print it. It is shown only once."""
    from app.cli.keys import create

    with _errors_as_messages():
        environment.set_missing(environment.running_servers(data))
        key = asyncio.run(create(environment.load_settings(), workspace, title))
        if key is None:
            fail(f"there is no workspace {workspace}")
        if sys.stdout.isatty():
            errors.print("[dim]Keep it: it is not shown again.[/]")
        print(key)


@keys.command("reseal")
def keys_reseal(data: Data = environment.DATA) -> None:
    """Seal all platforms' tokens again, with the first key of INSTEP_SECRET_KEYS.

    Old keys are not needed for tokens afterwards. It may be run repeatedly, and while API and worker run. Exit code 1
    when there are tokens that none of the keys opens.
    """
    from app.cli.keys import reseal

    with _errors_as_messages():
        environment.set_missing(environment.running_servers(data))
        resealed = asyncio.run(reseal(environment.load_settings()))
        done(f"{resealed.tokens} tokens are sealed with the current key")
        if resealed.lost:
            fail(
                "no key in INSTEP_SECRET_KEYS opens the tokens of these communities; add the key that sealed them, "
                f"or reconnect them: {', '.join(sorted(map(str, resealed.lost)))}"
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
