"""Lists compared with a naive filter of all rows: each filter, sort and pair of filters, by each way of a search."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import pytest

from app.kit import search
from tests.conftest import Agency

WAYS: Final = {
    "few": (5_000, 40_000, 0.005),
    "found": (1, 40_000, 0.005),
    "some": (0, 40_000, 0),
    "walk": (0, 0, 0),
    "seldom": (1, 1, 2),
}
"""`FEW`, `SOME` and `TOGETHER` with which all words, however rare they are, take one way."""

Row = Mapping[str, Any]


def take(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches take this way."""
    for name, value in zip(("FEW", "SOME", "TOGETHER"), WAYS[way], strict=True):
        monkeypatch.setattr(search, name, value)


def queries(filters: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """No filter, each value of each, and each pair of values of two."""
    yield {}
    for name, values in filters.items():
        yield from ({name: value} for value in values)
    for (one, these), (other, those) in itertools.combinations(filters.items(), 2):
        yield from ({one: first, other: second} for first, second in itertools.product(these, those))


async def assert_as_naive(
    agency: Agency,
    path: str,
    filters: Mapping[str, Sequence[Any]],
    sorts: Mapping[str, Callable[[Row], Any]],
    matches: Callable[[Row, str, Any], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> int:
    """Each query, in each order, gives the rows that match it; `matches`: a row, a filter's name and value.

    `sorts`: by value of `sort` (empty: there is none) the key of a row, ascending; None: it is not in that order. With
    one filter at most, pages are of thirteen rows. Returns how many queries found nothing.
    """
    every = (await agency.get(path, limit=200))["data"]
    assert 10 < len(every) < 200
    ways, empty = itertools.cycle(WAYS), 0
    for query in queries(filters):
        for sort, key in sorts.items():
            way = next(ways) if "q" in query else "few"
            take(way, monkeypatch)
            rows = [row for row in every if key(row) is not None]
            rows = [row for row in rows if all(matches(row, name, value) for name, value in query.items())]
            expected = [row["id"] for row in sorted(rows, key=key)]
            params = {**query, "limit": 13 if len(query) < 2 else 200, **({"sort": sort} if sort else {})}
            listed: list[str] = []
            while "cursor" not in params or params["cursor"] is not None:
                answer = await agency.http.get(path, params=params)
                assert answer.status_code == 200, answer.text
                listed += [row["id"] for row in answer.json()["data"]]
                params["cursor"] = answer.json()["next_cursor"]
            assert listed == expected, f"{query} by {sort}, {way}"
            empty += not expected
    return empty


def has_each(text: str, q: str) -> bool:
    """Whether each word of `q` is one of the text's: both are of words that have one form."""
    return set(q.split()) <= set(text.split())


def descending(value: str | None, row_id: str) -> Any:
    """A sort key for the latest first; instants are compared as text, as all are in UTC."""
    return None if value is None else ([-ord(one) for one in value], [-ord(one) for one in row_id])
