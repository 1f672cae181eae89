"""A fake Bluesky server with given responses, for cases that the sandbox cannot produce."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx

from app.platforms.bluesky import records
from app.platforms.bluesky.adapter import Bluesky
from app.platforms.contract import Credentials, Page, RemoteMessage, Token
from tests.platforms.specimens import json_response
from tests.platforms.specimens.bluesky import CID, DATE, OWN_DID, jwt, uri

ACCESS: Final = jwt("signature", scope="com.atproto.appPassPrivileged")
POSTED_AT: Final = "2026-11-23T05:00:00.000Z"
PROFILE: Final = {"did": OWN_DID, "handle": "name.bsky.social", "followersCount": 7}


def credentials(base_url: str = "https://bsky.social", **tokens: str) -> Credentials:
    held = {Token(kind): text for kind, text in tokens.items()}
    return Credentials("https://bsky.app/profile/name.bsky.social", base_url, OWN_DID, held)


class Server:
    """Responds by the method's name, and records the requests."""

    def __init__(self, **answers: object) -> None:
        self._answers = {"getAuthorFeed": {"feed": []}, **answers}
        self.requests: list[httpx.Request] = []
        self.adapter = Bluesky(httpx.AsyncClient(transport=httpx.MockTransport(self._answer)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = self._answers[request.url.path.rpartition(".")[2]]
        if isinstance(response, list):
            response = response.pop(0)
        return response if isinstance(response, httpx.Response) else json_response(response, date=DATE)


def post(
    rkey: str, *, did: str = OWN_DID, at: str = POSTED_AT, indexed: str | None = None, **more: Any
) -> dict[str, Any]:
    record = {"$type": records.POST, "text": f"text {rkey}", "createdAt": at, **more.pop("record", {})}
    return {
        "uri": uri(did, rkey), "cid": CID, "author": {"did": did, "handle": "name.bsky.social"},
        "record": record, "indexedAt": indexed or POSTED_AT, "likeCount": 1, "replyCount": 2, "repostCount": 3,
        "quoteCount": 4, "bookmarkCount": 5, **more,
    }  # fmt: skip


def reply_fields(parent: str, root: str) -> dict[str, Any]:
    return {"reply": {"root": {"uri": root, "cid": CID}, "parent": {"uri": parent, "cid": CID}}}


async def read_all(c: Credentials, lists: Callable[..., Awaitable[Page[RemoteMessage]]]) -> list[RemoteMessage]:
    """All items of a list, read page by page."""
    items: list[RemoteMessage] = []
    cursor: str | None = None
    more = True
    while more:
        page = await lists(c, cursor)
        items += page.items
        cursor, more = page.cursor, page.more
    return items
