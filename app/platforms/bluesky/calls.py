"""Requests to Bluesky: the method, host, token and cost of each."""

from collections.abc import Mapping
from typing import Final

import httpx

from app.platforms import wire
from app.platforms.bluesky import translate
from app.platforms.contract import CALLS, COST, Cost, Credentials, LimitScope, RateLimit, Token

BASE: Final = "https://bsky.social"
PUBLIC: Final = "https://public.api.bsky.app"
CHAT: Final = {"atproto-proxy": "did:web:api.bsky.chat#bsky_chat"}

PROFILE: Final = "app.bsky.actor.getProfile"
PROFILES: Final = "app.bsky.actor.getProfiles"
FEED: Final = "app.bsky.feed.getAuthorFeed"
POSTS: Final = "app.bsky.feed.getPosts"
THREAD: Final = "app.bsky.feed.getPostThread"
NOTIFICATIONS: Final = "app.bsky.notification.listNotifications"
CONVOS: Final = "chat.bsky.convo.listConvos"
MESSAGES: Final = "chat.bsky.convo.getMessages"
SEND: Final = "chat.bsky.convo.sendMessage"
RECORD: Final = "com.atproto.repo.getRecord"
PUT: Final = "com.atproto.repo.putRecord"
UPLOAD: Final = "com.atproto.repo.uploadBlob"
OPEN: Final = "com.atproto.server.createSession"
RENEW: Final = "com.atproto.server.refreshSession"
SESSION: Final = "com.atproto.server.getSession"

CHANGES: Final = frozenset({SEND, PUT, OPEN, RENEW})
"""Methods that are sent once; `UPLOAD` may be repeated."""

WRITES, SESSIONS, UPLOADS = "writes", "sessions", "uploads"
HOUR, DAY = 3600, 86_400
RATE_LIMITS: Final = (
    RateLimit(3000, 300, LimitScope.ADDRESS),
    RateLimit(5000, HOUR, LimitScope.COMMUNITY, WRITES),
    RateLimit(35_000, DAY, LimitScope.COMMUNITY, WRITES),
    RateLimit(30, 300, LimitScope.COMMUNITY, SESSIONS),
    RateLimit(300, DAY, LimitScope.COMMUNITY, SESSIONS),
    RateLimit(1000, DAY, LimitScope.COMMUNITY, UPLOADS),
)
UNITS: Final = {PUT: {WRITES: 2}, UPLOAD: {UPLOADS: 1}, OPEN: {SESSIONS: 1}}
"""What a call takes from the limits besides one request. `putRecord` costs two points (`createRecord` three)."""

Query = Mapping[str, str | list[str]]


def request(
    http: httpx.AsyncClient,
    c: Credentials,
    method: str,
    query: Query | None = None,
    *,
    kind: Token | None = Token.COMMUNITY,
    json: object = None,
    content: bytes | None = None,
    media_type: str = "application/json",
) -> httpx.Request:
    """A request with the token of `kind`, where the credentials have one."""
    token = None if kind is None else c.tokens.get(kind)
    is_post = method in CHANGES or method == UPLOAD
    host = PUBLIC if token is None and not is_post and c.base_url == _account_server(c) else c.base_url
    target = (c.external_id or translate.actor(c.address)) if method in UNITS else ""
    cost = Cost(token or "", kind if token else None, {CALLS: 1, **UNITS.get(method, {})}, target)
    return http.build_request(
        "POST" if is_post else "GET",
        f"{host.rstrip('/')}/xrpc/{method}",
        params=query,
        json=json,
        content=content,
        headers={
            **wire.bearer(token),
            **(CHAT if method.startswith("chat.") else {}),
            **({} if content is None else {"content-type": media_type}),
        },
        extensions={COST: cost},
    )


def method_of(response: httpx.Response) -> str:
    """The method that was called; empty for a response without a request."""
    return wire.path_of(response).rpartition("/")[2]


def _account_server(c: Credentials) -> str:
    """The server that the account's address names. Where `base_url` is another one, that is used for all requests."""
    address = translate.address(c.address)
    return (address.base_url if address is not None else None) or BASE
