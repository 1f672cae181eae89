"""The locks name public hosts only, hash everything, and agree with each other.

Those of `tests/clients` are apart: of what generates clients of the API, which neither the service nor its tests use.

`python -m tests.shipping.locks` prints what is wrong and ends with 1 if anything is.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
INDEX = "https://pypi.org/simple"
FILES = "files.pythonhosted.org"
BUILD = "requirements-build.lock"
"""What builds the package, and nothing of what it runs with."""
NPM = "registry.npmjs.org"
CLIENTS = ("tests/clients/requirements.lock", "tests/clients/package-lock.json")
EXPORTS = ("requirements.lock", "requirements-image.lock", "requirements-dev.lock", BUILD)

LEAKS = {
    "a file: address": re.compile(r"\bfile:", re.IGNORECASE),
    "an absolute path": re.compile(r"(?:^|[\s\"'=@(])(?:/(?!/)[\w.]|[A-Za-z]:\\)"),
    "an index": re.compile(r"index-url|(?:^|\s)-i\s"),
    "find-links": re.compile(r"find-links|(?:^|\s)-f\s"),
    "a trusted host": re.compile(r"trusted-host"),
    "a password": re.compile(r"://[^/\s]+@"),
}
_REQUIREMENT = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def leaks(name: str, text: str) -> Iterator[str]:
    """Traces in a lock of the machine that made it."""
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in LEAKS.items():
            if pattern.search(line):
                yield f"{name}:{number} holds {what}: {line.strip()}"


def pinned(text: str) -> dict[tuple[str, str], set[str]]:
    """(name, version) → hashes of an exported lock."""
    hashes_by_package: dict[tuple[str, str], set[str]] = {}
    current: set[str] = set()
    for line in text.splitlines():
        if match := _REQUIREMENT.match(line):
            current = hashes_by_package.setdefault((_canonical(match[1]), match[2]), set())
        current.update(_HASH.findall(line))
    return hashes_by_package


def strangers(text: str) -> Iterator[str]:
    """Lines of an exported lock that are neither a pinned requirement, nor its hash, nor a comment."""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare and not bare.startswith(("#", "--hash=sha256:")) and not _REQUIREMENT.match(line):
            yield f"line {number} is no pinned requirement: {bare}"


def hosts(lock: dict[str, Any]) -> Iterator[str]:
    """Packages of uv.lock that come from elsewhere than the public registry."""
    for package in lock["package"]:
        if package["source"] != {"editable": "."} and package["source"] != {"registry": INDEX}:
            yield f"uv.lock: {package['name']} comes from {package['source']}"
        for file in _files(package):
            if urlsplit(file.get("url", "")).hostname != FILES or "hash" not in file:
                yield f"uv.lock: {package['name']} has the file {file}"


def _files(package: dict[str, Any]) -> list[dict[str, str]]:
    return [*([package["sdist"]] if "sdist" in package else []), *package.get("wheels", [])]


def disagreements(name: str, text: str, lock: dict[str, Any]) -> Iterator[str]:
    """Packages of an exported lock that differ from uv.lock."""
    locked = {
        (_canonical(package["name"]), package.get("version", "")): {file["hash"] for file in _files(package)}
        for package in lock["package"]
    }
    for (package, version), hashes in pinned(text).items():
        if (package, version) not in locked:
            yield f"{name}: {package} {version} is not in uv.lock"
        elif not hashes:
            yield f"{name}: {package} {version} has no hash"
        elif hashes != locked[package, version]:
            yield f"{name}: {package} {version} has other hashes than in uv.lock"


def stale(project: dict[str, Any], lock: dict[str, Any]) -> Iterator[str]:
    """Dependencies that pyproject.toml declares otherwise than uv.lock has them."""
    root = next(package for package in lock["package"] if package["source"] == {"editable": "."})
    declared = {_split(text) for text in project["project"]["dependencies"]}
    for extra in project["project"].get("optional-dependencies", {}).values():
        declared |= {_split(text) for text in extra}
    remembered = {
        (_canonical(entry["name"]), entry.get("specifier", "")) for entry in root["metadata"]["requires-dist"]
    }
    for group, entries in project.get("dependency-groups", {}).items():
        declared |= {_split(text) for text in entries}
        remembered |= {
            (_canonical(entry["name"]), entry.get("specifier", ""))
            for entry in root["metadata"]["requires-dev"].get(group, [])
        }
    for name, specifier in sorted(declared ^ remembered):
        yield f"pyproject.toml and uv.lock disagree on {name} {specifier}: run `make lock`"


def _split(requirement: str) -> tuple[str, str]:
    match = re.match(r"([\w.-]+)(?:\[[^\]]*\])?\s*([^;]*)", requirement)
    if match is None:
        raise ValueError(f"not a requirement: {requirement}")
    return _canonical(match[1]), match[2].strip()


def missing(needed: list[str], text: str) -> Iterator[str]:
    """Direct dependencies that an exported lock lacks."""
    held = {name for name, _ in pinned(text)}
    for requirement in needed:
        name = _split(requirement)[0]
        if name not in held:
            yield f"{name} is missing"


def npm_strangers(lock: dict[str, Any]) -> Iterator[str]:
    """Packages of package-lock.json that come from elsewhere than the public registry, or have no hash."""
    for name, package in lock["packages"].items():
        if name and (urlsplit(package.get("resolved", "")).hostname != NPM or "integrity" not in package):
            yield f"{name} comes from {package.get('resolved')}"


def _clients(root: Path) -> Iterator[str]:
    """What is wrong with the locks of `tests/clients`."""
    pip, npm = CLIENTS
    text = (root / pip).read_text()
    unhashed = (f"{package} {version} has no hash" for (package, version), hashes in pinned(text).items() if not hashes)
    yield from leaks(pip, text)
    yield from (f"{pip}: {problem}" for problem in (*strangers(text), *unhashed))
    yield from (f"{npm}: {problem}" for problem in npm_strangers(json.loads((root / npm).read_text())))


def examine(root: Path) -> list[str]:
    """Everything that is wrong with the locks in `root`."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    text = (root / "uv.lock").read_text()
    lock = tomllib.loads(text)
    problems = [*leaks("uv.lock", text), *hosts(lock), *stale(project, lock)]
    for name in EXPORTS:
        text = (root / name).read_text()
        needed = project["dependency-groups"]["build"] if name == BUILD else project["project"]["dependencies"]
        problems += leaks(name, text)
        problems += [f"{name}: {problem}" for problem in (*strangers(text), *missing(needed, text))]
        problems += disagreements(name, text, lock)
    return [*problems, *_clients(root)]


def main() -> int:
    """Print and count."""
    problems = examine(ROOT)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
