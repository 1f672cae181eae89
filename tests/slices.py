"""`--slice N/K`: the N-th of K parts of the selected tests, so that long tests are run in turns.

A test's part follows from its node id alone: it is the same in every process and on every machine, and a new test
moves no other one.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import pytest

ItemT = TypeVar("ItemT", bound=pytest.Item)


@dataclass(frozen=True, slots=True)
class Slice:
    """The part `number`, from 1, of `count`."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Slice":
        """Of `N/K`. `ValueError` for anything else, and for an N that is not one of 1…K."""
        number, _, count = text.partition("/")
        made = cls(int(number), int(count))
        if not 1 <= made.number <= made.count:
            raise ValueError(f"there is no slice {text}")
        return made

    def holds(self, node_id: str) -> bool:
        """Whether a test belongs to this part."""
        digest = hashlib.sha256(node_id.encode()).digest()
        return int.from_bytes(digest[:8]) % self.count == self.number - 1

    def select(self, items: Iterable[ItemT]) -> tuple[list[ItemT], list[ItemT]]:
        """The tests of this part, and the others, each in their order."""
        selected: list[ItemT] = []
        others: list[ItemT] = []
        for item in items:
            (selected if self.holds(item.nodeid) else others).append(item)
        return selected, others


def add_option(parser: pytest.Parser) -> None:
    """Let pytest know `--slice`."""
    parser.addoption("--slice", type=Slice.parse, metavar="N/K", help="run the N-th of K parts of the selected tests")


def apply(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests outside of the requested slice, if there is one."""
    requested: Slice | None = config.getoption("--slice")
    if requested is not None:
        items[:], others = requested.select(items)
        config.hook.pytest_deselected(items=others)
