"""The response for one KPI of a project: its values for the window, the previous window, the series and communities.

Responses are plain dictionaries, ready for JSON; `schemas` describes them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import structlog

from app.kpis import comparing
from app.kpis.annotations import within
from app.kpis.arithmetic import Datasets, Values, communities, failed_dataset, values
from app.kpis.contract import DAY, Kpi, LoadRequest, Project, Window
from app.kpis.values import Community, Missing, Reason, Unit, Value, ValueStatus
from app.kpis.windows import Days, Granularity

log = structlog.get_logger()

# Looked up once: an enumeration's `value` costs as much as the rest of a point of the series.
_OK: Final = ValueStatus.OK.value
_PARTIAL: Final = ValueStatus.PARTIAL.value
_UNKNOWN: Final = ValueStatus.UNKNOWN.value
_EXPECTED: Final = frozenset({Reason.NOT_YET})
"""Reasons that `coverage` does not list as gaps, because the input is not due yet."""


@dataclass(frozen=True)
class KpiQuery:
    """A request for a project's KPIs, with the loaded inputs."""

    project: Project
    days: Days
    granularity: Granularity
    compare: bool
    request: LoadRequest
    datasets: Datasets
    failed_kpis: set[str] = field(default_factory=set)
    """Keys of KPIs whose computation has failed, so that each is logged once."""

    @cached_property
    def parts(self) -> Sequence[Days]:
        """The parts of the series."""
        return tuple(self.days.parts(self.granularity))

    @cached_property
    def _window(self) -> Sequence[Window]:
        """The requested days."""
        return self.request.windows([self.days], self.project.today)

    @cached_property
    def _previous(self) -> Sequence[Window]:
        """The days before them, as many."""
        return self.request.windows([self.days.before], self.project.today)

    @cached_property
    def _series(self) -> Sequence[Window]:
        return self.request.windows(self.parts, self.project.today)

    def values(self, kpi: Kpi, *, previous: bool = False, series: bool = False) -> Values:
        """The KPI's values for the requested days, in total and by community.

        As others those of the previous days, and those of the parts of the series.
        """
        windows = [*self._window, *(self._previous if previous else ()), *(self._series if series else ())]
        return values(kpi, self.datasets, windows, report=lambda error: self._report(kpi, error))

    def gaps(self, kpi: Kpi, of: Sequence[Community]) -> Sequence[Missing]:
        """Days on which data of the KPI's sources was lost."""
        (window,) = self._window
        if failed_dataset(kpi, self.datasets) is not None:
            return ()
        try:
            return [
                gap
                for source in kpi.needs
                for one in of
                for gap in source.gaps(self.datasets[source].parts[one], window)
            ]
        except Exception as error:
            self._report(kpi, error)
            return [Missing(one, Reason.NOT_COMPUTED, window.first, window.last) for one in of]

    def _report(self, kpi: Kpi, error: Exception) -> None:
        if kpi.key not in self.failed_kpis:
            log.error("kpis.not_computed", kpi=kpi.key, project_id=str(self.project.id), exc_info=error)
        self.failed_kpis.add(kpi.key)

    @property
    def as_of(self) -> str:
        """The query parameter `as_of` with the instant of the answer, to be appended to links."""
        return f"&as_of={self.project.now.isoformat().replace('+00:00', 'Z')}"

    def described(self) -> dict[str, Any]:
        """The window, as the response contains it."""
        return {
            "from": self.days.first,
            "to": self.days.last,
            "timezone": self.project.timezone,
            "granularity": self.granularity.value,
        }


def answer(kpi: Kpi, query: KpiQuery) -> dict[str, Any]:
    """The response body of `GET /v1/projects/{id}/kpis/{key}`."""
    value, by_community, others = query.values(kpi, previous=query.compare, series=True)
    series = others[1:] if query.compare else others
    return {
        **described(kpi),
        "window": query.described(),
        **stated(kpi, value),
        "previous": previous(kpi, query, value, others[0]) if query.compare else None,
        "series": [{"from": part.first, **stated(kpi, one)} for part, one in zip(query.parts, series, strict=True)],
        "annotations": within(query.project.annotations, kpi.key, query.days),
        "breakdown": [_share(kpi, one, share) for one, share in by_community.items()],
        "freshness": freshness(kpi, query.datasets),
        "coverage": coverage(kpi, query, value),
        "excluded": excluded(value),
        "links": _links(kpi, query),
    }


def row(kpis: Iterable[Kpi], query: KpiQuery) -> dict[str, Any]:
    """A project's row in the portfolio."""
    window = query.described()
    return {
        "project_id": query.project.id,
        "title": query.project.title,
        "window": {name: window[name] for name in ("from", "to", "timezone")},
        "kpis": [_of_row(kpi, query) for kpi in kpis],
    }


def _of_row(kpi: Kpi, query: KpiQuery) -> dict[str, Any]:
    value, _, (before,) = query.values(kpi, previous=True)
    earlier = previous(kpi, query, value, before)
    return {
        "key": kpi.key,
        **stated(kpi, value),
        "previous": {name: amount for name, amount in earlier.items() if name not in {"from", "to"}},
    }


