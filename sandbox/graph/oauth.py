"""Token endpoints: exchange for long-lived tokens, refresh, and inspection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from sandbox.entities import Community
from sandbox.grants import Grant
from sandbox.graph import ids
from sandbox.graph.call import Call, app_secret
from sandbox.graph.errors import GraphError, invalid
from sandbox.graph.nodes import Json
from sandbox.instants import DAY, SECOND
from sandbox.network import Network

LIFE: Final = 60 * DAY // SECOND
"""Lifetime of a user's long-lived token in seconds; a Page's does not expire."""
DATA_ACCESS: Final = 90 * DAY // SECOND
APPLICATION: Final = "Back Office"

PAGE: Final = (
    "pages_manage_engagement", "pages_manage_metadata", "pages_manage_posts", "pages_messaging",
    "pages_read_engagement", "pages_read_user_content", "read_insights", "instagram_basic",
    "instagram_content_publish", "instagram_manage_comments", "instagram_manage_insights",
    "instagram_manage_messages",
)  # fmt: skip
USER: Final = (
    *PAGE, "pages_show_list", "instagram_business_basic", "instagram_business_content_publish",
    "instagram_business_manage_comments", "instagram_business_manage_insights",
    "instagram_business_manage_messages",
)  # fmt: skip
"""The scopes of the initial tokens. A user's are those of Facebook Login or of Instagram Login."""


def access_token(network: Network, params: Mapping[str, str]) -> Json:
    """`/oauth/access_token`, authenticated with the application's secret."""
    if params.get("client_id") != ids.APP:
        raise GraphError(101, "Error validating application. Cannot get application info due to a system error.")
    if params.get("client_secret") != app_secret(network.world):
        raise GraphError(1, "Error validating client secret.", status=400)
    kind = params.get("grant_type")
    if kind == "client_credentials":
        return {"access_token": f"{ids.APP}|{app_secret(network.world)}", "token_type": "bearer"}
    if kind != "fb_exchange_token":
        raise invalid("Invalid grant_type")
    grant, c = _good(network, params.get("fb_exchange_token", ""))
    if grant.kind == "community":  # a Page's does not expire
        return {"access_token": params["fb_exchange_token"], "token_type": "bearer"}
    if ids.is_instagram(c):
        raise GraphError(190)
    return _longer(network, c, grant)


def refresh(network: Network, params: Mapping[str, str]) -> Json:
    """`/refresh_access_token`: refresh a long-lived token of Instagram Login."""
    if params.get("grant_type") != "ig_refresh_token":
        raise invalid("Invalid grant_type")
    return _instagram(network, params)


def exchange(network: Network, params: Mapping[str, str]) -> Json:
    """`/access_token`: exchange a one-hour token of Instagram Login for a long-lived one."""
    if params.get("grant_type") != "ig_exchange_token":
        raise invalid("Invalid grant_type")
    if params.get("client_secret") != app_secret(network.world):
        raise GraphError(1, "Error validating client secret.", status=400)
    return _instagram(network, params)


def _instagram(network: Network, params: Mapping[str, str]) -> Json:
    grant, c = _good(network, params.get("access_token", ""))
    if grant.kind != "user" or not ids.is_instagram(c):
        raise GraphError(190, "Invalid OAuth access token - Cannot parse access token")
    permissions = ",".join(sorted(one for one in grant.scopes if one.startswith("instagram_business_")))
    return {**_longer(network, c, grant), "permissions": permissions}


def _longer(network: Network, c: Community, grant: Grant) -> Json:
    token = network.grants.make(c, grant.kind, sorted(grant.scopes), LIFE, origin="api")
    return {"access_token": token, "token_type": "bearer", "expires_in": LIFE}


def _good(network: Network, token: str) -> tuple[Grant, Community]:
    grant = network.grants.find(token, "graph")
    if grant is None:
        raise GraphError(190)
    if grant.state != "good":
        raise GraphError(190, subcode=463 if grant.state == "expired" else 460)
    return grant, network.world.communities[grant.community]


def page_token(call: Call, c: Community) -> str:
    """The Page's token for a user who manages it, with the scopes of the user's token."""
    grants, own_grant = call.network.grants, call.caller.grant
    usual = grants.stable(c)["community"] or ""
    existing_grant = grants.find(usual, "graph")
    whole = own_grant is None or own_grant.scopes == frozenset(USER)
    if whole and existing_grant is not None and existing_grant.state == "good":
        return usual
    scopes = None if own_grant is None or whole else sorted(own_grant.scopes & frozenset(PAGE))
    return grants.make(c, "community", scopes, origin="api")


def debug(call: Call) -> Json:
    """`/debug_token`, for the application or the token's owner."""
    input_token = call.get("input_token")
    if not input_token:
        raise invalid("The parameter input_token is required.")
    if call.caller.grant is not None and input_token != call.caller.token:
        raise invalid("You must provide an app access token, or a user access token that is an owner of the app")
    grant = call.network.grants.find(input_token, "graph")
    if grant is None:
        error = GraphError(190, "Invalid OAuth access token.")
        return {"data": {"error": {"code": 190, "message": str(error)}, "is_valid": False, "scopes": []}}
    c = call.world.communities[grant.community]
    now = call.world.now // SECOND
    ends = 0 if grant.expires_at is None else grant.expires_at // SECOND
    data: Json = {
        "app_id": ids.APP, "type": "PAGE" if grant.kind == "community" else "USER", "application": APPLICATION,
        "data_access_expires_at": now + DATA_ACCESS, "expires_at": ends, "is_valid": grant.state == "good",
        "scopes": sorted(grant.scopes), "granular_scopes": [{"scope": one} for one in sorted(grant.scopes)],
        "user_id": ids.user(c),
    }  # fmt: skip
    if grant.kind == "community":
        data["profile_id"] = ids.page(c)
    if grant.state != "good":
        error = GraphError(190, subcode=463 if grant.state == "expired" else 460)
        data["error"] = {"code": 190, "message": str(error), "subcode": error.subcode}
    return {"data": data}


TokenEndpoint: TypeAlias = Callable[[Network, Mapping[str, str]], Json]

ENDPOINTS: Final[Mapping[tuple[str, ...], TokenEndpoint]] = {("oauth", "access_token"): access_token}
"""Facebook's token endpoint by its path, without the optional version."""
INSTAGRAM_ENDPOINTS: Final[Mapping[tuple[str, ...], TokenEndpoint]] = {
    ("refresh_access_token",): refresh,
    ("access_token",): exchange,
}
"""Those of graph.instagram.com."""
