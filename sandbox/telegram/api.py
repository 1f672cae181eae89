"""`/bot<token>/<method>`: the Bot API's only endpoint."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.entities import PEOPLE_PER_COMMUNITY, Community
from sandbox.grants import Grant
from sandbox.hooks import Subscription
from sandbox.ledger import Fields
from sandbox.network import Network, json_response
from sandbox.telegram import wire_models
from sandbox.telegram.call import Call, Picture, RefusedError, parameters, token_of, wait
from sandbox.telegram.updates import Update, Updates, delivery
from sandbox.telegram.wire_models import Json

ADMINISTRATOR: Final = "administrator"
POST: Final = "can_post_messages"
READ_GROUP: Final = "can_read_all_group_messages"
RIGHTS: Final = (ADMINISTRATOR, POST, READ_GROUP)
"""What a bot's token may do: a bot without the first is in neither chat, one without the last hears no comments."""

MAX_TEXT: Final = 4096
MAX_CAPTION: Final = 1024
MAX_PHOTO_BYTES: Final = 10 * 1000 * 1000
ChatType = Literal["channel", "group", "private"]


def routes(network: Network) -> list[Route]:
    async def method(request: Request) -> Response:
        network.tick()
        token, name = token_of(request, b""), str(request.path_params["method"]).lower()
        try:
            grant = _authorized(network, token, name)
            fields, files = await parameters(request)
            return json_response({"ok": True, "result": METHODS[name](Call(network, grant, fields, files))})
        except RefusedError as refused:
            return refused.answer

    return [Route("/bot{token}/{method}", method, methods=["GET", "POST"])]


def _authorized(network: Network, token: str, method: str) -> Grant:
    """The rights of a call that may be made."""
    grant = network.grants.find(token, "telegram")
    if grant is None or grant.state != "good":
        raise RefusedError(401) if re.fullmatch(r"\d+:[\w-]{35}", token) else RefusedError(404)
    if method not in METHODS:
        raise RefusedError(404, "method not found")
    if not network.counter.second(f"telegram/{grant.community}", network.limits["telegram_bot_rps"]):
        raise wait(1)
    return grant


# ── chats ─────────────────────────────────────────────────────────────────────────────────────────


def _chat(call: Call) -> tuple[Community, ChatType]:
    """The chat that `chat_id` names: a channel or group of anybody's, or somebody who could write to the bot."""
    chat_id = call.text("chat_id")
    if not chat_id:
        raise RefusedError(400, "chat_id is empty")
    for c in call.network.communities("telegram"):
        if chat_id.lower() in {f"@{c.key}", c.profile.external_id}:
            return c, "channel"
        if chat_id == str(wire_models.group_id(c)):
            return c, "group"
    if chat_id.isdecimal() and _is_person(call.own, int(chat_id)):
        return call.own, "private"
    raise RefusedError(400, "chat not found")


def _is_person(c: Community, number: int) -> bool:
    return number // PEOPLE_PER_COMMUNITY == c.profile.number


def _kind(chat_type: ChatType) -> str:
    return "supergroup" if chat_type == "group" else chat_type


def _rights(call: Call, c: Community) -> frozenset[str]:
    return call.grant.scopes if c is call.own else frozenset()


def get_me(call: Call) -> Json:
    hears = READ_GROUP in call.grant.scopes
    capabilities = {"can_join_groups": True, "can_read_all_group_messages": hears, "supports_inline_queries": False}
    return {**wire_models.bot(call.own), **capabilities}


def get_chat(call: Call) -> Json:
    c, chat_type = _chat(call)
    if chat_type == "private":
        return wire_models.full(c, wire_models.private(c, int(call.text("chat_id"))))
    if chat_type == "channel":
        about = {"description": c.profile.about, "linked_chat_id": wire_models.group_id(c)}
        return {**wire_models.full(c, wire_models.channel(c)), **about}
    if ADMINISTRATOR not in _rights(call, c):
        raise RefusedError(400, "chat not found")
    return {**wire_models.full(c, wire_models.group(c)), "linked_chat_id": wire_models.channel_id(c)}


def get_chat_member_count(call: Call) -> int:
    c, chat_type = _chat(call)
    return 2 if chat_type == "private" else len(c.followers) if chat_type == "channel" else len(c.followers) // 4


def get_chat_member(call: Call) -> Json:
    c, chat_type = _chat(call)
    rights, user_id = _rights(call, c), call.integer("user_id", 0)
    if chat_type == "private" or ADMINISTRATOR not in rights:
        raise RefusedError(400, "member list is inaccessible")
    if user_id != wire_models.bot_id(c.profile):
        if not _is_person(c, user_id):
            raise RefusedError(400, "user not found")
        return {"status": "member" if user_id in c.followers else "left", "user": wire_models.user(c, user_id)}
    if chat_type == "group" and READ_GROUP not in rights:
        return {"status": "member", "user": wire_models.bot(c)}
    return wire_models.administrator(c, discussion=chat_type == "group", posts=POST in rights)


