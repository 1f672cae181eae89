"""The configuration of a command, embedded servers included."""

import asyncio
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.fernet import Fernet
from dotenv import dotenv_values
from pydantic import ValidationError

from app.cli.database import APP, OWNER, prepare_database
from app.cli.embedded.keeper import SOCKETS_PREFIX
from app.cli.servers import EmbeddedError, Postgres, Valkey, start_postgres, start_valkey
from app.settings import Settings, settings

DATA = Path(".instep")
DEMO = "demo"
"""The folder of the demo's data, in the data folder."""
DATABASE = "instep"

NO_SERVER = "postgresql://nowhere.invalid/none"
"""In place of a URL that is missing."""

Run = Callable[..., object]


class SettingsRefused(Exception):
    """The configuration is incomplete or unsafe; the message names each variable."""


class SecretKeyLost(EmbeddedError):
    """A data folder has data, but not the key that sealed them."""

    def __init__(self, data: Path) -> None:
        path = data / "secret_key"
        super().__init__(
            f"{path} is missing, the key that seals the platforms' tokens in {data / 'postgres'}. Put it back, or set "
            f"INSTEP_SECRET_KEYS to it. If it is lost for good: `instep keys secret > {path}`, then "
            f"`instep keys adopt --data {data}`; the communities' tokens have to be given anew then."
        )


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
        elif problem["type"] != "value_error":
            message = f"is refused: {message[:1].lower()}{message[1:]}"
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


async def require_start(configured: Settings) -> None:
    """Check what API and worker require of the database when they start, so that it is one message and no traceback.

    Raises:
        PrivilegedRoleError: the role is not subject to row-level security.
        KeyMissing: a key that has sealed tokens is not configured.
    """
    # Imported here, as every command imports this module.
    from app.kit import sealing
    from app.kit.crypto import Keyring
    from app.kit.db import Database

    database = Database(configured.database_url, pool=1)
    try:
        await database.require_unprivileged_role()
        await sealing.require_keys(database, Keyring(configured.secret_keys))
    finally:
        await database.close()


def first_line(problem: BaseException) -> str:
    """An exception in one line."""
    return (str(problem) or type(problem).__name__).splitlines()[0]


def settings_without_faults() -> tuple[Settings, list[str], frozenset[str]]:
    """The settings with the defaults of those that are refused; what is wrong, a line each; and the refused fields.

    A refused or missing URL is that of no server. What is checked of all settings together is refused as one.
    """
    lines: list[str] = []
    refused: dict[str, Any] = {}
    for _ in range(3):  # what concerns all settings together is checked where each is valid
        try:
            return Settings(**refused), lines, frozenset(refused)
        except ValidationError as error:
            lines += explain(error).splitlines()
            for problem in error.errors(include_input=False, include_url=False):
                name = str(problem["loc"][0]).lower() if problem["loc"] else "environment"
                name = name.removeprefix("instep_")
                field = Settings.model_fields[name]
                refused[name] = NO_SERVER if field.is_required() else field.get_default()
    raise AssertionError("a setting is refused although it has its default")


def settings_with(variables: Mapping[str, str]) -> Settings:
    """The settings of a process that is started with these variables besides the environment's.

    Raises:
        SettingsRefused: they are incomplete or unsafe.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsRefused(explain(error)) from None
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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


def embedded_superuser_url(database_url: str) -> str | None:
    """The superuser's URL of the embedded server that `database_url` is of; None where it is of another server.

    Its socket is in a folder of ours, and asks this user for no password.
    """
    sockets = Path(dict(parse_qsl(urlsplit(database_url).query)).get("host", ""))
    if urlsplit(database_url).hostname or not sockets.name.startswith(SOCKETS_PREFIX):
        return None
    return Postgres(sockets, 0).url()


def set_missing(variables: Mapping[str, str]) -> None:
    """Set those environment variables of this process that neither the environment nor `.env` sets."""
    for name, value in variables.items():
        if variable(name) is None and not (name == "INSTEP_OWNER_DATABASE_URL" and variable("DATABASE_URL")):
            os.environ[name] = value


def has_database(data: Path) -> bool:
    """Whether this data folder has an embedded PostgreSQL's data."""
    return (data / "postgres" / "cluster").exists()


def secret_key(data: Path) -> str:
    """The Fernet key stored in this data folder, generated at the first start.

    Raises:
        SecretKeyLost: it is not there any more, although the data are.
    """
    path = data / "secret_key"
    if not path.exists():
        if has_database(data):
            raise SecretKeyLost(data)
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
        if variable("INSTEP_SECRET_KEYS") is None and variable("INSTEP_ENVIRONMENT") in {None, "development"}:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            variables["INSTEP_SECRET_KEYS"] = secret_key(data)  # first: it is refused where there are data without it
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
        yield variables


@contextmanager
def administered(data: Path, *, make: bool = False) -> Iterator[Settings]:
    """The settings of the installation that a command is about, whose database answers within the block.

    That is the one of the environment; else the embedded one that runs; else the one in `data`, whose servers are
    started for the command. With `make`, a folder without data gets some.

    Raises:
        SettingsRefused: there is none.
        EmbeddedError: an embedded server does not start.
    """
    set_missing(running_servers(data))
    if variable("DATABASE_URL") is not None:
        yield load_settings()
        return
    if not make and not has_database(data):
        raise SettingsRefused(
            f"there is no database: DATABASE_URL is not set, and {data} has no data. Name the folder with --data, "
            "or start a new installation with `instep up`"
        )
    with start_missing_servers(data, asyncio.run, lambda _: None) as variables:
        set_missing(variables)
        settings.cache_clear()
        yield load_settings()
