"""Computations shared by KPIs: sums, sizes, and what is missing.

One rule holds for all: the value of several communities is computed from those whose own value is
known, and from no others; the others are reported as missing.
"""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any
from uuid import UUID

from app.kpis.contract import DAY, Community, Excluded, Missing, R, Reason, Source, Term, Value, Window
from app.kpis.inputs.engagement import AMOUNT, ENGAGEMENT, VIEWED, Metrics, gains_of
from app.kpis.inputs.sizes import SIZE_STALE_AFTER, SIZES


def known_communities(window: Window, *sources: Source[Any]) -> tuple[list[Community], list[Missing]]:
    """The communities of which all these sources have data, and what is missing."""
    if all(window.complete(source) for source in sources):
        return list(window.communities(*sources)), []
    communities_known: list[Community] = []
    missing: list[Missing] = []
    for community in window.communities(*sources):
        answers = [window.missing(source, community) for source in sources]
        for _, gaps in answers:
            missing += gaps
        if all(has_data for has_data, _ in answers):
            communities_known.append(community)
    return communities_known, missing


def unknown(window: Window, missing: Sequence[Missing], *sources: Source[Any]) -> Value:
    """An unknown value, with the first reason."""
    if missing:
        return Value(None, missing[0].reason, missing)
    loaded = [window.of(source) for source in sources]
    return Value(None, next((one.reason for one in loaded if not one.spans), loaded[0].reason))


def rows_of(window: Window, source: Source[R]) -> tuple[list[R], list[Missing], bool]:
    """The window's rows, what is missing, and whether there is any data."""
    if window.complete(source):
        return window.of(source).of_all(window.first, window.last), [], True
    communities, missing = known_communities(window, source)
    rows = [row for community in communities for row in window.rows(source, community)]
    return rows, missing, bool(communities)


def add_up(window: Window, source: Source[R], of: Callable[[R], int], symbol: str, title: str) -> Value:
    """The sum of `of` over the rows in the window."""
    rows, missing, has_data = rows_of(window, source)
    if not has_data:
        return unknown(window, missing, source)
    total = sum(map(of, rows))
    return Value(total, missing=missing, evidence=(Term(symbol, title, total),))


def missing_whole_window(community: Community, reason: str, window: Window) -> Missing:
    """The whole window as missing, for one community."""
    return Missing(community, reason, window.first, window.last)


def total_gained(window: Window, metrics: Metrics, symbol: str, title: str) -> Value:
    """What the window added to these counters of all posts."""
    total = gained_if_complete(window, metrics)
    missing: list[Missing] = []
    if total is None:
        parts, missing = total_of(window, ENGAGEMENT, lambda window, community: gained(window, community, metrics))
        if not parts:
            return unknown(window, missing, ENGAGEMENT)
        total = sum(parts)
    return Value(
        total, missing=missing, included=pre_tracking_gains(window, metrics), evidence=(Term(symbol, title, total),)
    )


def gained_if_complete(window: Window, metrics: Metrics) -> int | None:
    """What the window added to these counters of all posts; None where anything of it is missing."""
    loaded = gains_of(window)
    pending = any(
        since is not None and since <= window.last
        for since in (loaded.pending_from(one, metrics, window.today) for one in window.communities(ENGAGEMENT))
    )
    if (
        not pending
        and window.complete(ENGAGEMENT)
        and loaded.connected <= window.first
        and loaded.none_withheld(metrics)
    ):
        return sum(map(AMOUNT[metrics], loaded.of_all(window.first, window.last)))
    return None


def gained(window: Window, community: Community, metrics: Metrics) -> tuple[int | None, list[Missing]]:
    """What the window added to these counters of a community's posts, and what of it is not known.

    Metrics that the platform does not have are no part of the sum; where it has none of them, the
    sum is not known.
    """
    loaded = gains_of(window)
    supported = loaded.supported_metrics(community, metrics)
    if not supported:
        return None, [missing_whole_window(community, Reason.UNSUPPORTED, window)]
    has_data, missing = window.missing(ENGAGEMENT, community)
    if not has_data:
        return None, missing
    rows = window.rows(ENGAGEMENT, community)
    if window.first < community.connected:
        # Of the days before the connection only the sums at the first poll are known.
        if window.last < community.connected and not rows:
            return None, [missing_whole_window(community, Reason.BEFORE_CONNECTION, window)]
        since = max(window.first, community.backfill)
        until = min(window.last, community.connected - DAY)
        missing.append(Missing(community, Reason.GATHERED_BEFORE_CONNECTION, since, until))
    pending = loaded.pending_from(community, supported, window.today)
    if pending is not None and pending <= min(window.last, window.today):
        since, until = max(pending, window.first), min(window.last, window.today)
        missing.append(Missing(community, Reason.PENDING, since, until))
    withheld = loaded.withheld(community, rows, supported)
    if withheld:
        missing.append(missing_whole_window(community, loaded.withheld_reason(community, withheld[0]), window))
        if len(withheld) == len(supported):
            return None, missing
    return sum(map(AMOUNT[metrics], rows)), missing


