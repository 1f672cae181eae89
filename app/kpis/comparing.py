"""Whether two values of a KPI are of the same, so that their difference says something. Pure."""

from collections.abc import Collection
from datetime import date
from uuid import UUID

from app.kpis.arithmetic import Datasets
from app.kpis.contract import Kpi
from app.kpis.values import Reason, Value
from app.kpis.windows import Days

Gap = tuple[UUID | None, str, int]
"""Of which community something is missing, why, and of how many days."""


def gaps(value: Value, of: Days) -> frozenset[Gap]:
    """What is missing of a value. What was only found late is there."""
    return frozenset(
        (one.community.id, one.reason, (min(one.last, of.last) - max(one.first, of.first)).days + 1)
        for one in value.missing
        if one.reason != Reason.INBOUND_GAP
    )


def ends(kpi: Kpi, datasets: Datasets) -> frozenset[date]:
    """The days after which communities do not count any more, as they were disconnected."""
    every = (data.span.end for source in kpi.needs for data in datasets[source].parts.values())
    return frozenset(end for end in every if end is not None)


def is_cut(earlier: Days, later: Days, ended: Collection[date]) -> bool:
    """Whether a community was disconnected in these days: it counts in the earlier ones, and not in all later ones."""
    return any(earlier.first <= day < later.last for day in ended)


def why_unlike(earlier: tuple[Days, Value], later: tuple[Days, Value], ended: Collection[date]) -> str | None:
    """Why these values of two windows, one after the other, do not compare; None where they do.

    What a platform never gives is missing of both, and takes no comparison away.
    """
    if is_cut(earlier[0], later[0], ended):
        return Reason.DISCONNECTED
    other = gaps(earlier[1], earlier[0]) ^ gaps(later[1], later[0])
    return min(other, key=str)[1] if other else None
