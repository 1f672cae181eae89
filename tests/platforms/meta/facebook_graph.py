"""A Facebook Page at the fake Graph API server, and what the tests of Meta's adapters share."""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.platforms.capabilities import (
    HookRequest,
    ReplyTo,
)
from app.platforms.contract import (
    Credentials,
    MessageKind,
    Page,
    RemotePerson,
    Token,
)
from app.platforms.meta.facebook import Facebook
from tests.platforms.meta.server import FakeGraph, Node, graph_time

PAGE = "77"

PAGE_TOKEN = "EAABpage-token"

USER_TOKEN = "EAABuser-token"

APP = {"client_id": "4400", "client_secret": "the-app's-secret"}

APP_TOKEN = "4400|the-app's-secret"

BOTH = {Token.COMMUNITY: PAGE_TOKEN, Token.USER: USER_TOKEN}

SECRETS = {"verify_token": "agreed", "app_secret": "the-app's-secret"}

HOOK = "https://instep.example/v1/hooks/1"


def fake_graph() -> FakeGraph:
    graph = FakeGraph(frozenset({PAGE_TOKEN, USER_TOKEN, APP_TOKEN, ""}))
    graph.nodes[PAGE] = {"id": PAGE, "name": "Coffee", "link": "https://www.facebook.com/coffee", "fan_count": 900}
    graph.metrics = {"post_media_view", "post_total_media_view_unique"}
    graph.lists = {f"{PAGE}/published_posts": [], f"{PAGE}/conversations": []}
    return graph


def credentials(
    tokens: Mapping[Token, str] = BOTH, external_id: str | None = PAGE, app: Mapping[str, str] = APP
) -> Credentials:
    return Credentials("https://www.facebook.com/coffee", "https://graph.facebook.com", external_id, tokens, app)


def adapter(graph: FakeGraph) -> Facebook:
    return Facebook(graph.client())


def post(number: int, minutes: float, **more: object) -> Node:
    node = {"id": f"{PAGE}_{number}", "created_time": graph_time(minutes), "message": f"post {number}"}
    return {**node, "comments": {"data": [], "summary": {"total_count": number}}, **more}


def counted(number: int, reactions: int, shares: int | None) -> Node:
    more = {} if shares is None else {"shares": {"count": shares}}
    return post(number, number, reactions={"data": [], "summary": {"total_count": reactions}}, **more)


async def read_all(
    list_page: Callable[[str | None], Awaitable[Page[Any]]], cursor: str | None = None
) -> tuple[list[Any], str | None]:
    """The items of all pages, and the last cursor."""
    items: list[Any] = []
    for _ in range(1000):
        page = await list_page(cursor)
        items += page.items
        cursor = page.cursor
        if not page.more:
            return items, cursor
    raise AssertionError("the pages do not end")


def measured(count: int) -> FakeGraph:
    graph = fake_graph()
    for number in range(1, count + 1):
        graph.nodes[f"{PAGE}_{number}"] = counted(number, 10 * number, number)
        views: dict[str, int | None] = {"post_media_view": 100 * number, "post_total_media_view_unique": 50 * number}
        graph.insights[f"{PAGE}_{number}"] = views
    return graph


def ids(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{PAGE}_{number}" for number in numbers)


def reply_to(kind: MessageKind, external_id: str = "1_11") -> ReplyTo:
    return ReplyTo(external_id, "thread", kind, RemotePerson("5", "A"), f"{PAGE}_1")


def signed_request(body: object, secret: str = SECRETS["app_secret"], **headers: str) -> HookRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return HookRequest(raw, {"x-hub-signature-256": signature, **headers}, {})
