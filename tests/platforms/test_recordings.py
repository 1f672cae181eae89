"""Every recorded answer is understood, or a typed error, or left out for a reason; and what says so is right."""

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.platforms import adapters
from tests.platforms.data import data
from tests.platforms.recorded import Answer, Ours, Recorded, recorded
from tests.platforms.recordings import count, files, main, report, unclaimed

KEYS = sorted(adapters())


@pytest.fixture(autouse=True)
def there() -> Path:
    return data("")


def names(told: Recorded) -> list[str]:
    return [answer.name for path in files(*told.files) for answer in told.answers(path)]


@pytest.mark.parametrize("key", KEYS)
async def test_every_recorded_answer_is_explained(key: str) -> None:
    found = await count(recorded(key))
    assert found.unexplained == []
    assert not found.failed, "\n".join(f"{name}\n{how}" for name, how in found.failed.items())
    assert found.files == len(files(*recorded(key).files))


@pytest.mark.parametrize("key", KEYS)
def test_every_reason_and_every_reading_is_needed(key: str) -> None:
    told = recorded(key)
    there = names(told)
    for pattern in (*told.left_out, *told.ours):
        assert any(re.fullmatch(pattern, name) for name in there), pattern
    for pattern in (*told.files, *told.schemas):
        assert files(pattern), pattern


def test_nothing_lies_there_of_which_no_table_speaks() -> None:
    tables = [recorded(key) for key in KEYS]
    assert unclaimed(tables) == []
    without = [told for told in tables if told is not recorded("youtube")]
    assert set(unclaimed(without)) > set(files(*recorded("youtube").files))


def test_the_command_prints_a_table_and_is_content(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    told = capsys.readouterr().out
    assert [line.split("|")[0].strip() for line in told.splitlines()[1 : len(KEYS) + 1]] == KEYS
    assert "UNEXPLAINED" not in told


async def test_what_is_unexplained_or_misunderstood_is_told() -> None:
    told = recorded("youtube")
    nameless = replace(told, left_out={})
    found = await count(nameless)
    assert not found.good
    assert len(found.unexplained) + len(found.failed) == (await count(told)).left_out.total() > len(found.failed)

    def changed(path: Path) -> Iterator[Answer]:
        """Counters that are none."""
        for answer in told.answers(path):
            content = copy.deepcopy(answer.content)
            if answer.name.endswith("videos_info_multi"):
                content["items"][0]["statistics"] = {"viewCount": "7 views"}
            yield Answer(answer.name, content)

    found = await count(replace(told, answers=changed))
    assert not found.good
    assert ["not understood at items" in how for how in found.failed.values()] == [True]
    assert any("FAILED" in line and "videos_info_multi" in line for line in report({"youtube": found}))


async def test_a_typed_error_is_counted_apart() -> None:
    async def refused(_: object) -> None: ...

    told = Recorded(
        files=("README.md",), answers=lambda _: iter([Answer("a", 1)]), ours={"a": Ours("a", refused, True)}
    )
    found = await count(told)
    assert (found.ours, found.parsed.total(), found.refused.total()) == (1, 0, 1)
