"""Every recorded response is parsed, raises a typed error, or is left out for a reason; and the count is right."""

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.platforms import adapters
from tests.platforms.data import data
from tests.platforms.recorded import Recorded, RecordedResponse, ResponseCheck, recorded
from tests.platforms.recordings import count, files, main, report, unclaimed

KEYS = sorted(adapters())


@pytest.fixture(autouse=True)
def there() -> Path:
    return data("")


def names(table: Recorded) -> list[str]:
    return [answer.name for path in files(*table.files) for answer in table.answers(path)]


@pytest.mark.parametrize("key", KEYS)
async def test_every_recorded_answer_is_explained(key: str) -> None:
    result = await count(recorded(key))
    assert result.unexplained == []
    assert not result.failed, "\n".join(f"{name}\n{how}" for name, how in result.failed.items())
    assert result.files == len(files(*recorded(key).files))


@pytest.mark.parametrize("key", KEYS)
def test_every_pattern_of_a_table_matches_something(key: str) -> None:
    table = recorded(key)
    there = names(table)
    for pattern in (*table.left_out, *table.checks):
        assert any(re.fullmatch(pattern, name) for name in there), pattern
    for pattern in (*table.files, *table.schemas):
        assert files(pattern), pattern


def test_every_file_is_claimed_by_a_table() -> None:
    tables = [recorded(key) for key in KEYS]
    assert unclaimed(tables) == []
    without = [table for table in tables if table is not recorded("youtube")]
    assert set(unclaimed(without)) > set(files(*recorded("youtube").files))


def test_the_command_prints_a_table_and_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    output = capsys.readouterr().out
    assert [line.split("|")[0].strip() for line in output.splitlines()[1 : len(KEYS) + 1]] == KEYS
    assert "UNEXPLAINED" not in output


async def test_unexplained_and_misparsed_responses_are_reported() -> None:
    table = recorded("youtube")
    nameless = replace(table, left_out={})
    result = await count(nameless)
    assert not result.good
    assert len(result.unexplained) + len(result.failed) == (await count(table)).left_out.total() > len(result.failed)

    def changed(path: Path) -> Iterator[RecordedResponse]:
        """The responses, one with a counter that is no number."""
        for answer in table.answers(path):
            content = copy.deepcopy(answer.content)
            if answer.name.endswith("videos_info_multi"):
                content["items"][0]["statistics"] = {"viewCount": "7 views"}
            yield RecordedResponse(answer.name, content)

    result = await count(replace(table, answers=changed))
    assert not result.good
    assert ["not understood at items" in how for how in result.failed.values()] == [True]
    assert any("FAILED" in line and "videos_info_multi" in line for line in report({"youtube": result}))


async def test_a_typed_error_is_counted_apart() -> None:
    async def refused(_: object) -> None: ...

    table = Recorded(
        files=("README.md",),
        answers=lambda _: iter([RecordedResponse("a", 1)]),
        checks={"a": ResponseCheck("a", refused, True)},
    )
    result = await count(table)
    assert (result.checked, result.parsed.total(), result.refused.total()) == (1, 0, 1)
