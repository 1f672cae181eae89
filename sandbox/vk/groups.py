"""groups.*, users.get, utils.*: profiles, and the Callback API's servers."""

from __future__ import annotations

from typing import Final

from sandbox.entities import PEOPLE_PER_COMMUNITY, Community
from sandbox.hooks import Subscription
from sandbox.vk import wire_models
from sandbox.vk.call import Call
from sandbox.vk.callbacks import EVENTS, UNSENT_EVENTS, VERSION
from sandbox.vk.errors import VkError

_GROUP_BITS: Final = {"photos": 4, "messages": 4096, "wall": 8192, "docs": 131_072, "manage": 262_144}
_USER_BITS: Final = {"photos": 4, "wall": 8192, "offline": 65_536, "groups": 262_144, "stats": 1_048_576}


def get_by_id(call: Call) -> object:
    names = [one for one in call.params.get("group_ids", call.params.get("group_id")).split(",") if one.strip()]
    if not names and call.grant.kind != "community":
        raise VkError(100, "group_ids is undefined")
    communities = [call.community(one.strip()) for one in names[:500]] if names else [call.own]
    return {"groups": [wire_models.group(c, call.fields()) for c in communities if c is not None], "profiles": []}


def members(call: Call) -> object:
    c = call.community(call.params.get("group_id"))
    if c is None:
        raise VkError(125)
    offset, count = call.between("offset", 0, 0, 1 << 31), call.between("count", 1000, 0, 1000)
    return {"count": len(c.followers), "items": c.followers.page(offset, count)}


def token_permissions(call: Call) -> object:
    permissions = [{"name": name, "setting": bit} for name, bit in _GROUP_BITS.items() if name in call.grant.scopes]
    return {
        "mask": sum(bit for name, bit in _GROUP_BITS.items() if name in call.grant.scopes),
        "permissions": permissions,
    }


def app_permissions(call: Call) -> object:
    return sum(bit for name, bit in _USER_BITS.items() if name in call.grant.scopes)


def users(call: Call) -> object:
    by_number = {c.profile.number: c for c in call.network.communities("vk")}
    ids = call.params.get("user_ids", call.params.get("user_id"))
    requested = [one.strip() for one in ids.split(",") if one.strip()][:1000]
    if not requested:
        return [wire_models.user(call.own, wire_models.admin_id(call.own))] if call.grant.kind == "user" else []
    if not all(one.isdecimal() for one in requested):
        raise VkError(113)
    numbers = [int(one) for one in requested]
    owners = [(by_number.get(number // PEOPLE_PER_COMMUNITY), number) for number in numbers]
    return [wire_models.user(c, number) for c, number in owners if c is not None]


def resolve(call: Call) -> object:
    """What a screen name refers to; an empty object for nothing (as in the schema; `[]` has been seen too)."""
    name = call.params.get("screen_name")
    if not name:
        raise VkError(100, "screen_name is undefined")
    c = call.community(name)
    return {} if c is None else {"object_id": wire_models.group_id(c), "type": "group"}


def server_time(call: Call) -> object:
    return call.network.world.now // 1000


# ── Callback API ──────────────────────────────────────────────────────────────────────────────


def confirmation_code(call: Call) -> object:
    return {"code": call.network.hooks.code(call.own_community(call.required("group_id")))}


def add_server(call: Call) -> object:
    c = call.own_community(call.required("group_id"))
    url, secret = call.params.get("url"), call.params.get("secret_key")
    if not url.startswith(("http://", "https://")):
        raise VkError(100, "url is incorrect")
    if len(call.network.hooks.of(c)) >= 10:
        raise VkError(2000)
    return {"server_id": call.network.hooks.configure(c, url, secret, title=call.params.get("title"), origin="api").id}


def servers(call: Call) -> object:
    c = call.own_community(call.required("group_id"))
    subscriptions = call.network.hooks.of(c)
    return {"count": len(subscriptions), "items": [_server(call, one) for one in subscriptions]}


def _server(call: Call, server: Subscription) -> dict[str, object]:
    return {
        "id": server.id, "title": server.title, "url": server.url, "secret_key": server.secret,
        "creator_id": wire_models.admin_id(call.own), "status": server.status,
    }  # fmt: skip


def edit_server(call: Call) -> object:
    """Change a server, which then has to confirm its URL again."""
    c, old = _callback_server(call)
    url, secret = call.params.get("url"), call.params.get("secret_key")
    if not url.startswith(("http://", "https://")):
        raise VkError(100, "url is incorrect")
    detail = {"server": old.id, "url": url, "secret": secret, "title": call.params.get("title"), "verify": old.verify}
    call.network.world.emit("callback_set", c, "api", detail={**detail, "topics": sorted(old.topics)})
    return 1


def callback_settings(call: Call) -> object:
    _, server = _callback_server(call)
    events = {name: int(name in server.topics) for name in sorted(EVENTS | UNSENT_EVENTS)}
    return {"api_version": VERSION, "events": events}


def _callback_server(call: Call) -> tuple[Community, Subscription]:
    """The server of `server_id`."""
    c, server_id = call.own_community(call.required("group_id")), call.required("server_id")
    server = next((one for one in call.network.hooks.of(c) if one.id == server_id), None)
    if server is None:
        raise VkError(100, "server_id is incorrect")
    return c, server


def delete_server(call: Call) -> object:
    c = call.own_community(call.required("group_id"))
    if not call.network.hooks.remove(c, call.required("server_id"), origin="api"):
        raise VkError(100, "server_id is incorrect")
    return 1


def server_settings(call: Call) -> object:
    """Enable the events passed as 1; those not passed stay as they are."""
    c = call.own_community(call.required("group_id"))
    enabled = {name: call.params.flag(name) for name, _ in call.params.pairs() if "_" in name}
    if not call.network.hooks.choose(c, call.required("server_id"), enabled):
        raise VkError(100, "server_id is incorrect")
    return 1
