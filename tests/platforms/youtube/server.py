"""Responses as of YouTube's Data API, and an adapter that gets them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from app.platforms.contract import (
    COST,
    Cost,
    Credentials,
    Page,
    RemoteMessage,
    RemotePost,
    Token,
)
from app.platforms.youtube.adapter import YouTube
from tests.platforms.contract.stage import Subject

CHANNEL_ID = "UC_x5XG1OV2P6uZZ5FSM9Ttw"


KEY, ACCESS, REFRESH = "AIza-key-12345", "ya29-access-12345", "1//0refresh-12345"


START = datetime(2026, 11, 1, tzinfo=UTC)


BASE = "https://youtube.googleapis.com"


def credentials(
    *kinds: Token, external_id: str | None = CHANNEL_ID, address: str = "https://www.youtube.com/@us"
) -> Credentials:
    texts = {Token.APP: KEY, Token.COMMUNITY: ACCESS, Token.REFRESH: REFRESH}
    app = {"client_id": "us", "client_secret": "hush"}
    return Credentials(address, BASE, external_id, {kind: texts[kind] for kind in kinds or (Token.APP,)}, app)


def with_handler(handler: Callable[[httpx.Request], httpx.Response]) -> YouTube:
    return YouTube(httpx.AsyncClient(transport=httpx.MockTransport(handler)))


def with_responses(*answers: object) -> tuple[YouTube, list[httpx.Request]]:
    left, requests = list(answers), list[httpx.Request]()

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        answer = left.pop(0)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    return with_handler(handler), requests


def listing(*items: object, **more: object) -> dict[str, object]:
    return {"kind": "youtube#someListResponse", "items": list(items), **more}


def refused(status: int, reason: str, **headers: str) -> httpx.Response:
    error = {"code": status, "message": "no", "errors": [{"reason": reason}]}
    return httpx.Response(status, json={"error": error}, headers=headers)


async def posts(s: Subject, cursor: str | None = None) -> tuple[list[RemotePost], str | None]:
    """All posts from a cursor on, and the last cursor."""
    items, more = list[RemotePost](), True
    while more:
        page = await YouTube(s.http).posts(s.c, cursor)
        items, cursor, more = [*items, *page.items], page.cursor, page.more
    return items, cursor


async def messages(
    read: Callable[[str | None], Any], cursor: str | None = None
) -> tuple[list[RemoteMessage], str | None]:
    items, more = list[RemoteMessage](), True
    while more:
        page: Page[RemoteMessage] = await read(cursor)
        items, cursor, more = [*items, *page.items], page.cursor, page.more
    return items, cursor


def paths(s: Subject) -> list[str]:
    """The last path segments of the requests since the last call."""
    names = [request.url.path.rpartition("/")[2] for request in s.transport.requests]
    s.transport.requests.clear()
    return names


def cost(request: httpx.Request) -> tuple[str, Token | None, dict[str, int]]:
    charged = request.extensions[COST]
    assert isinstance(charged, Cost)
    return charged.token, charged.kind, dict(charged.units)
