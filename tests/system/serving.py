"""The service and its workers as processes of their own."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx

from tests.servers import Servers

ROOT = Path(__file__).parents[2]


def minimal_environment() -> dict[str, str]:
    """The few variables that any process needs; none of the project's."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


def environment(servers: Servers, database: str, **more: str) -> dict[str, str]:
    """The environment of a process of the service."""
    return {
        **minimal_environment(),
        "DATABASE_URL": servers.app_url(database),
        "REDIS_URL": servers.redis_url(),
        "INSTEP_ENVIRONMENT": "test",
        "INSTEP_REQUESTS_PER_MINUTE": "1000000",
        "INSTEP_LOG_LEVEL": "warning",
        **more,
    }


@contextlib.contextmanager
def process(module: str, *arguments: str, variables: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module …`, ended with the block."""
    with log.open("ab") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, env=dict(variables), stdout=out, stderr=out
        )
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait(10)


@contextlib.contextmanager
def api(servers: Servers, database: str, folder: Path, **more: str) -> Iterator[str]:
    """The API on a free port; its URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    os.set_inheritable(listener.fileno(), True)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    log = folder / "api.log"
    with log.open("ab") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "api", "--fd", str(listener.fileno())],
            cwd=ROOT,
            env=environment(servers, database, INSTEP_PUBLIC_URL=url, **more),
            stdout=out,
            stderr=out,
            pass_fds=[listener.fileno()],
        )
        try:
            until(lambda: httpx.get(f"{url}/live", timeout=30).is_success, log)
            yield url
        finally:
            running.terminate()
            running.wait(20)
            listener.close()


def until(condition: Callable[[], bool], log: Path, timeout: float = 60.0) -> None:
    """Wait until `condition()` is true; `httpx.TransportError` counts as false."""
    deadline = time.monotonic() + timeout
    while True:
        with contextlib.suppress(httpx.TransportError):
            if condition():
                return
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        time.sleep(0.05)
