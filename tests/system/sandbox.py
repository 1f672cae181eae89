"""The sandbox social network as a process, and its ledger."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sandbox.ledger import Record, read
from tests.system.serving import environment_of_nothing, process, until


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox."""

    url: str
    ledger: Path

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Pull one of its strings."""
        answer = httpx.request(method, f"{self.url}/_sandbox{path}", json=body, timeout=30)
        assert answer.is_success, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    def stop_the_world(self) -> None:
        """Nothing happens by itself any more."""
        self.control("POST", "/clock", {"speed": 0})

    def fault(self, effect: str, *, seconds: float = 60, **rule: object) -> None:
        """Let calls fail; `rule` says which."""
        self.control("POST", "/faults", {**rule, "effect": {"type": effect, "seconds": seconds}})

    def act(self, community: str, act: str, **more: object) -> Any:
        """Let somebody do something now; the ledger's record of it."""
        return self.control("POST", f"/communities/{community}", {"act": act, **more})

    def places(self) -> dict[str, dict[str, Any]]:
        """The communities, by their keys."""
        return {place["key"]: place for place in self.control("GET", "/communities")}

    def records(self) -> list[Record]:
        """The whole ledger."""
        self.control("GET", "/clock")  # any call writes out what has happened
        return list(read(self.ledger))


@contextlib.contextmanager
def sandbox(folder: Path, *platforms: str) -> Iterator[Sandbox]:
    """A sandbox that lets us call as often as we like; it ends with the block.

    Whatever is not asked for is not there: the fewer communities, the sooner it is up.
    """
    announced, book, log = folder / "sandbox.port", folder / "ledger.jsonl", folder / "sandbox.log"
    founded = ",".join(platforms or ("mastodon", "vk"))
    arguments = ("--port-file", str(announced), "--ledger", str(book), "--platforms", founded)
    with process("sandbox", *arguments, variables=environment_of_nothing(), log=log):
        until(announced.exists, log)
        made = Sandbox(f"http://127.0.0.1:{announced.read_text()}", book)
        limits = made.control("POST", "/limits", {})
        made.control("POST", "/limits", {name: 10**6 for name in limits if not name.endswith("seconds")})
        yield made
