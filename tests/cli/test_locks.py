"""The check of the locks finds planted faults."""

import json
import shutil
from pathlib import Path

import pytest

from tests.shipping import locks


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the real locks, to be tampered with."""
    (tmp_path / "tests" / "clients").mkdir(parents=True)
    for name in ("pyproject.toml", "uv.lock", *locks.EXPORTS, *locks.CLIENTS):
        shutil.copy(locks.ROOT / name, tmp_path / name)
    return tmp_path


def test_the_locks_are_clean() -> None:
    assert locks.examine(locks.ROOT) == []


@pytest.mark.parametrize(
    ("planted", "finding"),
    [
        ("--extra-index-url https://packages.example/simple\n", "an index"),
        ("--find-links wheels\n", "find-links"),
        ("typer @ file:wheels/typer.whl\n", "a file: address"),
        ("# via /home/ann/instep\n", "an absolute path"),
        ("--index-url https://ann:pass@packages.example/simple\n", "a password"),
        ("something>=1\n", "no pinned requirement"),
        ("something==1.0\n", "not in uv.lock"),
    ],
)
@pytest.mark.parametrize("name", locks.EXPORTS)
def test_a_planted_line_is_found(copy: Path, name: str, planted: str, finding: str) -> None:
    path = copy / name
    path.write_text(path.read_text() + planted)
    assert any(problem.startswith(name) and finding in problem for problem in locks.examine(copy))


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ("https://files.pythonhosted.org/", "https://mirror.example/", "has the file"),
        ('registry = "https://pypi.org/simple"', 'registry = "https://mirror.example/simple"', "comes from"),
        ('registry = "https://pypi.org/simple"', 'path = "/srv/wheels/x.whl"', "an absolute path"),
        (
            '{ name = "orjson", specifier = "==3.13.0" }',
            '{ name = "orjson", specifier = "==3.12.0" }',
            "disagree on orjson",
        ),
    ],
)
def test_a_tampered_lock_is_found(copy: Path, before: str, after: str, finding: str) -> None:
    path = copy / "uv.lock"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    assert any(finding in problem for problem in locks.examine(copy)), json.dumps(locks.examine(copy))


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ("https://registry.npmjs.org/", "https://mirror.example/", "comes from https://mirror.example/"),
        ('"integrity":', '"shasum":', "comes from"),
    ],
)
def test_a_tampered_lock_of_node_is_found(copy: Path, before: str, after: str, finding: str) -> None:
    path = copy / "tests" / "clients" / "package-lock.json"
    path.write_text(path.read_text().replace(before, after, 1))
    assert any(finding in problem for problem in locks.examine(copy))


@pytest.mark.parametrize("planted", ["--index-url https://ann:pass@packages.example/simple\n", "something==1.0\n"])
def test_a_line_planted_in_the_lock_of_the_clients_is_found(copy: Path, planted: str) -> None:
    path = copy / "tests" / "clients" / "requirements.lock"
    path.write_text(path.read_text() + planted)
    assert locks.examine(copy)


def test_a_changed_hash_or_version_is_found(copy: Path) -> None:
    path = copy / "requirements.lock"
    text = path.read_text()
    digest = text.partition("--hash=sha256:")[2][:64]
    path.write_text(text.replace(digest, "0" * 64))
    assert any("other hashes" in problem for problem in locks.examine(copy))


def test_a_dependency_that_was_not_locked_is_found(copy: Path) -> None:
    path = copy / "pyproject.toml"
    path.write_text(path.read_text().replace('"uvloop==', '"leftpad==1.0",\n    "uvloop==', 1))
    problems = locks.examine(copy)
    assert any("disagree on leftpad" in problem for problem in problems)
    assert "requirements.lock: leftpad is missing" in problems
