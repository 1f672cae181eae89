"""Counters and insights of Facebook posts."""

import gzip
import json

import httpx
import pytest

from app.platforms.contract import (
    COST,
    AuthExpired,
    Malformed,
    Metric,
    MetricStatus,
    MissingPermission,
    Throttled,
    Token,
    Transient,
)
from app.platforms.meta.facebook import Facebook
from tests.platforms.meta.facebook_graph import PAGE, adapter, counted, credentials, ids, measured
from tests.platforms.meta.server import Node, graph_error


async def test_metrics_of_a_batch() -> None:
    graph = measured(50)
    metrics = await adapter(graph).metrics(credentials(), ids(*range(50, 0, -1)))
    assert [one.external_id for one in metrics] == list(ids(*range(50, 0, -1)))
    assert metrics[-3].counters == {
        Metric.VIEWS: 300, Metric.REACH: 150, Metric.REACTIONS: 30, Metric.COMMENTS: 3, Metric.SHARES: 3,
    }  # fmt: skip
    assert metrics[-3].missing == dict.fromkeys((Metric.QUOTES, Metric.SAVES), MetricStatus.UNSUPPORTED)
    assert [request.extensions[COST].units for request in graph.requests] == [{"calls": 50}] * 2
    assert {request.extensions[COST].target for request in graph.requests} == {PAGE}
    with pytest.raises(ValueError, match="50"):
        await adapter(graph).metrics(credentials(), ids(*range(51)))
    assert await adapter(graph).metrics(credentials(), ()) == ()


async def test_a_post_that_may_not_be_read_is_not_taken_for_deleted() -> None:
    graph = measured(0)
    assert (await adapter(graph).metrics(credentials(), ids(1)))[0].gone
    error = graph_error(10, None, "(#10) This endpoint requires the 'pages_read_engagement' permission")
    graph.overrides["published_posts"] = httpx.Response(400, json=error)
    with pytest.raises(MissingPermission) as caught:
        await adapter(graph).metrics(credentials(), ids(1, 2))
    assert caught.value.scopes == ("pages_read_engagement",)


@pytest.mark.parametrize(
    "message",
    [
        "(#100) The value must be a valid insights metric",
        "Starting from version v22.0 and above, the impressions metric is no longer supported for the queried media.",
        "(#100) metric[0] must be one of the following values: reach, saved",
    ],
)
async def test_a_retired_metric_is_unsupported_and_fails_no_other(message: str) -> None:
    graph = measured(3)
    graph.unknown_metric_error = graph_error(100, None, message)
    graph.metrics.remove("post_media_view")
    metrics = await adapter(graph).metrics(credentials(), ids(1, 2, 3))
    assert [one.counters[Metric.REACH] for one in metrics] == [50, 100, 150]
    assert {one.missing[Metric.VIEWS] for one in metrics} == {MetricStatus.UNSUPPORTED}
    costs = [request.extensions[COST].units["calls"] for request in graph.requests]
    assert costs == [3, 3, 2, 3], "counters; both metrics; each metric for one post; the remaining metric for all"


async def test_a_post_that_has_no_such_metric_fails_no_other() -> None:
    graph = measured(4)
    del graph.insights[f"{PAGE}_2"]["post_media_view"]
    metrics = await adapter(graph).metrics(credentials(), ids(1, 2, 3, 4))
    assert [one.counters.get(Metric.VIEWS) for one in metrics] == [100, None, 300, 400]
    assert metrics[1].missing[Metric.VIEWS] is MetricStatus.UNSUPPORTED
    assert metrics[1].counters[Metric.REACH] == 100


@pytest.mark.parametrize(
    ("fans", "status"),
    [
        (900, MetricStatus.PENDING),
        (100, MetricStatus.PENDING),
        (99, MetricStatus.UNSUPPORTED),
        (0, MetricStatus.UNSUPPORTED),
    ],
)
async def test_an_empty_insight_is_never_zero(fans: int, status: MetricStatus) -> None:
    graph = measured(2)
    graph.insights = {key: dict.fromkeys(value) for key, value in graph.insights.items()}
    graph.nodes[PAGE]["fan_count"] = fans
    metrics = await adapter(graph).metrics(credentials(), ids(1, 2))
    assert {one.missing[kind] for one in metrics for kind in (Metric.VIEWS, Metric.REACH)} == {status}
    graph.insights[f"{PAGE}_1"]["post_media_view"] = 0
    metrics = await adapter(graph).metrics(credentials(), ids(1, 2))
    assert metrics[0].counters[Metric.VIEWS] == 0, "a counted 0 is kept"
    assert metrics[1].missing[Metric.VIEWS] is MetricStatus.PENDING


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (graph_error(200, None, "(#200) Requires read_insights permission"), MetricStatus.NO_PERMISSION),
        (graph_error(10), MetricStatus.NO_PERMISSION),
        (graph_error(10, None, "(#10) Not enough viewers for the media to show insights"), MetricStatus.PENDING),
        (graph_error(2), MetricStatus.ERROR),
        ({"data": "wrong"}, MetricStatus.ERROR),
    ],
)
async def test_insights_that_are_refused_leave_the_counters(error: Node, status: MetricStatus) -> None:
    graph = measured(1)
    graph.overrides["insights.metric"] = httpx.Response(400 if "error" in error else 200, json=error)
    (metrics,) = await adapter(graph).metrics(credentials(), ids(1))
    assert metrics.counters == {Metric.REACTIONS: 10, Metric.COMMENTS: 1, Metric.SHARES: 1}
    assert metrics.missing[Metric.VIEWS] is metrics.missing[Metric.REACH] is status


