"""The status of the counters of a community's posts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from app.metrics import service, status
from app.platforms import adapter
from app.platforms.contract import Metric, MetricStatus, PostMetrics
from tests.metrics.conftest import NOON, Client


def measure(counters: dict[Metric, int], **missing: str) -> PostMetrics:
    return PostMetrics("1", counters, {Metric(name): MetricStatus(why) for name, why in missing.items()})


async def test_each_counter_of_a_community_has_a_status(client: Client) -> None:
    ref = client.refs[0]
    posts = [await client.publish(NOON - timedelta(days=n)) for n in range(3)]
    every: dict[str, Any] = {"quotes": "unsupported", "saves": "unsupported"}
    snapshots = [
        (measure({Metric.REACTIONS: 3, Metric.VIEWS: 10, Metric.COMMENTS: 1, Metric.REACH: 9}, **every), 0),
        (measure({Metric.REACTIONS: 0, Metric.COMMENTS: 1}, views="pending", reach="no_permission", **every), 1),
        (measure({Metric.REACTIONS: 1}, views="pending", comments="error", reach="no_permission", **every), 2),
    ]
    for (metrics, hours), post in zip(snapshots, posts, strict=True):
        async with client.work() as session:
            await service.record_posts(session, ref, NOON + timedelta(hours=hours), [(post, metrics)])
    spec = replace(adapter("mastodon").spec, metrics=frozenset(Metric) - {Metric.QUOTES, Metric.SAVES})
    async with client.db.read_connection(client.workspace_id) as connection:
        read = await status.of_community(connection, client.workspace_id, ref.community_id, spec)
    rows = {row.metric: row for row in read}
    at = {hours: NOON + timedelta(hours=hours) for hours in range(3)}
    assert {name: (row.status, row.posts, row.captured_at) for name, row in rows.items()} == {
        "reactions": ("ok", {"ok": 3}, at[2]),
        "views": ("ok", {"ok": 1, "pending": 2}, at[0]),
        "reach": ("no_permission", {"ok": 1, "no_permission": 2}, at[0]),
        "comments": ("error", {"ok": 2, "error": 1}, at[1]),
        "shares": ("pending", {"pending": 3}, None),
        "quotes": ("unsupported", {"unsupported": 3}, None),
        "saves": ("unsupported", {"unsupported": 3}, None),
    }


async def test_the_last_read_of_a_counter_is_independent_of_later_polls(client: Client) -> None:
    """A failed poll, or one that brought only another counter, does not count."""
    ref = client.refs[0]
    first, second = await client.publish(NOON), await client.publish(NOON)
    snapshots = [
        (first, 0, measure({Metric.VIEWS: 10, Metric.REACTIONS: 1})),
        (second, 1, measure({Metric.REACTIONS: 2, Metric.SHARES: 1})),
        (first, 2, measure({Metric.REACTIONS: 3}, views="error")),
        (second, 3, measure({Metric.COMMENTS: 1}, shares="no_permission")),
    ]
    for post, hours, metrics in snapshots:
        async with client.work() as session:
            await service.record_posts(session, ref, NOON + timedelta(hours=hours), [(post, metrics)])
    spec = replace(adapter("mastodon").spec, metrics=frozenset(Metric))
    async with client.db.read_connection(client.workspace_id) as connection:
        read = await status.of_community(connection, client.workspace_id, ref.community_id, spec)
    by_metric = {row.metric.value: (row.status.value, row.captured_at) for row in read}
    at = [NOON + timedelta(hours=hours) for hours in range(4)]
    assert by_metric["views"] == ("error", at[0])
    assert by_metric["reactions"] == ("ok", at[2])
    assert by_metric["comments"] == ("ok", at[3])
    assert by_metric["shares"] == ("no_permission", at[1])
    assert by_metric["saves"] == ("pending", None)
