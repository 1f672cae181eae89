"""The Callback API: its events, and the registration of a server for them."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Final

from app.platforms import wire
from app.platforms.capabilities import Event, HookRequest, HookResult, HookState, unparsed_event
from app.platforms.contract import Credentials, Malformed, MissingPermission, Token
from app.platforms.spec import BY_EVENT, BY_LIST, OF_MENTIONS, NativeChange
from app.platforms.vk import translate
from app.platforms.vk import wire_models as vk
from app.platforms.vk.addresses import group_id
from app.platforms.vk.calls import VERSION, Calls

CHANGES: Final = {
    NativeChange.ANSWER_TO_COMMENT: BY_EVENT,
    NativeChange.ANSWER_TO_MESSAGE: BY_EVENT | BY_LIST,
    NativeChange.COMMENT_EDITED: BY_EVENT,
    NativeChange.COMMENT_DELETED: BY_EVENT,
    NativeChange.MESSAGE_EDITED: BY_EVENT,
}
"""What shows changes made on the platform itself, besides reading comments and posts again."""
NO_CHANGES: Final = OF_MENTIONS | {NativeChange.COMMENT_HIDDEN}
"""Mentions are not read, and comments cannot be hidden."""

EVENTS: Final = (
    *("message_new", "message_reply", "message_edit", "message_event"),
    *("wall_reply_new", "wall_reply_edit", "wall_reply_delete", "wall_reply_restore", "wall_post_new"),
    *("group_join", "group_leave"),
)
"""The kinds of event that are subscribed to."""
TITLE: Final = "Instep"
TOKENS: Final = (Token.COMMUNITY, Token.USER)

DELIVERING: Final = {"ok": True, "failed": False}
DETAILS: Final = {
    "failed": "VK has stopped sending: our address did not answer as it should",
    "wait": "VK has not confirmed the address yet",
    "unconfigured": "VK has not confirmed the address yet",
}


def receive(call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
    """Verify and parse one request of VK's, and the response to it.

    `secrets` has `secret`, which every event carries, and `confirmation`, the text with which VK verifies the
    address once; that request may come before the secret is set at VK, and then carries none.
    """
    event = wire.parse_bytes(vk.EVENT, call.body)
    confirming = event.type == "confirmation"
    secret = secrets.get("secret", "")
    authentic = bool(secret) and hmac.compare_digest((event.secret or "").encode(), secret.encode())
    if not authentic and not (confirming and event.secret is None):
        raise MissingPermission("the call does not carry the secret agreed with VK")
    if confirming:
        if not secrets.get("confirmation"):
            raise MissingPermission("the confirmation text that VK asks for is not known")
        # Without an id: a request without the secret may be forged, to have a later event dropped as a repeat.
        return HookResult(secrets["confirmation"], (Event(None, str(event.group_id)),))
    return HookResult("ok", (_parse(event, call.body),))


def parse_event(payload: bytes) -> tuple[Event, ...]:
    """The event in a request's body; unparsed where it cannot be parsed."""
    try:
        event = wire.parse_bytes(vk.EVENT, payload)
    except Malformed as error:
        return (unparsed_event(payload, error.message),)
    return (_parse(event, payload),)


def _parse(event: vk.Event, payload: bytes) -> Event:
    # Servers set to an older API version get events without ids. VK repeats a request unchanged, so a hash will do.
    event_id = event.event_id or hashlib.sha256(payload).hexdigest()
    try:
        return translate.to_event(event, event_id, payload)
    except Malformed as error:
        without_secret = {key: value for key, value in json.loads(payload).items() if key != "secret"}
        return unparsed_event(json.dumps(without_secret).encode(), error.message, str(event.group_id))


async def subscribe(calls: Calls, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
    """Have `EVENTS` sent to `url`. Returns the confirmation text, which VK chooses.

    VK requests that text from `url` at once, possibly before it is stored here. A server that VK has not confirmed
    is therefore edited again, upon which (unverified) VK repeats the request.
    """
    group = {"group_id": group_id(c)}
    code = (await calls.call(c, vk.CONFIRMATION, "groups.getCallbackConfirmationCode", TOKENS, group)).code
    settings = {**group, "url": url, "title": TITLE, "secret_key": secrets["secret"]}
    server = await _server(calls, c, url)
    if server is None:
        created = await calls.call(c, vk.NEW_SERVER, "groups.addCallbackServer", TOKENS, settings)
        server_id = created.server_id
    else:
        server_id = server.id
        if server.status != "ok" or server.secret_key != secrets["secret"]:
            await calls.call(c, vk.DONE, "groups.editCallbackServer", TOKENS, {**settings, "server_id": server_id})
    events = {**group, "server_id": server_id, "api_version": VERSION, **dict.fromkeys(EVENTS, 1)}
    await calls.call(c, vk.DONE, "groups.setCallbackSettings", TOKENS, events)
    return {"confirmation": code}


async def unsubscribe(calls: Calls, c: Credentials, url: str) -> None:
    """Delete the server at `url`, if there is one; a group has ten at most."""
    server = await _server(calls, c, url)
    if server is not None:
        form = {"group_id": group_id(c), "server_id": server.id}
        await calls.call(c, vk.DONE, "groups.deleteCallbackServer", TOKENS, form)


async def state(calls: Calls, c: Credentials, url: str) -> HookState:
    """The state of the server at `url`, as VK reports it."""
    server = await _server(calls, c, url)
    if server is None:
        return HookState(subscribed=False, detail="VK knows no such server")
    server_settings = {"group_id": group_id(c), "server_id": server.id}
    events = (await calls.call(c, vk.SETTINGS, "groups.getCallbackSettings", TOKENS, server_settings)).events
    unsent = sorted(name for name in EVENTS if not events.get(name))
    if unsent:
        return HookState(subscribed=False, outdated=True, detail=f"VK does not send: {', '.join(unsent)}")
    return HookState(True, DELIVERING.get(server.status), detail=DETAILS.get(server.status, ""))


async def _server(calls: Calls, c: Credentials, url: str) -> vk.Server | None:
    servers = await calls.call(c, vk.SERVERS, "groups.getCallbackServers", TOKENS, {"group_id": group_id(c)})
    return next((server for server in servers.items if server.url == url), None)