@pytest.mark.parametrize(("code", "kind"), [(190, AuthExpired), (32, Throttled), (4, Throttled)])
async def test_expired_tokens_and_rate_limits_are_raised_from_insights_too(code: int, kind: type[Exception]) -> None:
    graph = measured(2)
    graph.overrides["insights.metric"] = httpx.Response(400, json=graph_error(code))
    with pytest.raises(kind):
        await adapter(graph).metrics(credentials(), ids(1, 2))
    assert len(graph.requests) == 2


def batch_answering(*parts: object) -> Facebook:
    """An adapter whose server returns these parts for every batch."""
    answer = [{"code": 400 if "error" in str(one) else 200, "body": json.dumps(one)} if one else None for one in parts]
    return Facebook(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer))))


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ((None, None), Transient),
        ((counted(1, 1, 1),), Malformed),
        ((graph_error(2), graph_error(100, 33)), Transient),
        ((counted(1, 1, 1), graph_error(190, 463)), AuthExpired),
        ((counted(1, 1, 1), graph_error(80_001)), Throttled),
    ],
)
async def test_a_batch_that_is_incomplete_raises(parts: tuple[object, ...], kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        await batch_answering(*parts).metrics(credentials(), ids(1, 2))
    if isinstance(caught.value, AuthExpired):
        assert caught.value.token is Token.COMMUNITY


@pytest.mark.parametrize(
    ("part", "status"),
    [
        (None, MetricStatus.ERROR),
        ({"name": "no id"}, MetricStatus.ERROR),
        (graph_error(2), MetricStatus.ERROR),
        (graph_error(200), MetricStatus.NO_PERMISSION),
    ],
)
async def test_an_error_of_one_post_does_not_affect_others(part: Node | None, status: MetricStatus) -> None:
    one, other = await batch_answering(counted(1, 10, 2), part).metrics(credentials(), ids(1, 2))
    assert one.counters == {Metric.REACTIONS: 10, Metric.COMMENTS: 1, Metric.SHARES: 2}
    assert (other.external_id, other.counters, other.gone) == (f"{PAGE}_2", {}, False)
    assert {other.missing[metric] for metric in Facebook.spec.metrics} == {status}
    assert other.missing[Metric.SAVES] is MetricStatus.UNSUPPORTED


async def test_a_compressed_batch_response() -> None:
    """Its headers describe the whole response; the parts within are not compressed."""
    part = {"code": 200, "body": json.dumps(counted(1, 10, 2))}
    packed = httpx.Response(
        200, headers={"content-encoding": "gzip"}, content=gzip.compress(json.dumps([part, None]).encode())
    )
    facebook = Facebook(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: packed)))
    one, _ = await facebook.metrics(credentials(), ids(1, 2))
    assert one.counters == {Metric.REACTIONS: 10, Metric.COMMENTS: 1, Metric.SHARES: 2}


async def test_metrics_have_the_id_that_was_requested() -> None:
    """Posts of a Page that was migrated are found by their old ids, and returned with new ones."""
    graph = measured(1)
    graph.nodes["66_1"] = graph.nodes[f"{PAGE}_1"]
    (metrics,) = await adapter(graph).metrics(credentials(), ("66_1",))
    assert metrics.external_id == "66_1"
    assert metrics.counters[Metric.REACTIONS] == 10


async def test_an_insight_that_timed_out_is_an_error() -> None:
    graph = measured(2)
    graph.unfinished_part = "77_2?fields=id,insights"
    one, other = await adapter(graph).metrics(credentials(), ids(1, 2))
    assert one.counters[Metric.VIEWS] == 100
    assert other.missing[Metric.VIEWS] is MetricStatus.ERROR
