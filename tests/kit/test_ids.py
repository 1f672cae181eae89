"""Identifiers sort by the instant they are made of."""

import itertools
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from app.kit.ids import first_uuid7, uuid7, uuid7_at

START = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = st.timedeltas(timedelta(0), timedelta(days=365 * 5000)).map(START.__add__)


@given(INSTANTS, INSTANTS)
def test_ids_of_instants_sort_as_they_do(first: datetime, second: datetime) -> None:
    one, other = uuid7_at(first), uuid7_at(second)
    assert (one.version, one.variant) == (7, RFC_4122)
    assert one.int >> 80 == (first - START) // timedelta(milliseconds=1)
    if first != second:
        assert (one < other) == (first < second)
        assert (one < first_uuid7(second)) == (first < second)
    assert first_uuid7(first) <= one < first_uuid7(first + timedelta(microseconds=1))


def test_those_of_one_instant_sort_as_they_are_made() -> None:
    at = datetime(2026, 10, 15, 12, tzinfo=UTC)
    made = [uuid7_at(at) for _ in range(500)]
    # The counter may begin anew once in 65,536.
    assert sum(one > following for one, following in itertools.pairwise(made)) <= 1
    assert len(set(made)) == 500


def test_ids_of_now_are_of_version_7() -> None:
    assert {uuid7().version for _ in range(10)} == {7}
    assert isinstance(uuid7(), UUID)
