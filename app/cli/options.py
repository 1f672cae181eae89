"""What the commands share: options, and expected errors as one message without a traceback."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from sqlalchemy.exc import DBAPIError

from app.cli.console import done, fail
from app.cli.environment import SettingsRefused, first_line
from app.cli.servers import EmbeddedError
from app.kit.starting import StartRefused
from migrations.session import MigrationRefused, sqlstate

Data = Annotated[
    Path,
    typer.Option("--data", envvar="INSTEP_DATA", help="Folder of the embedded servers' data.", show_default=True),
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; a free one if it is taken.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
SuperuserUrl = Annotated[
    str | None,
    typer.Option(
        "--superuser-url",
        envvar="INSTEP_SUPERUSER_DATABASE_URL",
        help="A superuser's URL of the database; an embedded one needs none.",
    ),
]

EXPECTED = (
    EmbeddedError,
    SettingsRefused,
    MigrationRefused,
    StartRefused,
)


NOT_MIGRATED = frozenset({"42P01", "42703"})
"""PostgreSQL's codes where a table or a column is not there."""


class CommandFailed(Exception):
    """A command cannot do what was asked; the message is for people.

    The errors of one command derive from it: then this module need not load what that command needs.
    """


@contextlib.contextmanager
def errors_as_messages() -> Iterator[None]:
    """Print expected errors as one message, without a traceback, and exit with 1."""
    try:
        yield
    except (*EXPECTED, CommandFailed) as problem:
        fail(str(problem))
    except DBAPIError as problem:
        if sqlstate(problem) not in NOT_MIGRATED:
            raise
        fail("the database is not at this version's revision: run `instep migrate`; `instep doctor` says more")
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.InvalidAuthorizationSpecificationError) as problem:
        fail(f"the database cannot be reached: {first_line(problem)}")
    except KeyboardInterrupt:
        done("stopped")
        raise typer.Exit(0) from None
