"""The configuration of a command, embedded servers included."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryptography.fernet import Fernet
from dotenv import dotenv_values
from pydantic import ValidationError

from app.cli.database import APP, OWNER, prepare_database
from app.cli.servers import Postgres, Valkey, start_postgres, start_valkey
from app.settings import Settings, settings

DATA = Path(".instep")
DEMO = "demo"
"""The folder of the demo's data, in the data folder."""
DATABASE = "instep"

Run = Callable[..., object]


class SettingsRefused(Exception):
    """The configuration is incomplete or unsafe; the message names each variable."""


def variable(name: str) -> str | None:
    """A setting's text from the environment or `.env`; None where neither has it."""
    return os.environ.get(name) or dotenv_values(".env").get(name) or None


def _name(location: tuple[int | str, ...]) -> str:
    field = str(location[0]) if location else ""
    return field if field.isupper() or not field else f"INSTEP_{field.upper()}"


def explain(error: ValidationError) -> str:
    """What is wrong with the settings, one line each, without values, which may be secret."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        message = problem["msg"].removeprefix("Value error, ")
        name = _name(problem["loc"])
        if problem["type"] == "missing":
            message = "is missing; set it in the environment or in .env, or use `instep up`, which brings its own"
        lines.append(f"{name} {message}" if name and not message.startswith(name) else message)
    return "\n".join(lines)


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsRefused: they are incomplete or unsafe.
    """
    try:
        return settings()
    except ValidationError as error:
        raise SettingsRefused(explain(error)) from None


def running_servers(data: Path) -> dict[str, str]:
    """Variables for the embedded servers of a running `instep up` or `instep demo`; empty where none runs."""
    variables = {}
    for folder in (data, data / DEMO):
        if (sockets := _sockets(folder / "postgres")) is not None:
            variables["DATABASE_URL"] = Postgres(sockets, 0).url(APP, DATABASE)
            variables["INSTEP_OWNER_DATABASE_URL"] = Postgres(sockets, 0).url(OWNER, DATABASE)
        if (sockets := _sockets(folder / "valkey")) is not None:
            variables["REDIS_URL"] = Valkey(sockets, 0).url
        if variables:
            if (folder / "secret_key").exists():
                variables["INSTEP_SECRET_KEYS"] = (folder / "secret_key").read_text().strip()
            break
    return variables


def _sockets(home: Path) -> Path | None:
    """The socket folder of a running server, which holds its lock; None where it does not run."""
    try:
        with (home / "server.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Path(json.loads((home / "server.json").read_text())["sockets"])
    except OSError:
        return None
    return None


def set_missing(variables: Mapping[str, str]) -> None:
    """Set those environment variables of this process that neither the environment nor `.env` sets."""
    for name, value in variables.items():
        if variable(name) is None and not (name == "INSTEP_OWNER_DATABASE_URL" and variable("DATABASE_URL")):
            os.environ[name] = value


def secret_key(data: Path) -> str:
    """The Fernet key stored in this data folder, generated at the first start."""
    path = data / "secret_key"
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(Fernet.generate_key() + b"\n")
        fresh.replace(path)
    return path.read_text().strip()


@contextmanager
def start_missing_servers(data: Path, run: Run, report: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Start an embedded server, with its data in `data`, where no URL is configured; variables for the processes.

    Raises:
        EmbeddedError: an embedded server does not start.
    """
    variables: dict[str, str] = {}
    with ExitStack() as stack:
        if variable("DATABASE_URL") is None:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            postgres = stack.enter_context(start_postgres(data / "postgres"))
            run(prepare_database(postgres.url(), DATABASE))
            variables["DATABASE_URL"] = postgres.url(APP, DATABASE)
            variables["INSTEP_OWNER_DATABASE_URL"] = postgres.url(OWNER, DATABASE)
            report(f"PostgreSQL 18 is up, its data in {data / 'postgres'}")
        if variable("REDIS_URL") is None:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            variables["REDIS_URL"] = stack.enter_context(start_valkey(data / "valkey")).url
            report(f"Valkey 9 is up, its data in {data / 'valkey'}")
        if variable("INSTEP_SECRET_KEYS") is None and variable("INSTEP_ENVIRONMENT") in {None, "development"}:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            variables["INSTEP_SECRET_KEYS"] = secret_key(data)
        yield variables
