"""Every number of an answer, by its path; and the comparison of all of them with a recount.

A number that no recount knows fails, unless its name is in `NO_FIGURES`: then it says something else than how much.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

Path = tuple[str | int, ...]
Figures = dict[Path, float | None]
"""Numbers by their paths; None: there must be none."""

NO_FIGURES: Final[Mapping[str, str]] = {
    "version": "of a KPI's formula, or of a row",
    "kpi_version": "of a KPI's formula",
    "measured_version": "of a KPI's formula",
    "revision": "the number of a revision",
    "agreed_revision": "the number of a revision",
    "number": "the number of a revision",
    "level": "of an interval: always 0.8; a baseline's `level` is a figure, and is recounted",
    "quiet_after": "a limit: the weeks without a deed that make a direction quiet",
}
"""Names of numbers that are no figures, and what they are."""
_DECIMAL: Final = re.compile(r"-?\d+(\.\d+)?")


def numbers(answer: Any, path: Path = ()) -> Iterator[tuple[Path, float]]:
    """All numbers of an answer; amounts of money, which are text, too."""
    if isinstance(answer, Mapping):
        for name, one in answer.items():
            yield from numbers(one, (*path, name))
    elif isinstance(answer, list):
        for place, one in enumerate(answer):
            yield from numbers(one, (*path, place))
    elif isinstance(answer, str):
        if _DECIMAL.fullmatch(answer):
            yield path, float(answer)
    elif isinstance(answer, int | float) and not isinstance(answer, bool):
        yield path, float(answer)


def compare(answer: Any, recounted: Figures) -> None:
    """Fail where a number is another one than recounted, where it was not recounted, and where it is missing."""
    actual, of = dict(numbers(answer)), answer.get("key", "")
    uncovered = [path for path in actual if path not in recounted and path[-1] not in NO_FIGURES]
    assert not uncovered, f"nothing recounts {uncovered[:5]} {of}"
    for path, expected in recounted.items():
        value = actual.get(path)
        if expected is None:
            assert value is None, f"{path} {of}: {value}, where nothing can be known"
        else:
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-9), f"{path} {of}: {value} is not {expected}"


def figures(answer: Any) -> list[Path]:
    """The paths of an answer's figures."""
    return [path for path, _ in numbers(answer) if path[-1] not in NO_FIGURES]


def with_another(answer: Any, path: Path) -> Any:
    """The answer with one number a little wrong."""
    if not path:
        return f"{float(answer) + 1:.2f}" if isinstance(answer, str) else answer + 1
    made = dict(answer) if isinstance(answer, Mapping) else list(answer)
    made[path[0]] = with_another(answer[path[0]], path[1:])  # type: ignore[index]  # a name or a place, as it is
    return made


def under(prefix: Path, figures_of: Figures) -> Figures:
    """The same figures below a path."""
    return {(*prefix, *path): value for path, value in figures_of.items()}