# ── updates ───────────────────────────────────────────────────────────────────────────────────────


def _subscription(call: Call) -> Subscription | None:
    return next(iter(call.network.hooks.of(call.own)), None)


def _kinds(call: Call) -> list[str] | None:
    kinds = call.structure("allowed_updates")
    if kinds is None:
        return None
    if not isinstance(kinds, list):
        raise RefusedError(400, "can't parse allowed updates")
    return [str(kind) for kind in kinds]


def get_updates(call: Call) -> list[Json]:
    """Those that wait; an `offset` confirms all before it."""
    c, updates = call.own, call.network.extra_state(Updates)
    if _subscription(call) is not None:
        raise RefusedError(
            409, "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
        )
    if (kinds := _kinds(call)) is not None:
        updates.allow(c, kinds)
    offset = call.integer("offset", 0)
    if offset < 0:
        last = updates.unconfirmed(c)[offset:]
        offset = last[0].id if last else 0
    updates.confirm(c, offset)
    limit = min(max(call.integer("limit", 100), 1), 100)
    return [update.whole for update in _receivable(call, updates.unconfirmed(c))][:limit]


def _receivable(call: Call, updates: Iterable[Update]) -> Iterable[Update]:
    hidden_chats = {wire_models.channel_id(call.own)} if ADMINISTRATOR not in call.grant.scopes else set()
    if not {ADMINISTRATOR, READ_GROUP} <= call.grant.scopes:
        hidden_chats.add(wire_models.group_id(call.own))
    return (update for update in updates if update.chat not in hidden_chats)


def set_webhook(call: Call) -> bool:
    """Updates that wait go to the webhook, unless they are to be dropped."""
    url, secret = call.text("url"), call.text("secret_token")
    if not url:
        return delete_webhook(call)
    if not url.startswith(("https://", "http://")):
        raise RefusedError(400, "bad webhook: An HTTPS URL must be provided for webhook")
    if secret and re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret) is None:
        raise RefusedError(400, "secret token contains unallowed characters")
    c, updates, hooks = call.own, call.network.extra_state(Updates), call.network.hooks
    for old in hooks.of(c):
        updates.give_back(c, old.pending)
        hooks.remove(c, old.id, origin="api")
    if (kinds := _kinds(call)) is not None:
        updates.allow(c, kinds)
    subscription = hooks.configure(c, url, secret, topics=updates.allowed_kinds(c), origin="api")
    if not call.flag("drop_pending_updates"):
        subscription.pending.extend(delivery(subscription, update) for update in updates.unconfirmed(c))
        subscription.wake.set()
    _drop_pending(call)
    return True


def delete_webhook(call: Call) -> bool:
    c, updates = call.own, call.network.extra_state(Updates)
    for old in call.network.hooks.of(c):
        updates.give_back(c, old.pending)
        call.network.hooks.remove(c, old.id, origin="api")
    if call.flag("drop_pending_updates"):
        _drop_pending(call)
    return True


def _drop_pending(call: Call) -> None:
    updates = call.network.extra_state(Updates)
    if pending := updates.unconfirmed(call.own):
        updates.confirm(call.own, pending[-1].id + 1)


def get_webhook_info(call: Call) -> Json:
    one = _subscription(call)
    if one is None:
        pending = len(call.network.extra_state(Updates).unconfirmed(call.own))
        return {"url": "", "has_custom_certificate": False, "pending_update_count": pending}
    rendered: Json = {
        "url": one.url, "has_custom_certificate": False, "pending_update_count": len(one.pending),
        "max_connections": 40, "allowed_updates": sorted(one.topics),
    }  # fmt: skip
    if one.failures:
        rendered |= {
            "last_error_date": call.network.world.now // 1000,
            "last_error_message": "Wrong response from the webhook",
        }
    return rendered


# ── sending ───────────────────────────────────────────────────────────────────────────────────────


def send_message(call: Call) -> Json:
    text = call.text("text").strip()
    if not text:
        raise RefusedError(400, "message text is empty")
    if _length(text) > MAX_TEXT:
        raise RefusedError(400, "message is too long")
    return _send(call, text, [])[0]


def send_photo(call: Call) -> Json:
    photo = call.files.get("photo")
    if photo is None:
        raise RefusedError(400, "there is no photo in the request")
    return _send(call, _caption(call.text("caption")), [photo])[0]


