"""`If-Match`: which versions a header expects, and what follows."""

from collections.abc import Set as AbstractSet

import pytest

from app.kit.errors import PreconditionFailed
from app.kit.preconditions import IfMatch, require_version, version_tag

EXPECTED: dict[str | None, AbstractSet[int] | None] = {
    None: None,
    "*": None,
    " * ": None,
    '"v1"': {1},
    'W/"v1"': {1},
    '"v1", W/"v22" ,"v3"': {1, 22, 3},
    '"v1","someone else\'s"': {1},
    '"someone else\'s"': set(),
    "v1": set(),
    '"v01"': set(),
    '"v-1"': set(),
    '"v1': set(),
    '"v99999999999999999999"': set(),
    '"v1-gone"': set(),
    '"v9", *': {9},
    "": set(),
}
"""The versions that a header expects (None: any)."""


@pytest.mark.parametrize(("header", "versions"), EXPECTED.items())
def test_a_header_names_versions(header: str | None, versions: AbstractSet[int] | None) -> None:
    assert IfMatch().versions(header) == versions


@pytest.mark.parametrize("header", ['"v1-gone"', 'W/"v1-gone"', '"v1"', '"v1-gone", "x"'])
def test_a_part_of_the_tag_may_be_ignored(header: str) -> None:
    assert IfMatch(ignored_suffix="-gone").versions(header) == frozenset({1})


@pytest.mark.parametrize("expected", [None, {3}, {2, 3}])
def test_an_expected_version_is_accepted(expected: set[int] | None) -> None:
    require_version(3, expected)


@pytest.mark.parametrize("expected", [set(), {2}, {1, 2, 4}])
def test_another_version_is_refused(expected: set[int]) -> None:
    with pytest.raises(PreconditionFailed):
        require_version(3, expected)


def test_a_versions_tag_expects_that_version() -> None:
    for version in (0, 1, 10, 2**63 - 1):
        assert IfMatch().versions(version_tag(version)) == frozenset({version})
