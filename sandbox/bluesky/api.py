"""XRPC: the routes of all methods, and what their calls have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.bluesky import chat, reads, records, sessions, tokens
from sandbox.bluesky.call import Call, Handler, Limit, XrpcError, headers
from sandbox.bluesky.wire_models import Json, ViewRenderer
from sandbox.grants import Grant
from sandbox.network import Network, bearer, json_response

UPLOAD: Final = "com.atproto.repo.uploadBlob"
REFRESH: Final = "com.atproto.server.refreshSession"
MAX_BLOB: Final = 5 << 20
MAX_JSON: Final = 150 << 10


def routes(network: Network) -> list[Route]:
    """The platform's routes."""
    session_store = sessions.Sessions()
    queries: dict[str, Handler] = {
        "app.bsky.actor.getProfile": reads.profile,
        "app.bsky.actor.getProfiles": reads.profiles,
        "app.bsky.feed.getAuthorFeed": reads.author_feed,
        "app.bsky.feed.getPosts": reads.posts,
        "app.bsky.feed.getPostThread": reads.post_thread,
        "app.bsky.notification.listNotifications": reads.notifications,
        "chat.bsky.convo.listConvos": chat.convos,
        "chat.bsky.convo.getMessages": chat.messages,
        "com.atproto.identity.resolveHandle": sessions.resolve_handle,
        "com.atproto.repo.getRecord": records.get,
        "com.atproto.server.describeServer": sessions.server,
        "com.atproto.server.getSession": sessions.session,
    }
    procedures: dict[str, Handler] = {
        "chat.bsky.convo.sendMessage": chat.send,
        "com.atproto.repo.createRecord": records.create,
        "com.atproto.repo.putRecord": records.put,
        "com.atproto.repo.deleteRecord": records.delete,
        UPLOAD: records.upload,
        "com.atproto.server.createSession": session_store.create,
        REFRESH: session_store.refresh,
    }
    table = [("GET", name, handler) for name, handler in queries.items()]
    table += [("POST", name, handler) for name, handler in procedures.items()]
    endpoints = [
        Route(f"/xrpc/{name}", _endpoint(network, name, handler), methods=[method]) for method, name, handler in table
    ]
    return [*endpoints, Route("/xrpc/{name}", _endpoint(network, "", _unknown), methods=["GET", "POST"])]


def _endpoint(network: Network, method: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        network.tick()
        limits, client = network.limits, request.client
        seconds = limits["bluesky_seconds"]
        counter_key = f"bluesky/address:{client.host if client else ''}"
        limit = Limit(network.counter.window(counter_key, limits["bluesky_calls"], seconds), seconds)
        try:
            call = _authorized(network, request, method, body, limit)
            response = json_response(handler(call))
            limit = call.limit
        except XrpcError as error:
            response, limit = error.response(), error.limit or limit
        response.headers.update(headers(network, request, limit))
        return response

    return endpoint


def _authorized(network: Network, request: Request, method: str, body: bytes, limit: Limit) -> Call:
    if limit.quota.refused:
        raise XrpcError("RateLimitExceeded", limit=limit)
    if len(body) > (MAX_BLOB if method == UPLOAD else MAX_JSON):
        raise XrpcError("PayloadTooLarge", "request entity too large")
    token = bearer(request)
    grant: Grant | None = None
    if token and method != REFRESH:
        grant = network.grants.find(tokens.without_expiry(token), "bluesky")
        sessions.require_valid(grant)
    fields: Json = _object(body) if body and method != UPLOAD else {}
    query = parse_qs(request.url.query, keep_blank_values=True)
    views = ViewRenderer(network, viewer=grant is not None)
    return Call(network, request, method, body, query, fields, grant, views, limit)


def _object(body: bytes) -> Json:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise XrpcError("InvalidRequest", "Error: Input must be an object")
    return value


def _unknown(call: Call) -> Json:
    raise XrpcError("MethodNotImplemented", "Method Not Implemented")
