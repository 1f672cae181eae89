"""`instep up` as a process: it answers, and Ctrl-C and SIGKILL end all of its processes."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from cryptography.fernet import Fernet

from app.cli.up import listen
from tests.cli.processes import ROOT, about, clean_environment, eventually, family, gone


@contextmanager
def up(data: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """Start it in a session of its own; its output goes to a file."""
    data.mkdir(exist_ok=True)
    output = data / "said"
    with (
        output.open("wb") as stream,
        subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "up", "--data", str(data / "d"), "--port", "0", *arguments],
            cwd=ROOT,
            env=clean_environment(INSTEP_LOG_FORMAT="json"),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process, output
        finally:
            process.kill()


def api_url(output: Path) -> str:
    """The API's URL, once it is printed; fails at once, with the output, if the start fails."""
    eventually(lambda: bool(re.search(r"Ctrl-C stops it|^✗", output.read_text(), re.MULTILINE)), "it is up")
    match = re.search(r"answers on (http://\S+)", output.read_text())
    assert match is not None, output.read_text()
    return match[1]


def status(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        code: int = answer.status
        return code


@pytest.mark.parametrize(
    "signal_number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), pytest.param(signal.SIGTERM)]
)
def test_it_answers_and_stops_when_asked(tmp_path: Path, signal_number: signal.Signals) -> None:
    with up(tmp_path) as (process, output):
        assert status(f"{api_url(output)}/live") == 200
        processes = family(process.pid)
        assert len(processes) > 8  # keepers, servers, API, worker
        process.send_signal(signal_number)
        assert process.wait(40) == 0
        assert gone(processes)
        assert not about(tmp_path)
        assert output.read_text().rstrip().endswith("stopped")


def test_no_process_remains_when_it_is_killed(tmp_path: Path) -> None:
    with up(tmp_path) as (process, output):
        api_url(output)
        processes = family(process.pid)
        process.kill()
        eventually(lambda: gone(processes), "everything ends")
        assert not about(tmp_path)


def test_a_killed_api_is_restarted_on_the_same_port(tmp_path: Path) -> None:
    with up(tmp_path) as (process, output):
        url = api_url(output)
        api = next(one for one in family(process.pid) if "api" in one.cmdline())
        api.kill()
        assert status(f"{url}/live") == 200  # the connection waits for the new one
        assert not psutil.pid_exists(api.pid) or api.status() == psutil.STATUS_ZOMBIE
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0


def test_a_second_start_finds_its_key(tmp_path: Path) -> None:
    texts = []
    for _ in range(2):
        with up(tmp_path) as (process, output):
            api_url(output)
            process.send_signal(signal.SIGINT)
            assert process.wait(40) == 0
        texts.append((tmp_path / "d" / "secret_key").read_text())
    assert texts[0] == texts[1]
    assert (tmp_path / "d" / "secret_key").stat().st_mode & 0o077 == 0


def test_a_lost_key_stops_the_start_and_is_not_replaced(tmp_path: Path) -> None:
    with up(tmp_path) as (process, output):
        api_url(output)
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
    key_file = tmp_path / "d" / "secret_key"
    key = key_file.read_text()
    key_file.unlink()
    with up(tmp_path) as (process, output):
        assert process.wait(40) == 1
        assert "secret_key is missing" in output.read_text()
        assert not key_file.exists()
    key_file.write_text(Fernet.generate_key().decode())
    with up(tmp_path) as (process, output):
        assert process.wait(40) == 1
        assert "INSTEP_SECRET_KEYS lacks a key" in output.read_text()
        assert "Traceback" not in output.read_text()
    command = [sys.executable, "-m", "app.cli.main", "keys", "adopt", "--data", str(tmp_path / "d")]
    adopted = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)
    assert adopted.returncode == 0, adopted.stderr
    assert key_file.read_text() != key
    with up(tmp_path) as (process, output):
        api_url(output)
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0


def test_a_taken_port_is_replaced_by_a_free_one(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with listen("127.0.0.1", port) as listener:
            assert listener.getsockname()[1] != port
    assert f"port {port} is taken" in capsys.readouterr().err


def test_ctrl_c_in_a_terminal_ends_make_quietly(tmp_path: Path) -> None:
    """The key in a pseudo terminal, where the signal reaches make and all its children at once."""
    makefile = tmp_path / "Makefile"
    command = f"{sys.executable} -m app.cli.main up --data {tmp_path / 'd'} --port 0"
    makefile.write_text(f"up:\n\t@exec env INSTEP_TIED=1 {command}\n.PHONY: up\n")
    try:
        terminal, child_end = os.openpty()
    except OSError:
        pytest.skip("there are no pseudo terminals here (/dev/pts is not mounted)")
    with subprocess.Popen(
        ["make", "--no-print-directory", "-f", str(makefile), "up"],
        cwd=ROOT,
        env=clean_environment(),
        preexec_fn=lambda: os.login_tty(child_end),
    ) as make:
        os.close(child_end)
        output = b""
        while b"Ctrl-C stops it" not in output:
            output += os.read(terminal, 4096)
        processes = family(make.pid)
        os.write(terminal, b"\x03")
        with contextlib.suppress(OSError):  # Linux: the other end is closed
            while chunk := os.read(terminal, 4096):
                output += chunk
        code = make.wait(40)
    os.close(terminal)
    assert code in {0, -signal.SIGINT}, output.decode()  # make may end by the signal
    assert b"***" not in output  # make's message about a failed command
    assert output.rstrip().endswith(b"stopped")
    assert gone(processes)


def test_it_ends_when_make_is_killed(tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    command = f"{sys.executable} -m app.cli.main up --data {tmp_path / 'd'} --port 0"
    makefile.write_text(f"up:\n\t@exec env INSTEP_TIED=1 {command}\n.PHONY: up\n")
    with subprocess.Popen(
        ["make", "--no-print-directory", "-f", str(makefile), "up"],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as make:
        assert make.stdout is not None
        while b"Ctrl-C stops it" not in (text := make.stdout.readline()):
            assert text, "it ended"
        processes = family(make.pid)
        make.kill()
        eventually(lambda: gone(processes), "everything ends")
