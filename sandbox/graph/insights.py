"""Insights: lifetime figures of a post, settled once a day and a day late."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from sandbox.entities import Entry
from sandbox.graph.call import Call
from sandbox.graph.errors import GraphError, invalid
from sandbox.graph.nodes import Args, Json, Node
from sandbox.graph.state import Figures, GraphState

ENOUGH_LIKES: Final = 100
"""A Page with fewer has no insights."""

Figure: TypeAlias = Callable[[Figures], object]

POST: Final[Mapping[str, Figure]] = {
    "post_media_view": lambda found: found.views,
    "post_total_media_view_unique": lambda found: found.reach,
    "post_clicks": lambda found: found.reach // 5,
    "post_reactions_like_total": lambda found: found.reactions,
    "post_reactions_by_type_total": lambda found: {"like": found.reactions},
}
"""What Facebook counts of a post. `post_impressions` and its like were retired in 2025 and 2026."""
MEDIA: Final[Mapping[str, Figure]] = {
    "views": lambda found: found.views,
    "total_views": lambda found: found.views,
    "reach": lambda found: found.reach,
    "likes": lambda found: found.reactions,
    "total_likes": lambda found: found.reactions,
    "comments": lambda found: found.comments,
    "total_comments": lambda found: found.comments,
    "saved": lambda found: found.saves,
    "shares": lambda found: found.shares,
    "reposts": lambda found: found.reposts,
    "total_interactions": lambda found: found.reactions + found.comments + found.saves + found.shares + found.reposts,
    "follows": lambda found: found.reach // 100,
    "profile_visits": lambda found: found.reach // 20,
    "profile_activity": lambda found: found.reach // 50,
}
"""What Instagram counts of media of the feed."""
ELSEWHERE: Final = frozenset({
    "crossposted_views", "facebook_views", "ig_reels_avg_watch_time", "ig_reels_video_view_total_time", "link_clicks",
    "navigation", "reels_skip_rate", "replies",
})  # fmt: skip
"""Metrics there are, but not of media of the feed."""


def of_post(call: Call, node: Node, args: Args) -> Json:
    names = _names(args)
    if not names or any(name not in POST for name in names):  # names are looked at before permissions
        raise invalid("The value must be a valid insights metric")
    call.needs_page()
    call.needs("read_insights")
    if len(node.c.followers) < ENOUGH_LIKES:
        return {"data": []}
    return _shown(call, node, {name: POST[name] for name in names})


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
            known = ", ".join(sorted({*MEDIA, *ELSEWHERE}))
            raise invalid(f"metric[{place}] must be one of the following values: {known}")
    if not names:
        raise invalid("The parameter metric is required.")
    call.needs("instagram_manage_insights", "instagram_business_manage_insights")
    return _shown(call, node, {name: MEDIA[name] for name in names})


def _names(args: Args) -> list[str]:
    given = args.get("metric", "").strip("[]").replace('"', "")
    return [one.strip() for one in given.split(",") if one.strip()]


def _shown(call: Call, node: Node, figures: Mapping[str, Figure]) -> Json:
    """What is not there yet is an empty list."""
    if not isinstance(node.what, Entry):
        raise GraphError(100, "(#100) Insights data is not available for media within an album.")
    found = call.network.extra_state(GraphState).settled(node.c, node.entry)
    if found is None:
        return {"data": []}
    return {
        "data": [
            {
                "name": name, "period": "lifetime", "values": [{"value": figure(found)}],
                "title": name.replace("_", " ").capitalize(), "description": f"Lifetime: {name}",
                "id": f"{node.id}/insights/{name}/lifetime",
            }
            for name, figure in figures.items()
        ]
    }  # fmt: skip
