"""Growth above the expected path on days of campaigns, by community."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select

from app.campaigns import expected_growth
from app.campaigns.expected_growth import HISTORY, GrowthEstimate
from app.campaigns.models import Campaign, CampaignCommunity
from app.kit.db import in_workspace
from app.kpis.contract import DAY, CommunityData, Dataset, LoadRequest, Measure, Project, Source, Span, Window
from app.kpis.inputs.parameters import AS_OF, FIRST, LAST, PROJECT, WORKSPACE
from app.kpis.values import Community, Missing
from app.metrics.models import CommunityDay


class GrowthAbove(NamedTuple):
    """Estimated growth above the expected path, and its interval."""

    value: float
    low: float
    high: float


class CampaignDays(CommunityData):
    """The days of campaigns in one community, and its net growth on each known day."""

    __slots__ = ("_busy", "_growth")

    def __init__(
        self, community: Community, span: Span, growth: Mapping[date, int], busy: set[date], request: LoadRequest
    ) -> None:
        super().__init__(community, span, request)
        self._growth = growth
        self._busy = busy

    def above(self, window: Window) -> GrowthAbove | None:
        """The estimate for the days of campaigns within the window that are over; None where there is none."""
        estimates = []
        for first, last in self._runs():
            days = [day for day in _days(max(first, window.first), min(last, window.last)) if day < window.today]
            if not days:
                continue
            before = [day for day in _days(first - timedelta(days=HISTORY), first - DAY) if day not in self._busy]
            estimate = expected_growth.estimate(self._growth, before, days)
            if not isinstance(estimate, GrowthEstimate):
                return None
            estimates.append(estimate)
        if not estimates:
            return None
        return GrowthAbove(
            sum(one.value for one in estimates), sum(one.low for one in estimates), sum(one.high for one in estimates)
        )

    def _runs(self) -> Iterable[tuple[date, date]]:
        """First and last days of the times in which campaigns ran without a break."""
        firsts = sorted(day for day in self._busy if day - DAY not in self._busy)
        lasts = sorted(day for day in self._busy if day + DAY not in self._busy)
        return zip(firsts, lasts, strict=True)


def _days(first: date, last: date) -> list[date]:
    return [date.fromordinal(day) for day in range(first.toordinal(), last.toordinal() + 1)]


_RUNS_IN_TIME: Final = and_(
    in_workspace(Campaign, WORKSPACE),
    Campaign.project_id == PROJECT.c.id,
    Campaign.created_at <= AS_OF,
    Campaign.last_day >= FIRST - 2 * HISTORY,
    Campaign.first_day <= LAST,
    or_(Campaign.cancelled_at.is_(None), Campaign.cancelled_at >= Campaign.starts_at),
)


def _campaigns() -> ColumnElement[Any]:
    communities = (
        select(func.json_agg(cast(CampaignCommunity.community_id, Text)))
        .where(CampaignCommunity.workspace_id == Campaign.workspace_id, CampaignCommunity.campaign_id == Campaign.id)
        .correlate(Campaign)
        .scalar_subquery()
    )
    row = func.json_build_array(
        Campaign.first_day, Campaign.last_day, Campaign.cancelled_at, Campaign.all_communities, communities
    )
    return select(func.json_agg(row)).where(_RUNS_IN_TIME).correlate(PROJECT).scalar_subquery()


def _sizes() -> ColumnElement[Any]:
    """The last size of each day, from `HISTORY` days before the first campaign that is of interest."""
    begin = (
        select(func.min(Campaign.first_day) - (HISTORY + 1)).where(_RUNS_IN_TIME).correlate(PROJECT).scalar_subquery()
    )
    row = func.json_build_array(cast(CommunityDay.community_id, Text), CommunityDay.day, CommunityDay.last)
    return (
        select(func.json_agg(row))
        .where(
            CommunityDay.workspace_id == WORKSPACE,
            CommunityDay.project_id == PROJECT.c.id,
            CommunityDay.day >= begin,
            CommunityDay.day <= LAST,
        )
        .correlate(PROJECT)
        .scalar_subquery()
    )


class GrowthInCampaigns(Source[CampaignDays]):
    """Sizes of communities before and in their campaigns."""

    key = "growth_in_campaigns"
    title = "Sizes of communities before and during campaigns, as polled"
    rows = func.json_build_object("campaigns", _campaigns(), "sizes", _sizes())

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[CampaignDays]:
        """Growth and days of campaigns, by community."""
        sizes: dict[str, dict[date, int]] = {}
        for community_id, day, size in rows["sizes"] or ():
            sizes.setdefault(community_id, {})[date.fromisoformat(day)] = size
        busy: dict[str | None, set[date]] = {}
        for first, last, cancelled_at, of_all, community_ids in rows["campaigns"] or ():
            end = date.fromisoformat(last)
            if cancelled_at is not None:
                end = min(end, project.day_of(datetime.fromisoformat(cancelled_at)))
            days = _days(date.fromisoformat(first), end)
            for community_id in [None] if of_all else community_ids or ():
                busy.setdefault(community_id, set()).update(days)
        parts = []
        for one in project.communities:
            own = sizes.get(str(one.id), {})
            growth = {day: size - own[day - DAY] for day, size in own.items() if day - DAY in own}
            span = Span(one.connected, project.today, one.size_seen_at, end=one.disconnected)
            days_of_campaigns = busy.get(str(one.id), set()) | busy.get(None, set())
            parts.append(CampaignDays(one, span, growth, days_of_campaigns, request))
        return Dataset(parts)

    def gaps(self, data: CampaignDays, window: Window) -> Iterable[Missing]:
        """None are reported: only the estimate beside the value depends on sizes."""
        return ()


class EstimatedGrowth(Measure[CampaignDays]):
    """Growth above the expected path; None where there is no estimate."""

    source = GrowthInCampaigns()
    nothing = (None,)

    def amounts(self, data: CampaignDays, windows: Sequence[Window]) -> list[list[GrowthAbove | None]]:
        """The estimate, by window."""
        return [[data.above(window) for window in windows]]

    def complete(self, data: CampaignDays, today: date) -> tuple[date, date]:
        """All days: a missing estimate does not make the value beside it unknown."""
        return date.min, date.max

    def totals(self, columns: Iterable[Sequence[GrowthAbove | None]]) -> list[GrowthAbove | None]:
        """The sums of what is known. Whether communities err together is not known: the intervals are added."""
        made: list[GrowthAbove | None] = []
        for parts in zip(*columns, strict=True):
            amounts = [part for part in parts if part is not None]
            made.append(GrowthAbove(*map(sum, zip(*amounts, strict=True))) if amounts else None)
        return made
