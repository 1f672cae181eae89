"""The routes: `/fb.do` for all REST methods, `/oauth/token.do`, uploads and the Graph API."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.network import BadParameterError, Network, json_response, params
from sandbox.odnoklassniki import discussions, graph, groups, photos
from sandbox.odnoklassniki.call import Call, Methods, application, authenticate
from sandbox.odnoklassniki.errors import OkError, refusal

METHODS: Final[Methods] = {**groups.METHODS, **discussions.METHODS, **photos.METHODS}
LIFE: Final = 1800
"""Lifetime of a token from the token endpoint, in seconds."""


def routes(network: Network) -> list[Route]:
    async def method(request: Request) -> Response:
        network.tick()
        try:
            parameters = await params(request)
            grant = authenticate(network, parameters)
            handler = METHODS.get(parameters.get("method"))
            return refusal(3) if handler is None else json_response(handler(Call(network, parameters, grant)))
        except OkError as refused:
            return refusal(refused.code, refused.detail)
        except BadParameterError as bad:
            return refusal(100, str(bad))

    async def token(request: Request) -> Response:
        return await renew(network, request)

    return [
        Route("/fb.do", method, methods=["GET", "POST"]),
        Route("/oauth/token.do", token, methods=["POST"]),
        Route(photos.PATH, partial(photos.upload, network), methods=["POST"]),
        *graph.routes(network),
    ]


async def renew(network: Network, request: Request) -> Response:
    """A new access token of half an hour for a refresh token, which stays valid."""
    network.tick()
    try:
        form = await params(request)
    except BadParameterError:
        return _complaint("invalid_request")
    app = application(network)
    credentials = form.get("client_id"), form.get("client_secret")
    if credentials != (app["application_id"], app["application_secret"]):
        return _complaint("invalid_client")
    if form.get("grant_type") != "refresh_token":
        return _complaint("unsupported_grant_type")
    grant = network.grants.find(form.get("refresh_token"), "odnoklassniki")
    if grant is None or grant.kind != "refresh" or grant.state != "good":
        return _complaint("invalid_token")
    c = network.world.communities[grant.community]
    made = network.grants.make(c, "user", sorted(grant.scopes), LIFE, origin="api")
    return json_response({"token_type": "session", "access_token": made, "expires_in": str(LIFE)})


def _complaint(error: str) -> Response:
    return json_response({"error": error, "error_description": error.replace("_", " ")})
