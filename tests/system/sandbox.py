"""The sandbox social network as a process, and its ledger."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from sandbox.ledger import Record, read
from tests.system.serving import minimal_environment, process, until


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox."""

    url: str
    ledger: Path

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Call the sandbox's control API; the response's JSON."""
        answer = httpx.request(method, f"{self.url}/_sandbox{path}", json=body, timeout=30)
        assert answer.is_success, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    def stop_the_world(self) -> None:
        """Stop the sandbox's clock: nothing happens by itself any more."""
        self.control("POST", "/clock", {"speed": 0})

    def fault(self, effect: str, *, seconds: float = 60, **rule: object) -> None:
        """Make calls fail; `rule` selects which."""
        self.control("POST", "/faults", {**rule, "effect": {"type": effect, "seconds": seconds}})

    def act(self, community: str, act: str, **more: object) -> Any:
        """Make a person do something now; the ledger's record of it."""
        return self.control("POST", f"/communities/{community}", {"act": act, **more})

    def communities(self) -> dict[str, dict[str, Any]]:
        """The communities, by their keys."""
        return {community["key"]: community for community in self.control("GET", "/communities")}

    def records(self) -> list[Record]:
        """The whole ledger."""
        self.control("GET", "/clock")  # any call flushes the ledger
        return list(read(self.ledger))


@contextlib.contextmanager
def sandbox(folder: Path, *platforms: str, variants: Mapping[str, str] = MappingProxyType({})) -> Iterator[Sandbox]:
    """A sandbox without rate limits, of these platforms only (the fewer, the sooner it starts); ends with the block.

    `variants`: the kind of server by wire format, where it is not the usual one.
    """
    announced, ledger, log = folder / "sandbox.port", folder / "ledger.jsonl", folder / "sandbox.log"
    enabled = ",".join(platforms or ("mastodon", "vk"))
    arguments = ["--port-file", str(announced), "--ledger", str(ledger), "--platforms", enabled]
    arguments += [f"--variant={wire}={name}" for wire, name in variants.items()]
    with process("sandbox", *arguments, variables=minimal_environment(), log=log):
        until(announced.exists, log)
        made = Sandbox(f"http://127.0.0.1:{announced.read_text()}", ledger)
        limits = made.control("POST", "/limits", {})
        made.control("POST", "/limits", {name: 10**6 for name in limits if not name.endswith("seconds")})
        yield made
