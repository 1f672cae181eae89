"""VK ID: a new user token for a refresh token, which is valid once and only with its device's id."""

from __future__ import annotations

import hashlib
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.entities import Community, Profile
from sandbox.network import BadParameterError, Network, json_response, params
from sandbox.vk import wire_models

PATH: Final = "/oauth2/auth"
HOUR: Final = 3600
MARK: Final = "vkid.personal_info"
"""A scope that marks tokens of VK ID, which may not post."""
RIGHTS: Final = ("wall", "photos", "groups", "stats")


def client_id(network: Network) -> str:
    return str(51_000_000 + network.world.seed % 1_000_000)


def connection(network: Network, _: Community) -> dict[str, object]:
    return {"app": {"client_id": client_id(network)}}


def token(profile: Profile, kind: str, digest: str) -> str:
    """Exchange a refresh token, which is sent with the id of its device."""
    if kind != "refresh":
        return f"vk1.a.{digest}"
    device = hashlib.sha256(f"{profile.key}:device".encode()).hexdigest()[:24]
    return f"{device}:vk2.a.{digest}"


async def renew(network: Network, request: Request) -> Response:
    network.tick()
    try:
        form = await params(request)
    except BadParameterError:
        return _refused("invalid_request", "the request is not understood")
    missing = [name for name in ("refresh_token", "client_id", "device_id", "state") if not form.get(name)]
    if form.get("grant_type") != "refresh_token" or missing:
        return _refused("invalid_request", f"{', '.join(missing) or 'grant_type'} is missing or invalid")
    if form.get("client_id") != client_id(network):
        return _refused("invalid_client", "client_id is incorrect")
    used = f"{form.get('device_id')}:{form.get('refresh_token')}"
    grant = network.grants.find(used, "vk")
    if grant is None or grant.kind != "refresh" or grant.state != "good":
        return _refused("invalid_grant", "refresh_token is missing or invalid")
    c = network.world.communities[grant.community]
    access = network.grants.make(c, "user", (*RIGHTS, MARK), HOUR, origin="api")
    next_refresh = network.grants.make(c, "refresh", origin="api")
    network.grants.end(used, "revoked", origin="api")
    return json_response({
        "access_token": access, "refresh_token": next_refresh.partition(":")[2], "token_type": "Bearer",
        "expires_in": HOUR, "user_id": wire_models.admin_id(c), "state": form.get("state"),
        "scope": " ".join((*RIGHTS, MARK)),
    })  # fmt: skip


def _refused(error: str, description: str) -> Response:
    return json_response({"error": error, "error_description": description}, 400)
