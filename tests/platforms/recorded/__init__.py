"""What the platforms' recorded answers are to us: one small table for each platform.

A file `recorded/<key>.py`, found by the adapter's key, declares `RECORDED: Final = Recorded(...)`: where
the platform's recordings and schemas lie, how each answer that concerns us is understood by itself,
without the adapter, and why others are left out. `recordings` counts by it.
"""

import importlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.platforms.data import FOLDER

__all__ = ["Answer", "Ours", "Recorded", "recorded"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded answer, and the name that the tables know it by."""

    name: str
    content: Any


@dataclass(frozen=True, slots=True)
class Ours:
    """Answers to what an adapter asks for."""

    what: str
    read: Callable[[Any], Awaitable[None]]
    """Fails where the adapter understands one in another way than is seen here without it."""
    refused: bool = False
    """`read` sees that a typed error is said: it is a refusal, or nothing that could be understood."""


def whole(path: Path) -> Iterator[Answer]:
    """A file that holds one answer, by its path."""
    yield Answer(str(path.relative_to(FOLDER).with_suffix("")), json.loads(path.read_text()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """See the module. Names are matched whole, by regular expressions; the first that fits counts."""

    files: tuple[str, ...] = ()
    """Those with recorded answers, as patterns of paths."""
    answers: Callable[[Path], Iterator[Answer]] = whole
    """Those in a file."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why answers are none of ours."""
    ours: Mapping[str, Ours] = field(default_factory=dict)
    """The others."""
    schemas: Mapping[str, str] = field(default_factory=dict)
    """Files without answers, as patterns of paths: what they are, and which tests hold to them."""


def recorded(key: str) -> Recorded:
    """A platform's table."""
    table = importlib.import_module(f"{__name__}.{key}").RECORDED
    assert isinstance(table, Recorded)
    return table
