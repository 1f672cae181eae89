"""messages.*: the community's conversations with its customers."""

from __future__ import annotations

from bisect import bisect_right
from itertools import islice

from sandbox.entities import Community, Dialog, Entry
from sandbox.vk import wire_models
from sandbox.vk.call import Call
from sandbox.vk.errors import VkError

TEXT_LIMIT = 9000
"""Characters of one message."""


def conversations(call: Call) -> object:
    """The community's conversations, newest first."""
    c = call.own_community(call.params.integer("group_id"))
    kept: list[Dialog] = [dialog for dialog in c.dialogs.values() if dialog.messages]
    unread = [dialog for dialog in kept if dialog.unread]
    if call.params.get("filter", "all") in ("unread", "unanswered"):
        kept = unread
    if start := call.params.integer("start_message_id"):
        kept = [dialog for dialog in kept if dialog.messages[-1] <= start]
    offset, count = call.between("offset", 0, 0, 1 << 31), call.between("count", 20, 0, 200)
    page = list(islice(reversed(kept), offset, offset + count))
    last = [c.mail[dialog.messages[-1]] for dialog in page]
    return {
        "count": len(kept),
        "unread_count": len(unread),
        "items": [
            {"conversation": wire_models.conversation(c, dialog), "last_message": wire_models.message(c, entry)}
            for dialog, entry in zip(page, last, strict=True)
        ],
        **_people(call, c, page),
    }


def history(call: Call) -> object:
    """One conversation, newest first (`rev=1`: oldest first), from `start_message_id` on."""
    c = call.own_community(call.params.integer("group_id"))
    peer = call.params.integer("peer_id") or call.params.integer("user_id")
    if peer is None:
        raise VkError(100, "peer_id is undefined")
    dialog = c.dialogs.get(peer)
    ids = [] if dialog is None else dialog.messages
    offset, count = call.between("offset", 0, -200, 1 << 31), call.between("count", 20, 0, 200)
    start = call.params.integer("start_message_id")
    if call.params.flag("rev"):
        page_ids = ids[max(offset, 0) : max(offset, 0) + count]
    else:
        end = (len(ids) if not start or start < 0 else bisect_right(ids, start)) - offset
        page_ids = ids[max(end - count, 0) : max(end, 0)][::-1]
    conversation = [] if dialog is None else [wire_models.conversation(c, dialog)]
    return {
        "count": len(ids),
        "items": [wire_models.message(c, c.mail[one]) for one in page_ids],
        **({"conversations": conversation} if call.params.flag("extended") else {}),
        **_people(call, c, [] if dialog is None else [dialog]),
    }


def _people(call: Call, c: Community, dialogs: list[Dialog]) -> dict[str, object]:
    return wire_models.people(c, (dialog.person for dialog in dialogs)) if call.params.flag("extended") else {}


def by_id(call: Call) -> object:
    c = call.own_community(call.params.integer("group_id"))
    ids = [int(one) for one in call.params.get("message_ids").split(",") if one.strip().isdecimal()][:100]
    if not ids:
        raise VkError(100, "message_ids is undefined")
    entries: list[Entry] = [entry for one in ids if (entry := c.mail.get(one)) is not None]
    return {
        "count": len(entries),
        "items": [wire_models.message(c, entry) for entry in entries],
        **call.extended(c, entries),
    }


def send(call: Call) -> object:
    """Send a message to a customer who has written before; a repeated `random_id` sends nothing again."""
    c, world = call.own_community(call.params.integer("group_id")), call.network.world
    if "random_id" not in call.params:
        raise VkError(100, "random_id is a required parameter")
    call.params.integer("random_id")
    many = [int(one) for one in call.params.get("peer_ids").split(",") if one.strip().isdecimal()]
    single = call.params.integer("peer_id") or call.params.integer("user_id")
    peers = many or ([] if single is None else [single])
    if not peers:
        raise VkError(100, "peer_id is undefined")
    key, _ = call.repeated("random_id")
    text = call.params.get("message")
    if not text.strip():
        raise VkError(100, "message is empty or invalid")
    if len(text) > TEXT_LIMIT:
        raise VkError(914)
    if any(peer not in c.dialogs for peer in peers):
        raise VkError(901)
    sent: list[Entry] = []
    for peer in peers:
        name = f"{key}:{peer}"
        record = world.keys.get(name) if key else None
        if record is None and key:
            record = world.emit("reply", c, "api", via="message", person=peer, text=text, key=name)
        elif record is None:
            record = world.emit("reply", c, "api", via="message", person=peer, text=text)
        sent.append(c.mail[int(record["id"])])
    if not many:
        return sent[0].id
    return [{"peer_id": one.peer, "message_id": one.id, "conversation_message_id": one.number} for one in sent]