def stated(kpi: Kpi, value: Value) -> dict[str, Any]:
    """A value with its status and variants; its currency, where it is money; a reason, where it is not `ok`."""
    amount, reason, missing = value[:3]
    variants = {one.key: value.variants.get(one.key) for one in kpi.variants} if kpi.variants else {}
    if amount is None:
        status, reason = _UNKNOWN, value.status_reason
    elif missing:
        status, reason = _PARTIAL, reason or missing[0].reason
    else:
        status, reason = _OK, None
    stated = {"value": amount, "status": status, "reason": reason, "variants": variants}
    if kpi.unit is Unit.MONEY:
        stated["currency"] = value.currency
    return stated


def described(kpi: Kpi) -> dict[str, Any]:
    """A KPI's metadata, without its documentation."""
    return {
        "key": kpi.key,
        "title": kpi.title,
        "unit": kpi.unit.value,
        "goal_type": kpi.goal.value,
        "version": kpi.version,
        "direction": kpi.direction.value,
    }


def previous(kpi: Kpi, query: KpiQuery, value: Value, earlier: Value) -> dict[str, Any]:
    """The value of the previous window (as many days, directly before), and the relative change since.

    There is none where not the same is known of both windows: a community that was connected in between is no growth,
    and half a month no fall by half.
    """
    days = query.days.before
    change: float | None = None
    reason: str | None = None
    if value.amount is not None and earlier.amount and value.currency == earlier.currency:
        if kpi.grows_with_days and query.days.last > query.project.today:
            reason = Reason.NOT_YET
        else:
            ended = comparing.ends(kpi, query.datasets)
            reason = comparing.why_unlike((days, earlier), (query.days, value), ended)
        change = None if reason is not None else (value.amount - earlier.amount) / abs(earlier.amount)
    return {
        "from": days.first,
        "to": days.last,
        **stated(kpi, earlier),
        "change": change,
        "change_reason": reason,
    }


def _share(kpi: Kpi, community: Community, value: Value) -> dict[str, Any]:
    return {
        "community_id": community.id,
        "platform": community.platform,
        **stated(kpi, value),
    }


def freshness(kpi: Kpi, datasets: Datasets) -> dict[str, Any]:
    """The instant up to which all inputs are known, and the community that was polled longest ago."""
    inputs = [data for source in kpi.needs for data in datasets[source].parts.values()]
    # A disconnected community is not polled any more: it would be the stalest for ever.
    inputs = [data for data in inputs if data.span.end is None] or inputs
    if not inputs:
        return {"as_of": None, "stalest": None}
    stalest = min(inputs, key=lambda data: _instant(data.span.as_of))
    as_of = stalest.span.as_of
    return {"as_of": as_of, "stalest": {"community_id": stalest.community.id, "as_of": as_of}}


def _instant(at: datetime | None) -> float:
    return at.timestamp() if at is not None else float("-inf")


def coverage(kpi: Kpi, query: KpiQuery, value: Value) -> dict[str, Any]:
    """Data coverage in community-days: how many are expected, how many are known, and the gaps."""
    days = Days(query.days.first, min(query.days.last, query.project.today))
    of = communities(kpi, query.datasets)
    ended = [_after_end(one, days) for one in of if one.disconnected is not None and one.disconnected < days.last]
    gaps = _joined([*ended, *value.missing, *query.gaps(kpi, of)])
    unknown_days = {
        (gap.community.id, day)
        for gap in gaps
        if gap.reason != Reason.DISCONNECTED
        for day in _each(max(gap.first, days.first), min(gap.last, days.last))
    }
    length = max((days.last - days.first).days + 1, 0)
    expected = length * len(of) - sum((gap.last - gap.first).days + 1 for gap in ended)
    return {
        "expected": expected,
        "seen": expected - len(unknown_days),
        "gaps": [
            {"from": gap.first, "to": gap.last, "community_id": gap.community.id, "reason": gap.reason} for gap in gaps
        ],
    }


def _after_end(community: Community, days: Days) -> Missing:
    """The days after a community was disconnected."""
    assert community.disconnected is not None, "only called for disconnected communities"
    return Missing(community, Reason.DISCONNECTED, max(community.disconnected + DAY, days.first), days.last)


def _joined(gaps: Iterable[Missing]) -> list[Missing]:
    """The gaps sorted by first day, without those that another gap of the same community contains."""
    kept: list[Missing] = []
    for gap in sorted(gaps, key=lambda gap: (gap.first, -gap.last.toordinal())):
        if gap.reason not in _EXPECTED and not any(_within(gap, other) for other in kept):
            kept.append(gap)
    return kept


def _within(gap: Missing, other: Missing) -> bool:
    return gap.community.id == other.community.id and other.first <= gap.first and gap.last <= other.last


def _each(first: date, last: date) -> Iterable[date]:
    while first <= last:
        yield first
        first += DAY


def excluded(value: Value) -> list[dict[str, Any]]:
    """The amounts that were deliberately left out of the value."""
    return [{"amount": one.amount, "reason": one.reason, "finding_id": one.finding_id} for one in value.excluded]


def _links(kpi: Kpi, query: KpiQuery) -> dict[str, str]:
    return {part: link(kpi, query, part) for part in ("explain", "evidence")}


def link(kpi: Kpi, query: KpiQuery, part: str) -> str:
    """The path of a part of a KPI, for the same days and as of the same instant."""
    return f"{kpi_path(query.project.id, kpi)}/{part}?from={query.days.first}&to={query.days.last}{query.as_of}"


def kpi_path(project_id: UUID, kpi: Kpi) -> str:
    """The path of a KPI of a project."""
    return f"/v1/projects/{project_id}/kpis/{kpi.key}"
