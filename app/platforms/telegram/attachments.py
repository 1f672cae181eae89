"""Attachments of messages. They have no addresses: a file's address in the Bot API contains the bot's token."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from app.platforms.attachments import attachment, inner, limited
from app.platforms.contract import Attachment, AttachmentKind

Read = Callable[[Any], Attachment]


def _of(kind: AttachmentKind, *names: str) -> Read:
    """An attachment whose name is in the first of these fields that has one."""

    def read_one(value: Any) -> Attachment:
        return attachment(kind, None, next((text for name in names if (text := inner(value, name))), ""))

    return read_one


def _document(value: Any) -> Attachment:
    is_picture = str(inner(value, "mime_type")).startswith("image/")
    kind = AttachmentKind.PICTURE if is_picture else AttachmentKind.FILE
    return attachment(kind, None, inner(value, "file_name"))


def _contact(value: Any) -> Attachment:
    name = " ".join(str(part) for field in ("first_name", "last_name") if (part := inner(value, field)))
    return attachment(AttachmentKind.CONTACT, None, name)


READ: Final[Mapping[str, Read]] = {
    "photo": _of(AttachmentKind.PICTURE),
    "live_photo": _of(AttachmentKind.PICTURE),
    "paid_media": _of(AttachmentKind.PICTURE),
    "video": _of(AttachmentKind.VIDEO, "file_name"),
    "video_note": _of(AttachmentKind.VIDEO),
    "animation": _of(AttachmentKind.VIDEO, "file_name"),
    "audio": _of(AttachmentKind.AUDIO, "title", "file_name"),
    "voice": _of(AttachmentKind.VOICE),
    "document": _document,
    "sticker": _of(AttachmentKind.STICKER, "emoji"),
    "story": _of(AttachmentKind.POST),
    "contact": _contact,
    "venue": _of(AttachmentKind.LOCATION, "title"),
    "location": _of(AttachmentKind.LOCATION),
    "poll": _of(AttachmentKind.POLL, "question"),
    "checklist": _of(AttachmentKind.OTHER, "title"),
    "dice": _of(AttachmentKind.OTHER, "emoji"),
    "game": _of(AttachmentKind.OTHER, "title"),
    "invoice": _of(AttachmentKind.OTHER, "title"),
    "giveaway": _of(AttachmentKind.OTHER),
    "giveaway_winners": _of(AttachmentKind.OTHER),
}
"""By the field of a message."""
REPEATED: Final = {"venue": "location", "animation": "document", "live_photo": "photo"}
"""Fields that come with another one, which repeats them."""


def read(message: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """What is attached to a message as it came."""
    names = {name for name in READ if message.get(name) is not None}
    names -= {REPEATED[name] for name in names if name in REPEATED}
    return limited(READ[name](message[name]) for name in READ if name in names)
