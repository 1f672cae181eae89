"""app.bsky.*: what the AppView returns."""

from collections.abc import Iterator
from heapq import merge
from itertools import islice

from sandbox import instants
from sandbox.bluesky.call import Call, XrpcError
from sandbox.bluesky.servers import Conditions
from sandbox.bluesky.wire_models import Json, milliseconds
from sandbox.entities import Community, Entry, Notice
from sandbox.people import Person

AT_ONCE = 25
"""Most posts or profiles of one call."""


def profile(call: Call) -> Json:
    actor = _actor(call, call.text("actor"))
    if _is_suspended(call, actor):
        raise XrpcError("AccountTakedown", "Account has been suspended")
    return call.views.detailed(actor)


def profiles(call: Call) -> Json:
    actors = (call.views.actor(one) for one in call.several("actors", AT_ONCE))
    return {
        "profiles": [call.views.detailed(one) for one in actors if one is not None and not _is_suspended(call, one)]
    }


def author_feed(call: Call) -> Json:
    """An account's posts, newest first, before the cursor's instant; posts of that instant are skipped, as there."""
    actor, limit = _actor(call, call.text("actor")), call.number("limit", 50, 1, 100)
    below = _cursor_time(call)
    if _is_suspended(call, actor):
        raise XrpcError("InvalidRequest", "Profile not found")
    if not isinstance(actor, Community):
        return {"feed": []}
    entries = [actor.wall[one] for one in _filtered(actor, call.optional("filter") or "posts_with_replies")]
    placed = sorted(((call.views.sort_at(actor, one), one.id) for one in entries), reverse=True)
    page = [one for one in placed if below is None or one[0] < below][:limit]
    feed = [_item(call, actor, actor.wall[entry_id]) for _, entry_id in page]
    return {"feed": feed, **({"cursor": instants.text(page[-1][0])} if page else {})}


def posts(call: Call) -> Json:
    """Up to 25 posts. One of a suspended account fails the whole call (bluesky-social/atproto#4341)."""
    matches = [call.post(uri) for uri in dict.fromkeys(call.several("uris", AT_ONCE))]
    if any(one is not None and _is_suspended(call, one[0]) for one in matches):
        raise XrpcError("InternalServerError")
    return {"posts": [call.views.post(*one) for one in matches if one is not None]}


def post_thread(call: Call) -> Json:
    depth, height = call.number("depth", 6, 0, 1000), call.number("parentHeight", 80, 0, 1000)
    uri = call.text("uri")
    match = call.post(uri)
    if match is None or _is_suspended(call, match[0]):
        raise XrpcError("NotFound", f"Post not found: {uri}")
    return {"thread": call.views.thread(*match, depth, height)}


def notifications(call: Call) -> Json:
    """Notifications, newest first, before the cursor's instant."""
    c, limit, below = call.own(), call.number("limit", 50, 1, 100), _cursor_time(call)
    reasons = set(call.query.get("reasons", []))

    def visible() -> Iterator[tuple[Notice, str]]:
        for one in merge(reversed(c.mentions), reversed(c.notices), key=lambda notice: notice.id, reverse=True):
            if below is not None and one.at >= below:
                continue
            reason = call.views.reason(c, one)
            if reason is not None and (not reasons or reason in reasons):
                yield one, reason

    page = list(islice(visible(), limit))
    rendered = [call.views.notification(c, one, reason) for one, reason in page]
    return {"notifications": rendered, **({"cursor": instants.text(page[-1][0].at)} if page else {})}


def _is_suspended(call: Call, actor: Community | Person) -> bool:
    return isinstance(actor, Community) and actor.key in call.network.variant(Conditions).suspended


def _actor(call: Call, text: str) -> Community | Person:
    actor = call.views.actor(text)
    if actor is None:
        raise XrpcError("InvalidRequest", "Profile not found")
    return actor


def _filtered(c: Community, kind: str) -> list[int]:
    if kind == "posts_with_media":
        return [one for one in c.posts if c.wall[one].media]
    return c.authored if kind == "posts_with_replies" else c.posts


def _item(call: Call, c: Community, entry: Entry) -> Json:
    above = call.views.above(c, entry)
    if above is None or above.deleted:
        return {"post": call.views.post(c, entry)}
    root = above
    while (higher := call.views.above(c, root)) is not None and not higher.deleted:
        root = higher
    kind = {"$type": "app.bsky.feed.defs#postView"}
    reply = {"root": {**kind, **call.views.post(c, root)}, "parent": {**kind, **call.views.post(c, above)}}
    return {"post": call.views.post(c, entry), "reply": reply}


def _cursor_time(call: Call) -> int | None:
    cursor = call.optional("cursor")
    if cursor is None:
        return None
    at = milliseconds(cursor)
    if at is None:
        raise XrpcError("InvalidRequest", "Malformed cursor")
    return at
