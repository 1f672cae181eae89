"""Direct messages: a Page's on Messenger, an Instagram account's through the account or its Page."""

from __future__ import annotations

from typing import Final

from sandbox.entities import Attached, Community, Dialog, Entry
from sandbox.graph import ids
from sandbox.graph.call import Call
from sandbox.graph.errors import GraphError, invalid
from sandbox.graph.nodes import ABSENT, Args, Json, Kind, Listing, Node, text_of
from sandbox.instants import DAY
from sandbox.ledger import Fields
from sandbox.people import person

LIMITS: Final = {"facebook": 2000, "instagram": 1000}
"""Maximum length of a message: characters on Messenger, bytes on Instagram."""


def thread(c: Community, dialog: Dialog) -> Node:
    return Node("thread", ids.thread(c, dialog.number), c, dialog)


def message(c: Community, entry: Entry) -> Node:
    return Node("message", ids.message(c, entry.id), c, entry)


def conversations(call: Call, node: Node, args: Args) -> Listing:
    """`GET /{page}/conversations`, most recently active first."""
    _may(call, node.c)
    _slowly(call, node.c)
    platform = args.get("platform", "instagram" if call.caller.is_instagram_login else "messenger").lower()
    if platform not in {"messenger", "instagram"}:
        raise invalid("Param platform must be one of {INSTAGRAM, MESSENGER}")
    person_id = args.get("user_id")
    items: list[tuple[int, Node | Json]] = [
        (dialog.messages[-1], thread(node.c, dialog))
        for dialog in reversed(node.c.dialogs.values())
        if dialog.person and (person_id is None or ids.person(node.c, dialog.person) == person_id)
    ]
    same_platform = (platform == "instagram") == ids.is_instagram(node.c)
    return Listing(items if same_platform else [], falling=True)


def messages(call: Call, node: Node, _: Args) -> Listing:
    """`GET /{conversation}/messages`, newest first."""
    _may(call, node.c)
    c = node.c
    return Listing([(one, message(c, c.mail[one])) for one in reversed(node.dialog.messages)], falling=True)


def send(call: Call, node: Node) -> Json:
    """`POST /{page}/messages`, within a day of the customer's last message; a week with the tag `HUMAN_AGENT`."""
    _may(call, node.c)
    if not ids.is_instagram(node.c) and call.get("messaging_type") not in {"RESPONSE", "UPDATE", "MESSAGE_TAG"}:
        raise invalid("Param messaging_type must be one of {RESPONSE, UPDATE, MESSAGE_TAG}")
    c, text = node.c, _text(call, node.c)
    to = call.structure("recipient")
    person_id = str(to.get("id", "")) if isinstance(to, dict) else ""
    person_number = ids.number_of(c, person_id)
    dialog = None if person_number is None else c.dialogs.get(person_number)
    if person_number is None or dialog is None:
        raise invalid("No matching user found", 2018001)
    human = call.get("messaging_type") == "MESSAGE_TAG" and call.get("tag") == "HUMAN_AGENT"
    last_received_at = max((c.mail[one].at for one in dialog.messages if c.mail[one].person is not None), default=0)
    if last_received_at < call.world.now - DAY * (7 if human else 1):
        outside = "(#10) This message is sent outside of allowed window."
        raise GraphError(10, outside, subcode=2534022 if ids.is_instagram(c) else 2018278)
    made = call.world.emit("reply", c, "api", **Fields(via="message", person=person_number, text=text))
    return {"recipient_id": person_id, "message_id": ids.message(c, int(made["id"]))}


def _text(call: Call, c: Community) -> str:
    said = call.structure("message")
    text = str(said.get("text", "")).strip() if isinstance(said, dict) else ""
    if not text:
        raise invalid("Message cannot be empty, must provide valid attachment or text", 2018006)
    limit = LIMITS[c.profile.platform]
    if len(text.encode() if ids.is_instagram(c) else text) > limit:
        raise invalid(f"Length of param message[text] must be less than or equal to {limit}")
    return text


def _may(call: Call, c: Community) -> None:
    call.needs_page()
    if ids.is_instagram(c):
        call.needs("instagram_manage_messages", "instagram_business_manage_messages", code=200)
    else:
        call.needs("pages_messaging", code=200)


def _slowly(call: Call, c: Community) -> None:
    if not call.network.counter.second(f"graph/{c.key}/conversations", call.network.limits["graph_conversations_rps"]):
        raise GraphError(613)


def people(c: Community, person_number: int | None) -> Json:
    """A participant of a conversation; None is the community itself."""
    if ids.is_instagram(c):
        name = c.key if person_number is None else person(person_number, c.profile.language).username
        return {
            "username": name,
            "id": c.profile.external_id if person_number is None else ids.person(c, person_number),
        }
    number = ids.page(c) if person_number is None else ids.person(c, person_number)
    name = c.profile.title if person_number is None else person(person_number, c.profile.language).name
    return {"name": name, "email": f"{number}@facebook.com", "id": number}


def _attachments(entry: Entry) -> object:
    """What a customer attached."""
    if not entry.attachments:
        return ABSENT
    return {"data": [_attachment(entry, one) for one in entry.attachments]}


def _attachment(entry: Entry, one: Attached) -> Json:
    mime_types = {"picture": "image/jpeg", "video": "video/mp4", "file": "application/pdf"}
    url = address(entry, one)
    described: Json = {
        "id": f"{entry.id}{one.number}", "mime_type": mime_types[one.kind], "name": one.name, "size": 4096
    }  # fmt: skip
    match one.kind:
        case "picture":
            return {**described, "image_data": {"url": url, "preview_url": url, "width": 720, "height": 720}}
        case "video":
            return {**described, "video_data": {"url": url, "preview_url": url, "width": 720, "height": 720}}
        case _:
            return {**described, "file_url": url}


def address(entry: Entry, one: Attached) -> str:
    """Where a file is."""
    return f"https://cdn.fbsbx.com/v/{entry.id}-{one.number}"


def _last(node: Node) -> Entry:
    return node.c.mail[node.dialog.messages[-1]]


THREAD: Final = Kind(
    "UnifiedThread",
    "link,updated_time",
    fields={
        "link": lambda _, node: (
            ABSENT if ids.is_instagram(node.c) else f"/{ids.page(node.c)}/inbox/{node.dialog.number}/"
        ),
        "updated_time": lambda _, node: text_of(_last(node).at),
        "snippet": lambda _, node: _last(node).text[:80],
        "message_count": lambda _, node: len(node.dialog.messages),
        "unread_count": lambda _, node: node.dialog.unread,
        "can_reply": lambda call, node: _last(node).at > call.world.now - DAY,
        "is_subscribed": lambda _, __: True,
        "participants": lambda _, node: {"data": [people(node.c, node.dialog.person), people(node.c, None)]},
        "senders": lambda _, node: {"data": [people(node.c, node.dialog.person), people(node.c, None)]},
    },
    edges={"messages": messages},
)

MESSAGE: Final = Kind(
    "UnifiedMessage",
    "created_time",
    fields={
        "created_time": lambda _, node: text_of(node.entry.at),
        "from": lambda _, node: people(node.c, node.entry.person),
        "to": lambda _, node: {
            "data": [people(node.c, node.entry.peer if node.entry.person is None else None)],
        },
        "message": lambda _, node: node.entry.text,
        "tags": lambda _, node: {
            "data": [{"name": "inbox" if node.entry.person is not None else "sent"}, {"name": "source:web"}]
        },
        "attachments": lambda _, node: _attachments(node.entry),
        "shares": lambda _, __: ABSENT,
        "sticker": lambda _, __: ABSENT,
    },
)
