"""The Graph endpoint (a node, an edge, or a batch of requests), and the token endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.entities import Community
from sandbox.graph import ids, instagram, limits, mail, oauth, pages, subscriptions
from sandbox.graph.call import VERSION, Call, authenticate, parameters
from sandbox.graph.errors import GraphError, gone, invalid
from sandbox.graph.nodes import Graph, Json, Node
from sandbox.graph.query import parsed
from sandbox.graph.state import GraphState
from sandbox.network import Network, bearer, json_response

AT_ONCE: Final = 50
"""Maximum number of requests in a batch."""

GRAPH: Final = Graph({
    "page": pages.PAGE, "managed": pages.MANAGED, "post": pages.POST, "comment": pages.COMMENT, "photo": pages.PHOTO,
    "user": pages.USER, "application": pages.APPLICATION, "thread": mail.THREAD, "message": mail.MESSAGE,
    "account": instagram.ACCOUNT, "media": instagram.MEDIA, "child": instagram.CHILD, "tagged": instagram.TAGGED,
    "ig_comment": instagram.COMMENT, "container": instagram.CONTAINER,
})  # fmt: skip


def routes(network: Network) -> list[Route]:
    async def endpoint(request: Request) -> Response:
        network.tick()
        headers = {"facebook-api-version": VERSION}
        try:
            params, files = await parameters(request)
            path = tuple(part for part in request.url.path.removeprefix(f"/{VERSION}").split("/") if part)
            # The parameter `method` overrides POST, as Facebook's own libraries use it.
            method = params["method"].upper() if request.method == "POST" and "method" in params else request.method
            if path in oauth.INSTAGRAM_ENDPOINTS:
                # Documented as a GET with the token in the query, and answering to nothing else.
                if request.method != "GET":
                    raise gone(path[-1], request.method.lower())
                answer = oauth.INSTAGRAM_ENDPOINTS[path](network, dict(request.query_params))
                return json_response(answer, headers=headers)
            if path in oauth.ENDPOINTS:
                return json_response(oauth.ENDPOINTS[path](network, _with_token(request, params)), headers=headers)
            caller = authenticate(network, params, bearer(request) or params.get("access_token", ""))
            call = Call(network, caller, method, path, params, files)
            usage_headers, refused = limits.counted(network, caller, _cost(call), of_page=_of_page(call))
            headers |= usage_headers
            if refused is not None:
                raise refused
            return json_response(_batch(call) if not path and method == "POST" else _carried(call), headers=headers)
        except GraphError as error:
            return json_response(error.body, error.status, headers)

    paths = [f"/{'/'.join(path)}" for path in (*oauth.ENDPOINTS, *oauth.INSTAGRAM_ENDPOINTS, ("debug_token",))]
    methods = ["GET", "POST", "DELETE"]
    return [
        *(Route(path, endpoint, methods=["GET", "POST"]) for path in paths),
        Route(f"/{VERSION}", endpoint, methods=methods),
        Route(f"/{VERSION}/{{path:path}}", endpoint, methods=methods),
    ]


def _with_token(request: Request, params: Mapping[str, str]) -> Mapping[str, str]:
    return {"access_token": bearer(request), **params}


def _cost(call: Call) -> int:
    """The number of requests to count; each one of a batch counts."""
    batch = call.params.get("batch", "")
    return max(batch.count('"relative_url"'), 1)


def _of_page(call: Call) -> bool:
    return bool(call.path) and call.caller.own is not None and call.path[0].startswith(ids.page(call.caller.own))


# ── one call ──────────────────────────────────────────────────────────────────────────────────────


def _carried(call: Call) -> Json:
    if "ids" in call.params:
        # Since v26.0, in every requested version; with status 500.
        raise GraphError(
            100, "The ids query parameter is deprecated in v26.0+", kind="FacebookApiException", status=500
        )
    match call.path:
        case ("debug_token",):
            return oauth.debug(call)
        case (node_id,):
            node = _find_node(call, node_id)
            return _node(call, node)
        case (node_id, edge):
            return _edge(call, _find_node(call, node_id), edge)
    raise GraphError(2500, "Unknown path components: /" + "/".join(call.path[2:]))


def _node(call: Call, node: Node) -> Json:
    kind = GRAPH.kinds[node.kind]
    if call.method == "GET":
        return GRAPH.node(call, node, parsed(call.get("fields")) if call.get("fields") else None)
    if call.method == "POST" and "" in kind.changes:
        return _render(call, kind.changes[""](call, node))
    if call.method == "DELETE" and kind.delete is not None:
        return _render(call, kind.delete(call, node))
    raise gone(node.id, call.method.lower())


def _edge(call: Call, node: Node, edge: str) -> Json:
    if call.method == "GET":
        return GRAPH.edge(call, node, edge)
    if call.method == "DELETE" and edge == "subscribed_apps":
        return subscriptions.uninstall(call, node)
    change = GRAPH.kinds[node.kind].changes.get(edge)
    if call.method != "POST" or change is None:
        raise gone(node.id, call.method.lower())
    return _render(call, change(call, node))


def _render(call: Call, made: Node | Json) -> Json:
    """The response to a change: the new node's id, and the fields requested."""
    if isinstance(made, Node):
        return GRAPH.node(call, made, parsed(call.get("fields")) if call.get("fields") else ())
    return made


