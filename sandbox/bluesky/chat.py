"""chat.bsky.convo.*: direct messages, proxied by the account's server (a header)."""

from itertools import islice

import regex

from sandbox.bluesky import ids, tokens
from sandbox.bluesky.call import Call, XrpcError
from sandbox.bluesky.servers import Conditions
from sandbox.bluesky.wire_models import Json
from sandbox.entities import Community, Dialog

SERVICE = "did:web:api.bsky.chat#bsky_chat"
GRAPHEMES = 1000
BYTES = 10_000


def convos(call: Call) -> Json:
    """Conversations, newest first; the cursor is the rev below which the page begins."""
    c, limit, below = _allowed(call), call.number("limit", 50, 1, 100), call.optional("cursor")
    dialogs = (dialog for dialog in reversed(c.dialogs.values()) if dialog.messages)
    older = (one for one in dialogs if below is None or _rev(one) < below)
    page = list(islice(older, limit))
    rendered = [call.views.convo(c, dialog) for dialog in page]
    return {"convos": rendered, **({"cursor": _rev(page[-1])} if page else {})}


def messages(call: Call) -> Json:
    """One conversation's messages, newest first; the cursor is the message below which the page begins."""
    c = _allowed(call)
    dialog = _dialog(call, c, call.text("convoId"))
    limit, below = call.number("limit", 50, 1, 100), call.optional("cursor")
    older = [one for one in reversed(dialog.messages) if below is None or ids.rkey(one) < below][:limit]
    kind = {"$type": "chat.bsky.convo.defs#messageView"}
    rendered = [{**kind, **call.views.message(c, c.mail[one])} for one in older]
    return {"messages": rendered, **({"cursor": ids.rkey(older[-1])} if older else {})}


def send(call: Call) -> Json:
    """Send a message. There are no idempotency keys: a repeat sends again."""
    c = _allowed(call)
    dialog = _dialog(call, c, call.field("convoId"))
    message = call.fields.get("message")
    text = message.get("text") if isinstance(message, dict) else None
    if not isinstance(text, str):
        raise XrpcError("InvalidRequest", 'Error: Input/message must have the property "text"')
    if len(regex.findall(r"\X", text)) > GRAPHEMES or len(text.encode()) > BYTES:
        raise XrpcError("InvalidRequest", f"Error: Input/message/text must not be longer than {GRAPHEMES} graphemes")
    if not text.strip():
        raise XrpcError("InvalidRequest", "Message is empty")
    made = call.network.world.emit("reply", c, "api", via="message", person=dialog.person, text=text)
    return call.views.message(c, c.mail[int(made["id"])])


def _allowed(call: Call) -> Community:
    c = call.own()
    if call.grant is not None and tokens.CHAT not in call.grant.scopes:
        raise XrpcError("InvalidToken", "Bad token method")
    if call.request.headers.get("atproto-proxy") != SERVICE:
        raise XrpcError("InvalidRequest", f"No service configured for {call.method}")
    if not call.network.variant(Conditions).chat:
        raise XrpcError("UpstreamFailure")
    return c


def _dialog(call: Call, c: Community, convo: str) -> Dialog:
    dialog = c.dialogs.get(ids.parse_tid(convo) or 0)
    if dialog is None:
        raise XrpcError("InvalidConvo", "Convo not found")
    return dialog


def _rev(dialog: Dialog) -> str:
    return ids.rkey(dialog.messages[-1])
