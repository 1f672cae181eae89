"""How the platforms' recorded responses must be parsed: one table for each platform.

A file `recorded/<key>.py`, found by the adapter's key, declares `RECORDED: Final = Recorded(...)`: where
the platform's recordings and schemas are, how each response that an adapter may receive is checked
independently of the adapter, and why others are left out. `recordings` counts by it.
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
class RecordedResponse:
    """A recorded response, and the name that the tables match."""

    name: str
    content: Any


@dataclass(frozen=True, slots=True)
class ResponseCheck:
    """Responses to requests that an adapter sends."""

    what: str
    read: Callable[[Any], Awaitable[None]]
    """Raises if the adapter's result differs from an independent reading of the response."""
    refused: bool = False
    """`read` expects a typed error: the response is a refusal, or malformed."""


def whole(path: Path) -> Iterator[RecordedResponse]:
    """The single response of a file, named by the file's path."""
    yield RecordedResponse(str(path.relative_to(FOLDER).with_suffix("")), json.loads(path.read_text()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """See the module's docstring. Names are matched in full by regular expressions; the first match counts."""

    files: tuple[str, ...] = ()
    """Glob patterns of files with recorded responses."""
    answers: Callable[[Path], Iterator[RecordedResponse]] = whole
    """The responses in a file."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Reasons why responses are not checked, by pattern of their names."""
    checks: Mapping[str, ResponseCheck] = field(default_factory=dict)
    """The checks of the others, by pattern of their names."""
    schemas: Mapping[str, str] = field(default_factory=dict)
    """Descriptions of files without responses (with the tests that use them), by glob pattern."""


def recorded(key: str) -> Recorded:
    """A platform's table."""
    table = importlib.import_module(f"{__name__}.{key}").RECORDED
    assert isinstance(table, Recorded)
    return table
