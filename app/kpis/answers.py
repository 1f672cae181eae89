"""The response for one KPI of a project: values of the whole window, the previous one, parts and communities.

Responses are plain dictionaries, ready for JSON; `schemas` describes them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import structlog

from app.kpis.contract import DAY, Community, Kpi, Loaded, Missing, Project, Reason, Span, Value, Window
from app.kpis.windows import Days, Granularity

log = structlog.get_logger()

_EXPECTED: Final = frozenset({Reason.NOT_YET})
"""Reasons that are no gaps: the input is not due yet."""


@dataclass(frozen=True, slots=True)
class KpiQuery:
    """A request for a project's KPIs, with the loaded inputs."""

    project: Project
    days: Days
    granularity: Granularity
    compare: bool
    loaded: Mapping[str, Loaded[Any]]
    broken: set[str] = field(default_factory=set)
    """Keys of KPIs whose computation has failed, so that each is logged once."""

    def window(self, days: Days | None = None, only: Community | None = None) -> Window:
        """The inputs for some days (all of them) of some communities (all of them)."""
        selected = days or self.days
        return Window(selected.first, selected.last, self.project.today, self.loaded, only)

    def value(self, kpi: Kpi, days: Days | None = None, only: Community | None = None) -> Value:
        """The KPI's value for some days of some communities; one that cannot be computed is unknown."""
        if (failed := self.failed(kpi)) is not None:
            return self._unknown(kpi, failed.reason, days, only)
        try:
            return kpi.compute(self.window(days, only))
        except Exception as error:  # `compute` is pure, so this is a fault in it or in its inputs
            self._report(kpi, error)
            return self._unknown(kpi, Reason.NOT_COMPUTED, days, only)

    def failed(self, kpi: Kpi) -> Loaded[Any] | None:
        """An input of the KPI that could not be loaded; None where all are there."""
        return next((one for source in kpi.needs if (one := self.loaded[source.key]).failed), None)

    def gaps(self, kpi: Kpi, of: Sequence[Community]) -> Sequence[Missing]:
        """Days on which data of the KPI's sources was lost."""
        window = self.window()
        if self.failed(kpi) is not None:
            return ()
        try:
            return [gap for source in kpi.needs for one in of for gap in source.gaps(window.of(source), one, window)]
        except Exception as error:
            self._report(kpi, error)
            return self._unknown(kpi, Reason.NOT_COMPUTED).missing

    def _unknown(self, kpi: Kpi, reason: str, days: Days | None = None, only: Community | None = None) -> Value:
        first, last = self.window(days)[:2]
        of = (only,) if only is not None else communities(kpi, self.loaded)
        return Value(None, reason, [Missing(one, reason, first, last) for one in of])

    def _report(self, kpi: Kpi, error: Exception) -> None:
        if kpi.key not in self.broken:
            log.error("kpis.not_computed", kpi=kpi.key, project_id=str(self.project.id), exc_info=error)
        self.broken.add(kpi.key)

    def described(self) -> dict[str, Any]:
        """The window, for the answer."""
        return {
            "from": self.days.first,
            "to": self.days.last,
            "timezone": self.project.timezone,
            "granularity": self.granularity.value,
        }


def answer(kpi: Kpi, query: KpiQuery) -> dict[str, Any]:
    """The whole answer of `GET /v1/projects/{id}/kpis/{key}`."""
    value = query.value(kpi)
    return {
        **described(kpi),
        "window": query.described(),
        "value": value.amount,
        "status": value.status.value,
        "reason": value.status_reason,
        "previous": previous(kpi, query, value) if query.compare else None,
        "series": [_point(part, query.value(kpi, part)) for part in query.days.parts(query.granularity)],
        "breakdown": [_share(one, query.value(kpi, only=one)) for one in communities(kpi, query.loaded)],
        "freshness": freshness(kpi, query.loaded),
        "coverage": coverage(kpi, query, value),
        "excluded": excluded(value),
        "links": _links(kpi, query),
    }


