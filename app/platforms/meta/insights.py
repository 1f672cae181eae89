"""Insights: counters that come late, under names that Meta retires, requested apart from all others.

One retired name fails the whole request, and so does one that does not suit the post. So a request
that was refused is repeated in parts, until each refused name is requested alone.
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
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import Calls, GraphAccess
from app.platforms.meta.errors import Retired, TooFew

Counts = Mapping[str, int | MetricStatus]
"""By the name of the insight: its value, or why there is none."""


async def read(calls: Calls, access: GraphAccess, ids: Sequence[str], names: Sequence[str]) -> dict[str, Counts]:
    """The insights of each of these posts. What Meta has not counted yet is `pending`.

    What is refused or fails is returned as a status, because the other counters are known. `AuthExpired` and
    `Throttled` are raised, because no further request would succeed.
    """
    if not ids or not names:
        return {post: {} for post in ids}
    try:
        results = await calls.batch(access, [(post, _fields(names)) for post in ids], graph.INSIGHTS)
    except PlatformError as error:
        results = [error] * len(ids)
    counts_by_post: dict[str, Counts] = {}
    refused: dict[str, PlatformError] = {}
    for post, result in zip(ids, results, strict=True):
        match result:
            case AuthExpired() | Throttled():
                raise result
            case Rejected() | Gone():
                refused[post] = result
            case PlatformError():
                denied = isinstance(result, MissingPermission)
                counts_by_post[post] = dict.fromkeys(
                    names, MetricStatus.NO_PERMISSION if denied else MetricStatus.ERROR
                )
            case _:
                counts_by_post[post] = _counts(result, names)
    return {**counts_by_post, **(await _apart(calls, access, refused, names) if refused else {})}


async def _apart(
    calls: Calls, access: GraphAccess, refused: Mapping[str, PlatformError], names: Sequence[str]
) -> dict[str, Counts]:
    """Request again without the retired metrics, which one post reveals for all; else each metric alone."""
    if len(names) == 1:
        return {
            post: {names[0]: MetricStatus.PENDING if isinstance(error, TooFew) else MetricStatus.UNSUPPORTED}
            for post, error in refused.items()
        }
    posts = list(refused)
    sample = next((post for post, error in refused.items() if isinstance(error, Retired)), None)
    if sample is not None:
        alone = await calls.batch(access, [(sample, _fields((name,))) for name in names], graph.INSIGHTS)
        gone = [name for name, result in zip(names, alone, strict=True) if isinstance(result, Retired)]
        if gone:
            rest = await read(calls, access, posts, [name for name in names if name not in gone])
            return {post: {**rest[post], **dict.fromkeys(gone, MetricStatus.UNSUPPORTED)} for post in posts}
    each = [await read(calls, access, posts, (name,)) for name in names]
    return {post: {name: count for one in each for name, count in one[post].items()} for post in posts}


def _fields(names: Sequence[str]) -> str:
    """Without nested fields: `total_value` exists only for some posts, and Graph refuses fields that do not exist."""
    return f"id,insights.metric({','.join(names)}).period(lifetime)"


def _counts(post: graph.Insights, names: Sequence[str]) -> Counts:
    listed = () if post.insights is None else post.insights.data
    count_by_name = {insight.name: count for insight in listed if (count := insight.count) is not None}
    return {name: MetricStatus.PENDING if (count := count_by_name.get(name)) is None else count for name in names}


def post_metrics(
    post: str, counts: Mapping[Metric, int | MetricStatus | None], supported: Collection[Metric]
) -> PostMetrics:
    """Counters, and why the others are missing: a supported one that was left out is `pending`."""
    counters = {
        name: count for name, count in counts.items() if count is not None and not isinstance(count, MetricStatus)
    }
    missing = {metric: MetricStatus.PENDING if metric in supported else MetricStatus.UNSUPPORTED for metric in Metric}
    missing |= {metric: status for metric, status in counts.items() if isinstance(status, MetricStatus)}
    return PostMetrics(post, counters, {metric: missing[metric] for metric in Metric if metric not in counters})


def without_unknown(
    counts: Mapping[Metric, int | MetricStatus | None], metrics: Mapping[str, Metric], unknown: Collection[str]
) -> Mapping[Metric, int | MetricStatus | None]:
    """The counts, with those whose field Graph did not know as unsupported; `metrics` has the metric of each field."""
    return {**counts, **{metric: MetricStatus.UNSUPPORTED for name, metric in metrics.items() if name in unknown}}


def unavailable_metrics(post: str, status: MetricStatus, supported: Collection[Metric]) -> PostMetrics:
    """A post of which no counter could be read."""
    return post_metrics(post, dict.fromkeys(supported, status), supported)
