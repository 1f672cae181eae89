"""Insights: counters that come late, by names that Meta retires, asked for apart from all others.

One retired name fails a whole call, and so does one post that a metric does not suit. So a call
that is refused is asked again in parts, until what was refused stands alone.
"""

from collections.abc import Collection, Mapping, Sequence

from app.platforms.contract import (
    AuthExpired,
    Gone,
    Metric,
    MetricStatus,
    MissingPermission,
    PlatformError,
    PostMetrics,
    Rejected,
    Throttled,
)
from app.platforms.graph import shapes as graph
from app.platforms.graph.calls import Calls, Way
from app.platforms.graph.errors import Retired, TooFew

Counts = Mapping[str, int | MetricStatus]
"""By the metric's name: its value, or why there is none."""


async def read(calls: Calls, way: Way, ids: Sequence[str], names: Sequence[str]) -> dict[str, Counts]:
    """The insights of each of these posts. What Meta has not counted yet is pending.

    What is refused or fails is told as a status: other counters are known. But where the token is
    not good, or too many calls were made, nothing more is to be asked, so that is raised.
    """
    if not ids or not names:
        return {post: {} for post in ids}
    fields = f"id,insights.metric({','.join(names)}).period(lifetime){{name,values,total_value}}"
    query = {"ids": ",".join(ids), "fields": fields}
    try:
        found = await calls.get(way, "", graph.INSIGHTS, query, calls=len(ids))
    except (AuthExpired, Throttled):
        raise
    except MissingPermission:
        return _all(ids, names, MetricStatus.NO_PERMISSION)
    except (Rejected, Gone) as error:
        return await _apart(calls, way, ids, names, error)
    except PlatformError:
        return _all(ids, names, MetricStatus.ERROR)
    return {post: _counts(found.get(post), names) for post in ids}


async def _apart(
    calls: Calls, way: Way, ids: Sequence[str], names: Sequence[str], error: PlatformError
) -> dict[str, Counts]:
    """Ask again in parts: a retired metric is one for every post, another refusal may be one post's."""
    if len(ids) > 1 and not isinstance(error, Retired):
        middle = len(ids) // 2
        return {**await read(calls, way, ids[:middle], names), **await read(calls, way, ids[middle:], names)}
    if len(names) > 1:
        alone = [await read(calls, way, ids, (name,)) for name in names]
        return {post: {name: count for each in alone for name, count in each[post].items()} for post in ids}
    return _all(ids, names, MetricStatus.PENDING if isinstance(error, TooFew) else MetricStatus.UNSUPPORTED)


def _all(ids: Sequence[str], names: Sequence[str], status: MetricStatus) -> dict[str, Counts]:
    return {post: dict.fromkeys(names, status) for post in ids}


def _counts(found: graph.Insights | None, names: Sequence[str]) -> Counts:
    if found is None:
        return dict.fromkeys(names, MetricStatus.ERROR)
    told = {insight.name: insight.count for insight in found.insights.data}
    return {name: MetricStatus.PENDING if (count := told.get(name)) is None else count for name in names}


def known(post: str, told: Mapping[Metric, int | MetricStatus | None], given: Collection[Metric]) -> PostMetrics:
    """Counters, and why others are missing: one of those `given` that was left out is pending."""
    counters = {
        name: count for name, count in told.items() if count is not None and not isinstance(count, MetricStatus)
    }
    missing = {metric: MetricStatus.PENDING if metric in given else MetricStatus.UNSUPPORTED for metric in Metric}
    missing |= {metric: status for metric, status in told.items() if isinstance(status, MetricStatus)}
    return PostMetrics(post, counters, {metric: missing[metric] for metric in Metric if metric not in counters})
