"""Secrets and personal values with which an installation is used, and where they turn up afterwards."""

import base64
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx
import redis

from app.cli.postgres_tools import program, target

_COPY: Final = re.compile(r'^COPY public\."?(\w+)"? ')


@dataclass(frozen=True)
class Canary:
    """A value that may be in few places, or in none."""

    name: str
    value: str
    answers: frozenset[str] = frozenset()
    """Answers that may show it, as `METHOD path`, ids left out."""
    tables: frozenset[str] = frozenset()
    """Tables that may hold it in clear."""

    def spellings(self) -> Iterator[str]:
        """The value, and other forms in which it can be read."""
        raw = self.value.encode()
        yield self.value
        yield quote(self.value, safe="")
        yield raw.hex()
        yield base64.b64encode(raw).decode().rstrip("=")[:-1]  # its end depends on what follows
        yield json.dumps(self.value)[1:-1]

    def is_in(self, text: str) -> bool:
        """Whether a text has it, in any form."""
        return any(spelling in text for spelling in set(self.spellings()))


@dataclass
class Canaries:
    """All canaries, and every answer that was given."""

    kept: dict[str, Canary] = field(default_factory=dict)
    answers: list[tuple[str, str]] = field(default_factory=list)
    """The request without ids, and the whole response."""

    def add(self, name: str, value: str, *answers: str, tables: frozenset[str] = frozenset()) -> str:
        """Watch a value; the value."""
        assert len(value) >= 8, f"{name} is too short to be recognised"
        self.kept[name] = Canary(name, value, frozenset(answers), tables)
        return value

    def note(self, response: httpx.Response) -> None:
        """Remember an answer. For `event_hooks` of httpx."""
        response.read()
        path = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "{id}", response.request.url.path)
        headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
        self.answers.append((f"{response.request.method} {path}", f"{headers}\n{response.text}"))

    def in_answers(self) -> Iterator[str]:
        """Answers that show what they may not."""
        for canary in self.kept.values():
            for request, text in self.answers:
                if request not in canary.answers and canary.is_in(text):
                    yield f"{canary.name} in the answer to {request}"

    def in_text(self, sink: str, text: str) -> Iterator[str]:
        """Canaries in a text that may hold none."""
        for canary in self.kept.values():
            if canary.is_in(text):
                yield f"{canary.name} in {sink}"

    def in_dump(self, dump: str) -> Iterator[str]:
        """Canaries in tables of a dump that may not hold them."""
        for table, rows in _tables(dump):
            for canary in self.kept.values():
                if table not in canary.tables and canary.is_in(rows):
                    yield f"{canary.name} in the table {table}"


def _tables(dump: str) -> Iterator[tuple[str, str]]:
    """Each table's rows in a plain dump, and all else as the table `-`."""
    rest, table, rows = list[str](), None, list[str]()
    for line in dump.splitlines():
        if table is not None:
            if line == "\\.":
                yield table, "\n".join(rows)
                table, rows = None, []
            else:
                rows.append(line)
        elif match := _COPY.match(line):
            table = match[1]
        else:
            rest.append(line)
    yield "-", "\n".join(rest)


def dump_of(superuser_url: str) -> str:
    """A database as text, by `pg_dump`."""
    to = target(superuser_url)
    path, environment = program("pg_dump", to)
    done = subprocess.run([path, f"--dbname={to.uri}"], env=dict(environment), capture_output=True, check=True)
    return done.stdout.decode()


@contextmanager
def monitored(url: str) -> Iterator[list[str]]:
    """Every command that Valkey receives in the block."""
    commands: list[str] = []
    connection: Any = redis.Redis.from_url(url)
    stopped = threading.Event()

    def listen() -> None:
        with connection.monitor() as monitor:
            while not stopped.is_set():
                commands.append(str(monitor.next_command()["command"]))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield commands
    finally:
        stopped.set()
        redis.Redis.from_url(url).ping()  # the listener wakes up by this command
        thread.join(10)


def stored_in_valkey(url: str) -> str:
    """All keys and values of a Valkey database, as text."""
    connection: Any = redis.Redis.from_url(url)
    read = {
        b"string": connection.get,
        b"hash": connection.hgetall,
        b"list": lambda key: connection.lrange(key, 0, -1),
        b"set": connection.smembers,
        b"zset": lambda key: connection.zrange(key, 0, -1, withscores=True),
        b"stream": connection.xrange,
    }
    return "\n".join(f"{key!r} {read[connection.type(key)](key)!r}" for key in connection.scan_iter())
