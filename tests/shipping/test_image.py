"""The Dockerfile and what it builds: small, locked, not run as root, and complete."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from app.cli.main import app
from tests.cli.processes import ROOT
from tests.shipping import locks

DOCKERFILE = (ROOT / "Dockerfile").read_text()
FINAL = DOCKERFILE.rpartition("\nFROM ")[2]


def test_the_final_stage_is_not_root_and_installs_nothing() -> None:
    assert re.search(r"^USER 10001:10001$", FINAL, re.MULTILINE)
    assert FINAL.index("USER ") < FINAL.index("ENTRYPOINT ")
    assert not re.search(r"\b(pip|apt|apt-get|gcc|curl|wget)\b", FINAL)
    assert re.search(r"^HEALTHCHECK ", FINAL, re.MULTILINE)


def test_it_is_the_python_that_the_code_is_checked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    version = re.search(r"^FROM python:(\d+\.\d+)-slim", DOCKERFILE, re.MULTILINE)
    assert version is not None
    assert version[1] == project["tool"]["mypy"]["python_version"]


def test_all_that_is_installed_is_in_a_lock() -> None:
    installs = re.findall(r"pip (?:--python \S+ )?install ((?:[^\n&]|\\\n)+)", DOCKERFILE)
    assert len(installs) == 3
    for command in installs:
        assert "--no-index" in command or ("--require-hashes" in command and "--only-binary :all:" in command)
    named = set(re.findall(r"-r (\S+)", DOCKERFILE))
    assert named == {"requirements-image.lock", locks.BUILD}
    assert named <= set(locks.EXPORTS)


def test_it_starts_with_a_command_that_there_is() -> None:
    assert 'ENTRYPOINT ["instep"]' in FINAL
    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert {"api", "worker", "migrate"} <= commands


def test_nothing_but_what_it_copies_reaches_the_builder() -> None:
    """What git does not keep (data, secrets) is not sent either."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for word in line.split()
    }
    assert let_in == copied
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_package_has_every_file(tmp_path: Path) -> None:
    quietly = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *quietly, "--wheel-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("instep-*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    ours = {
        str(path.relative_to(ROOT))
        for folder in ("app", "workers", "migrations")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours <= packed
    assert {name for name in packed if ".dist-info/" not in name} == ours
