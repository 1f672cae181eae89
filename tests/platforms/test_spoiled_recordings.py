"""Corrupted recorded responses of the platforms, as `test_spoiled_answers` has those of the sandbox."""

from functools import cache

import httpx
import pytest

from app.platforms import adapter, adapters
from tests.platforms.calls import reads
from tests.platforms.data import data
from tests.platforms.recorded import recorded
from tests.platforms.recordings import files
from tests.platforms.specimens import specimen
from tests.platforms.test_spoiled_answers import EXAMPLE_COUNTS, RecordedCall, Run, check_corrupted


@cache
def recordings(key: str) -> tuple[RecordedCall, ...]:
    """Every recorded response as the response to every read."""
    about, table = specimen(key), recorded(key)
    c = about.credentials(adapter(key).spec.base_url or "https://a.example")
    contents = [one.content for path in files(*table.files) for one in table.answers(path)]
    raws = [getattr(one, "raw", one) for one in contents]
    names = reads(adapter(key)(httpx.AsyncClient()), about)
    return tuple(RecordedCall(name, c, about, (raw,)) for raw in raws if raw is not None for name in names)


@pytest.mark.parametrize("examples", EXAMPLE_COUNTS)
@pytest.mark.parametrize("key", [key for key in sorted(adapters()) if recorded(key).files])
def test_a_corrupted_recorded_response_is_parsed_or_refused(key: str, examples: int, run: Run) -> None:
    data()
    check_corrupted(adapter(key), recordings(key), run, examples)