def row(kpis: Iterable[Kpi], query: KpiQuery) -> dict[str, Any]:
    """A project's row in the portfolio."""
    values = [(kpi, query.value(kpi)) for kpi in kpis]
    before = [previous(kpi, query, value) for kpi, value in values]
    window = query.described()
    return {
        "project_id": query.project.id,
        "name": query.project.name,
        "window": {name: window[name] for name in ("from", "to", "timezone")},
        "kpis": [
            {
                "key": kpi.key,
                "value": value.amount,
                "status": value.status.value,
                "reason": value.status_reason,
                "previous": {"value": earlier["value"], "change": earlier["change"]},
            }
            for (kpi, value), earlier in zip(values, before, strict=True)
        ],
    }


def described(kpi: Kpi) -> dict[str, Any]:
    """What a KPI is, in short."""
    return {
        "key": kpi.key,
        "title": kpi.title,
        "unit": kpi.unit.value,
        "goal_type": kpi.goal.value,
        "version": kpi.version,
        "direction": kpi.direction.value,
    }


def previous(kpi: Kpi, query: KpiQuery, value: Value) -> dict[str, Any]:
    """The value of as many days right before, and the relative change since."""
    days = query.days.before
    earlier = query.value(kpi, days)
    change = None
    if value.amount is not None and earlier.amount:
        change = (value.amount - earlier.amount) / abs(earlier.amount)
    return {
        "from": days.first,
        "to": days.last,
        "value": earlier.amount,
        "status": earlier.status.value,
        "reason": earlier.status_reason,
        "change": change,
    }


def _point(days: Days, value: Value) -> dict[str, Any]:
    return {"from": days.first, "value": value.amount, "status": value.status.value, "reason": value.status_reason}


def _share(community: Community, value: Value) -> dict[str, Any]:
    return {
        "community_id": community.id,
        "platform": community.platform,
        "value": value.amount,
        "status": value.status.value,
        "reason": value.status_reason,
    }


def communities(kpi: Kpi, loaded: Mapping[str, Loaded[Any]]) -> Sequence[Community]:
    """The communities that all of a KPI's sources cover."""
    first, *others = (loaded[source.key] for source in kpi.needs)
    return [one for one in first.communities if all(one in other.spans for other in others)]


def freshness(kpi: Kpi, loaded: Mapping[str, Loaded[Any]]) -> dict[str, Any]:
    """Up to when all inputs are known, and which community is the stalest."""
    spans: list[tuple[Community, Span]] = [
        (one, span) for source in kpi.needs for one, span in loaded[source.key].spans.items()
    ]
    if not spans:
        return {"as_of": None, "stalest": None}
    community, span = min(spans, key=lambda pair: _instant(pair[1].as_of))
    return {"as_of": span.as_of, "stalest": {"community_id": community.id, "as_of": span.as_of}}


def _instant(at: datetime | None) -> float:
    return at.timestamp() if at is not None else float("-inf")


def coverage(kpi: Kpi, query: KpiQuery, value: Value) -> dict[str, Any]:
    """How many days of communities should be known, how many are, and which are not."""
    days = Days(query.days.first, min(query.days.last, query.project.today))
    of = communities(kpi, query.loaded)
    length = max((days.last - days.first).days + 1, 0)
    gaps = _joined([*value.missing, *query.gaps(kpi, of)])
    unknown_days = {
        (gap.community.id, day) for gap in gaps for day in _each(max(gap.first, days.first), min(gap.last, days.last))
    }
    expected = length * len(of)
    return {
        "expected": expected,
        "seen": expected - len(unknown_days),
        "gaps": [
            {"from": gap.first, "to": gap.last, "community_id": gap.community.id, "reason": gap.reason} for gap in gaps
        ],
    }


def _joined(gaps: Iterable[Missing]) -> list[Missing]:
    """The gaps in order of days, without those that lie within another of the same community."""
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
    """What was left out on purpose."""
    return [{"amount": one.amount, "reason": one.reason, "finding_id": one.finding_id} for one in value.excluded]


def _links(kpi: Kpi, query: KpiQuery) -> dict[str, str]:
    base = kpi_path(query.project.id, kpi)
    parameters = f"from={query.days.first}&to={query.days.last}"
    return {"explain": f"{base}/explain?{parameters}", "evidence": f"{base}/evidence?{parameters}"}


def kpi_path(project_id: UUID, kpi: Kpi) -> str:
    """The path of a KPI of a project."""
    return f"/v1/projects/{project_id}/kpis/{kpi.key}"
