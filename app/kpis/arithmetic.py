"""The arithmetic of all KPIs: from amounts of single communities to the values of an answer.

One rule holds for all: the value of several communities is computed only from those whose own value is
known; the others are reported as missing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from app.kpis.contract import Dataset, Kpi, Measure, Source, Window
from app.kpis.values import Community, Missing, Reason, Value

Datasets = Mapping[Source[Any], Dataset[Any]]
"""The loaded data of a project, by source."""


class Values(NamedTuple):
    """A KPI's values: of the whole window, of each community, and of other windows."""

    whole: Value
    by_community: dict[Community, Value]
    others: list[Value]


def values(
    kpi: Kpi,
    datasets: Datasets,
    windows: Sequence[Window],
    *,
    report: Callable[[Exception], None],
) -> Values:
    """The values for all windows, the first of them also by community. One that cannot be computed is unknown.

    Only the first exception raised by a computation is passed to `report`.
    """
    whole = windows[0]
    covered = communities(kpi, datasets)
    failed = failed_dataset(kpi, datasets)
    if failed is not None:
        value, *rest = (_unknown(failed.reason, window, covered) for window in windows)
        return Values(value, {one: _unknown(failed.reason, whole, (one,)) for one in covered}, rest)
    try:
        return _values(kpi, datasets, covered, windows)
    except Exception as error:  # no I/O happens here, so this is a bug in the KPI or bad input data
        report(error)
    # Compute each value separately, so that only the failing ones are unknown.
    value, *rest = (_alone(kpi, datasets, covered, window) for window in windows)
    return Values(value, {one: _alone(kpi, datasets, [one], whole) for one in covered}, rest)


def _alone(kpi: Kpi, datasets: Datasets, of: Sequence[Community], window: Window) -> Value:
    try:
        return _values(kpi, datasets, of, [window], by_community=False).whole
    except Exception:  # reported already
        return _unknown(Reason.NOT_COMPUTED, window, of)


def communities(kpi: Kpi, datasets: Datasets) -> list[Community]:
    """The communities that all of a KPI's sources cover."""
    first, *others = (datasets[source].parts for source in kpi.needs)
    return [one for one in first if all(one in other for other in others)]


def failed_dataset(kpi: Kpi, datasets: Datasets) -> Dataset[Any] | None:
    """The first input of the KPI that could not be loaded; None where all were loaded."""
    return next((one for source in kpi.needs if (one := datasets[source]).failed), None)


def unknown_reason(kpi: Kpi, datasets: Datasets) -> str:
    """The reason of an unknown value where no community is covered whose gaps would give one."""
    needed = [datasets[source] for source in kpi.needs]
    return next((one.reason for one in needed if not one.parts), needed[0].reason)


def _unknown(reason: str, window: Window, of: Iterable[Community]) -> Value:
    return Value(None, reason, [Missing(one, reason, window.first, window.last) for one in of])


class _Share(NamedTuple):
    """What one community adds to the values of all windows."""

    columns: list[list[Any]]
    """The amounts of all measures in order, each by window; `Measure.nothing` where the community is not known."""
    unknown: set[int]
    """The numbers of the windows in which the community is not known, or left out (`empty`)."""
    empty: dict[int, Missing]
    """By window number: why it is left out, because an amount is 0."""
    missing: dict[int, list[Missing]]


def _share(kpi: Kpi, datasets: Datasets, community: Community, windows: Sequence[Window]) -> _Share:
    columns: list[list[Any]] = []
    unknown: set[int] = set()
    missing: dict[int, list[Missing]] = {}
    empty: dict[int, Measure[Any]] = {}
    today = windows[0].today
    for measure in kpi.measures:
        data = datasets[measure.source].parts[community]
        amounts = measure.amounts(data, windows)
        columns += amounts
        first, last = measure.complete(data, today)
        unknown_here = set()
        for number, window in enumerate(windows):
            if window.first < first or last < window.last:
                is_known, gaps = measure.missing(data, window)
                if gaps:
                    missing.setdefault(number, []).extend(gaps)
                if not is_known:
                    unknown_here.add(number)
        if measure.empty is not None:
            empty.update(
                (number, measure)
                for number, amount in enumerate(amounts[0])
                if not amount and number not in unknown_here
            )
        unknown |= unknown_here
    left_out: dict[int, Missing] = {}
    for number, measure in empty.items():
        if measure.empty is not None and (measure.is_empty_first or number not in unknown):
            left_out[number] = Missing(community, measure.empty, windows[number].first, windows[number].last)
    unknown.update(empty)
    nothing = [amount for measure in kpi.measures for amount in measure.nothing]
    for number in unknown:
        for column, amount in zip(columns, nothing, strict=True):
            column[number] = amount
    return _Share(columns, unknown, left_out, missing)


def _values(
    kpi: Kpi, datasets: Datasets, of: Sequence[Community], windows: Sequence[Window], *, by_community: bool = True
) -> Values:
    """The values for all windows, and those by community for the first window."""
    shares = [_share(kpi, datasets, one, windows) for one in of]
    reason = unknown_reason(kpi, datasets)
    totals: list[Any] = []
    if shares:
        columns = zip(*(share.columns for share in shares), strict=True)
        for measure in kpi.measures:
            totals += [measure.totals(next(columns)) for _ in measure.nothing]
    made = []
    incomplete = set().union(*(part for share in shares for part in share[1:]))
    by_window = zip(*totals, strict=True) if totals else repeat((), len(windows))
    for number, amounts in enumerate(by_window):
        if shares and number not in incomplete:
            made.append(kpi.value(*amounts))
            continue
        is_known, missing = _missing(shares, number)
        made.append(_value(kpi, amounts, is_known=is_known, missing=missing, reason=reason))
    apart: dict[Community, Value] = {}
    if by_community:
        for one, share in zip(of, shares, strict=True):
            is_known, missing = _missing([share], 0)
            first = [column[0] for column in share.columns]
            apart[one] = _value(kpi, first, is_known=is_known, missing=missing, reason=reason)
    return Values(made[0], apart, made[1:])


def _missing(shares: Sequence[_Share], number: int) -> tuple[bool, list[Missing]]:
    """Whether any community is known in window `number`, and what is missing, empty communities first."""
    is_known = False
    empty: list[Missing] = []
    missing: list[Missing] = []
    for _, unknown, left_out, gaps in shares:
        if number not in unknown:
            is_known = True
        if number in left_out:
            empty.append(left_out[number])
        if number in gaps:
            missing += gaps[number]
    return is_known, empty + missing if empty else missing


def _value(kpi: Kpi, amounts: Sequence[Any], *, is_known: bool, missing: list[Missing], reason: str) -> Value:
    if not is_known:
        return Value(None, missing[0].reason if missing else reason, missing)
    value = kpi.value(*amounts)
    # What is disconnected is not expected: the value of the others is whole without it.
    missing = [one for one in missing if one.reason != Reason.DISCONNECTED]
    return value._replace(missing=missing) if missing else value


def percentile(amounts: Iterable[float], share: float) -> float:
    """The nearest-rank percentile: the smallest amount that `share` of them do not exceed."""
    ordered = sorted(amounts)
    rank = -(-len(ordered) * share // 1)
    return ordered[max(int(rank), 1) - 1]
