"""`python -m tests.platforms.recordings [platform …]`: a table of how the recorded responses were parsed.

Exits with 1 if a response is unexplained, or was parsed incorrectly.
"""

import asyncio
import re
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.platforms import adapters
from tests.platforms.data import FOLDER
from tests.platforms.recorded import Recorded, recorded

UNUSED_FILES = ("README.md", "**/LICENSE*")


@dataclass(slots=True)
class Count:
    """How a platform's recorded responses were parsed."""

    files: int = 0
    parsed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)
    """Names of responses that match no pattern of the table."""
    failed: dict[str, str] = field(default_factory=dict)
    """Tracebacks of responses that were parsed incorrectly, by name."""

    @property
    def checked(self) -> int:
        return self.parsed.total() + self.refused.total() + len(self.failed)

    @property
    def good(self) -> bool:
        return not self.unexplained and not self.failed

    def row(self, key: str) -> tuple[object, ...]:
        answers = self.checked + self.left_out.total() + len(self.unexplained)
        refused, left_out = self.refused.total(), self.left_out.total()
        return key, self.files, answers, self.checked, self.parsed.total(), refused, left_out, len(self.unexplained)


HEAD = ("platform", "files", "answers", "concern us", "parsed", "typed errors", "left out", "unexplained")


def files(*patterns: str, folder: Path = FOLDER) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


async def count(table: Recorded) -> Count:
    """Check every recorded response of a platform against its table."""
    result = Count()
    for path in files(*table.files):
        result.files += 1
        for answer in table.answers(path):
            why = next((why for names, why in table.left_out.items() if re.fullmatch(names, answer.name)), None)
            if why is not None:
                result.left_out[why] += 1
                continue
            check = next((one for names, one in table.checks.items() if re.fullmatch(names, answer.name)), None)
            if check is None:
                result.unexplained.append(answer.name)
                continue
            try:
                await check.read(answer.content)
            except (Exception, pytest.fail.Exception):  # one failure must not stop the count
                result.failed[answer.name] = traceback.format_exc()
            else:
                (result.refused if check.refused else result.parsed)[check.what] += 1
    return result


def unclaimed(tables: Sequence[Recorded]) -> list[Path]:
    """Files of the platforms' data that match no table."""
    claimed = {path for table in tables for path in files(*table.files, *table.schemas)}
    return sorted({*files("**/*")} - claimed - {*files(*UNUSED_FILES)})


def report(counts: dict[str, Count]) -> Iterator[str]:
    """The lines of the table, then the details for each platform."""
    rows = [HEAD, *(counted.row(key) for key, counted in counts.items())]
    rows.append(
        ("", *(sum(column) for column in zip(*(counted.row("")[1:] for counted in counts.values()), strict=True)))
    )
    widths = [max(len(str(row[n])) for row in rows) for n in range(len(HEAD))]
    for row in rows:
        yield " | ".join(
            str(cell).ljust(w) if n == 0 else str(cell).rjust(w)
            for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
    for key, counted in counts.items():
        yield ""
        yield key
        for title, numbers in (
            ("parsed", counted.parsed),
            ("typed error", counted.refused),
            ("left out", counted.left_out),
        ):
            yield from (f"{number:6}  {title}: {what}" for what, number in sorted(numbers.items()))
        for what, number in sorted(
            Counter({why: len(files(path)) for path, why in recorded(key).schemas.items()}).items()
        ):
            yield f"{number:6}  files without answers: {what}"
        yield from (f"        UNEXPLAINED: {name}" for name in counted.unexplained)
        yield from (f"        FAILED: {name}\n{how}" for name, how in counted.failed.items())


async def _counts(keys: Sequence[str]) -> dict[str, Count]:
    return {key: await count(recorded(key)) for key in keys}


def main(keys: list[str]) -> int:
    if not FOLDER.exists():
        sys.stderr.write(f"no platform data at {FOLDER}\n")
        return 2
    counts = asyncio.run(_counts(keys or sorted(adapters())))
    strange = [] if keys else unclaimed([recorded(key) for key in counts])
    sys.stdout.write("\n".join(report(counts)) + "\n")
    sys.stdout.writelines(f"UNEXPLAINED: {path}\n" for path in strange)
    return int(bool(strange) or not all(counted.good for counted in counts.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
