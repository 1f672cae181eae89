"""Google's token endpoints, and authentication by API key or access token."""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from sandbox.entities import Community
from sandbox.grants import Grant
from sandbox.network import BadParameterError, Network, Params, bearer, json_response, params
from sandbox.youtube.errors import NO_KEY, RefusedError

FORCE_SSL: Final = "https://www.googleapis.com/auth/youtube.force-ssl"
HOUR: Final = 3599


def client_credentials(network: Network) -> dict[str, str]:
    """The client id and secret of the application that all tokens belong to."""
    digest = hashlib.sha256(f"{network.world.seed}:youtube:client".encode()).hexdigest()
    return {"client_id": f"{digest[:12]}.apps.googleusercontent.com", "client_secret": f"GOCSPX-{digest[12:40]}"}


def connection(network: Network, _: Community) -> dict[str, object]:
    return {"app": client_credentials(network)}


def token_of(request: Request, body: bytes) -> str:
    """The key or token of a request, in any place Google accepts; empty without one."""
    for said in (request.headers.get("x-goog-api-key", ""), bearer(request)):
        if said:
            return said
    for source in (request.url.query, body.decode("utf-8", "replace")):
        for name in ("key", "access_token", "refresh_token"):
            if values := parse_qs(source).get(name):
                return values[-1]
    return ""


def authenticate(network: Network, request: Request, params: Params) -> Grant:
    """The grant of the key or token. Raises `RefusedError` if it is missing or invalid."""
    key = request.headers.get("x-goog-api-key") or params.get("key")
    token = bearer(request) or params.get("access_token")
    if not key and not token:
        raise RefusedError("forbidden", NO_KEY)
    grant = network.grants.find(token or key, "youtube")
    if grant is None or grant.state != "good" or grant.kind != ("community" if token else "app"):
        raise RefusedError("authError" if token else "badRequest")
    return grant


def permitted(grant: Grant) -> None:
    """Raises `RefusedError` for an access token without the `youtube.force-ssl` scope, which comments need."""
    if grant.kind == "community" and FORCE_SSL not in grant.scopes:
        raise RefusedError("insufficientPermissions")


def _complaint(status: int, error: str, description: str) -> Response:
    return json_response({"error": error, "error_description": description}, status)


async def fetch(network: Network, request: Request) -> Response:
    """`POST /token`: exchange a refresh token, which stays valid, for an access token of 3599 s."""
    network.tick()
    try:
        form = await params(request)
    except BadParameterError:
        return _complaint(400, "invalid_request", "The request is malformed.")
    ours = client_credentials(network)
    if form.get("client_id") != ours["client_id"] or form.get("client_secret") != ours["client_secret"]:
        return _complaint(401, "invalid_client", "The OAuth client was not found.")
    if form.get("grant_type") != "refresh_token":
        return _complaint(400, "unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
    grant = network.grants.find(form.get("refresh_token"), "youtube")
    if grant is None or grant.kind != "refresh" or grant.state != "good":
        return _complaint(400, "invalid_grant", "Token has been expired or revoked.")
    scopes = sorted(grant.scopes)
    c = network.world.communities[grant.community]
    made = network.grants.make(c, "community", scopes, HOUR, origin="api")
    return json_response({"access_token": made, "expires_in": HOUR, "scope": " ".join(scopes), "token_type": "Bearer"})


async def inspect(network: Network, request: Request) -> Response:
    """`/tokeninfo`: an access token's scopes and expiry."""
    network.tick()
    try:
        token = (await params(request)).get("access_token")
    except BadParameterError:
        token = ""
    grant = network.grants.find(token, "youtube")
    if grant is None or grant.kind != "community" or grant.state != "good":
        return _complaint(400, "invalid_token", "Invalid Value")
    now, ours = network.world.now // 1000, client_credentials(network)["client_id"]
    until = now + HOUR if grant.expires_at is None else grant.expires_at // 1000
    token_info = {
        "azp": ours, "aud": ours, "scope": " ".join(sorted(grant.scopes)), "exp": str(until),
        "expires_in": str(until - now), "access_type": "offline",
    }  # fmt: skip
    return json_response(token_info)
