"""`/method/{name}`: VK's only endpoint. Every response is HTTP 200; what went wrong is a number inside."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.grants import Grant, Kind
from sandbox.network import BadParameterError, Network, Params, bearer, json_response, params
from sandbox.vk import errors, groups, mail, oauth, photos, several, wall
from sandbox.vk.call import Call, Method
from sandbox.vk.errors import VkError

_USER: Final[tuple[Kind, ...]] = ("user",)
_GROUP: Final[tuple[Kind, ...]] = ("community",)
_BOTH: Final[tuple[Kind, ...]] = ("user", "community")

METHODS: Final[dict[str, tuple[tuple[Kind, ...], dict[Kind, str], Method]]] = {
    "wall.get": (_USER, {}, wall.get),
    "wall.getById": (_USER, {}, wall.get_by_id),
    "wall.getComments": (_USER, {}, wall.get_comments),
    "wall.getComment": (_USER, {}, wall.get_comment),
    "wall.createComment": (_BOTH, {"user": "wall", "community": "wall"}, wall.create_comment),
    "wall.post": (_BOTH, {"user": "wall", "community": "wall"}, wall.post),
    "wall.delete": (_USER, {"user": "wall"}, wall.delete),
    "wall.deleteComment": (_USER, {"user": "wall"}, wall.delete_comment),
    "wall.restoreComment": (_USER, {"user": "wall"}, wall.restore_comment),
    "likes.getList": (_USER, {}, wall.likes_list),
    "photos.getWallUploadServer": (_USER, {"user": "photos"}, photos.upload_server),
    "photos.saveWallPhoto": (_USER, {"user": "photos"}, photos.save),
    "stats.getPostReach": (_USER, {"user": "stats"}, wall.post_reach),
    "messages.getConversations": (_BOTH, {"user": "messages", "community": "messages"}, mail.conversations),
    "messages.getHistory": (_BOTH, {"user": "messages", "community": "messages"}, mail.history),
    "messages.getById": (_BOTH, {"user": "messages", "community": "messages"}, mail.by_id),
    "messages.send": (_BOTH, {"user": "messages", "community": "messages"}, mail.send),
    "groups.getById": (_BOTH, {}, groups.get_by_id),
    "groups.getMembers": (_BOTH, {}, groups.members),
    "groups.getTokenPermissions": (_GROUP, {}, groups.token_permissions),
    "account.getAppPermissions": (_USER, {}, groups.app_permissions),
    "users.get": (_BOTH, {}, groups.users),
    "utils.resolveScreenName": (_BOTH, {}, groups.resolve),
    "utils.getServerTime": (_BOTH, {}, groups.server_time),
    "groups.getCallbackConfirmationCode": (_BOTH, {"user": "groups", "community": "manage"}, groups.confirmation_code),
    "groups.addCallbackServer": (_BOTH, {"user": "groups", "community": "manage"}, groups.add_server),
    "groups.getCallbackServers": (_BOTH, {"user": "groups", "community": "manage"}, groups.servers),
    "groups.editCallbackServer": (_BOTH, {"user": "groups", "community": "manage"}, groups.edit_server),
    "groups.getCallbackSettings": (_BOTH, {"user": "groups", "community": "manage"}, groups.callback_settings),
    "groups.deleteCallbackServer": (_BOTH, {"user": "groups", "community": "manage"}, groups.delete_server),
    "groups.setCallbackSettings": (_BOTH, {"user": "groups", "community": "manage"}, groups.server_settings),
}
"""Which tokens may call a method (`access_token_type` of the schema), the right it takes, and what it does."""


def routes(network: Network) -> list[Route]:
    async def method(request: Request) -> Response:
        network.tick()
        name = str(request.path_params["name"])
        parameters: Params | None = None
        try:
            parameters = await params(request)
            grant = _authorized(network, name, parameters, bearer(request) or parameters.get("access_token"))
            call = Call(network, parameters, grant)
            if name == several.NAME:
                return json_response(several.execute(call, _dispatch))
            content = _dispatch(name, call)
        except VkError as refused:
            return json_response(errors.body(refused.code, refused.detail, _request_params(name, parameters)))
        except BadParameterError as bad:
            return json_response(errors.body(100, str(bad), _request_params(name, parameters)))
        return json_response({"response": content})

    async def upload(request: Request) -> Response:
        return await photos.upload(network, request)

    async def renew(request: Request) -> Response:
        return await oauth.renew(network, request)

    return [
        Route("/method/{name}", method, methods=["GET", "POST"]),
        Route(photos.PATH, upload, methods=["POST"]),
        Route(oauth.PATH, renew, methods=["POST"]),
    ]


def _request_params(name: str, parameters: Params | None) -> list[tuple[str, str]]:
    return [("method", name), *(parameters.pairs() if parameters is not None else [])]


def _authorized(network: Network, name: str, parameters: Params, token: str) -> Grant:
    """The rights of a call that may be made; the error VK gives otherwise, in VK's order."""
    if not parameters.get("v"):
        raise VkError(8)
    if name not in METHODS and name != several.NAME:
        raise VkError(3)
    grant = network.grants.find(token, "vk")
    if grant is None or grant.state == "revoked" or grant.kind not in _BOTH:
        raise VkError(5)
    if grant.state == "expired":
        raise VkError(1117)
    rate = network.limits["vk_user_rps" if grant.kind == "user" else "vk_community_rps"]
    # A user token's calls are counted for the token, a community token's for the community.
    key = grant.name if grant.kind == "user" else grant.community
    if not network.counter.second(f"vk/{key}", rate):
        raise VkError(6)
    return grant


def _dispatch(name: str, call: Call) -> object:
    """What a method answers to a token that may call it."""
    grant, network = call.grant, call.network
    if name not in METHODS:
        raise VkError(3)
    kinds, rights, method = METHODS[name]
    if grant.kind not in kinds:
        raise VkError(27) if grant.kind == "community" else VkError(15, "method is available with group auth only")
    right = rights.get(grant.kind)
    if right is not None and right not in grant.scopes:
        raise VkError(15, "no access to call this method. It cannot be called with current scopes.")
    if name == "wall.post" and oauth.MARK in grant.scopes:
        raise VkError(1051)
    day = network.limits["vk_wall_get_day"]
    if name == "wall.get" and network.counter.window(f"vk/wall.get/{grant.name}", day, 86_400).refused:
        raise VkError(29)
    return method(call)
