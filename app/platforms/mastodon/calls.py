"""Requests to a Mastodon server: the token and the cost of each."""

from collections.abc import Mapping
from typing import Final, Literal

import httpx

from app.platforms import wire
from app.platforms.contract import CALLS, COST, Cost, Credentials, Token

WRITING: Final = "statuses"
UPLOADING: Final = "media"

Query = Mapping[str, str | list[str]]


def request(
    http: httpx.AsyncClient,
    c: Credentials,
    method: Literal["GET", "POST"],
    path: str,
    query: Query | None = None,
    *,
    version: str = "v1",
    data: Mapping[str, str | list[str]] | None = None,
    file: tuple[str, bytes, str] | None = None,
    headers: Mapping[str, str] | None = None,
    limit: str | None = None,
) -> httpx.Request:
    """A request to the API, with the token if there is one.

    `limit`: the rate limit against which it counts, besides that of all requests.
    """
    token = c.tokens.get(Token.COMMUNITY)
    units = {CALLS: 1} if limit is None else {CALLS: 1, limit: 1}
    cost = Cost(token or "", Token.COMMUNITY if token else None, units, target=f"{c.external_id} {limit or ''}")
    return http.build_request(
        method,
        f"{c.base_url.rstrip('/')}/api/{version}/{path}",
        params=query,
        data=data,
        files=None if file is None else {"file": file},
        headers={"accept": "application/json", **wire.bearer(token), **(headers or {})},
        extensions={COST: cost},
    )


def open_request(http: httpx.AsyncClient, url: str, query: Query | None = None) -> httpx.Request:
    """A request for something outside of the API, without a token."""
    return http.build_request(
        "GET",
        url,
        params=query,
        headers={"accept": "application/json"},
        extensions={COST: Cost("", None, {CALLS: 1})},
    )


async def read(
    http: httpx.AsyncClient, c: Credentials, path: str, query: Query | None, classify: wire.Classify
) -> httpx.Response:
    """The response to a `GET` of the API; raises the `PlatformError` that it reports."""
    return await wire.read(http, request(http, c, "GET", path, query), classify)
