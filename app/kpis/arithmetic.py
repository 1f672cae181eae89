"""The arithmetic of all KPIs: from amounts of single communities to the values of an answer.

One rule holds for all: the value of several communities is computed from those whose own value is
known, and from no others; the others are reported as missing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from app.kpis.contract import Community, CommunityData, Dataset, Kpi, Measure, Missing, Reason, Value, Window

Datasets = Mapping[str, Dataset[Any]]
"""The loaded data of a project, by source."""


class Values(NamedTuple):
    """A KPI's values: of the whole window, of each community, and of other windows."""

    whole: Value
    by_community: dict[Community, Value]
    others: list[Value]


def values(
    kpi: Kpi,
    datasets: Datasets,
    whole: Window,
    others: Iterable[Window] = (),
    *,
    report: Callable[[Exception], None],
) -> Values:
    """All values of an answer. One that cannot be computed is unknown, and its exception given to `report`."""
    of_measures = [datasets[measure.source.key] for measure in kpi.measures]
    covered = communities(kpi, datasets)
    columns = {one: [dataset.parts[one] for dataset in of_measures] for one in covered}
    failed = failed_dataset(kpi, datasets)
    reason = unknown_reason(kpi, datasets)

    def value(window: Window, selected: Sequence[Community]) -> Value:
        if failed is not None:
            return _unknown(failed.reason, window, selected)
        try:
            return _value(kpi, [columns[one] for one in selected], window, reason)
        except Exception as error:  # nothing here reads anything, so this is a fault in the KPI or in its inputs
            report(error)
            return _unknown(Reason.NOT_COMPUTED, window, selected)

    by_community = {one: value(whole, (one,)) for one in covered}
    return Values(value(whole, covered), by_community, [value(window, covered) for window in others])


def communities(kpi: Kpi, datasets: Datasets) -> list[Community]:
    """The communities that all of a KPI's sources cover."""
    first, *others = (datasets[source.key].parts for source in kpi.needs)
    return [one for one in first if all(one in other for other in others)]


def failed_dataset(kpi: Kpi, datasets: Datasets) -> Dataset[Any] | None:
    """An input of the KPI that could not be loaded; None where all are there."""
    return next((one for source in kpi.needs if (one := datasets[source.key]).failed), None)


def unknown_reason(kpi: Kpi, datasets: Datasets) -> str:
    """Why there is no value where there is no community to name."""
    needed = [datasets[source.key] for source in kpi.needs]
    return next((one.reason for one in needed if not one.parts), needed[0].reason)


def _unknown(reason: str, window: Window, of: Iterable[Community]) -> Value:
    return Value(None, reason, [Missing(one, reason, window.first, window.last) for one in of])


def _value(kpi: Kpi, rows: Iterable[Sequence[CommunityData]], window: Window, reason: str) -> Value:
    """The value of some communities, whose data stands in the order of the KPI's measures."""
    measures = kpi.measures
    known: list[list[tuple[Any, ...]]] = []
    missing: list[Missing] = []
    for row in rows:
        parts: list[tuple[Any, ...]] = []
        empty: Measure[Any] | None = None
        for measure, data in zip(measures, row, strict=True):
            part, gaps = measure.part(data, window)
            if gaps:
                missing += gaps
            if part is not None:
                parts.append(part)
                if measure.empty is not None and not part[0]:
                    empty = measure
        is_known = len(parts) == len(measures)
        if empty is None:
            if is_known:
                known.append(parts)
        elif empty.empty is not None and (is_known or empty.is_empty_first):
            missing.insert(0, row[0].missing_whole(empty.empty, window))
    if not known:
        return Value(None, missing[0].reason if missing else reason, missing)
    amounts: list[Any] = []
    for measure, column in zip(measures, zip(*known, strict=True), strict=True):
        amounts += measure.total(column)
    value = kpi.value(*amounts)
    return value._replace(missing=missing) if missing else value


def percentile(amounts: Iterable[float], share: float) -> float:
    """The nearest-rank percentile: the smallest amount that `share` of them do not exceed."""
    ordered = sorted(amounts)
    rank = -(-len(ordered) * share // 1)
    return ordered[max(int(rank), 1) - 1]
