"""The Graph API: a group's chats, messages and hooks, with the group's own token."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.entities import Community
from sandbox.network import BadParameterError, Network, json_response
from sandbox.odnoklassniki import ids, wire_models
from sandbox.odnoklassniki.call import valid_grant
from sandbox.odnoklassniki.errors import OkError, refusal
from sandbox.odnoklassniki.wire_models import Json

TEXT: Final = 4_000
MAX_PAGE: Final = 100
_DEFAULT_PAGE: Final = 50

Handler: TypeAlias = Callable[[Network, Community, Request], Awaitable[Json]]


def routes(network: Network) -> list[Route]:
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "info", info),
        ("GET", "chats", chats),
        ("GET", "chat/{chat_id}", chat),
        ("GET", "messages/{chat_id}", messages),
        ("POST", "messages/{chat_id}", send),
        ("GET", "subscriptions", subscriptions),
        ("POST", "subscribe", subscribe),
        ("POST", "unsubscribe", unsubscribe),
    )
    return [Route(f"/graph/me/{path}", _endpoint(network, handler), methods=[verb]) for verb, path, handler in table]


def _endpoint(network: Network, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        network.tick()
        try:
            grant = valid_grant(network, request.query_params.get("access_token", ""), "community")
            return json_response(await handler(network, network.world.communities[grant.community], request))
        except OkError as refused:
            return refusal(refused.code, refused.detail)
        except BadParameterError as bad:
            return refusal(100, str(bad))

    return endpoint


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, "") or str(default)
    if not text.isascii() or not text.isdecimal() or int(text) > most:
        raise BadParameterError(f"{name} is invalid")
    return int(text)


async def _body(request: Request) -> Json:
    """The JSON body of a POST, whose Content-Type must say so."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise OkError(2001, "Content-Type must be application/json")
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise OkError(2001) from None
    if not isinstance(body, dict):
        raise OkError(2001)
    return body


async def info(_: Network, c: Community, __: Request) -> Json:
    return {"name": c.profile.title, "group_id": wire_models.reference(c, None)}


async def chats(__: Network, c: Community, request: Request) -> Json:
    """Chats, the latest written to first. A marker holds the last chat's time and person."""
    count = _number(request, "count", _DEFAULT_PAGE, MAX_PAGE)
    positions = sorted(((c.mail[one.messages[-1]].at, one.person) for one in c.dialogs.values()), reverse=True)
    if marker := request.query_params.get("marker"):
        try:
            before, _, peer = base64.b64decode(marker, validate=True).decode().partition(":")
            positions = [one for one in positions if one < (-int(before), -int(peer))]
        except ValueError:
            raise BadParameterError("marker is invalid") from None
    page: Json = {"chats": [wire_models.chat(c, c.dialogs[person]) for _, person in positions[:count]]}
    if len(positions) > count:
        at, person = positions[count - 1]
        page["marker"] = base64.b64encode(f"{-at}:{-person}".encode()).decode()
    return page


def _peer(c: Community, request: Request) -> int:
    peer = ids.peer(c, str(request.path_params["chat_id"]))
    if peer is None or peer not in c.dialogs:
        raise OkError(705)
    return peer


async def chat(_: Network, c: Community, request: Request) -> Json:
    return wire_models.chat(c, c.dialogs[_peer(c, request)])


async def messages(_: Network, c: Community, request: Request) -> Json:
    """A chat's messages, newest first: `from` is the later instant, `to` the earlier one."""
    peer, count = _peer(c, request), _number(request, "count", _DEFAULT_PAGE, MAX_PAGE)
    latest, earliest = _number(request, "from", 1 << 42, 1 << 43), _number(request, "to", 0, 1 << 43)
    entries = (c.mail[one] for one in reversed(c.dialogs[peer].messages))
    matches = [entry for entry in entries if earliest <= entry.at <= latest]
    return {"messages": [wire_models.message(c, entry) for entry in matches[:count]]}


async def send(network: Network, c: Community, request: Request) -> Json:
    peer, body = _peer(c, request), await _body(request)
    content = body.get("message")
    text = content.get("text") if isinstance(content, dict) else None
    if not isinstance(text, str) or not text.strip() or len(text) > TEXT:
        raise OkError(2001, "message.text")
    if body.get("recipient") != {"chat_id": request.path_params["chat_id"]}:
        raise OkError(2001, "recipient")
    record = network.world.emit("reply", c, "api", via="message", person=peer, text=text)
    return {"recipient_id": ids.chat(c, peer), "message_id": ids.message(c, c.mail[int(record["id"])])}


async def _url(request: Request) -> str:
    url = (await _body(request)).get("url")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise OkError(2001, "url")
    return url


async def subscribe(network: Network, c: Community, request: Request) -> Json:
    url = await _url(request)
    if all(one.url != url for one in network.hooks.of(c)):
        network.hooks.configure(c, url, "", origin="api")
    return {"success": True}


async def unsubscribe(network: Network, c: Community, request: Request) -> Json:
    url = await _url(request)
    removed = [network.hooks.remove(c, one.id, origin="api") for one in network.hooks.of(c) if one.url == url]
    return {"success": bool(removed)}


async def subscriptions(network: Network, c: Community, _: Request) -> Json:
    return {"subscriptions": [{"time": network.world.born, "url": one.url} for one in network.hooks.of(c)]}
