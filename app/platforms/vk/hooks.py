"""The Callback API: what is told through it, and how it is set."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Final

from app.platforms import wire
from app.platforms.capabilities import Event, HookRequest, HookResult, HookState, unparsed_event
from app.platforms.contract import Credentials, Malformed, MissingPermission, Token
from app.platforms.vk import translate
from app.platforms.vk import wire_models as vk
from app.platforms.vk.addresses import group_id
from app.platforms.vk.calls import VERSION, Calls

EVENTS: Final = (
    *("message_new", "message_reply", "message_edit"),
    *("wall_reply_new", "wall_reply_edit", "wall_reply_delete", "wall_reply_restore", "wall_post_new"),
)
"""What we have a use for."""
TITLE: Final = "Instep"
SETTERS: Final = (Token.COMMUNITY, Token.USER)

DELIVERING: Final = {"ok": True, "failed": False}
DETAILS: Final = {
    "failed": "VK has stopped sending: our address did not answer as it should",
    "wait": "VK has not confirmed the address yet",
    "unconfigured": "VK has not confirmed the address yet",
}


def receive(call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
    """One call. `secrets`: `secret`, which every event carries, and `confirmation`, the text that VK
    asks for once; that question may come before the secret is set at VK."""
    event = wire.parse_bytes(vk.EVENT, call.body)
    confirming = event.type == "confirmation"
    secret = secrets.get("secret", "")
    right = bool(secret) and hmac.compare_digest((event.secret or "").encode(), secret.encode())
    if not right and not (confirming and event.secret is None):
        raise MissingPermission("the call does not carry the secret agreed with VK")
    if confirming:
        if not secrets.get("confirmation"):
            raise MissingPermission("the confirmation text that VK asks for is not known")
        # Its id is nobody's: without a secret it may be made up, to have a later event taken for a repeat.
        return HookResult(secrets["confirmation"], (Event(None, str(event.group_id)),))
    return HookResult("ok", (_parse(event, call.body),))


def parse_event(payload: bytes) -> tuple[Event, ...]:
    """The event of a call's body."""
    try:
        event = wire.parse_bytes(vk.EVENT, payload)
    except Malformed as error:
        return (unparsed_event(payload, error.message),)
    return (_parse(event, payload),)


def _parse(event: vk.Event, payload: bytes) -> Event:
    # Servers set to an older version send events without ids. VK repeats a call as it was, so that its body will do.
    name = event.event_id or hashlib.sha256(payload).hexdigest()
    try:
        return translate.to_event(event, name, payload)
    except Malformed as error:
        but_the_secret = {key: value for key, value in json.loads(payload).items() if key != "secret"}
        return unparsed_event(json.dumps(but_the_secret).encode(), error.message, str(event.group_id))


async def subscribe(calls: Calls, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
    """Have `EVENTS` sent to `url`; the confirmation text, which VK chooses, comes back.

    VK asks for it at once, perhaps before anybody here knows it. A server that is not well is
    therefore set once more, upon which (unverified) VK asks again.
    """
    group = {"group_id": group_id(c)}
    code = (await calls.call(c, vk.CONFIRMATION, "groups.getCallbackConfirmationCode", SETTERS, group)).code
    wanted = {**group, "url": url, "title": TITLE, "secret_key": secrets["secret"]}
    server = await _server(calls, c, url)
    if server is None:
        made = await calls.call(c, vk.NEW_SERVER, "groups.addCallbackServer", SETTERS, wanted)
        server_id = made.server_id
    else:
        server_id = server.id
        if server.status != "ok" or server.secret_key != secrets["secret"]:
            mended = {**wanted, "server_id": server_id}
            await calls.call(c, vk.DONE, "groups.editCallbackServer", SETTERS, mended)
    settings = {**group, "server_id": server_id, "api_version": VERSION, **dict.fromkeys(EVENTS, 1)}
    await calls.call(c, vk.DONE, "groups.setCallbackSettings", SETTERS, settings)
    return {"confirmation": code}


async def state(calls: Calls, c: Credentials, url: str) -> HookState:
    """How VK sees the server at `url`."""
    server = await _server(calls, c, url)
    if server is None:
        return HookState(subscribed=False, detail="VK knows no such server")
    server_settings = {"group_id": group_id(c), "server_id": server.id}
    events = (await calls.call(c, vk.SETTINGS, "groups.getCallbackSettings", SETTERS, server_settings)).events
    unsent = sorted(name for name in EVENTS if not events.get(name))
    if unsent:
        return HookState(subscribed=False, detail=f"VK does not send: {', '.join(unsent)}")
    return HookState(True, DELIVERING.get(server.status), detail=DETAILS.get(server.status, ""))


async def _server(calls: Calls, c: Credentials, url: str) -> vk.Server | None:
    found = await calls.call(c, vk.SERVERS, "groups.getCallbackServers", SETTERS, {"group_id": group_id(c)})
    return next((server for server in found.items if server.url == url), None)