def pre_tracking_gains(window: Window, metrics: Metrics) -> tuple[Excluded, ...]:
    """What counts as a sum for the day of publication: gained before the first poll, or given late by the platform."""
    if not gains_of(window).has_pre_tracking:
        return ()
    amounts = {Reason.GATHERED_BEFORE_CONNECTION: 0, Reason.CAME_LATE: 0}
    for community in window.communities(ENGAGEMENT):
        for row in window.rows(ENGAGEMENT, community):
            reason = Reason.CAME_LATE if row.day > community.connected else Reason.GATHERED_BEFORE_CONNECTION
            amounts[reason] += (row.pre_tracking_views if metrics == VIEWED else row.pre_tracking_engagement) or 0
    return tuple(Excluded(amount, reason) for reason, amount in amounts.items() if amount)


def size_at_end(window: Window, community: Community) -> tuple[int | None, list[Missing]]:
    """The last size known at the end of the window, and what is missing where that is an old one."""
    if window.first > window.today:
        return None, [missing_whole_window(community, Reason.NOT_YET, window)]
    row = window.of(SIZES).before(community, window.last + DAY)
    if row is None:
        return None, _missing_size(window, community)
    last = min(window.last, window.today)
    if row.day < last - SIZE_STALE_AFTER:
        return row.last, [Missing(community, Reason.STALE, max(row.day + DAY, window.first), last)]
    if row.day < window.first and window.last < window.today:
        return row.last, [Missing(community, Reason.NO_SNAPSHOT, window.first, last)]
    return row.last, []


def sizes_of_growth(window: Window, community: Community) -> tuple[tuple[int, int] | None, list[Missing]]:
    """The sizes at the start and at the end of the window.

    The start is the last size before the window; where there is none, the first one in it, and
    what came before is missing. A window without a poll has no growth: it counts in the window of the next
    poll.
    """
    rows = window.rows(SIZES, community)
    if not rows:
        if window.of(SIZES).before(community, window.first) is None:
            return None, _missing_size(window, community)
        reason = Reason.NOT_YET if window.first > window.today else Reason.NO_SNAPSHOT
        return None, [missing_whole_window(community, reason, window)]
    missing: list[Missing] = []
    last = min(window.last, window.today)
    if rows[-1].day < last - SIZE_STALE_AFTER:
        missing.append(Missing(community, Reason.STALE, rows[-1].day + DAY, last))
    before = window.of(SIZES).before(community, window.first)
    if before is not None:
        if before.day < window.first - DAY - SIZE_STALE_AFTER:
            missing.append(Missing(community, Reason.NO_SNAPSHOT, before.day + DAY, window.first - DAY))
        return (before.last, rows[-1].last), missing
    if rows[0].day > window.first:
        reason = Reason.BEFORE_CONNECTION if window.first < community.connected else Reason.NO_SNAPSHOT
        missing.append(Missing(community, reason, window.first, rows[0].day - DAY))
    return (rows[0].first, rows[-1].last), missing


def average_size(window: Window, community: Community) -> tuple[float | None, list[Missing]]:
    """The mean of the days' last sizes, over the days on which the size was seen."""
    rows = window.rows(SIZES, community)
    if not rows:
        has_data, missing = window.missing(SIZES, community)
        return None, missing if not has_data else [missing_whole_window(community, Reason.NO_SNAPSHOT, window)]
    return fmean(row.last for row in rows), []


def average_sizes(window: Window) -> float | None:
    """The communities' average sizes together, where all of them were seen and none is empty; else None."""
    if not window.complete(SIZES):
        return None
    sizes: dict[UUID, list[int]] = {}
    for row in window.of(SIZES).of_all(window.first, window.last):
        sizes.setdefault(row.community_id, []).append(row.last)
    averages = [sum(daily_sizes) / len(daily_sizes) for daily_sizes in sizes.values()]
    return sum(averages) if len(averages) == len(window.communities(SIZES)) and all(averages) else None


def _missing_size(window: Window, community: Community) -> list[Missing]:
    """Why there is no size at all up to the window's end."""
    if window.last < community.connected:
        return [missing_whole_window(community, Reason.BEFORE_CONNECTION, window)]
    if community.size_seen_at is not None and window.of(SIZES).before(community, window.today + DAY) is None:
        return [missing_whole_window(community, Reason.UNSUPPORTED, window)]
    return window.missing(SIZES, community)[1] or [missing_whole_window(community, Reason.NOT_MEASURED_YET, window)]


def total_of(
    window: Window,
    source: Source[Any],
    part: Callable[[Window, Community], tuple[Any, list[Missing]]],
) -> tuple[list[Any], list[Missing]]:
    """The parts that are known of the communities, and what is missing of the others."""
    parts: list[Any] = []
    missing: list[Missing] = []
    for community in window.communities(source):
        amount, gaps = part(window, community)
        missing += gaps
        if amount is not None:
            parts.append(amount)
    return parts, missing


def percentile(amounts: Iterable[float], share: float) -> float:
    """The nearest-rank percentile: the smallest amount that `share` of them do not exceed."""
    ordered = sorted(amounts)
    rank = -(-len(ordered) * share // 1)
    return ordered[max(int(rank), 1) - 1]
