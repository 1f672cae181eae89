"""`/bot<token>/<method>`: the Bot API's one door."""

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

LONGEST: Final = 4096
LONGEST_CAPTION: Final = 1024
LARGEST_PHOTO: Final = 10 * 1000 * 1000
Place = Literal["channel", "group", "private"]


def routes(network: Network) -> list[Route]:
    async def method(request: Request) -> Response:
        network.tick()
        token, name = token_of(request, b""), str(request.path_params["method"]).lower()
        try:
            grant = _admitted(network, token, name)
            fields, files = await parameters(request)
            return json_response({"ok": True, "result": METHODS[name](Call(network, grant, fields, files))})
        except RefusedError as refused:
            return refused.answer

    return [Route("/bot{token}/{method}", method, methods=["GET", "POST"])]


def _admitted(network: Network, token: str, method: str) -> Grant:
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


def _chat(call: Call) -> tuple[Community, Place]:
    """The chat that `chat_id` names: a channel or group of anybody's, or somebody who could write to the bot."""
    said = call.text("chat_id")
    if not said:
        raise RefusedError(400, "chat_id is empty")
    for c in call.network.communities("telegram"):
        if said.lower() in {f"@{c.key}", c.profile.external_id}:
            return c, "channel"
        if said == str(wire_models.group_id(c)):
            return c, "group"
    if said.isdecimal() and _is_person(call.own, int(said)):
        return call.own, "private"
    raise RefusedError(400, "chat not found")


def _is_person(c: Community, number: int) -> bool:
    return number // PEOPLE_PER_COMMUNITY == c.profile.number


def _kind(place: Place) -> str:
    return "supergroup" if place == "group" else place


def _rights(call: Call, c: Community) -> frozenset[str]:
    return call.grant.scopes if c is call.own else frozenset()


def get_me(call: Call) -> Json:
    hears = READ_GROUP in call.grant.scopes
    asked = {"can_join_groups": True, "can_read_all_group_messages": hears, "supports_inline_queries": False}
    return {**wire_models.bot(call.own), **asked}


def get_chat(call: Call) -> Json:
    c, place = _chat(call)
    if place == "private":
        return wire_models.full(c, wire_models.private(c, int(call.text("chat_id"))))
    if place == "channel":
        about = {"description": c.profile.about, "linked_chat_id": wire_models.group_id(c)}
        return {**wire_models.full(c, wire_models.channel(c)), **about}
    if ADMINISTRATOR not in _rights(call, c):
        raise RefusedError(400, "chat not found")
    return {**wire_models.full(c, wire_models.group(c)), "linked_chat_id": wire_models.channel_id(c)}


def get_chat_member_count(call: Call) -> int:
    c, place = _chat(call)
    return 2 if place == "private" else len(c.followers) if place == "channel" else len(c.followers) // 4


def get_chat_member(call: Call) -> Json:
    c, place = _chat(call)
    rights, wanted = _rights(call, c), call.integer("user_id", 0)
    if place == "private" or ADMINISTRATOR not in rights:
        raise RefusedError(400, "member list is inaccessible")
    if wanted != wire_models.bot_id(c.profile):
        if not _is_person(c, wanted):
            raise RefusedError(400, "user not found")
        return {"status": "member" if wanted in c.followers else "left", "user": wire_models.user(c, wanted)}
    if place == "group" and READ_GROUP not in rights:
        return {"status": "member", "user": wire_models.bot(c)}
    return wire_models.administrator(c, discussion=place == "group", posts=POST in rights)


# ── updates ───────────────────────────────────────────────────────────────────────────────────────


def _subscription(call: Call) -> Subscription | None:
    return next(iter(call.network.hooks.of(call.own)), None)


def _kinds(call: Call) -> list[str] | None:
    said = call.structure("allowed_updates")
    if said is None:
        return None
    if not isinstance(said, list):
        raise RefusedError(400, "can't parse allowed updates")
    return [str(kind) for kind in said]


def get_updates(call: Call) -> list[Json]:
    """Those that wait; an `offset` confirms all before it."""
    c, waiting = call.own, call.network.extra_state(Updates)
    if _subscription(call) is not None:
        raise RefusedError(
            409, "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
        )
    if (kinds := _kinds(call)) is not None:
        waiting.want(c, kinds)
    offset = call.integer("offset", 0)
    if offset < 0:
        last = waiting.waiting(c)[offset:]
        offset = last[0].id if last else 0
    waiting.confirm(c, offset)
    limit = min(max(call.integer("limit", 100), 1), 100)
    return [update.whole for update in _heard(call, waiting.waiting(c))][:limit]


def _heard(call: Call, updates: Iterable[Update]) -> Iterable[Update]:
    deaf = {wire_models.channel_id(call.own)} if ADMINISTRATOR not in call.grant.scopes else set()
    if not {ADMINISTRATOR, READ_GROUP} <= call.grant.scopes:
        deaf.add(wire_models.group_id(call.own))
    return (update for update in updates if update.chat not in deaf)


