"""Joins that platforms attribute to campaigns, by community and day; and beside them growth above the expected path."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select
from sqlalchemy import cast as sql_cast

from app.campaigns import attribution, expected_growth
from app.campaigns.expected_growth import HISTORY, GrowthEstimate
from app.campaigns.models import Campaign, CampaignCommunity, InviteLink
from app.communities.models import Community as CommunityRow
from app.kit.db import in_workspace
from app.kpis.contract import DAY, CommunityData, Dataset, LoadRequest, Measure, Project, Section, Source, Span, Window
from app.kpis.inputs.campaigns import JOIN_FIELDS, JOIN_KEY, join_rows, joins_of_project
from app.kpis.inputs.columns import DailyCounts, sums_of
from app.kpis.inputs.parameters import (
    AS_OF,
    FIRST,
    LAST,
    PROJECT,
    WORKSPACE,
    columns_by_community,
    polled,
    position,
)
from app.kpis.values import Community, Missing, Reason
from app.metrics.models import CommunityDay, MemberChange
from app.platforms import adapters

_join: Final = joins_of_project().c
_own_communities: Final = and_(in_workspace(CommunityRow, WORKSPACE), CommunityRow.project_id == PROJECT.c.id)


def _first_seen() -> ColumnElement[Any]:
    """By community, when the first join or leave was received."""
    seen = (
        select(func.min(MemberChange.at))
        .where(
            MemberChange.workspace_id == CommunityRow.workspace_id,
            MemberChange.community_id == CommunityRow.id,
            MemberChange.recorded_at <= AS_OF,
        )
        .correlate(CommunityRow)
        .scalar_subquery()
    )
    return (
        select(func.json_object_agg(sql_cast(CommunityRow.id, Text), seen))
        .where(_own_communities)
        .correlate(PROJECT)
        .scalar_subquery()
    )


def _with_invites() -> ColumnElement[Any]:
    """The communities that have invite links of campaigns."""
    return (
        select(func.json_agg(sql_cast(InviteLink.community_id, Text).distinct()))
        .where(
            in_workspace(InviteLink, WORKSPACE),
            InviteLink.project_id == PROJECT.c.id,
            attribution.invite_counts(AS_OF),
        )
        .correlate(PROJECT)
        .scalar_subquery()
    )


class Joins(Source[DailyCounts]):
    """First joins through invite links of campaigns."""

    key = "joins"
    title = "Joins through invite links of campaigns, as the platforms say"
    rows = func.json_build_object(
        "rows",
        columns_by_community(
            select(_join.community_id, position(_join.day), func.count()).group_by(_join.community_id, _join.day)
        ),
        "seen",
        _first_seen(),
        "invites",
        _with_invites(),
    )

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[DailyCounts]:
        """The requested days, by community."""
        invites = frozenset(rows["invites"] or ())
        return Dataset(
            DailyCounts(
                one,
                _span(project, one, (rows["seen"] or {}).get(str(one.id)), has_invites=str(one.id) in invites),
                (rows["rows"] or {}).get(str(one.id), ()),
                request,
            )
            for one in project.communities
        )

    def gaps(self, data: DailyCounts, window: Window) -> Iterable[Missing]:
        """No gaps: a day without a row had no joins."""
        return ()


def _span(project: Project, community: Community, seen: str | None, *, has_invites: bool) -> Span:
    """From the first join or leave that was received; of other communities nothing is known."""
    adapter_class = adapters().get(community.platform or "")
    spec = None if adapter_class is None else adapter_class.spec
    reason = attribution.joins_reason(
        counts=spec is not None and spec.counts_joins,
        attributes=spec is not None and spec.attributes_joins,
        seen=seen is not None,
        has_invites=has_invites,
    )
    if reason is not None or seen is None:
        why = reason or attribution.NONE_SEEN
        return Span(date.max, None, None, why, before=why, end=community.disconnected)
    since = project.day_of(datetime.fromisoformat(seen))
    span = polled(project, community, since=since, seen_at=community.conversations_seen_at)
    return Span(span.first, span.last, span.as_of, span.reason, before=attribution.NONE_SEEN, end=span.end)


JOINS: Final = Joins()


_NOTHING_EXPECTED: Final = frozenset({Reason.NOT_YET, Reason.DISCONNECTED})


class Joined(Measure[DailyCounts]):
    """How many joined; None where it is not known, so that what stands beside it can be known all the same."""

    source = JOINS
    nothing = (None,)

    def amounts(self, data: DailyCounts, windows: Sequence[Window]) -> list[list[int | None]]:
        """The number, by window."""
        sums = sums_of(data.sums(1), windows)
        return [[sum_ if data.missing(window)[0] else None for sum_, window in zip(sums, windows, strict=True)]]

    def missing(self, data: DailyCounts, window: Window) -> tuple[bool, Sequence[Missing]]:
        """What is missing. Only of days that have not come, and of a disconnected community, nothing is known."""
        has_data, missing = data.missing(window)
        nothing = not has_data and any(one.reason in _NOTHING_EXPECTED for one in missing)
        return not nothing, missing

    def totals(self, columns: Iterable[Sequence[int | None]]) -> list[int | None]:
        """The sum of what is known; None where nothing is."""
        made: list[int | None] = []
        for parts in zip(*columns, strict=True):
            amounts = [part for part in parts if part is not None]
            made.append(sum(amounts) if amounts else None)
        return made


def _join_rows(workspace_id: Any, project: Project, first: date, last: date) -> Any:
    return join_rows(workspace_id, project, first, last)


JOIN_ROWS: Final = Section(
    "join",
    f"Somebody joined for the first time through an invite link of a campaign: `community_id`, {JOIN_FIELDS}",
    _join_rows,
    JOIN_KEY,
)


# ── growth above the expected path ────────────────────────────────────────────────────────────────


class GrowthAbove(NamedTuple):
    """Estimated growth above the expected path, and its interval."""

    value: float
    low: float
    high: float


class CampaignDays(CommunityData):
    """The days of campaigns in one community, and its net growth on each known day."""

    __slots__ = ("_busy", "_growth", "_runs")

    def __init__(
        self, community: Community, span: Span, growth: Mapping[date, int], busy: set[date], request: LoadRequest
    ) -> None:
        super().__init__(community, span, request)
        self._growth = growth
        self._busy = busy
        firsts = sorted(day for day in busy if day - DAY not in busy)
        lasts = sorted(day for day in busy if day + DAY not in busy)
        self._runs = list(zip(firsts, lasts, strict=True))
        """First and last days of the times in which campaigns ran without a break."""

    def above(self, window: Window) -> GrowthAbove | None:
        """The estimate for the days of campaigns within the window that are over; None where there is none."""
        estimates = []
        for first, last in self._runs:
            if last < window.first or window.last < first:
                continue
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
