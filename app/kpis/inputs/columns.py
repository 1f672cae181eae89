"""Amounts by day, and sums of them over any days."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import accumulate
from typing import Any

from app.kpis.contract import CommunityData, D, LoadRequest, Measure, Source, Span, Window
from app.kpis.values import Community

Columns = Sequence[Sequence[Any]]
"""The rows of one community as lists, one for each column; the first holds positions of days."""


MakeData = Callable[[Community, Span, Columns, LoadRequest], D]
"""Makes a source's data of one community from its rows."""


def running_sums(
    length: int, positions: Iterable[int], amounts: Iterable[int | None], *, initial: int = 0
) -> list[int]:
    """Prefix sums, `length` + 1 of them: the sum over a range of days is the difference of two.

    An amount of None counts as 0; `initial` is the sum before the first position.
    """
    dense = [0] * length
    for position, amount in zip(positions, amounts, strict=True):
        dense[position] += amount or 0
    return list(accumulate(dense, initial=initial))


def sums_of(sums: Sequence[int], windows: Sequence[Window]) -> list[int]:
    """The sum of each window, from the running sums `sums`."""
    return [sums[stop] - sums[start] for _, _, _, start, stop in windows]


class DailyCounts(CommunityData):
    """Counts by day; a day without a row counts as 0."""

    __slots__ = ("_sums", "columns")

    def __init__(self, community: Community, span: Span, columns: Columns, request: LoadRequest) -> None:
        super().__init__(community, span, request)
        self.columns = columns
        self._sums: dict[int, list[int]] = {}

    def sums(self, column: int) -> list[int]:
        """The running sums of a column, by its index in `columns` (0 holds the positions)."""
        if column not in self._sums:
            amounts = self.columns[column] if self.columns else ()
            positions = self.columns[0] if self.columns else ()
            self._sums[column] = running_sums(self.length, positions, amounts)
        return self._sums[column]


def taken_off(columns: Columns, request: LoadRequest, rows: Iterable[tuple[date, Sequence[int]]]) -> list[list[Any]]:
    """The columns with the amounts of these rows, by day, subtracted: as further rows with negative amounts."""
    made = [list(column) for column in columns]
    for day, amounts in rows:
        for column, amount in zip(made, ((day - request.first).days, *(-amount for amount in amounts)), strict=True):
            column.append(amount)
    return made


class Counted(Measure[DailyCounts]):
    """The sums of some columns of daily counts over the window."""

    def __init__(self, source: Source[DailyCounts], *columns: int, empty: str | None = None) -> None:
        self.source = source
        self.empty = empty
        self.nothing = (0,) * len(columns)
        self._columns = columns

    def amounts(self, data: DailyCounts, windows: Sequence[Window]) -> list[list[int]]:
        """The sums of each column."""
        return [sums_of(data.sums(column), windows) for column in self._columns]
