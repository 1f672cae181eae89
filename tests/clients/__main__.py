"""Generates clients from the OpenAPI document, and tells a story with each to a running service.

`python -m tests.clients document` writes the document; `python -m tests.clients hey_api …` generates, compiles and
runs these clients, all of them without arguments. All of it happens in `.clients`, where `make` has installed what
`package-lock.json` and `requirements.lock` name; nothing that is generated is committed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from app.main import create_app
from app.settings import Settings
from tests.servers import servers
from tests.system import sandbox, serving
from tests.system.installation import service_environment
from tests.system.sandbox import Sandbox

HERE: Final = Path(__file__).resolve().parent
WORK: Final = HERE.parents[1] / ".clients"
STORIES: Final = WORK / "stories"
GENERATED: Final = WORK / "generated"
DOCUMENT: Final = GENERATED / "openapi.json"
BIN: Final = WORK / "venv" / "bin"
NODE: Final = WORK / "node_modules" / ".bin"
PACKAGES: Final = GENERATED / "python"


def write_document() -> None:
    """Write the document of an installation with default settings."""
    url = "postgresql://instep@localhost/instep"
    app = create_app(
        Settings(
            _env_file=None, environment="test", database_url=url, owner_database_url=url, redis_url="redis://localhost"
        )
    )
    GENERATED.mkdir(parents=True, exist_ok=True)
    DOCUMENT.write_text(json.dumps(app.openapi(), ensure_ascii=False, indent=1))


def _run(*command: str | Path, **variables: str) -> None:
    """A command in `.clients`; its output, and the end of this process, where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=WORK,
        env={**serving.minimal_environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}")


def _mypy(package: str, story: str) -> None:
    """Check a generated package, and strictly the story that uses it."""
    bases = f"{PACKAGES}{os.pathsep}{STORIES}"
    check = (BIN / "mypy", "--config-file", WORK / "mypy.ini", "--explicit-package-bases")
    _run(*check, PACKAGES / package, MYPYPATH=bases)
    _run(*check, "--strict", "--follow-imports", "silent", STORIES / f"{story}.py", MYPYPATH=bases)


def openapi_python_client() -> None:
    """openapi-python-client: attrs and httpx."""
    target = PACKAGES / "instep_attrs"
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"  # it formats with ruff
    _run(BIN / "openapi-python-client", "generate", "--path", DOCUMENT, "--output-path", target, "--meta", "none",
         "--overwrite", "--fail-on-warning", "--config", HERE / "openapi_python_client.yaml", PATH=path)  # fmt: skip
    _mypy("instep_attrs", "openapi_python_client")


def openapi_generator() -> None:
    """OpenAPI Generator: pydantic and urllib3. It runs on Java."""
    made = GENERATED / "openapi-generator"
    _run(BIN / "openapi-generator-cli", "generate", "-g", "python", "-i", DOCUMENT, "-o", made,
         "--package-name", "instep_pydantic")  # fmt: skip
    shutil.copytree(made / "instep_pydantic", PACKAGES / "instep_pydantic", dirs_exist_ok=True)
    _mypy("instep_pydantic", "openapi_generator")


def openapi_fetch() -> None:
    """openapi-typescript: types alone, for openapi-fetch. A field with a default may be left out of a request."""
    target = GENERATED / "openapi_typescript.d.ts"
    _run(NODE / "openapi-typescript", DOCUMENT, "-o", target, "--default-non-nullable", "false")


def hey_api() -> None:
    """@hey-api/openapi-ts: functions and types."""
    _run(NODE / "openapi-ts", "-i", DOCUMENT, "-o", GENERATED / "hey_api", "-c", "@hey-api/client-fetch", CI="1")


CLIENTS: Final[Mapping[str, Callable[[], None]]] = {
    "openapi_python_client": openapi_python_client,
    "openapi_generator": openapi_generator,
    "openapi_fetch": openapi_fetch,
    "hey_api": hey_api,
}
"""By the name of the story; each generates its client."""


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _timed(name: str, work: Callable[[], None]) -> None:
    began = time.monotonic()
    work()
    _say(f"{name}: {time.monotonic() - began:.1f} s")


def generate(names: Sequence[str]) -> None:
    """Generate and compile clients, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(_timed, f"{name} generated", CLIENTS[name]) for name in names]:
            done.result()
    if {"openapi_fetch", "hey_api"} & set(names):
        _timed("TypeScript compiled", lambda: _run(NODE / "tsc", "--project", "tsconfig.json"))


def _story(name: str) -> tuple[str | Path, Path]:
    """The command that tells the story with this client."""
    python = STORIES / f"{name}.py"
    return (BIN / "python", python) if python.exists() else ("node", GENERATED / "out" / "stories" / f"{name}.js")


def tell(names: Sequence[str], url: str, network: Sandbox) -> None:
    """Run the stories of these clients, each as an agency of its own."""
    busiest = max(network.communities().values(), key=lambda one: int(one["busy"]))
    community = {
        "platform": busiest["platform"],
        "address": busiest["address"],
        "credentials": {kind: token for kind, token in busiest["tokens"].items() if token},
    }
    variables = {"STORY_URL": url, "STORY_COMMUNITY": json.dumps(community)}
    for name in names:
        _timed(f"{name} told", partial(_run, *_story(name), PYTHONPATH=str(PACKAGES), **variables))


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    write_document()
    shutil.copytree(HERE / "stories", STORIES, dirs_exist_ok=True)
    for name in ("mypy.ini", "tsconfig.json"):
        shutil.copy(HERE / name, WORK / name)
    if arguments == ["document"]:
        return
    names = list(arguments or CLIENTS)
    if shutil.which("java") is None and not arguments:
        names.remove("openapi_generator")
        _say("openapi_generator: left out, there is no Java here")
    generate(names)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = stack.enter_context(servers())
        network = stack.enter_context(sandbox.sandbox(folder, "mastodon"))
        database = made.clone()
        variables = service_environment(made, database, network, 1)
        url = stack.enter_context(serving.api(made, database, folder, **variables))
        worker = serving.process("app.cli.main", "worker", variables=variables, log=folder / "worker.log")
        stack.enter_context(worker)
        tell(names, url, network)


if __name__ == "__main__":
    main(sys.argv[1:])
