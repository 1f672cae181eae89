"""app.bsky.*: what the public view of the network shows."""

from collections.abc import Iterator
from heapq import merge
from itertools import islice

from sandbox import instants
from sandbox.bluesky.call import Call, XrpcError
from sandbox.bluesky.wire_models import Json, milliseconds
from sandbox.entities import Community, Entry, Notice
from sandbox.people import Person

AT_ONCE = 25
"""Posts or profiles of one call."""


def profile(call: Call) -> Json:
    return call.shapes.detailed(_actor(call, call.text("actor")))


def profiles(call: Call) -> Json:
    found = (call.shapes.actor(one) for one in call.several("actors", AT_ONCE))
    return {"profiles": [call.shapes.detailed(one) for one in found if one is not None]}


def author_feed(call: Call) -> Json:
    """Newest first, below the moment that is the cursor; what shares that moment with it is passed over, as there."""
    who, limit = _actor(call, call.text("actor")), call.number("limit", 50, 1, 100)
    below = _moment(call)
    if not isinstance(who, Community):
        return {"feed": []}
    entries = [who.wall[one] for one in _filtered(who, call.optional("filter") or "posts_with_replies")]
    placed = sorted(((call.shapes.sort_at(who, one), one.id) for one in entries), reverse=True)
    chosen = [one for one in placed if below is None or one[0] < below][:limit]
    feed = [_item(call, who, who.wall[entry_id]) for _, entry_id in chosen]
    return {"feed": feed, **({"cursor": instants.text(chosen[-1][0])} if chosen else {})}


def posts(call: Call) -> Json:
    found = (call.post(uri) for uri in dict.fromkeys(call.several("uris", AT_ONCE)))
    return {"posts": [call.shapes.post(*one) for one in found if one is not None]}


def post_thread(call: Call) -> Json:
    depth, height = call.number("depth", 6, 0, 1000), call.number("parentHeight", 80, 0, 1000)
    uri = call.text("uri")
    found = call.post(uri)
    if found is None:
        raise XrpcError("NotFound", f"Post not found: {uri}")
    return {"thread": call.shapes.thread(*found, depth, height)}


def notifications(call: Call) -> Json:
    """Newest first, below the moment that is the cursor."""
    c, limit, below = call.own(), call.number("limit", 50, 1, 100), _moment(call)
    wanted = set(call.query.get("reasons", []))

    def standing() -> Iterator[tuple[Notice, str]]:
        for one in merge(reversed(c.mentions), reversed(c.notices), key=lambda notice: notice.id, reverse=True):
            if below is not None and one.at >= below:
                continue
            reason = call.shapes.reason(c, one)
            if reason is not None and (not wanted or reason in wanted):
                yield one, reason

    chosen = list(islice(standing(), limit))
    shown = [call.shapes.notification(c, one, reason) for one, reason in chosen]
    return {"notifications": shown, **({"cursor": instants.text(chosen[-1][0].at)} if chosen else {})}


def _actor(call: Call, text: str) -> Community | Person:
    found = call.shapes.actor(text)
    if found is None:
        raise XrpcError("InvalidRequest", "Profile not found")
    return found


def _filtered(c: Community, kind: str) -> list[int]:
    if kind == "posts_with_media":
        return [one for one in c.posts if c.wall[one].media]
    return c.authored if kind == "posts_with_replies" else c.posts


def _item(call: Call, c: Community, entry: Entry) -> Json:
    above = call.shapes.above(c, entry)
    if above is None or above.deleted:
        return {"post": call.shapes.post(c, entry)}
    root = above
    while (higher := call.shapes.above(c, root)) is not None and not higher.deleted:
        root = higher
    kind = {"$type": "app.bsky.feed.defs#postView"}
    reply = {"root": {**kind, **call.shapes.post(c, root)}, "parent": {**kind, **call.shapes.post(c, above)}}
    return {"post": call.shapes.post(c, entry), "reply": reply}


def _moment(call: Call) -> int | None:
    cursor = call.optional("cursor")
    if cursor is None:
        return None
    found = milliseconds(cursor)
    if found is None:
        raise XrpcError("InvalidRequest", "Malformed cursor")
    return found
