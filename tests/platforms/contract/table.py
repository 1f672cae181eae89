"""Adapter × check."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Literal

from app.platforms import adapters
from tests.platforms.contract.stage import wire_of
from tests.platforms.contract.suite import CHECKS
from tests.platforms.specimens import specimen

Result = Literal["ok", "FAILED"]

NOT_APPLICABLE: Final = "–"
"""The check does not apply to the platform."""
NOT_RUN: Final = " "


def applicable_checks(keys: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Pairs of adapter and applicable check, for adapters that have a specimen and a wire format."""
    pairs: list[tuple[str, str]] = []
    for key, kind in sorted(adapters().items()):
        if keys and key not in keys:
            continue
        with suppress(LookupError):  # test_every_adapter_has_a_specimen fails then
            about = specimen(key)
            pairs += [(key, name) for name, check in CHECKS.items() if wire_of(key) and check.applies(kind, about)]
    return pairs


def table(results: Mapping[tuple[str, str], Result]) -> str:
    """A text table with a line for each check and a column for each adapter."""
    keys = sorted({key for key, _ in results})
    concerned = set(applicable_checks())
    first = max(len(name) for name in CHECKS)

    def cell(key: str, name: str) -> str:
        if (key, name) not in concerned:
            return NOT_APPLICABLE
        return results.get((key, name), NOT_RUN)

    def line(label: str, cells: Sequence[str]) -> str:
        padded = [cell.center(max(len(key), 6)) for key, cell in zip(keys, cells, strict=True)]
        return f"{label:<{first}}  {'  '.join(padded)}".rstrip()

    return "\n".join([line("", keys), *(line(name, [cell(key, name) for key in keys]) for name in CHECKS)])
