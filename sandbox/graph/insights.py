"""Insights: a post's lifetime figures, updated once a day and available after a day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from sandbox.entities import Entry
from sandbox.graph.call import Call
from sandbox.graph.errors import GraphError, invalid
from sandbox.graph.nodes import Args, Json, Node, select
from sandbox.graph.query import Field, parsed
from sandbox.graph.state import Figures, GraphState

ENOUGH_LIKES: Final = 100
"""A Page with fewer followers has no insights."""

RESULT: Final = frozenset({"description", "description_from_api_doc", "id", "name", "period", "title", "values"})
"""The fields of `InsightsResult`, which Pages return, and accounts at graph.instagram.com."""
INSTAGRAM_RESULT: Final = RESULT - {"description_from_api_doc"} | {"total_value"}
"""Those of `InstagramInsightsResult`."""

Figure: TypeAlias = Callable[[Figures], object]

POST: Final[Mapping[str, Figure]] = {
    "post_media_view": lambda counts: counts.views,
    "post_total_media_view_unique": lambda counts: counts.reach,
    "post_clicks": lambda counts: counts.reach // 5,
    "post_reactions_like_total": lambda counts: counts.reactions,
    "post_reactions_by_type_total": lambda counts: {"like": counts.reactions},
}
"""Facebook's post metrics. `post_impressions` and similar ones were retired in 2025 and 2026."""
MEDIA: Final[Mapping[str, Figure]] = {
    "views": lambda counts: counts.views,
    "total_views": lambda counts: counts.views,
    "reach": lambda counts: counts.reach,
    "likes": lambda counts: counts.reactions,
    "total_likes": lambda counts: counts.reactions,
    "comments": lambda counts: counts.comments,
    "total_comments": lambda counts: counts.comments,
    "saved": lambda counts: counts.saves,
    "shares": lambda counts: counts.shares,
    "reposts": lambda counts: counts.reposts,
    "total_interactions": lambda counts: (
        counts.reactions + counts.comments + counts.saves + counts.shares + counts.reposts
    ),
    "follows": lambda counts: counts.reach // 100,
    "profile_visits": lambda counts: counts.reach // 20,
    "profile_activity": lambda counts: counts.reach // 50,
}
"""Instagram's metrics of feed media."""
ELSEWHERE: Final = frozenset({
    "crossposted_views", "facebook_views", "ig_reels_avg_watch_time", "ig_reels_video_view_total_time", "link_clicks",
    "navigation", "reels_skip_rate", "replies",
})  # fmt: skip
"""Metrics that exist, but not for feed media."""


def of_post(call: Call, node: Node, args: Args) -> Json:
    names = _names(args)
    if not names or any(name not in POST for name in names):  # names are checked before permissions
        raise invalid("The value must be a valid insights metric")
    call.needs_page()
    call.needs("read_insights")
    if len(node.c.followers) < ENOUGH_LIKES:
        return _render(call, node, args, {}, RESULT)
    return _render(call, node, args, {name: POST[name] for name in names}, RESULT)


def of_media(call: Call, node: Node, args: Args) -> Json:
    names = _names(args)
    for place, name in enumerate(names):
        if name == "impressions":
            raise invalid(
                "Starting from version v22.0 and above, the impressions metric is no longer supported for the queried "
                "media."
            )
        if name in ELSEWHERE:
            raise invalid(f"The Media Insights API does not support the {name} metric for this media product type.")
        if name not in MEDIA:
            metric_names = ", ".join(sorted({*MEDIA, *ELSEWHERE}))
            raise invalid(f"metric[{place}] must be one of the following values: {metric_names}")
    if not names:
        raise invalid("The parameter metric is required.")
    call.needs("instagram_manage_insights", "instagram_business_manage_insights")
    result = RESULT if call.caller.is_instagram_login else INSTAGRAM_RESULT
    return _render(call, node, args, {name: MEDIA[name] for name in names}, result)


def _names(args: Args) -> list[str]:
    requested_metrics = args.get("metric", "").strip("[]").replace('"', "")
    return [one.strip() for one in requested_metrics.split(",") if one.strip()]


def _render(call: Call, node: Node, args: Args, figures: Mapping[str, Figure], result: frozenset[str]) -> Json:
    """The figures, with the requested fields of those in `result`; an empty list if there are none yet."""
    fields = parsed(args["fields"]) if args.get("fields") else tuple(Field(name) for name in sorted(result))
    select({}, fields, result, "InsightsResult" if result is RESULT else "InstagramInsightsResult")
    if not isinstance(node.what, Entry):
        raise GraphError(100, "(#100) Insights data is not available for media within an album.")
    counts = call.network.extra_state(GraphState).settled(node.c, node.entry)
    if counts is None:
        return {"data": []}
    return {
        "data": [
            select(
                {
                    "name": name, "period": "lifetime", "values": [{"value": figure(counts)}],
                    "title": name.replace("_", " ").capitalize(), "description": f"Lifetime: {name}",
                    "id": f"{node.id}/insights/{name}/lifetime",
                },
                fields, result, "",
            )
            for name, figure in figures.items()
        ]
    }  # fmt: skip
