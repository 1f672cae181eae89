"""Webhook subscriptions: the application sets its URL, and each Page subscribes the application to fields.

Meta verifies the URL before accepting it; here that happens right after.
"""

from __future__ import annotations

from sandbox.entities import Community
from sandbox.graph import ids, oauth
from sandbox.graph.call import VERSION, Call
from sandbox.graph.errors import GraphError, invalid
from sandbox.graph.nodes import Args, Json, Listing, Node
from sandbox.graph.state import ACCOUNT, FEED, LOGIN, TOPICS, GraphState


def granted_fields(call: Call, c: Community) -> frozenset[str]:
    """The fields a community has subscribed the application to."""
    return call.network.extra_state(GraphState).installed.get(c.key, frozenset())


def apps(call: Call, node: Node, _: Args) -> Listing:
    """`GET /{page}/subscribed_apps`."""
    _may(call)
    fields = granted_fields(call, node.c)
    app: Json = {
        "category": "Business", "link": "https://example.org/", "name": oauth.APPLICATION, "id": ids.APP,
        "subscribed_fields": sorted(fields),
    }  # fmt: skip
    return Listing([(0, app)] if fields else [])


def install(call: Call, node: Node) -> Json:
    """`POST /{page}/subscribed_apps`."""
    _may(call)
    fields = _listed(call, "subscribed_fields", LOGIN if call.caller.is_instagram_login else FEED)
    if not fields:
        raise invalid("The parameter subscribed_fields is required.")
    _set(call, node.c, fields)
    return {"success": True}


def uninstall(call: Call, node: Node) -> Json:
    """`DELETE /{page}/subscribed_apps`."""
    _may(call)
    _set(call, node.c, frozenset())
    return {"success": True}


def listed(call: Call, _: Node, __: Args) -> Listing:
    """`GET /{app}/subscriptions`."""
    fields_by_subscription: dict[tuple[str, str], frozenset[str]] = {}
    kept = call.network.extra_state(GraphState)
    for c in call.world.communities.values():
        if c.key in kept.subscribed:
            url, ___, fields = kept.subscribed[c.key]
            fields_by_subscription[_object(c), url] = fields
    items: list[tuple[int, Node | Json]] = [
        (
            place,
            {
                "object": kind, "callback_url": url, "active": True,
                "fields": [{"name": name, "version": VERSION} for name in sorted(fields)],
            },
        )
        for place, ((kind, url), fields) in enumerate(sorted(fields_by_subscription.items()))
    ]  # fmt: skip
    return Listing(items)


def subscribe(call: Call, _: Node) -> Json:
    """`POST /{app}/subscriptions`: one URL per kind of object; a later one replaces it."""
    if call.caller.grant is not None:
        raise GraphError(15, "(#15) This method must be called with an app access_token.")
    url, verify, kind = call.get("callback_url"), call.get("verify_token"), call.get("object")
    fields = _listed(call, "fields", FEED if kind == "page" else ACCOUNT)
    if kind not in {"page", "instagram"} or not url.startswith(("http://", "https://")) or not verify or not fields:
        raise invalid("object, callback_url, fields and verify_token are required")
    for c in call.world.communities.values():
        if c.profile.platform in {"facebook", "instagram"} and _object(c) == kind:
            detail: dict[str, object] = {"url": url, "verify": verify, "fields": sorted(fields)}
            call.world.emit("graph_subscribed", c, "api", detail=detail)
            _apply(call, c)
    return {"success": True}


def _object(c: Community) -> str:
    return "instagram" if ids.is_instagram(c) else "page"


def _may(call: Call) -> None:
    call.needs_page()
    call.needs("pages_manage_metadata", "instagram_business_manage_messages", code=200)


def _listed(call: Call, name: str, existing: frozenset[str]) -> frozenset[str]:
    """A parameter's fields. Raises `GraphError` 100 for one that is not among the existing ones."""
    text = call.get(name)
    listed = call.structure(name) if text.startswith("[") else text.split(",")
    names = [str(one).strip() for one in listed if one] if isinstance(listed, list) else []
    for place, one in enumerate(names):
        if one not in existing:
            raise invalid(f"Param {name}[{place}] must be one of {{{', '.join(sorted(existing))}}}")
    return frozenset(names)


def _set(call: Call, c: Community, fields: frozenset[str]) -> None:
    call.world.emit("graph_installed", c, "api", detail={"fields": sorted(fields)})
    _apply(call, c)


def _apply(call: Call, c: Community) -> None:
    """Deliver the fields that both the Page and the application subscribe to."""
    kept, hooks = call.network.extra_state(GraphState), call.network.hooks
    if c.key not in kept.subscribed:
        return
    url, verify, subscribed_fields = kept.subscribed[c.key]
    may = kept.installed.get(c.key, frozenset()) & FEED
    if ids.is_instagram(c) and c.key in kept.installed and kept.installed[c.key]:
        may = ACCOUNT  # an account sends all its fields once its Page has any field installed
    topics = subscribed_fields & TOPICS & may
    for one in [one for one in hooks.of(c) if one.title == oauth.APPLICATION]:
        if one.url == url and one.topics == topics and one.verify == verify:
            return
        hooks.remove(c, one.id, origin="api")
    hooks.configure(c, url, hooks.secret(c), title=oauth.APPLICATION, verify=verify, topics=topics, origin="api")