def _batch(call: Call) -> list[Json]:
    """`POST /` with `batch`: one response per request; a failed one does not affect the others.

    graph.instagram.com documents no batches; here it has none.
    """
    if call.caller.is_instagram_login:
        raise gone("", "post")
    part_request = call.structure("batch")
    if not isinstance(part_request, list) or not part_request:
        raise invalid("The batch parameter is required.")
    if len(part_request) > AT_ONCE:
        raise GraphError(
            100, f"Too many requests in batch message. Maximum batch size is {AT_ONCE}", kind="GraphBatchException"
        )
    return [_part(call, one if isinstance(one, dict) else {}) for one in part_request]


def _part(call: Call, part_request: Mapping[str, object]) -> Json:
    url = urlsplit(str(part_request.get("relative_url", "")))
    params = dict(parse_qsl(url.query, keep_blank_values=True)) | dict(parse_qsl(str(part_request.get("body", ""))))
    path = tuple(part for part in url.path.split("/") if part and part != VERSION)
    try:
        caller = authenticate(call.network, params, params["access_token"]) if "access_token" in params else call.caller
        content: Json = _carried(
            Call(call.network, caller, str(part_request.get("method", "GET")).upper(), path, params)
        )
        status = 200
    except GraphError as error:
        content, status = error.body, error.status
    part_response: Json = {"code": status, "body": orjson.dumps(content).decode()}
    if call.get("include_headers", "true").lower() not in {"0", "false"}:
        part_response["headers"] = [{"name": "Content-Type", "value": "application/json; charset=UTF-8"}]
    return part_response


# ── nodes by id ───────────────────────────────────────────────────────────────────────────────────


def _find_node(call: Call, node_id: str) -> Node:
    """The node with this id. Raises `GraphError` if it does not exist or the token may not see it."""
    c = call.caller.own
    if c is None:
        if node_id in {ids.APP, "app"} and call.network.world.communities:
            return Node("application", ids.APP, next(iter(call.world.communities.values())))
        raise gone(node_id, call.method.lower())
    node = _me(call, c) if node_id == "me" else _below(call, c, node_id)
    if node is None:
        raise gone(node_id, call.method.lower())
    return node


def _me(call: Call, c: Community) -> Node:
    if call.caller.is_page:
        return pages.page(c)
    return instagram.account(call, c) if ids.is_instagram(c) else Node("user", ids.user(c), c)


def _below(call: Call, c: Community, node_id: str) -> Node | None:
    if node_id == ids.user(c):
        return Node("user", node_id, c)
    if ids.is_instagram(c):
        return _of_account(call, c, node_id)
    return _of_page_node(call, c, node_id)


def _of_page_node(call: Call, c: Community, node_id: str) -> Node | None:
    if node_id in {ids.page(c), c.key}:
        return pages.page(c)
    if node_id.startswith(("t_", "m_")):
        return _mail(c, node_id)
    first, _, last = node_id.rpartition("_")
    parsed_id = ids.read(last, [c])
    if parsed_id is None:
        return None
    kind, _, number = parsed_id
    if kind == ids.PHOTO and not first:
        media = c.media.get(str(number))
        return None if media is None else pages.photo(c, media)
    entry = call.world.entry(c, number) if kind == ids.STORY else None
    if entry is None:
        return None
    if entry.kind == "post":
        return pages.post(c, entry) if first == ids.page(c) else None
    return pages.comment(c, entry) if first == ids.make(ids.STORY, c, entry.post or 0) else None


def _of_account(call: Call, c: Community, node_id: str) -> Node | None:
    if node_id == c.profile.external_id or (call.caller.is_instagram_login and node_id == ids.app_scoped(c)):
        return instagram.account(call, c)
    if node_id == ids.page(c) and not call.caller.is_instagram_login:
        return pages.page(c)
    parsed_id = ids.read(node_id, [c])
    if parsed_id is None:
        return _mail(c, node_id)
    kind, _, number = parsed_id
    if kind == ids.CONTAINER:
        one = call.network.extra_state(GraphState).containers[c.key].get(number)
        return None if one is None else Node("container", node_id, c, one)
    if kind == ids.CHILD:
        return Node("child", node_id, c, number) if str(number) in c.media else None
    entry = call.world.entry(c, number)
    makers = {ids.MEDIA: ("post", instagram.media), ids.TAGGED: ("mention", instagram.tagged)}
    if entry is None or kind not in {*makers, ids.IG_COMMENT}:
        return None
    if kind == ids.IG_COMMENT:
        return instagram.comment(c, entry) if entry.kind == "comment" else None
    expected, make = makers[kind]
    return make(c, entry) if entry.kind == expected else None


def _mail(c: Community, node_id: str) -> Node | None:
    """The conversation or message with this id; None if there is none."""
    for dialog in c.dialogs.values():
        if ids.thread(c, dialog.number) == node_id:
            return mail.thread(c, dialog)
    number = ids.decoded(node_id.removeprefix("m_")).rpartition(":")[2]
    entry = c.mail.get(int(number)) if number.isascii() and number.isdecimal() else None
    return mail.message(c, entry) if entry is not None and ids.message(c, entry.id) == node_id else None