def set_webhook(call: Call) -> bool:
    """Updates that wait go to the webhook, unless they are to be dropped."""
    url, secret = call.text("url"), call.text("secret_token")
    if not url:
        return delete_webhook(call)
    if not url.startswith(("https://", "http://")):
        raise RefusedError(400, "bad webhook: An HTTPS URL must be provided for webhook")
    if secret and re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret) is None:
        raise RefusedError(400, "secret token contains unallowed characters")
    c, waiting, hooks = call.own, call.network.extra_state(Updates), call.network.hooks
    for old in hooks.of(c):
        waiting.give_back(c, old.pending)
        hooks.remove(c, old.id, origin="api")
    if (kinds := _kinds(call)) is not None:
        waiting.want(c, kinds)
    made = hooks.configure(c, url, secret, topics=waiting.wanted(c), origin="api")
    if not call.flag("drop_pending_updates"):
        made.pending.extend(delivery(made, update) for update in waiting.waiting(c))
        made.wake.set()
    _forget(call)
    return True


def delete_webhook(call: Call) -> bool:
    c, waiting = call.own, call.network.extra_state(Updates)
    for old in call.network.hooks.of(c):
        waiting.give_back(c, old.pending)
        call.network.hooks.remove(c, old.id, origin="api")
    if call.flag("drop_pending_updates"):
        _forget(call)
    return True


def _forget(call: Call) -> None:
    waiting = call.network.extra_state(Updates)
    if known := waiting.waiting(call.own):
        waiting.confirm(call.own, known[-1].id + 1)


def get_webhook_info(call: Call) -> Json:
    one = _subscription(call)
    if one is None:
        pending = len(call.network.extra_state(Updates).waiting(call.own))
        return {"url": "", "has_custom_certificate": False, "pending_update_count": pending}
    found: Json = {
        "url": one.url, "has_custom_certificate": False, "pending_update_count": len(one.pending),
        "max_connections": 40, "allowed_updates": sorted(one.topics),
    }  # fmt: skip
    if one.failures:
        found |= {
            "last_error_date": call.network.world.now // 1000,
            "last_error_message": "Wrong response from the webhook",
        }
    return found


# ── sending ───────────────────────────────────────────────────────────────────────────────────────


def send_message(call: Call) -> Json:
    text = call.text("text").strip()
    if not text:
        raise RefusedError(400, "message text is empty")
    if _length(text) > LONGEST:
        raise RefusedError(400, "message is too long")
    return _sent(call, text, [])[0]


def send_photo(call: Call) -> Json:
    photo = call.files.get("photo")
    if photo is None:
        raise RefusedError(400, "there is no photo in the request")
    return _sent(call, _caption(call.text("caption")), [photo])[0]


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
    return _sent(call, next(filter(None, captions), ""), photos)


def _caption(text: str) -> str:
    if _length(text) > LONGEST_CAPTION:
        raise RefusedError(400, "message caption is too long")
    return text.strip()


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _sent(call: Call, text: str, photos: list[Picture]) -> list[Json]:
    """Put a message where it belongs: a post, an answer to a comment, or an answer to a customer."""
    c, place = _chat(call)
    _admit(call, c, place)
    sizes = [_size(photo) for photo in photos]
    fields = _answering(call, c, place)
    _count(call, place, max(len(photos), 1))
    world = call.network.world
    fields["text"] = text
    if photos:
        fields["media"] = [
            world.emit("media", c, "api", kind=photo.media_type, count=len(photo.content), detail=size)["id"]
            for photo, size in zip(photos, sizes, strict=True)
        ]
    if place == "channel":
        entry = c.wall[int(world.emit("post", c, "api", **fields)["id"])]
        return [wire_models.post(c, entry, part) for part in wire_models.parts(entry)]
    made = world.emit("reply", c, "api", **fields)
    if place == "group":
        return [wire_models.comment(c, c.wall[int(made["id"])], world.born)]
    return [wire_models.direct(c, c.mail[int(made["id"])])]


def _admit(call: Call, c: Community, place: Place) -> None:
    rights = _rights(call, c)
    if place == "private":
        if int(call.text("chat_id")) not in c.dialogs:
            raise RefusedError(403, "bot can't initiate conversation with a user")
    elif ADMINISTRATOR not in rights:
        raise RefusedError(403, f"bot is not a member of the {_kind(place)} chat")
    elif place == "channel" and POST not in rights:
        raise RefusedError(400, "need administrator rights in the channel chat")


def _answering(call: Call, c: Community, place: Place) -> Fields:
    """What the message answers."""
    if place == "channel":
        return Fields()
    said = call.structure("reply_parameters")
    number = said.get("message_id") if isinstance(said, dict) else None
    lenient = isinstance(said, dict) and said.get("allow_sending_without_reply") is True
    gone = RefusedError(400, "message to be replied not found")
    if place == "private":
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


def _count(call: Call, place: Place, messages: int) -> None:
    """About a message a second to a chat, 20 a minute to a group or channel."""
    network, chat = call.network, f"telegram/{call.grant.community}/{call.text('chat_id')}"
    if not network.counter.second(chat, network.limits["telegram_chat_rps"]):
        raise wait(1)
    if place != "private":
        left = network.counter.window(f"{chat}/minute", network.limits["telegram_group_rpm"], 60, cost=messages)
        if left.refused:
            raise wait(max(math.ceil(left.reset_at - network.real()), 1))


def _size(photo: Picture) -> dict[str, object]:
    """Width and height; of a JPEG they are not looked up."""
    if len(photo.content) > LARGEST_PHOTO:
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