def send_media_group(call: Call) -> list[Json]:
    media = call.structure("media")
    if not isinstance(media, list) or not 2 <= len(media) <= 10:
        raise RefusedError(400, "an album consists of 2 to 10 media")
    photos, captions = [], []
    for one in media:
        if not isinstance(one, dict) or one.get("type") != "photo":
            raise RefusedError(400, "only photos are taken here")
        photo = call.files.get(str(one.get("media")).removeprefix("attach://"))
        if photo is None:
            raise RefusedError(400, "wrong file identifier/HTTP URL specified")
        photos.append(photo)
        captions.append(_caption(str(one.get("caption", ""))))
    return _send(call, next(filter(None, captions), ""), photos)


def _caption(text: str) -> str:
    if _length(text) > MAX_CAPTION:
        raise RefusedError(400, "message caption is too long")
    return text.strip()


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _send(call: Call, text: str, photos: list[Picture]) -> list[Json]:
    """Put a message where it belongs: a post, an answer to a comment, or an answer to a customer."""
    c, chat_type = _chat(call)
    _require_access(call, c, chat_type)
    sizes = [_size(photo) for photo in photos]
    fields = _answering(call, c, chat_type)
    _count_request(call, chat_type, max(len(photos), 1))
    world = call.network.world
    fields["text"] = text
    if photos:
        fields["media"] = [
            world.emit("media", c, "api", kind=photo.media_type, count=len(photo.content), detail=size)["id"]
            for photo, size in zip(photos, sizes, strict=True)
        ]
    if chat_type == "channel":
        entry = c.wall[int(world.emit("post", c, "api", **fields)["id"])]
        return [wire_models.post(c, entry, part) for part in wire_models.parts(entry)]
    made = world.emit("reply", c, "api", **fields)
    if chat_type == "group":
        return [wire_models.comment(c, c.wall[int(made["id"])], world.born)]
    return [wire_models.direct(c, c.mail[int(made["id"])])]


def _require_access(call: Call, c: Community, chat_type: ChatType) -> None:
    rights = _rights(call, c)
    if chat_type == "private":
        if int(call.text("chat_id")) not in c.dialogs:
            raise RefusedError(403, "bot can't initiate conversation with a user")
    elif ADMINISTRATOR not in rights:
        raise RefusedError(403, f"bot is not a member of the {_kind(chat_type)} chat")
    elif chat_type == "channel" and POST not in rights:
        raise RefusedError(400, "need administrator rights in the channel chat")


def _answering(call: Call, c: Community, chat_type: ChatType) -> Fields:
    """What the message answers."""
    if chat_type == "channel":
        return Fields()
    said = call.structure("reply_parameters")
    number = said.get("message_id") if isinstance(said, dict) else None
    lenient = isinstance(said, dict) and said.get("allow_sending_without_reply") is True
    gone = RefusedError(400, "message to be replied not found")
    if chat_type == "private":
        person = int(call.text("chat_id"))
        above = c.mail.get(number) if isinstance(number, int) else None
        fields = Fields(via="message", person=person)
        if above is not None and above.peer == person:
            fields["parent"] = str(above.id)
        elif said is not None and not lenient:
            raise gone
        return fields
    entry = call.network.world.entry(c, wire_models.entry_of_group(number)) if isinstance(number, int) else None
    if entry is None:
        raise gone
    if entry.kind == "post":
        return Fields(via="comment", post=str(entry.id))
    return Fields(via="comment", post=str(entry.post), parent=str(entry.id))


def _count_request(call: Call, chat_type: ChatType, messages: int) -> None:
    """About a message a second to a chat, 20 a minute to a group or channel."""
    network, chat = call.network, f"telegram/{call.grant.community}/{call.text('chat_id')}"
    if not network.counter.second(chat, network.limits["telegram_chat_rps"]):
        raise wait(1)
    if chat_type != "private":
        left = network.counter.window(f"{chat}/minute", network.limits["telegram_group_rpm"], 60, cost=messages)
        if left.refused:
            raise wait(max(math.ceil(left.reset_at - network.real()), 1))


def _size(photo: Picture) -> dict[str, object]:
    """Width and height; of a JPEG they are not looked up."""
    if len(photo.content) > MAX_PHOTO_BYTES:
        raise RefusedError(413)
    if photo.content.startswith(b"\x89PNG\r\n\x1a\n") and len(photo.content) > 24:
        width, height = struct.unpack(">II", photo.content[16:24])
        return {"width": width, "height": height}
    if photo.content.startswith(b"\xff\xd8"):
        return {"width": 1280, "height": 960}
    raise RefusedError(400, "IMAGE_PROCESS_FAILED")


METHODS: Final[dict[str, Callable[[Call], object]]] = {
    "getme": get_me,
    "getchat": get_chat,
    "getchatmembercount": get_chat_member_count,
    "getchatmember": get_chat_member,
    "getupdates": get_updates,
    "setwebhook": set_webhook,
    "deletewebhook": delete_webhook,
    "getwebhookinfo": get_webhook_info,
    "sendmessage": send_message,
    "sendphoto": send_photo,
    "sendmediagroup": send_media_group,
}
